"""Anti-aliased change of the sampling rate, vectorized over windows, on any device."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

ZERO_CROSSINGS = 32
"""Half length of the interpolating sinc in periods of the lower Nyquist rate: about 80 dB of alias rejection."""

ROLLOFF = 0.95
"""The filter's half-amplitude point as a fraction of the lower Nyquist rate."""

KAISER_BETA = 9.0


def rate_ratio(rate_in_hz: float, rate_out_hz: float) -> Fraction:
    """Output samples per input sample as a small fraction.

    Rates that differ by less than 0.05 % (a digitizer's 99.998 Hz) count as equal: over a window of minutes
    the drift stays below a sample.
    """
    return Fraction(rate_out_hz / rate_in_hz).limit_denominator(1000)


@lru_cache(maxsize=64)
def _polyphase_kernel(up: int, down: int) -> tuple[Tensor, int]:
    """Kernel `(up, 1, tap)` and its left reach in input samples, for one output phase a row."""
    cutoff = ROLLOFF * min(1.0, up / down)
    reach = math.ceil(ZERO_CROSSINGS / cutoff)
    offset = torch.arange(-reach, reach + down + 1, dtype=torch.float64)
    phase = torch.arange(up, dtype=torch.float64)[:, None] * down / up
    position = (offset[None, :] - phase) * cutoff
    window_argument = (1 - (position / ZERO_CROSSINGS).square()).clamp(min=0)
    window = torch.special.i0(KAISER_BETA * window_argument.sqrt()) / torch.special.i0(torch.tensor(KAISER_BETA))
    kernel = torch.sinc(position) * window * (position.abs() <= ZERO_CROSSINGS) * cutoff
    kernel = kernel / kernel.sum(dim=1, keepdim=True)
    return kernel.float()[:, None], reach


def resample(waveform: Tensor, rate_in_hz: float, rate_out_hz: float) -> Tensor:
    """Waveforms `(…, sample)` at another rate; the first sample keeps its time.

    The waveform must be finite (fill gaps first, and resample the mask with `resample_observed`) and is taken
    as zero outside of the window, so its mean should be away already. A Kaiser-windowed sinc of linear phase
    (Oppenheim & Schafer, Discrete-Time Signal Processing, ch. 4.6 and 7.6).
    """
    ratio = rate_ratio(rate_in_hz, rate_out_hz)
    if ratio == 1:
        return waveform
    up, down = ratio.numerator, ratio.denominator
    kernel, reach = _polyphase_kernel(up, down)
    num_out = math.ceil(waveform.shape[-1] * ratio)
    steps = math.ceil(num_out / up)
    flat = waveform.reshape(-1, 1, waveform.shape[-1])
    missing = (steps - 1) * down + kernel.shape[-1] - reach - flat.shape[-1]
    padded = F.pad(flat, (reach, max(missing, 0)))
    phases = F.conv1d(padded, kernel.to(padded), stride=down)[..., :steps]
    interleaved = phases.transpose(1, 2).reshape(flat.shape[0], -1)[:, :num_out]
    return interleaved.reshape(*waveform.shape[:-1], num_out)


def resample_observed(observed: Tensor, rate_in_hz: float, rate_out_hz: float) -> Tensor:
    """The mask `(…, sample)` at another rate: each output sample asks its nearest input sample."""
    ratio = rate_ratio(rate_in_hz, rate_out_hz)
    if ratio == 1:
        return observed
    num_out = math.ceil(observed.shape[-1] * ratio)
    index = torch.arange(num_out, device=observed.device, dtype=torch.float64) / float(ratio)
    return observed[..., index.round().long().clamp(max=observed.shape[-1] - 1)]
