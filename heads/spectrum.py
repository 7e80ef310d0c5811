"""How the energy of a window is spread over time and frequency, token by token."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

FRAME_S = 1.28
FLOOR = 1e-6
"""Power below which a frame says nothing, of windows that are scaled to a variance of 1."""


def frame_samples(rate_hz: float, frame_s: float = FRAME_S) -> int:
    """Samples of a frame: the power of two next to its seconds."""
    return 2 ** round(math.log2(frame_s * rate_hz))


def frame_frequencies_hz(rate_hz: float, frame_s: float = FRAME_S) -> Tensor:
    """The frequencies `(frequency,)` of a frame's spectrum."""
    return torch.fft.rfftfreq(frame_samples(rate_hz, frame_s), 1.0 / rate_hz)


def token_power(waveform: Tensor, token_samples: int, rate_hz: float) -> Tensor:
    """Power about each token's centre `(window, token, frequency)`, mean over the components that are live.

    waveform: `(window, component, sample)` of whole tokens, 0 where not observed. Hann windows of `FRAME_S`;
    the frequencies' powers sum to the mean square of the frame.
    """
    length = frame_samples(rate_hz)
    before = (length - token_samples) // 2
    after = length - token_samples - before
    frames = F.pad(waveform.float(), (before, after)).unfold(-1, length, token_samples)
    taper = torch.hann_window(length, device=waveform.device)
    spectrum = torch.fft.rfft(frames * taper, dim=-1).abs().square()
    live = waveform.any(dim=-1).sum(dim=1).clamp(min=1)[:, None, None]
    return 2.0 * spectrum.sum(dim=1) / (live * length * taper.square().sum())


def in_bands(power: Tensor, frequencies_hz: Tensor, bands_hz: tuple[tuple[float, float], ...]) -> Tensor:
    """Power `(…, band)` from each band's lower frequency up to its upper one (left out)."""
    parts = [
        power[..., (frequencies_hz >= low) & (frequencies_hz < high)].sum(dim=-1) for low, high in bands_hz
    ]
    return torch.stack(parts, dim=-1)
