"""Whether a stretch of noise hides an event that no catalog lists."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d
from scipy.signal import butter, sosfiltfilt

from ..records import Record

_EDGE_S = 1.0
"""What a filter does to either end is not looked at."""

_NYQUIST_SHARE, _NARROWEST_HZ = 0.45, 5.0
_CYCLES = 6.5
"""Least bandwidth times STA: the energy of fewer independent samples jumps by itself."""


@dataclass(frozen=True, kw_only=True)
class VetoConfig:
    """What is too lively for noise, on any component.

    bands_hz: where local events are looked for, each by itself, because a burst at 30 Hz drowns in the energy
        at 5 Hz and the other way round. An upper end gives way to 0.45 of a low sampling rate, and a band
        without 5 Hz below that is left out, unless it is the first.
    sta_s: the short average of the energy (STA), longer in bands of less than 13 Hz.
    max_energy_ratio: the largest STA over the median one, which stands for the LTA of a trigger (Allen 1978):
        it sees the whole window, and no event moves it.
    max_kurtosis: of the samples, 3 for Gaussian noise; a short burst has far more (Saragiotis et al. 2002).
    min_observed: least share of observed samples of each live component.
    """

    bands_hz: tuple[tuple[float, float], ...] = ((2.0, 15.0), (15.0, 42.0))
    sta_s: float = 0.5
    max_energy_ratio: float = 6.0
    max_kurtosis: float = 4.5
    min_observed: float = 0.98

    def __post_init__(self) -> None:
        if not self.bands_hz or not all(0 < low_hz < high_hz for low_hz, high_hz in self.bands_hz):
            raise ValueError(f"bands_hz must list one (low, high) above 0 or more, found {self.bands_hz}")
        if self.sta_s <= 0 or self.max_energy_ratio <= 1 or self.max_kurtosis <= 0:
            raise ValueError(
                "sta_s and max_kurtosis must be positive and max_energy_ratio above 1, found "
                f"{self.sta_s:g}, {self.max_kurtosis:g} and {self.max_energy_ratio:g}"
            )
        if not 0 < self.min_observed <= 1:
            raise ValueError(f"min_observed must lie above 0 and up to 1, found {self.min_observed:g}")


@dataclass(frozen=True, kw_only=True)
class Liveliness:
    """How much a component's energy stands out of itself: see `VetoConfig`."""

    energy_ratio: float
    kurtosis: float


def veto(record: Record, config: VetoConfig | None = None) -> str | None:
    """Why a record is no quiet noise, None where it is.

    Bursts by people and wires are vetoed as earthquakes are: these measures cannot tell them apart.
    """
    config = config or VetoConfig()
    live = [row for row in range(len(record.waveform)) if np.isfinite(record.waveform[row]).any()]
    if not live:
        return "no live component"
    for row in live:
        name, trace = record.component_names[row], record.waveform[row]
        observed = float(np.isfinite(trace).mean())
        if observed < config.min_observed:
            return f"{name}: only {observed:.0%} of the samples are there"
        if (trace == trace[np.isfinite(trace)][0]).mean() >= config.min_observed:
            return f"{name}: dead"
        found = liveliness(trace, record.sampling_rate_hz, config)
        if found.energy_ratio > config.max_energy_ratio:
            return f"{name}: the energy rises to {found.energy_ratio:.1f} times its median"
        if found.kurtosis > config.max_kurtosis:
            return f"{name}: kurtosis {found.kurtosis:.1f}"
    return None


def liveliness(trace: NDArray[np.float32], rate_hz: float, config: VetoConfig) -> Liveliness:
    """The measures of one component `(sample,)`, in the band where it is the liveliest.

    Raises ValueError where the sampling rate is too low for the first band, or the trace shorter than 10 s.
    """
    if len(trace) < 10.0 * rate_hz:
        raise ValueError(
            f"looking for events takes 10 s of data, found {len(trace) / rate_hz:g} s: take longer windows"
        )
    filled = np.where(np.isfinite(trace), trace, np.nanmean(trace)).astype(np.float64)
    found = [
        _of_band(filled - filled.mean(), rate_hz, band, config.sta_s) for band in _bands(rate_hz, config)
    ]
    return Liveliness(
        energy_ratio=max(measure.energy_ratio for measure in found),
        kurtosis=max(measure.kurtosis for measure in found),
    )


def _bands(rate_hz: float, config: VetoConfig) -> list[tuple[float, float]]:
    """The bands that a sampling rate has. Raises ValueError where it lacks the first."""
    top_hz = _NYQUIST_SHARE * rate_hz
    (first_hz, _), *_ = config.bands_hz
    if first_hz >= top_hz:
        raise ValueError(
            f"looking for events above {first_hz:g} Hz takes more than {first_hz / _NYQUIST_SHARE:g} Hz, "
            f"found {rate_hz:g} Hz: lower bands_hz"
        )
    first, *others = ((low_hz, min(high_hz, top_hz)) for low_hz, high_hz in config.bands_hz)
    return [first, *(band for band in others if band[1] - band[0] >= _NARROWEST_HZ)]


def _of_band(
    trace: NDArray[np.float64], rate_hz: float, band_hz: tuple[float, float], sta_s: float
) -> Liveliness:
    sos = butter(4, band_hz, btype="bandpass", fs=rate_hz, output="sos")
    edge = round(_EDGE_S * rate_hz)
    heard = sosfiltfilt(sos, trace)[edge:-edge]
    average_s = max(sta_s, _CYCLES / (band_hz[1] - band_hz[0]))
    energy = uniform_filter1d(heard**2, max(round(average_s * rate_hz), 1), mode="nearest")
    power, median = float(np.mean(heard**2)), float(np.median(energy))
    if power == 0:
        return Liveliness(energy_ratio=1.0, kurtosis=3.0)
    return Liveliness(
        energy_ratio=float(energy.max()) / median if median > 0 else np.inf,
        kurtosis=float(np.mean(heard**4)) / power**2,
    )
