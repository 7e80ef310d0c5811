"""Augmentations that add noise to a window: coloured, or recorded; and what mixing needs in general.

Settings that are called like functions, as in `distortions.py`, and under the same promises. What is added
from records is drawn for each window by its own random numbers, never taken from the batch's other windows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from scipy.fft import next_fast_len
from torch import Tensor

from ..batch import WaveformBatch
from .distortions import Augmentation, check_probability, check_range, demeaned
from .window_draft import Draft, between, chosen, edited
from .window_random import WindowRandom
from .windows import WindowConfig

SIGNAL_S = (-0.5, 4.5)
"""Where a signal's strength is measured, in seconds after P."""

FLAT_BELOW_HZ = 0.5
"""Coloured noise is white below: lower frequencies, filtered out later, would take all of the power."""


class WindowDraw(Protocol):
    """Where windows to add come from, such as `WindowSource`."""

    def draw(self, random: WindowRandom, windows: WindowConfig) -> WaveformBatch:
        """A labelled window for each entry of `random`, decided by it alone, on its device."""


@dataclass(frozen=True, kw_only=True)
class ColouredNoise(Augmentation):
    """Noise with power falling as 1 / frequency^exponent (0: white Gaussian), at a signal-to-noise ratio.

    The ratio is in dB of power, of the signal around P to the added noise, over all of the station's
    components; the whole window is the signal where no P is listed. Every component gets noise of its own.
    """

    probability: float = 0.3
    snr_db: tuple[float, float] = (0.0, 30.0)
    exponent: tuple[float, float] = (0.0, 2.0)

    def __post_init__(self) -> None:
        check_probability(self)
        check_range("snr_db", self.snr_db)
        check_range("exponent", self.exponent)

    def apply(self, draft: Draft, random: WindowRandom) -> None:
        """Add noise to some windows."""
        rows, draws = chosen(random, "coloured_noise", self.probability, count=2)
        if len(rows) == 0:
            return
        noise = _coloured(
            random.select(rows),
            (len(draft.component_names), draft.num_samples),
            between(draws[:, 1], self.exponent),
            draft.sampling_rate_hz[rows],
        )
        _add_noise(draft, rows, noise, between(draws[:, 0], self.snr_db))


@dataclass(frozen=True, kw_only=True)
class RealNoise:
    """Noise that a station really recorded, at a signal-to-noise ratio (as for `ColouredNoise`).

    Component by component; one that the noise record lacks gets none. Noise records must hold no arrival:
    ValueError otherwise, because an unlisted earthquake would come in with them.
    """

    probability: float = 0.3
    snr_db: tuple[float, float] = (0.0, 30.0)

    def __post_init__(self) -> None:
        check_probability(self)
        check_range("snr_db", self.snr_db)

    def __call__(self, batch: WaveformBatch, random: WindowRandom, noise: WindowDraw) -> WaveformBatch:
        """The batch with recorded noise added to some windows."""
        return edited(batch, random, partial(self.apply, noise=noise))

    def apply(self, draft: Draft, random: WindowRandom, noise: WindowDraw) -> None:
        """Add recorded noise to some windows."""
        rows, draws = chosen(random, "real_noise", self.probability, count=1)
        if len(rows) == 0:
            return
        windows = windows_like(draft, arrival_fraction=0.0)
        drawn = noise.draw(random.derive("real_noise").select(rows), windows)
        _check_no_arrivals(drawn)
        added = torch.nan_to_num(demeaned(drawn.waveform))
        _add_noise(draft, rows, added, between(draws[:, 0], self.snr_db))


def window_lengths_s(draft: Draft) -> Tensor:
    """Length of each window, `(window,)`."""
    return draft.num_samples / draft.sampling_rate_hz


def windows_like(draft: Draft, arrival_fraction: float) -> WindowConfig:
    """Windows that can be added to a draft's, sample by sample."""
    window_s = draft.num_samples / draft.shared_rate_hz
    return WindowConfig(
        window_s=window_s,
        sampling_rate_hz=draft.shared_rate_hz,
        components=draft.component_names,
        arrival_fraction=arrival_fraction,
        margin_s=min(1.0, window_s / 4),
    )


def first_p_s(labels: Mapping[str, Tensor], window_s: Tensor) -> Tensor:
    """The first P inside of each window, NaN where there is none, `(window,)`."""
    p_s = labels.get("p_arrival_s")
    if p_s is None:
        return torch.full_like(window_s, torch.nan)
    inside = (p_s >= 0) & (p_s < window_s[:, None])
    first = torch.where(inside, p_s, torch.inf).amin(dim=1)
    return torch.where(first.isfinite(), first, torch.nan)


def signal_rms(waveform: Tensor, p_s: Tensor, rate_hz: Tensor) -> Tensor:
    """Root mean square of the observed samples around each window's first P, or of all, `(window,)`."""
    # Weights of 0 and 1 rather than masks: arithmetic is several times as fast as comparisons. Sums go along
    # one dimension at a time, so that a window's own does not depend on how many there are.
    weight = (waveform - waveform).add_(1.0).nan_to_num_(0.0)
    power = torch.nan_to_num(waveform)
    power -= power.sum(dim=2, keepdim=True) / weight.sum(dim=2, keepdim=True).clamp(min=1)
    power, count = power.square_().mul_(weight).sum(dim=1), weight.sum(dim=1)
    time_s = torch.arange(waveform.shape[2], device=waveform.device) / rate_hz[:, None] - p_s[:, None]
    near = ((time_s >= SIGNAL_S[0]) & (time_s < SIGNAL_S[1])).float()
    seen = (count * near).sum(dim=1, keepdim=True) > 0
    near = torch.where(seen, near, 1.0)
    return ((power * near).sum(dim=1) / (count * near).sum(dim=1).clamp(min=1)).sqrt()


def _add_noise(draft: Draft, rows: Tensor, noise: Tensor, snr_db: Tensor) -> None:
    """Add noise `(row, component, sample)`, 0 where none, scaled to the ratio on its live components."""
    power = noise.square().mean(dim=-1)
    rms = (power.sum(dim=1) / (power > 0).sum(dim=1).clamp(min=1)).sqrt()
    waveform, rate_hz = draft.waveform[rows], draft.sampling_rate_hz[rows]
    first_s = first_p_s(draft.labels, window_lengths_s(draft))[rows]
    amplitude = signal_rms(waveform, first_s, rate_hz) * 10 ** (-snr_db / 20)
    noise *= (amplitude / rms.clamp(min=1e-30))[:, None, None]
    draft.write(rows, waveform.add_(noise))


def _check_no_arrivals(noise: WaveformBatch) -> None:
    """Raise ValueError where a window of noise records shows, or lies near, an arrival."""
    times_s = torch.cat([label for name, label in noise.labels.items() if name.endswith("_arrival_s")], dim=1)
    guilty = times_s.isfinite().any(dim=1)
    if not bool(guilty.any()):
        return
    first = int(guilty.nonzero()[0])
    event, station = (ids[first] if ids else "" for ids in (noise.event_id, noise.station_id))
    raise ValueError(
        f"noise record of event {event!r} at station {station!r} lists arrivals: a noise record must hold "
        "none; cut it before the first"
    )


def _coloured(random: WindowRandom, shape: tuple[int, int], exponent: Tensor, rate_hz: Tensor) -> Tensor:
    """Gaussian noise `(window, component, sample)` with a power-law spectrum."""
    num_components, num_samples = shape
    # Made a little longer where that is a length which Fourier transforms are fast for: 3001 is prime.
    length = next_fast_len(num_samples, real=True)
    num_frequencies = length // 2 + 1
    pairs = random.normal("coloured_noise/spectrum", num_components, num_frequencies, 2)
    spectrum = torch.view_as_complex(pairs)
    place = torch.arange(num_frequencies, device=random.device).clamp(min=1) / length
    log_frequency = (place.log() + rate_hz[:, None].log()).clamp(min=math.log(FLAT_BELOW_HZ))
    colour = (log_frequency * (-exponent[:, None] / 2)).exp()
    colour[:, 0] = 0.0  # no offset
    spectrum *= colour[:, None]
    return torch.fft.irfft(spectrum, n=length)[..., :num_samples]
