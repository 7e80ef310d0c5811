"""Anti-aliased change of the sampling rate, vectorized over windows, on any device."""

from __future__ import annotations

import math
from dataclasses import dataclass
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

DRIFT_SAMPLES = 0.1
"""Rates are equal for a window at whose end they have come apart by no more than this."""

_EXACT = 1e-7
"""A fraction that differs from the ratio of two rates by no more than this, relatively, stands for it."""

_BLOCK = 32
"""About so many output samples are computed from one stretch of the input, as one matrix product."""

_LONGEST_PERIOD = 128
"""Ratios whose positions repeat after more output samples than this get weights for each block."""

_LONGEST_KERNEL = 8192
"""So many output samples at most have weights of their own in memory at once: 9 MB."""


def rate_ratio(rate_in_hz: float, rate_out_hz: float) -> Fraction:
    """Output samples per input sample as a small fraction, by the rates' names rather than their last digits.

    Rates that differ by less than 0.05 % count as equal: for whoever counts samples and keeps the time by the
    recording's own rate. To put samples on another time base, use `resample`, which is exact.

    Raises ValueError where the rates are not positive or more than a factor of 1000 apart.
    """
    if not (rate_in_hz > 0 and rate_out_hz > 0 and 1e-3 <= rate_out_hz / rate_in_hz <= 1e3):
        raise ValueError(
            "sampling rates must be positive and within a factor of 1000 of each other, "
            f"found {rate_in_hz} and {rate_out_hz} Hz"
        )
    return Fraction(rate_out_hz / rate_in_hz).limit_denominator(1000)


@dataclass(frozen=True)
class TimeBase:
    """Where samples at one rate lie among those at another.

    ratio: output samples per input sample, a fraction of small numbers where that is exact.
    """

    ratio: Fraction

    @classmethod
    def between(cls, rate_in_hz: float, rate_out_hz: float, num_samples: int) -> TimeBase:
        """For windows of `num_samples` input samples.

        A digitizer's 99.998 Hz is 100 Hz for thirty seconds (0.06 samples of drift), and is not for an hour.
        """
        nominal = rate_ratio(rate_in_hz, rate_out_hz)
        true = Fraction(rate_out_hz) / Fraction(rate_in_hz)
        error = abs(float(nominal / true) - 1.0)
        exact = error <= _EXACT or (nominal == 1 and error * num_samples <= DRIFT_SAMPLES)
        return cls(nominal if exact else true)

    @property
    def is_same(self) -> bool:
        """Whether nothing is to be done."""
        return self.ratio == 1

    @property
    def repeats(self) -> bool:
        """Whether the output's positions between input samples repeat after a block, or less."""
        return self.ratio.numerator <= _LONGEST_PERIOD

    @property
    def reach(self) -> int:
        """How many input samples to either side an output sample looks at."""
        return math.ceil(ZERO_CROSSINGS / (ROLLOFF * min(1.0, float(self.ratio))))


def native_span(num_out: int, rate_in_hz: float, rate_out_hz: float) -> tuple[int, int]:
    """How much to cut at the native rate for a window of `num_out` samples without edges.

    Gives the samples to take before the window's first one, and their number in all, for `resample` and
    `resample_with_gaps` with `lead` and `num_out`. Equal rates need no more than the window itself.
    """
    num_in = math.ceil(num_out * rate_in_hz / rate_out_hz)
    base = TimeBase.between(rate_in_hz, rate_out_hz, max(num_in, num_out))
    return (0, num_out) if base.is_same else (base.reach, num_in + 2 * base.reach + 1)


def resample(
    waveform: Tensor, rate_in_hz: float, rate_out_hz: float, lead: int = 0, num_out: int | None = None
) -> Tensor:
    """Waveforms `(…, sample)` at another rate, in one call for all windows that share both rates.

    The waveform must be finite (fill gaps first, and resample the mask with `resample_observed`) and is taken
    as zero outside of the window, so its mean should be away already. A Kaiser-windowed sinc of linear phase
    (Oppenheim & Schafer, Discrete-Time Signal Processing, ch. 4.6 and 7.6), at the exact positions of the
    output's samples even for rates such as 99.96 Hz; see `TimeBase` for when rates count as equal.

    lead: input samples before the first output sample, which without any has the time of the first one.
    num_out: length of the output; as long as the input lasts where it is not given.
    """
    base = TimeBase.between(rate_in_hz, rate_out_hz, waveform.shape[-1])
    if num_out is None:
        num_out = _length(waveform.shape[-1] - lead, base)
    if base.is_same:
        return _cut(waveform, lead, num_out)
    rows = waveform.reshape(-1, waveform.shape[-1])
    longest = num_out if base.repeats else _LONGEST_KERNEL
    parts = [
        _resampled(rows, base, lead, first, min(longest, num_out - first))
        for first in range(0, num_out, max(longest, 1))
    ]
    return torch.cat(parts, dim=-1).reshape(*waveform.shape[:-1], num_out)


def _resampled(rows: Tensor, base: TimeBase, lead: int, first: int, num_out: int) -> Tensor:
    """Rows `(row, sample)` at the other rate, from its sample `first` on."""
    kernel, starts = _kernel(base, first, num_out, rows.device)
    begin, span = lead + int(starts[0]), kernel.shape[-1]
    end = lead + int(starts[-1]) + span
    padded = F.pad(rows[:, max(begin, 0) : end], (max(-begin, 0), max(end - rows.shape[-1], 0)))
    if base.repeats:
        # Evenly spaced stretches and one kernel for all: a view of the input, and one matrix product.
        step = int(starts[1] - starts[0]) if len(starts) > 1 else 1
        blocks = padded.unfold(-1, span, step)[:, : len(starts)] @ kernel[0].T
    else:
        places = (starts - starts[0])[:, None] + torch.arange(span)
        blocks = torch.einsum("rbs,bos->rbo", padded[:, places.to(rows.device)], kernel)
    return blocks.flatten(1)[:, :num_out]


def resample_observed(
    observed: Tensor, rate_in_hz: float, rate_out_hz: float, lead: int = 0, num_out: int | None = None
) -> Tensor:
    """The mask `(…, sample)` at another rate: each output sample asks its nearest input sample."""
    base = TimeBase.between(rate_in_hz, rate_out_hz, observed.shape[-1])
    if num_out is None:
        num_out = _length(observed.shape[-1] - lead, base)
    if base.is_same:
        return _cut(observed, lead, num_out)
    index = torch.arange(num_out, device=observed.device, dtype=torch.float64) / float(base.ratio)
    return observed[..., (index.round().long() + lead).clamp(max=observed.shape[-1] - 1)]


def resample_with_gaps(
    waveform: Tensor, rate_in_hz: float, rate_out_hz: float, lead: int = 0, num_out: int | None = None
) -> Tensor:
    """Waveforms `(…, sample)` at another rate, where NaN stays NaN: what was not observed is not invented.

    A gap is bridged with the mean of its own trace while filtering. Samples within the filter's reach of it
    (0.3 s at 100 Hz) feel that bridge. `lead` and `num_out` are those of `resample`.
    """
    base = TimeBase.between(rate_in_hz, rate_out_hz, waveform.shape[-1])
    if base.is_same:
        return _cut(waveform, lead, _length(waveform.shape[-1] - lead, base) if num_out is None else num_out)
    rows = waveform.reshape(-1, waveform.shape[-1])
    # Weights sum to 1, so that what stands for the mean need not be exact, but finite.
    mean = rows.mean(dim=-1, keepdim=True)
    gappy = (~mean.isfinite()).flatten().nonzero().flatten()
    observed = rows[gappy].isfinite()
    mean[gappy] = _observed_mean(rows[gappy], observed)
    filled = rows - mean
    filled[gappy] = torch.where(observed, filled[gappy], 0.0)
    resampled = resample(filled, rate_in_hz, rate_out_hz, lead, num_out).add_(mean)
    seen = resample_observed(observed, rate_in_hz, rate_out_hz, lead, num_out)
    resampled[gappy] = resampled[gappy].masked_fill(~seen, torch.nan)
    return resampled.reshape(*waveform.shape[:-1], resampled.shape[-1])


def _observed_mean(rows: Tensor, observed: Tensor) -> Tensor:
    total = torch.where(observed, rows, 0.0).sum(dim=-1, keepdim=True)
    return total / observed.sum(dim=-1, keepdim=True).clamp(min=1)


def _length(num_in: int, base: TimeBase) -> int:
    return math.ceil(num_in * base.ratio)


def _cut(values: Tensor, lead: int, num_out: int) -> Tensor:
    return values if (lead, num_out) == (0, values.shape[-1]) else values[..., lead : lead + num_out]


@lru_cache(maxsize=64)
def _kernel(base: TimeBase, first: int, num_out: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Weights `(block, output, input)` and the first input sample of each block, `(block,)` on the CPU.

    A block is a stretch of the input from which some neighbouring output samples are computed. Where the
    positions of those repeat from block to block there is one kernel for all of them.
    """
    up, down = base.ratio.numerator, base.ratio.denominator
    periods = max(1, _BLOCK // up) if base.repeats else 0
    width = periods * up if base.repeats else 2 * _BLOCK
    num_blocks = math.ceil(num_out / width)
    if base.repeats:
        starts = torch.arange(num_blocks) * (periods * down)
        offset = torch.zeros(1, dtype=torch.float64)
    else:
        position = (first + torch.arange(num_blocks, dtype=torch.float64) * width) / float(base.ratio)
        starts = position.floor().long()
        offset = position - starts
    step = 1.0 / float(base.ratio)
    centre = offset[:, None] + torch.arange(width, dtype=torch.float64) * step
    span = math.ceil((width - 1) * step + 1) + 2 * base.reach + 1
    place = torch.arange(span, dtype=torch.float64) - base.reach
    kernel = _windowed_sinc(place - centre[..., None], min(1.0, float(base.ratio)))
    return kernel.float().to(device), starts - base.reach


def _windowed_sinc(distance: Tensor, lower_rate: float) -> Tensor:
    """Weights of samples at some distance (input samples, last axis), which sum to 1.

    lower_rate: the lower of the two rates, per rate of the input.
    """
    position = distance * ROLLOFF * lower_rate
    taper = torch.special.i0(KAISER_BETA * (1 - (position / ZERO_CROSSINGS).square()).clamp(min=0).sqrt())
    kernel = torch.sinc(position) * taper * (position.abs() <= ZERO_CROSSINGS)
    return kernel / kernel.sum(dim=-1, keepdim=True)
