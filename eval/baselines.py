"""Pickers that every score has to beat: a dummy that knows only positions, and STA/LTA with AIC.

A picker is anything that can be called with a `WaveformBatch` and gives `PeakPicks`, and that has a `name`
and `default_thresholds`; a network is one too (`ModelPicker` in `picking_protocol.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from obspy.signal.trigger import aic_simple, recursive_sta_lta
from scipy.ndimage import uniform_filter1d
from scipy.signal import butter, find_peaks, sosfilt

from ..data.batch import WaveformBatch
from .peaks import PeakPicks, join_picks, make_picks

PHASES = ("P", "S")


class WindowPicker(Protocol):
    """What can be scored."""

    name: str
    default_thresholds: Mapping[str, float]

    def __call__(self, batch: WaveformBatch) -> PeakPicks:
        """The picks of each window of a batch."""


class PositionalDummy:
    """Picks every phase at the place where it lay on average, without looking at the waveform.

    Where windows are cut at fixed places it scores well, and so tells that the scores of such a set mean
    little (in some public sets P lies at one of six fixed samples).
    """

    name = "positional dummy"

    def __init__(self, mean_position_s: Mapping[str, float]) -> None:
        self.mean_position_s = dict(mean_position_s)
        self.default_thresholds: Mapping[str, float] = dict.fromkeys(self.mean_position_s, 0.5)

    @classmethod
    def fit(cls, batches: Sequence[WaveformBatch]) -> PositionalDummy:
        """The mean labelled position of each phase in windows, in seconds.

        Raises ValueError where no window has a labelled arrival.
        """
        means = {}
        for phase in PHASES:
            times_s = [_arrivals_inside(batch, phase) for batch in batches]
            if sum(map(len, times_s)):
                means[phase] = float(np.concatenate(times_s).mean())
        if not means:
            raise ValueError(
                "the positional dummy needs windows with P or S arrivals, found none: check the labels"
            )
        return cls(means)

    def __call__(self, batch: WaveformBatch) -> PeakPicks:
        """One pick of each phase in each window, all at the same place."""
        count = len(batch)
        ones = np.ones(count)
        return join_picks(
            [
                make_picks(np.arange(count), np.full(count, phase), ones * time_s, ones, 0.0 * ones)
                for phase, time_s in self.mean_position_s.items()
            ]
        )


@dataclass(frozen=True, kw_only=True)
class StaLtaConfig:
    """The classic picker's settings, in seconds and hertz, tuned on local earthquakes.

    sta_s, lta_s: averages of the recursive STA/LTA (Withers et al. 1998).
    band_hz: corners of the causal band-pass in front of it.
    min_ratio: lowest STA/LTA of a trigger.
    refine_before_s, refine_after_s: around a trigger, where the AIC looks for P's onset.
    s_gap_s, s_search_s: S is looked for from so long to so long after P. A weaker trigger on the vertical
        within `s_search_s` of a stronger one is taken for its coda.
    """

    sta_s: float = 0.2
    lta_s: float = 3.0
    band_hz: tuple[float, float] = (3.0, 20.0)
    min_ratio: float = 1.8
    refine_before_s: float = 1.5
    refine_after_s: float = 0.5
    s_gap_s: float = 0.3
    s_search_s: float = 15.0


class StaLtaPicker:
    """Recursive STA/LTA with AIC: P on the vertical, S on the horizontals after P.

    The height of a pick is r / (1 + r), r being the STA/LTA for P, and for S the rise of the horizontal
    motion from the second before to the second after. It lies between 0 and 1 as a probability does, and is
    none; it lets a threshold be chosen as for a network.
    """

    name = "STA/LTA + AIC"

    def __init__(self, config: StaLtaConfig | None = None) -> None:
        self.config = config or StaLtaConfig()
        # Ratios of 4 for P and 2 for S, which rises out of the P coda.
        self.default_thresholds: Mapping[str, float] = {"P": 4.0 / 5.0, "S": 2.0 / 3.0}

    def __call__(self, batch: WaveformBatch) -> PeakPicks:
        """The picks of each window; none where no component that a phase needs was observed."""
        waveform = np.where(batch.observed.cpu().numpy(), batch.waveform.cpu().numpy(), np.nan)
        rows = dict(zip(batch.component_names, range(waveform.shape[1]), strict=True))
        found = _PickColumns()
        for window, (traces, rate_hz) in enumerate(
            zip(waveform, batch.sampling_rate_hz.tolist(), strict=True)
        ):
            self._pick_window(traces, rows, rate_hz, window, found)
        return make_picks(
            found.window, found.phase, found.time_s, found.height, np.full(len(found.window), np.nan)
        )

    def _pick_window(
        self, traces: np.ndarray, rows: Mapping[str, int], rate_hz: float, window: int, found: _PickColumns
    ) -> None:
        if "Z" not in rows:
            return
        vertical = self._characteristic(traces[[rows["Z"]]], rate_hz)
        horizontals = [rows[name] for name in ("N", "E") if name in rows]
        sideways = self._characteristic(traces[horizontals], rate_hz) if horizontals else None
        spacing = max(1, round(self.config.s_search_s * rate_hz))
        triggers, _ = find_peaks(vertical.ratio, height=self.config.min_ratio, distance=spacing)
        for trigger in triggers:
            before, after = (
                round(s * rate_hz) for s in (self.config.refine_before_s, self.config.refine_after_s)
            )
            p_sample = _aic_onset(vertical.filtered, max(trigger - before, 0), trigger + after)
            found.add(window, "P", p_sample / rate_hz, vertical.ratio[trigger])
            if sideways is not None:
                self._pick_s(sideways, p_sample, rate_hz, window, found)

    def _pick_s(
        self, sideways: _Characteristic, p_sample: int, rate_hz: float, window: int, found: _PickColumns
    ) -> None:
        """S where the AIC parts the P coda from what leads up to the largest horizontal motion."""
        first = p_sample + round(self.config.s_gap_s * rate_hz)
        last = p_sample + round(self.config.s_search_s * rate_hz)
        motion = np.sqrt(np.square(sideways.filtered).sum(axis=0))
        envelope = uniform_filter1d(motion, max(1, round(self.config.sta_s * rate_hz)))[first:last]
        if len(envelope) == 0 or envelope.max() <= 0:
            return
        onset = _aic_onset(sideways.filtered, first, first + int(envelope.argmax()) + 1)
        second = round(rate_hz)
        before, after = (
            motion[max(onset - second, first - second // 2, 0) : onset],
            motion[onset : onset + second],
        )
        if len(before) and before.max() > 0:
            found.add(window, "S", onset / rate_hz, _rms(after) / _rms(before))

    def _characteristic(self, traces: np.ndarray, rate_hz: float) -> _Characteristic:
        """Filtered traces and their STA/LTA, 0 while the long average fills and where data are missing."""
        observed = np.isfinite(traces).any(axis=1)
        filtered = np.zeros((len(traces), traces.shape[1]))
        ratio = np.zeros(traces.shape[1])
        if not observed.any():
            return _Characteristic(filtered, ratio)
        live = np.isfinite(traces[observed]).all(axis=0)
        sta, lta = (max(1, round(s * rate_hz)) for s in (self.config.sta_s, self.config.lta_s))
        for first, last in np.flatnonzero(np.diff(np.pad(live, 1).astype(np.int8))).reshape(-1, 2):
            if last - first <= lta:
                continue
            part = _bandpass(traces[observed, first:last], self.config.band_hz, rate_hz)
            filtered[np.flatnonzero(observed), first:last] = part
            energy = np.sqrt(np.square(part).sum(axis=0))
            ratio[first:last] = recursive_sta_lta(energy, sta, lta)
        return _Characteristic(filtered, ratio)


@dataclass(frozen=True)
class _Characteristic:
    """Band-passed traces `(component, sample)` and their STA/LTA `(sample,)`."""

    filtered: np.ndarray
    ratio: np.ndarray


@dataclass
class _PickColumns:
    window: list[int] = field(default_factory=list)
    phase: list[str] = field(default_factory=list)
    time_s: list[float] = field(default_factory=list)
    height: list[float] = field(default_factory=list)

    def add(self, window: int, phase: str, time_s: float, ratio: float) -> None:
        self.window.append(window)
        self.phase.append(phase)
        self.time_s.append(time_s)
        self.height.append(ratio / (1.0 + ratio))


def _aic_onset(traces: np.ndarray, first: int, last: int) -> int:
    """The sample of `first` … `last` where the Akaike criterion parts noise from signal best (Maeda 1985)."""
    parts = [trace[first:last] for trace in traces if np.ptp(trace[first:last]) > 0]
    if not parts or len(parts[0]) < 8:
        return last - 1
    # Both variances need a few samples; the criterion's two ends mean nothing.
    return first + 3 + int(np.sum([aic_simple(part) for part in parts], axis=0)[3:-3].argmin())


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.square(values).mean()))


def _arrivals_inside(batch: WaveformBatch, phase: str) -> np.ndarray:
    """Labelled arrivals within their windows, in seconds."""
    times_s = batch.labels[f"{phase.lower()}_arrival_s"].double().cpu().numpy()
    duration_s = batch.num_samples / batch.sampling_rate_hz.double().cpu().numpy()[:, None]
    return times_s[(times_s >= 0) & (times_s < duration_s)]


def _bandpass(traces: np.ndarray, band_hz: tuple[float, float], rate_hz: float) -> np.ndarray:
    """Causal, so that nothing rings ahead of an onset; it starts from the first sample's level."""
    high_hz = min(band_hz[1], 0.45 * rate_hz)
    sections = butter(2, (min(band_hz[0], 0.5 * high_hz), high_hz), "bandpass", fs=rate_hz, output="sos")
    return sosfilt(sections, traces.astype(np.float64) - traces[:, :1], axis=1)
