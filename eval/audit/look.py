"""A record as the checks look at it: what several of them need is computed once."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from scipy.signal import butter, sosfilt

from ...data.records import PHASE_FAMILY, Arrival, Record
from .config import AuditConfig
from .runs import is_coarse, repeated, runs

VERTICAL = ("Z", "U", "3")
QUIET_POWER = 1e-4
"""Of the mean power: less is taken for this, so that digital silence makes no infinite ratio."""


class Look:
    """A record, what was observed of it, its band-passed motion and where its power rises."""

    def __init__(self, record: Record, config: AuditConfig) -> None:
        self.record = record
        self.config = config

    @cached_property
    def observed(self) -> np.ndarray:
        """Which samples are numbers, bool `(component, sample)`."""
        return np.isfinite(self.record.waveform)

    @cached_property
    def live(self) -> np.ndarray:
        """Which components moved at all, bool `(component,)`."""
        low = np.where(self.observed, self.record.waveform, np.inf).min(axis=1, initial=np.inf)
        high = np.where(self.observed, self.record.waveform, -np.inf).max(axis=1, initial=-np.inf)
        return high > low

    @cached_property
    def flat(self) -> np.ndarray:
        """Which samples repeat one value for long, bool `(component, sample)`: nobody recorded them.

        A quiet component of a coarse digitizer repeats its values often: there, one or two stretches of four
        times the length count, and none of many.
        """
        least = max(round(self.config.flat_s * self.record.sampling_rate_hz), 10)
        found = np.zeros(self.observed.shape, dtype=bool)
        for row, trace in enumerate(self.record.waveform):
            flat = repeated(trace, self.observed[row], least)
            begins, ends = runs(flat)
            rare = 0 < len(begins) <= 2 and (ends - begins).max() >= 4 * least
            if rare or not self.live[row] or not is_coarse(trace[self.observed[row] & ~flat]):
                found[row] = flat
        return found

    @cached_property
    def recorded(self) -> np.ndarray:
        """Which samples tell of the ground, bool `(component, sample)`: observed, and not filled in."""
        return self.observed & ~self.flat

    @cached_property
    def motion(self) -> np.ndarray:
        """Band-passed `(component, sample)`, 0 where nothing was recorded.

        Causal, so that nothing rings ahead of an onset; it begins from rest at the first sample's level.
        """
        rate_hz = self.record.sampling_rate_hz
        high_hz = min(self.config.band_hz[1], 0.45 * rate_hz)
        corners = (min(self.config.band_hz[0], 0.5 * high_hz), high_hz)
        sections = butter(2, corners, "bandpass", fs=rate_hz, output="sos")
        filtered = np.zeros(self.record.waveform.shape)
        for row in np.flatnonzero(self.live & self.recorded.any(axis=1)).tolist():
            trace = self._bridged(row)
            filtered[row] = sosfilt(sections, trace - trace[0])
        filtered[~self.recorded] = 0.0
        return filtered

    def rise_db(self, phase: str) -> np.ndarray:
        """By how much power rises at each sample, for P (vertical) or S (horizontals), in dB; or NaN."""
        return self._rises[phase, self.config.onset_s[1]]

    def lasting_rise_db(self, phase: str) -> np.ndarray:
        """The same where the power stays: the smaller of a short rise and a long one."""
        return np.minimum(self.rise_db(phase), self._rises[phase, self.config.lasting_s])

    def peak(self) -> float:
        """Largest band-passed motion of any component, NaN where it does not stand out of the noise.

        Noise is what comes before the first arrival, or the median of a record without one.
        """
        if not self.live.any():
            return float("nan")
        size = np.abs(self.motion[self.live]).max(axis=0)
        times_s = [arrival.time_s for arrival in self.arrivals() if self.is_inside(arrival)]
        first = int(max(min(times_s) - 0.5, 0) * self.record.sampling_rate_hz) if times_s else 0
        noise = float(np.median(size[:first] if first > 50 else size))
        peak = float(size[first:].max(initial=0.0))
        return peak if peak > 5.0 * noise else float("nan")

    def arrivals(self, family: str = "PS") -> list[Arrival]:
        """The arrivals of a family of phases with a known time."""
        return [
            arrival
            for arrival in self.record.arrivals
            if PHASE_FAMILY.get(arrival.phase, "?") in family and np.isfinite(arrival.time_s)
        ]

    def is_inside(self, arrival: Arrival) -> bool:
        """Whether an arrival's sample is one of the record's."""
        return 0 <= arrival.time_s < self.record.duration_s

    def rows(self, names: tuple[str, ...], *, others: bool = False) -> list[int]:
        """The live components of these names, or all others."""
        named = enumerate(self.record.component_names)
        return [row for row, name in named if self.live[row] and (name in names) != others]

    @cached_property
    def _rises(self) -> dict[tuple[str, float], np.ndarray]:
        vertical, all_rows = self.rows(VERTICAL), np.flatnonzero(self.live).tolist()
        horizontal = self.rows((*VERTICAL, "H"), others=True)
        before_s, after_s = self.config.onset_s
        rises = {}
        for phase, rows in (("P", vertical or all_rows), ("S", horizontal or all_rows)):
            power = np.square(self.motion[rows]).sum(axis=0)
            seen = np.asarray(self.recorded[rows].any(axis=0))
            for span_s in (after_s, self.config.lasting_s):
                rate_hz = self.record.sampling_rate_hz
                rises[phase, span_s] = power_rise_db(power, seen, rate_hz, before_s, span_s)
        return rises

    def _bridged(self, row: int) -> np.ndarray:
        """One component with a straight line over its gaps, so that the filter meets no step."""
        trace, seen = self.record.waveform[row].astype(np.float64), self.recorded[row]
        if not seen.all():
            places = np.arange(len(trace))
            trace = np.interp(places, places[seen], trace[seen])
        return trace


def power_rise_db(
    power: np.ndarray, seen: np.ndarray, rate_hz: float, before_s: float, after_s: float
) -> np.ndarray:
    """The mean power of the `after_s` from each sample on over that of the `before_s` before it, in dB.

    NaN where less than half of either was observed or lies in the record.
    """
    num_samples = len(power)
    energy = np.concatenate([[0.0], np.cumsum(power)])
    count = np.concatenate([[0], np.cumsum(seen)])
    here = np.arange(num_samples)
    before, after = round(before_s * rate_hz), max(round(after_s * rate_hz), 1)
    first, last = np.maximum(here - before, 0), np.minimum(here + after, num_samples)
    num_before, num_after = count[here] - count[first], count[last] - count[here]
    quiet = QUIET_POWER * energy[-1] / max(count[-1], 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = ((energy[last] - energy[here]) / num_after + quiet) / (
            (energy[here] - energy[first]) / num_before + quiet
        )
        rise = 10.0 * np.log10(ratio)
    rise[(num_before < before / 2) | (num_after < after / 2)] = np.nan
    return rise
