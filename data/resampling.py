"""Anti-aliased change of the sampling rate, vectorized over windows, on any device."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

ZERO_CROSSINGS = 32
"""Half length of the interpolating sinc in periods of the lower Nyquist rate: 80 dB of alias rejection."""

ROLLOFF = 0.95
"""The filter's half-amplitude point as a fraction of the lower Nyquist rate."""

KAISER_BETA = 9.0


def rate_ratio(rate_in_hz: float, rate_out_hz: float) -> Fraction:
    """Output samples per input sample as a small fraction.

    Rates that differ by less than 0.05 % count as equal: a digitizer's 99.998 Hz drifts by half a sample in
    five minutes. Raises ValueError where the rates are not positive or more than a factor of 1000 apart.
    """
    if not (rate_in_hz > 0 and rate_out_hz > 0 and 1e-3 <= rate_out_hz / rate_in_hz <= 1e3):
        raise ValueError(
            "sampling rates must be positive and within a factor of 1000 of each other, "
            f"found {rate_in_hz} and {rate_out_hz} Hz"
        )
    return Fraction(rate_out_hz / rate_in_hz).limit_denominator(1000)


def filter_reach(ratio: Fraction) -> int:
    """How many input samples to either side an output sample looks at."""
    return math.ceil(ZERO_CROSSINGS / (ROLLOFF * min(1.0, float(ratio))))


@lru_cache(maxsize=64)
def _polyphase_kernel(up: int, down: int) -> tuple[Tensor, int]:
    """Kernel `(up, 1, tap)` and its left reach in input samples, for one output phase a row."""
    cutoff = ROLLOFF * min(1.0, up / down)
    reach = filter_reach(Fraction(up, down))
    offset = torch.arange(-reach, reach + down + 1, dtype=torch.float64)
    phase = torch.arange(up, dtype=torch.float64)[:, None] * down / up
    position = (offset[None, :] - phase) * cutoff
    window_argument = (1 - (position / ZERO_CROSSINGS).square()).clamp(min=0)
    taper = torch.special.i0(KAISER_BETA * window_argument.sqrt())
    taper = taper / torch.special.i0(torch.tensor(KAISER_BETA, dtype=torch.float64))
    kernel = torch.sinc(position) * taper * (position.abs() <= ZERO_CROSSINGS) * cutoff
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


def resample_with_gaps(waveform: Tensor, rate_in_hz: float, rate_out_hz: float) -> Tensor:
    """Waveforms `(…, sample)` at another rate, where NaN stays NaN: what was not observed is not invented.

    A gap is bridged with the mean of its own trace while filtering. Samples within the filter's reach of it
    (0.3 s at 100 Hz) feel that bridge.
    """
    if rate_ratio(rate_in_hz, rate_out_hz) == 1:
        return waveform
    observed = waveform.isfinite()
    count = observed.sum(dim=-1, keepdim=True).clamp(min=1)
    mean = torch.where(observed, waveform, 0.0).double().sum(dim=-1, keepdim=True) / count
    filled = torch.where(observed, waveform - mean, 0.0).to(waveform.dtype)
    resampled = resample(filled, rate_in_hz, rate_out_hz) + mean.to(waveform.dtype)
    return torch.where(resample_observed(observed, rate_in_hz, rate_out_hz), resampled, torch.nan)
