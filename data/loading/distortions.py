"""Augmentations of one window by itself: gain, reversed polarity, lost data, glitches, another rate.

Each is a frozen dataclass of settings that is called like a function, `(batch, random) -> batch`, with a
`WindowRandom` of the batch's windows on its device: a window meets the same augmentation in whatever batch it
lies. The batch that goes in is not changed, arrivals keep their seconds, and what was not observed stays NaN.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..batch import WaveformBatch
from ..instruments.resampling import resample_with_gaps
from .window_draft import Draft, between, chosen, edited, log_between
from .window_random import WindowRandom


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """What augmentations of windows by themselves have in common.

    probability: a window's chance to be changed.
    """

    probability: float = 0.0

    def __post_init__(self) -> None:
        check_probability(self)

    def __call__(self, batch: WaveformBatch, random: WindowRandom) -> WaveformBatch:
        """The batch with some windows changed."""
        return edited(batch, random, self.apply)

    def apply(self, draft: Draft, random: WindowRandom) -> None:
        """Change some windows of a draft."""
        raise NotImplementedError(f"{type(self).__name__} must say what it does to a draft")


@dataclass(frozen=True, kw_only=True)
class Gain(Augmentation):
    """An instrument of another sensitivity: all components times one factor, log-uniform in its range.

    A window with a known magnitude is left alone, since its label rests on the amplitude.
    """

    probability: float = 0.5
    factor: tuple[float, float] = (0.1, 10.0)

    def __post_init__(self) -> None:
        check_probability(self)
        check_range("factor", self.factor, above=0.0)

    def apply(self, draft: Draft, random: WindowRandom) -> None:
        """Scale some windows."""
        fall, place = random.uniform("gain", 2).unbind(1)
        scaled = fall < self.probability
        if "magnitude" in draft.labels:
            scaled &= draft.labels["magnitude"].isnan()
        draft.scale(torch.where(scaled, log_between(place, self.factor), 1.0))


@dataclass(frozen=True, kw_only=True)
class PolarityFlip(Augmentation):
    """A reversed instrument: all components times −1, and a known first motion to its opposite."""

    probability: float = 0.3

    def apply(self, draft: Draft, random: WindowRandom) -> None:
        """Reverse some windows."""
        reversed_ = random.uniform("polarity_flip") < self.probability
        if "polarity" in draft.labels:
            polarity = draft.labels["polarity"]
            known = (polarity == 0) | (polarity == 1)
            turned = known & reversed_.reshape(-1, *[1] * (known.ndim - 1))
            draft.labels["polarity"] = torch.where(turned, 1 - polarity, polarity)
        draft.scale(torch.where(reversed_, -1.0, 1.0))


@dataclass(frozen=True, kw_only=True)
class ComponentDropout(Augmentation):
    """A dead channel: some of the live components become NaN, one or more always stays."""

    probability: float = 0.2

    def apply(self, draft: Draft, random: WindowRandom) -> None:
        """Lose components of some windows."""
        rows, draws = chosen(
            random, "component_dropout", self.probability, count=1 + len(draft.component_names)
        )
        if len(rows) == 0:
            return
        waveform = draft.waveform[rows]
        live = live_components(waveform)
        num_spare = (live.sum(dim=1) - 1).clamp(min=0)
        num_lost = torch.where(num_spare > 0, 1 + (draws[:, 0] * num_spare).floor(), 0)
        # Two sorts give each component its rank; stable, so that a tie is broken the same in any company.
        score = torch.where(live, draws[:, 1:], torch.inf)
        rank = score.argsort(dim=1, stable=True).argsort(dim=1)
        lost = rank < num_lost[:, None]
        draft.write(rows, waveform.masked_fill_(lost[:, :, None], torch.nan))


@dataclass(frozen=True, kw_only=True)
class Gaps(Augmentation):
    """Lost telemetry: one span of all components becomes NaN, at most half of the window.

    An arrival inside of the gap keeps its label; losses ask `observed` whether anybody could see it.
    """

    probability: float = 0.1
    duration_s: tuple[float, float] = (0.2, 5.0)

    def __post_init__(self) -> None:
        check_probability(self)
        check_range("duration_s", self.duration_s, above=0.0)

    def apply(self, draft: Draft, random: WindowRandom) -> None:
        """Cut a gap into some windows."""
        rows, draws = chosen(random, "gaps", self.probability, count=2)
        if len(rows) == 0:
            return
        length = (between(draws[:, 0], self.duration_s) * draft.sampling_rate_hz[rows]).round()
        length = length.clamp(max=draft.num_samples // 2)
        start = (draws[:, 1] * (draft.num_samples - length)).floor()
        sample = torch.arange(draft.num_samples, device=draft.device)
        lost = (sample >= start[:, None]) & (sample < (start + length)[:, None])
        draft.write(rows, draft.waveform[rows].masked_fill_(lost[:, None], torch.nan))


@dataclass(frozen=True, kw_only=True)
class Spikes(Augmentation):
    """A digitizer's glitch: one sample of one component is off by some times the station's peak."""

    probability: float = 0.05
    times_peak: tuple[float, float] = (0.5, 5.0)

    def __post_init__(self) -> None:
        check_probability(self)
        check_range("times_peak", self.times_peak, above=0.0)

    def apply(self, draft: Draft, random: WindowRandom) -> None:
        """Put a glitch into some windows."""
        rows, draws = chosen(random, "spikes", self.probability, count=4)
        if len(rows) == 0:
            return
        waveform = draft.waveform[rows]
        component = (draws[:, 0] * waveform.shape[1]).long()
        sample = (draws[:, 1] * waveform.shape[2]).long()
        sign = torch.where(draws[:, 2] < 0.5, -1.0, 1.0)
        height = log_between(draws[:, 3], self.times_peak) * _peak(demeaned(waveform))
        waveform[torch.arange(len(rows), device=draft.device), component, sample] += sign * height
        draft.write(rows, waveform)


@dataclass(frozen=True, kw_only=True)
class Clipping(Augmentation):
    """An overdriven digitizer: nothing goes beyond a fraction of the station's peak about the mean."""

    probability: float = 0.05
    peak_fraction: tuple[float, float] = (0.2, 0.9)

    def __post_init__(self) -> None:
        check_probability(self)
        check_range("peak_fraction", self.peak_fraction, above=0.0)

    def apply(self, draft: Draft, random: WindowRandom) -> None:
        """Clip some windows."""
        rows, draws = chosen(random, "clipping", self.probability, count=1)
        if len(rows) == 0:
            return
        waveform = draft.waveform[rows]
        deviation = demeaned(waveform)
        level = (_peak(deviation) * between(draws[:, 0], self.peak_fraction))[:, None, None]
        draft.write(rows, deviation.clamp(-level, level) + (waveform - deviation))


@dataclass(frozen=True, kw_only=True)
class Resampling(Augmentation):
    """Another digitizer rate: the waveform changes, labels in seconds do not.

    The whole batch decides together, by the shared key of its random numbers, since its windows have one
    length. Raises ValueError for a batch whose windows have different rates.
    """

    probability: float = 0.1
    rates_hz: tuple[float, ...] = (40.0, 50.0)

    def __post_init__(self) -> None:
        check_probability(self)
        if not self.rates_hz or min(self.rates_hz) <= 0:
            raise ValueError(f"rates_hz must list one positive rate or more, found {self.rates_hz}")

    def apply(self, draft: Draft, random: WindowRandom) -> None:
        """Resample all windows or none."""
        if random.shared_uniform("resampling") >= self.probability or len(draft) == 0:
            return
        rate_hz = self.rates_hz[int(random.shared_uniform("resampling/rate") * len(self.rates_hz))]
        draft.resample(resample_with_gaps(draft.waveform, draft.shared_rate_hz, rate_hz), rate_hz)


def demeaned(waveform: Tensor) -> Tensor:
    """Waveforms without the mean of each component's observed samples."""
    # Counted by arithmetic, which takes a third of the time of nanmean's comparisons.
    ones = (waveform - waveform).add_(1.0)
    return waveform - waveform.nansum(dim=-1, keepdim=True) / ones.nansum(dim=-1, keepdim=True)


def live_components(waveform: Tensor) -> Tensor:
    """Which components were observed at all, bool `(window, component)`."""
    return torch.nan_to_num(waveform, nan=-torch.inf).amax(dim=-1) > -torch.inf


def _peak(deviation: Tensor) -> Tensor:
    """The largest deviation of each window on any component, `(window,)`."""
    return torch.nan_to_num(deviation).abs().amax(dim=(1, 2))


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
