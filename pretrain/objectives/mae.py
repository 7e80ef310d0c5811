"""The masked autoencoder: guess the hidden part of a seismogram from the visible part.

After He et al. 2022 (arXiv 2111.06377): the encoder sees the visible tokens only, a light decoder, which is
thrown away after pretraining, puts the hidden samples back.
"""

from __future__ import annotations

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
from .base import Objective, draws, init_objective, mean_over_all
from .masking import MaskConfig, hidden_tokens
from .spectral_loss import SpectralLossConfig, log_spectral_distance


@dataclass(frozen=True, kw_only=True)
class MaskedAutoencoderConfig:
    """The objective of pretraining.

    decoder_size, decoder_layers, decoder_heads: of the decoder, narrower and shallower than the encoder.
    spectral_weight: weight of the spectral loss beside the waveform's.
    """

    mask: MaskConfig = field(default_factory=MaskConfig)
    decoder_size: int = 128
    decoder_layers: int = 2
    decoder_heads: int = 4
    spectral: SpectralLossConfig = field(default_factory=SpectralLossConfig)
    spectral_weight: float = 0.5


@dataclass(frozen=True, kw_only=True)
class HiddenTruth:
    """What was hidden, as the loss sees it.

    waveform: float32 `(window, component, sample)` at the model's rate, padded to whole tokens, scaled by the
        *visible* part's amplitude and compressed by asinh; 0 where nothing was observed.
    judged: bool likewise: hidden, observed, and with an amplitude to compare to.
    """

    waveform: Tensor
    judged: Tensor


class MaskedAutoencoder(Objective):
    """Hide, encode, reconstruct, compare.

    A backbone that drops hidden tokens gets the visible ones alone, and the decoder puts a mask token for
    each of the others. From one that does not, the decoder gets what the network made of the hidden places.
    """

    config_class = MaskedAutoencoderConfig

    def __init__(self, model: Backbone, config: MaskedAutoencoderConfig):
        super().__init__(model, config)
        self.config = config
        spec, size = model.feature_spec, config.decoder_size
        self.token_samples, self.rate_hz = spec.token_samples, spec.rate_hz
        self.num_components = len(model.contract.components)
        self.embed = nn.Linear(spec.dim, size)
        self.mask_token = nn.Parameter(torch.zeros(size))
        self.decoder = Encoder(size, config.decoder_layers, config.decoder_heads, 2 * size)
        self.reconstruct = nn.Linear(size, self.num_components * self.token_samples)
        std = model.config.initializer_range
        init_objective(self, std)
        nn.init.normal_(self.mask_token, std=std)

    def forward(self, model: Backbone, batch: WaveformBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss with its parts."""
        return self.score(model, batch, self.draw_mask(model, batch))

    def draw_mask(self, model: Backbone, batch: WaveformBatch) -> Tensor:
        """Hidden tokens, bool `(window, token)`, for a batch."""
        token_s = self.token_samples / self.rate_hz
        return hidden_tokens(self.config.mask, model.num_tokens(batch), token_s, draws(batch, "mae"))

    def score(
        self, model: Backbone, batch: WaveformBatch, hidden: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss for a given mask, with its parts."""
        visible = model.prepare(model.hide(batch, hidden))
        truth = self.hidden_truth(model.prepare(batch), visible, hidden)
        predicted = self.predict(model.encode(visible, hidden), hidden)
        return self.compare(predicted, truth)

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

    def predict(self, features: SeismicFeatures, hidden: Tensor) -> Tensor:
        """Reconstruct the hidden tokens: `(window, component, sample)`, 0 at the visible ones."""
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
        decoded = self.decoder(tokens, time_s.expand(len(hidden), -1), observed)
        samples = self.reconstruct(decoded[hidden]).float()
        predicted = samples.new_zeros(*hidden.shape, samples.shape[-1])
        predicted[hidden] = samples
        return rearrange(
            predicted,
            "window token (component sample) -> window component (token sample)",
            component=self.num_components,
        )

    def compare(self, predicted: Tensor, truth: HiddenTruth) -> tuple[Tensor, dict[str, Tensor]]:
        """Waveform and spectral loss of a prediction `(window, component, sample)` over what is judged.

        Everywhere else the truth takes the prediction's place: what is predicted there cannot matter, and the
        spectra of frames at the edges are not those of a jump.
        """
        with torch.autocast(device_type=predicted.device.type, enabled=False):
            composed = torch.where(truth.judged, predicted.float(), truth.waveform)
            error = F.smooth_l1_loss(composed, truth.waveform, reduction="sum")
            waveform_loss = mean_over_all(error, truth.judged.sum())
            spectral_loss = log_spectral_distance(
                composed, truth.waveform, truth.judged, self.rate_hz, self.config.spectral
            )
            loss = waveform_loss + self.config.spectral_weight * spectral_loss
        return loss, {"waveform_loss": waveform_loss, "spectral_loss": spectral_loss}

    def trivial_loss(self, model: Backbone, batch: WaveformBatch) -> Tensor:
        """The loss of predicting zeros: what any pretraining must beat."""
        hidden = self.draw_mask(model, batch)
        truth = self.hidden_truth(model.prepare(batch), model.prepare(model.hide(batch, hidden)), hidden)
        return self.compare(torch.zeros_like(truth.waveform), truth)[0]
