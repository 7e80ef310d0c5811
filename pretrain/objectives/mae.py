"""The masked autoencoder: guess the hidden part of a seismogram from the visible part.

After He et al. 2022 (arXiv 2111.06377): the encoder sees the visible tokens only, a light decoder, which is
thrown away after pretraining, puts the hidden samples back, or says of them what `token_targets` asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from ...data.batch import WaveformBatch
from ...foundation.backbones.base import Backbone
from ...foundation.contract import PreparedInput
from ...foundation.encoder import Encoder
from ...foundation.features import SeismicFeatures
from .base import init_objective, mean_over_all
from .masked import MaskedObjective
from .masking import MaskConfig
from .spectral_loss import SpectralLossConfig, log_spectral_distance
from .token_targets import (
    MOTION,
    log_spectrum,
    num_frequencies,
    polarization,
    polarization_loss,
    spectrum_loss,
    symmetric_deviator,
    token_judged,
)


@dataclass(frozen=True, kw_only=True)
class MaskedAutoencoderConfig:
    """The objective of pretraining.

    decoder_size, decoder_layers, decoder_heads: of the decoder, narrower and shallower than the encoder.
    waveform_weight, spectral_weight: of the reconstructed samples' loss, and of their spectrograms'.
    spectrum_weight: of each hidden token's log amplitude spectrum, which is guessed by itself, without a
        waveform. polarization_weight: of its direction of motion, likewise. 0 leaves a target out.
    """

    mask: MaskConfig = field(default_factory=MaskConfig)
    decoder_size: int = 128
    decoder_layers: int = 2
    decoder_heads: int = 4
    spectral: SpectralLossConfig = field(default_factory=SpectralLossConfig)
    waveform_weight: float = 1.0
    spectral_weight: float = 0.5
    spectrum_weight: float = 0.0
    polarization_weight: float = 0.0

    def __post_init__(self) -> None:
        weights = list(self.weights.values())
        if min(weights) < 0 or max(weights) == 0:
            raise ValueError(
                f"the weights must not be negative, and one or more be positive, found {self.weights}"
            )

    @property
    def weights(self) -> dict[str, float]:
        """The weight of each part of the loss by its name in the log."""
        return {
            "waveform_loss": self.waveform_weight,
            "spectral_loss": self.spectral_weight,
            "spectrum_loss": self.spectrum_weight,
            "polarization_loss": self.polarization_weight,
        }

    @property
    def asked(self) -> list[str]:
        """What the decoder must guess of a hidden token."""
        weight_of = {
            "waveform": self.waveform_weight + self.spectral_weight,
            "spectrum": self.spectrum_weight,
            "polarization": self.polarization_weight,
        }
        return [name for name, weight in weight_of.items() if weight > 0]


@dataclass(frozen=True, kw_only=True)
class HiddenTruth:
    """What was hidden, as the loss sees it.

    waveform: float32 `(window, component, sample)` at the model's rate, padded to whole tokens, scaled by the
        *visible* part's amplitude and compressed by asinh; 0 where nothing was observed.
    judged: bool likewise: hidden, observed, and with an amplitude to compare to.
    """

    waveform: Tensor
    judged: Tensor


class MaskedAutoencoder(MaskedObjective):
    """Hide, encode, reconstruct, compare.

    A backbone that drops hidden tokens gets the visible ones alone, and the decoder puts a mask token for
    each of the others. From one that does not, the decoder gets what the network made of the hidden places.
    """

    config_class = MaskedAutoencoderConfig
    draws_name = "mae"

    def __init__(self, model: Backbone, config: MaskedAutoencoderConfig):
        super().__init__(model, config, config.mask)
        self.config = config
        spec, size = model.feature_spec, config.decoder_size
        self.component_names = model.contract.components
        self.embed = nn.Linear(spec.dim, size)
        self.mask_token = nn.Parameter(torch.zeros(size))
        self.decoder = Encoder(size, config.decoder_layers, config.decoder_heads, 2 * size)
        components = len(self.component_names)
        if "waveform" in config.asked:
            self.reconstruct = nn.Linear(size, components * self.token_samples)
        if "spectrum" in config.asked:
            self.guess_spectrum = nn.Linear(size, components * num_frequencies(self.token_samples))
        if "polarization" in config.asked:
            self._check_motion()
            self.guess_polarization = nn.Linear(size, 5)
        std = model.config.initializer_range
        init_objective(self, std)
        nn.init.normal_(self.mask_token, std=std)

    def _check_motion(self) -> None:
        lacking = [name for name in MOTION if name not in self.component_names]
        if lacking:
            raise ValueError(
                f"polarization needs the components {MOTION}, and the model's contract lacks {lacking}: set "
                "polarization_weight to 0, or give the contract these components"
            )

    def look(self, model: Backbone, visible: PreparedInput, hidden: Tensor) -> SeismicFeatures:
        """What the model makes of the visible part; hidden tokens never enter a backbone that drops them."""
        return model.encode(visible, hidden)

    def score(
        self, model: Backbone, batch: WaveformBatch, hidden: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss for a given mask, with its parts."""
        visible = model.prepare(model.hide(batch, hidden))
        truth = self.hidden_truth(model.prepare(batch), visible, hidden)
        return self.compare(self.predict(self.look(model, visible, hidden), hidden), truth)

    def hidden_truth(self, whole: PreparedInput, visible: PreparedInput, hidden: Tensor) -> HiddenTruth:
        """The hidden samples in units of the visible part's amplitude.

        The network cannot know how large the hidden part is, and must not be told by the scaling: a whole
        window's standard deviation says how strong the hidden S is.
        """
        size = self.token_samples
        # asinh: nearly linear for the noise, logarithmic for an S that is a hundred times as large.
        waveform = torch.asinh(whole.waveform * (whole.scale / visible.scale))
        is_hidden = hidden.repeat_interleave(size, dim=1)[:, None, : whole.num_samples]
        judged = whole.observed & is_hidden & visible.observed.any(dim=-1, keepdim=True)
        padding = -whole.num_samples % size
        return HiddenTruth(waveform=F.pad(waveform, (0, padding)), judged=F.pad(judged, (0, padding)))

    def predict(self, features: SeismicFeatures, hidden: Tensor) -> dict[str, Tensor]:
        """Guess what is at the hidden tokens, float32; 0 stands at the visible ones.

        `waveform` `(window, component, sample)`, `spectrum` `(window, token, component, frequency)` and
        `polarization` `(window, token, 3, 3)`, as far as the loss asks for them.
        """
        decoded = self.decode(features, hidden)[hidden]
        guesses: dict[str, Tensor] = {}
        if "waveform" in self.config.asked:
            guesses["waveform"] = rearrange(
                _in_place(self.reconstruct(decoded), hidden),
                "window token (component sample) -> window component (token sample)",
                component=len(self.component_names),
            )
        if "spectrum" in self.config.asked:
            spectrum = _in_place(self.guess_spectrum(decoded), hidden)
            guesses["spectrum"] = spectrum.unflatten(-1, (len(self.component_names), -1))
        if "polarization" in self.config.asked:
            entries = _in_place(self.guess_polarization(decoded), hidden)
            guesses["polarization"] = symmetric_deviator(entries)
        return guesses

    def decode(self, features: SeismicFeatures, hidden: Tensor) -> Tensor:
        """The decoder's tokens `(window, token, size)`, hidden ones and all."""
        assert features.tokens is not None and features.token_observed is not None
        visible = self.embed(features.tokens)
        mask_tokens = self.mask_token.to(visible.dtype).expand(*hidden.shape, -1)
        # Mask tokens take part; visible ones without any data do not.
        if visible.shape[1] == hidden.shape[1]:
            tokens = torch.where(hidden[..., None], visible + mask_tokens, visible)
            observed = hidden | features.token_observed
        else:
            tokens, observed = mask_tokens.clone(), hidden.clone()
            tokens[~hidden] = visible.flatten(0, 1)
            observed[~hidden] = features.token_observed.flatten()
        index = torch.arange(hidden.shape[1], device=hidden.device, dtype=torch.float32)
        time_s = (index + 0.5) * self.token_samples / self.rate_hz
        return self.decoder(tokens, time_s.expand(len(hidden), -1), observed)

    def compare(
        self, predicted: Mapping[str, Tensor], truth: HiddenTruth
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The losses of what `predict` gave over what is judged; nothing else of it can matter."""
        parts: dict[str, Tensor] = {}
        with torch.autocast(device_type=truth.waveform.device.type, enabled=False):
            if "waveform" in predicted:
                parts |= self._compare_samples(predicted["waveform"], truth)
            if "spectrum" in predicted or "polarization" in predicted:
                parts |= self._compare_tokens(predicted, truth)
            loss = torch.stack([self.config.weights[name] * part for name, part in parts.items()]).sum()
        return loss, parts

    def _compare_samples(self, predicted: Tensor, truth: HiddenTruth) -> dict[str, Tensor]:
        # Elsewhere the truth takes the prediction's place: the spectra of frames at the edges are then not
        # those of a jump.
        composed = torch.where(truth.judged, predicted, truth.waveform)
        error = F.smooth_l1_loss(composed, truth.waveform, reduction="sum")
        return {
            "waveform_loss": mean_over_all(error, truth.judged.sum()),
            "spectral_loss": log_spectral_distance(
                composed, truth.waveform, truth.judged, self.rate_hz, self.config.spectral
            ),
        }

    def _compare_tokens(self, predicted: Mapping[str, Tensor], truth: HiddenTruth) -> dict[str, Tensor]:
        size = self.token_samples
        motion, judged = torch.sinh(truth.waveform), token_judged(truth.judged, size)
        parts: dict[str, Tensor] = {}
        if "spectrum" in predicted:
            spectrum = log_spectrum(motion, size, self.config.spectral.floor)
            parts["spectrum_loss"] = spectrum_loss(predicted["spectrum"], spectrum, judged)
        if "polarization" in predicted:
            rows = [self.component_names.index(name) for name in MOTION]
            deviator, moves = polarization(motion[:, rows], size)
            whole = judged[..., rows].all(dim=-1) & moves
            parts["polarization_loss"] = polarization_loss(predicted["polarization"], deviator, whole)
        return parts

    def trivial_loss(self, model: Backbone, batch: WaveformBatch) -> Tensor:
        """The loss of predicting zeros: what any pretraining must beat."""
        hidden = self.draw_mask(model, batch)
        visible = model.prepare(model.hide(batch, hidden))
        truth = self.hidden_truth(model.prepare(batch), visible, hidden)
        return self.compare(self._zeros(truth.waveform), truth)[0]

    def _zeros(self, waveform: Tensor) -> dict[str, Tensor]:
        windows, components, samples = waveform.shape
        grid = (windows, samples // self.token_samples)
        shapes = {
            "waveform": tuple(waveform.shape),
            "spectrum": (*grid, components, num_frequencies(self.token_samples)),
            "polarization": (*grid, 3, 3),
        }
        return {name: waveform.new_zeros(shapes[name]) for name in self.config.asked}


def _in_place(values: Tensor, hidden: Tensor) -> Tensor:
    """Values of the hidden tokens, one row each, at their places `(window, token, value)`; 0 elsewhere."""
    placed = values.new_zeros(*hidden.shape, values.shape[-1], dtype=torch.float32)
    placed[hidden] = values.float()
    return placed
