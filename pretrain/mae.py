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

from ..data.batch import WaveformBatch
from ..foundation.contract import PreparedInput
from ..foundation.encoder import Encoder
from ..foundation.model import SeismicFeatures, SeismicModel, init_module
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


class MaskedAutoencoder(nn.Module):
    """An objective for `train`: `model` is kept, the decoder is thrown away."""

    def __init__(self, model: SeismicModel, config: MaskedAutoencoderConfig):
        super().__init__()
        self.model = model
        self.config = config
        dim, size = model.config.hidden_size, config.decoder_size
        self.token_samples = model.config.token_samples
        self.num_components = len(model.contract.components)
        self.embed = nn.Linear(dim, size)
        self.mask_token = nn.Parameter(torch.zeros(size))
        self.decoder = Encoder(size, config.decoder_layers, config.decoder_heads, 2 * size)
        self.reconstruct = nn.Linear(size, self.num_components * self.token_samples)
        std = model.config.initializer_range
        for part in (self.embed, self.decoder, self.reconstruct):
            part.apply(lambda module: init_module(module, std))
        nn.init.normal_(self.mask_token, std=std)

    def forward(self, batch: WaveformBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Hide, encode, reconstruct, compare. The mask comes from torch's global random state."""
        return self.score(batch, self.draw_mask(batch))

    def draw_mask(self, batch: WaveformBatch, generator: torch.Generator | None = None) -> Tensor:
        """Hidden tokens, bool `(window, token)`, for a batch."""
        shape = (len(batch), self.model.num_tokens(batch))
        token_s = self.token_samples / self.model.contract.model_rate_hz
        return hidden_tokens(self.config.mask, shape, token_s, generator).to(batch.device)

    def score(self, batch: WaveformBatch, hidden: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss for a given mask, with its parts."""
        visible = self.prepare(self.model.hide(batch, hidden))
        truth = self.hidden_truth(self.prepare(batch), visible, hidden)
        predicted = self.predict(self.model.encode(visible, hidden), hidden)
        return self.compare(predicted, truth)

    def prepare(self, batch: WaveformBatch) -> PreparedInput:
        """What the model's contract makes of a batch, always in full precision."""
        with torch.no_grad(), torch.autocast(device_type=batch.device.type, enabled=False):
            return self.model.contract.prepare(batch)

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
        visible = self.embed(features.tokens)
        tokens = self.mask_token.to(visible.dtype).expand(*hidden.shape, -1).clone()
        tokens[~hidden] = visible.flatten(0, 1)
        # Mask tokens take part; visible ones without any data do not.
        observed = hidden.clone()
        assert features.token_observed is not None
        observed[~hidden] = features.token_observed.flatten()
        index = torch.arange(hidden.shape[1], device=hidden.device, dtype=torch.float32)
        time_s = (index + 0.5) * self.token_samples / self.model.contract.model_rate_hz
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
            waveform_loss = error / truth.judged.sum().clamp(min=1)
            rate_hz = self.model.contract.model_rate_hz
            spectral_loss = log_spectral_distance(
                composed, truth.waveform, truth.judged, rate_hz, self.config.spectral
            )
            loss = waveform_loss + self.config.spectral_weight * spectral_loss
        return loss, {"waveform_loss": waveform_loss, "spectral_loss": spectral_loss}

    def compare_with_silence(self, batch: WaveformBatch, hidden: Tensor) -> Tensor:
        """The loss of predicting zeros: what any pretraining must beat."""
        truth = self.hidden_truth(self.prepare(batch), self.prepare(self.model.hide(batch, hidden)), hidden)
        return self.compare(torch.zeros_like(truth.waveform), truth)[0]
