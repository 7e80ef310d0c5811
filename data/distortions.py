"""Augmentations of one window by itself: gain, reversed polarity, lost data, glitches, another rate.

Each is a frozen dataclass of settings that is called like a function, `(batch, generator) -> batch`, with the
generator on the batch's device. The batch that goes in is not changed, arrivals keep their seconds, and what
was not observed stays NaN.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .batch import WaveformBatch
from .resampling import resample_with_gaps


@dataclass(frozen=True, kw_only=True)
class Gain:
    """An instrument of another sensitivity: all components times one factor, log-uniform in its range.

    A window with a known magnitude is left alone, since its label rests on the amplitude.
    """

    probability: float = 0.5
    factor: tuple[float, float] = (0.1, 10.0)

    def __post_init__(self) -> None:
        check_probability(self)
        check_range("factor", self.factor, above=0.0)

    def __call__(self, batch: WaveformBatch, generator: torch.Generator) -> WaveformBatch:
        """The batch with some windows scaled."""
        chosen = choose(batch, generator, self.probability)
        if "magnitude" in batch.labels:
            chosen &= batch.labels["magnitude"].isnan()
        factor = log_uniform(len(batch), self.factor, generator)
        return batch.replace(waveform=batch.waveform * torch.where(chosen, factor, 1.0)[:, None, None])


@dataclass(frozen=True, kw_only=True)
class PolarityFlip:
    """A reversed instrument: all components times −1, and a known first motion to its opposite."""

    probability: float = 0.3

    def __post_init__(self) -> None:
        check_probability(self)

    def __call__(self, batch: WaveformBatch, generator: torch.Generator) -> WaveformBatch:
        """The batch with some windows reversed."""
        chosen = choose(batch, generator, self.probability)
        labels = dict(batch.labels)
        if "polarity" in labels:
            known = (labels["polarity"] == 0) | (labels["polarity"] == 1)
            flipped = known & chosen.reshape(-1, *[1] * (known.ndim - 1))
            labels["polarity"] = torch.where(flipped, 1 - labels["polarity"], labels["polarity"])
        sign = torch.where(chosen, -1.0, 1.0)[:, None, None]
        return batch.replace(waveform=batch.waveform * sign, labels=labels)


@dataclass(frozen=True, kw_only=True)
class ComponentDropout:
    """A dead channel: some of the live components become NaN, one or more always stays."""

    probability: float = 0.2

    def __post_init__(self) -> None:
        check_probability(self)

    def __call__(self, batch: WaveformBatch, generator: torch.Generator) -> WaveformBatch:
        """The batch with components of some windows unobserved."""
        live = batch.observed.any(dim=-1)
        num_live = live.sum(dim=1)
        chosen = choose(batch, generator, self.probability) & (num_live > 1)
        share = torch.rand(len(batch), generator=generator, device=batch.device)
        num_lost = torch.where(chosen, 1 + (share * (num_live - 1)).floor(), 0)
        score = torch.rand(live.shape, generator=generator, device=batch.device)
        rank = torch.where(live, score, torch.inf).argsort(dim=1).argsort(dim=1)
        lost = rank < num_lost[:, None]
        waveform = batch.waveform.clone()
        waveform[lost] = torch.nan
        return batch.replace(waveform=waveform)


@dataclass(frozen=True, kw_only=True)
class Gaps:
    """Lost telemetry: one span of all components becomes NaN, at most half of the window.

    An arrival inside of the gap keeps its label; losses ask `observed` whether anybody could see it.
    """

    probability: float = 0.1
    duration_s: tuple[float, float] = (0.2, 5.0)

    def __post_init__(self) -> None:
        check_probability(self)
        check_range("duration_s", self.duration_s, above=0.0)

    def __call__(self, batch: WaveformBatch, generator: torch.Generator) -> WaveformBatch:
        """The batch with a gap in some windows."""
        chosen = choose(batch, generator, self.probability)
        length = (uniform(len(batch), self.duration_s, generator) * batch.sampling_rate_hz).round()
        length = length.clamp(max=batch.num_samples // 2)
        start = (uniform(len(batch), (0.0, 1.0), generator) * (batch.num_samples - length)).floor()
        sample = torch.arange(batch.num_samples, device=batch.device)
        lost = (sample >= start[:, None]) & (sample < (start + length)[:, None]) & chosen[:, None]
        return batch.replace(waveform=batch.waveform.masked_fill(lost[:, None], torch.nan))


@dataclass(frozen=True, kw_only=True)
class Spikes:
    """A digitizer's glitch: one sample of one component is off by some times the station's peak."""

    probability: float = 0.05
    times_peak: tuple[float, float] = (0.5, 5.0)

    def __post_init__(self) -> None:
        check_probability(self)
        check_range("times_peak", self.times_peak, above=0.0)

    def __call__(self, batch: WaveformBatch, generator: torch.Generator) -> WaveformBatch:
        """The batch with a glitch in some windows."""
        rows = choose(batch, generator, self.probability).nonzero().flatten()
        size = log_uniform(len(rows), self.times_peak, generator)
        sign = torch.randint(2, (len(rows),), generator=generator, device=batch.device) * 2 - 1
        row = torch.randint(batch.waveform.shape[1], (len(rows),), generator=generator, device=batch.device)
        sample = torch.randint(batch.num_samples, (len(rows),), generator=generator, device=batch.device)
        peak = torch.nan_to_num(demeaned(batch.waveform[rows])).abs().amax(dim=(1, 2))
        waveform = batch.waveform.clone()
        waveform[rows, row, sample] += sign * size * peak
        return batch.replace(waveform=waveform)


@dataclass(frozen=True, kw_only=True)
class Clipping:
    """An overdriven digitizer: nothing goes beyond a fraction of the station's peak about the mean."""

    probability: float = 0.05
    peak_fraction: tuple[float, float] = (0.2, 0.9)

    def __post_init__(self) -> None:
        check_probability(self)
        check_range("peak_fraction", self.peak_fraction, above=0.0)

    def __call__(self, batch: WaveformBatch, generator: torch.Generator) -> WaveformBatch:
        """The batch with some windows clipped."""
        rows = choose(batch, generator, self.probability).nonzero().flatten()
        original = batch.waveform[rows]
        deviation = demeaned(original)
        peak = torch.nan_to_num(deviation).abs().amax(dim=(1, 2))
        level = (peak * uniform(len(rows), self.peak_fraction, generator))[:, None, None]
        clipped = deviation.clamp(-level, level) + (original - deviation)
        return batch.replace(waveform=batch.waveform.index_copy(0, rows, clipped))


@dataclass(frozen=True, kw_only=True)
class Resampling:
    """Another digitizer rate, for the whole batch at once: the waveform changes, labels in seconds do not.

    Raises ValueError for a batch whose windows have different rates.
    """

    probability: float = 0.1
    rates_hz: tuple[float, ...] = (40.0, 50.0)

    def __post_init__(self) -> None:
        check_probability(self)
        if not self.rates_hz or min(self.rates_hz) <= 0:
            raise ValueError(f"rates_hz must list one positive rate or more, found {self.rates_hz}")

    def __call__(self, batch: WaveformBatch, generator: torch.Generator) -> WaveformBatch:
        """The batch, at another rate or as it was."""
        draw, place = torch.rand(2, generator=generator, device=batch.device).tolist()
        if draw >= self.probability or len(batch) == 0:
            return batch
        rates_hz = set(batch.sampling_rate_hz.tolist())
        if len(rates_hz) > 1:
            raise ValueError(
                f"all windows of a batch must share one rate to be resampled, found {sorted(rates_hz)}"
            )
        new_rate_hz = self.rates_hz[int(place * len(self.rates_hz))]
        return batch.replace(
            waveform=resample_with_gaps(batch.waveform, rates_hz.pop(), new_rate_hz),
            sampling_rate_hz=torch.full_like(batch.sampling_rate_hz, new_rate_hz),
        )


def choose(batch: WaveformBatch, generator: torch.Generator, probability: float) -> Tensor:
    """Which windows an augmentation falls on, bool `(window,)`."""
    return torch.rand(len(batch), generator=generator, device=batch.device) < probability


def uniform(count: int, limits: tuple[float, float], generator: torch.Generator) -> Tensor:
    """Random numbers of equal chance between two limits, float32 `(count,)`."""
    low, high = limits
    return low + (high - low) * torch.rand(count, generator=generator, device=generator.device)


def log_uniform(count: int, limits: tuple[float, float], generator: torch.Generator) -> Tensor:
    """Random positive numbers whose logarithm has equal chance between two limits, float32 `(count,)`."""
    return uniform(count, (math.log(limits[0]), math.log(limits[1])), generator).exp()


def demeaned(waveform: Tensor) -> Tensor:
    """Waveforms without the mean of each component's observed samples."""
    return waveform - waveform.nanmean(dim=-1, keepdim=True)


def check_probability(settings: object) -> None:
    """Raise ValueError unless the `probability` of an augmentation's settings is one."""
    probability = getattr(settings, "probability", None)
    if probability is None or not 0 <= probability <= 1:
        raise ValueError(f"{type(settings).__name__}: probability must lie in 0 to 1, found {probability}")


def check_range(name: str, limits: tuple[float, float], above: float = -math.inf) -> None:
    """Raise ValueError unless limits are two numbers in order, above a bound."""
    if len(limits) != 2 or not above < limits[0] <= limits[1]:
        bound = "" if above == -math.inf else f" above {above:g}"
        raise ValueError(f"{name} must be two numbers{bound}, the lower first, found {limits}")
