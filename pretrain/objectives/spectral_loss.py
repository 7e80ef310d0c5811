"""How far two waveforms are apart in their spectrograms: frequency content and envelopes, not wiggles.

A wave that cannot be predicted in phase (a coda) still has a predictable spectrum. The mean over several
window lengths (multi-resolution STFT loss, Yamamoto et al. 2020, arXiv 1910.11480, log-magnitude part) sees
both the sharp onset and the slow decay.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from .base import mean_over_all


@dataclass(frozen=True, kw_only=True)
class SpectralLossConfig:
    """The spectrograms that are compared.

    lengths_s: lengths of the Hann windows; they advance by a quarter of their length.
    floor: power that is added before the logarithm, where white noise of unit variance has power 1; it hides
        what lies far under the noise.
    min_weight: a frame counts where at least this share of its (Hann-weighted) power is judged.
    """

    lengths_s: tuple[float, ...] = (0.32, 1.28, 5.12)
    floor: float = 1e-3
    min_weight: float = 0.5

    def __post_init__(self) -> None:
        if not self.lengths_s or min(self.lengths_s) <= 0 or self.floor <= 0:
            raise ValueError(f"lengths_s and floor must be positive, found {self.lengths_s} and {self.floor}")


def log_spectral_distance(
    predicted: Tensor, truth: Tensor, judged: Tensor, rate_hz: float, config: SpectralLossConfig
) -> Tensor:
    """Mean absolute difference of log magnitudes over the frames that are mostly judged; a scalar.

    predicted, truth: float32 `(window, component, sample)`. judged: bool likewise, the samples that the loss
    is about. Zero, and connected to `predicted`, where no frame is judged. Means are over all processes.
    """
    distances = []
    for length_s in config.lengths_s:
        length = min(round(length_s * rate_hz), predicted.shape[-1])
        taper = torch.hann_window(length, device=predicted.device)
        weight = _frame_weight(judged, taper)
        weight = torch.where(weight >= config.min_weight, weight, 0.0)
        difference = _log_power(predicted, taper, config.floor) - _log_power(truth, taper, config.floor)
        per_frame = 0.5 * difference.abs().mean(dim=-2)
        distances.append(mean_over_all((per_frame * weight).sum(), weight.sum()))
    return torch.stack(distances).mean()


def _log_power(waveform: Tensor, taper: Tensor, floor: float) -> Tensor:
    """Log power `(window, component, frequency, frame)`, with power 1 for white noise of unit variance."""
    hop = max(1, len(taper) // 4)
    spectrum = torch.stft(
        waveform.flatten(0, 1), len(taper), hop, window=taper, center=False, return_complex=True
    )
    power = torch.view_as_real(spectrum).square().sum(dim=-1) / taper.square().sum()
    return (power + floor).log().unflatten(0, waveform.shape[:2])


def _frame_weight(judged: Tensor, taper: Tensor) -> Tensor:
    """The share of each frame's tapered power that is judged, `(window, component, frame)`."""
    hop = max(1, len(taper) // 4)
    kernel = (taper.square() / taper.square().sum())[None, None]
    return F.conv1d(judged.flatten(0, 1)[:, None].float(), kernel, stride=hop)[:, 0].unflatten(
        0, judged.shape[:2]
    )
