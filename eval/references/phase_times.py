"""Where P and S of a window's earthquake lie, as an analyst or a picker says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ...data.batch import WaveformBatch
from ..baselines import WindowPicker


@dataclass(frozen=True, kw_only=True)
class PhaseTimes:
    """First P and its S of each window, float64 `(window,)`, seconds after its first sample, NaN for none."""

    p_s: np.ndarray
    s_s: np.ndarray


TimesOf = Callable[[WaveformBatch], PhaseTimes]


def labelled_times(batch: WaveformBatch) -> PhaseTimes:
    """The labelled P that comes first in each window, and the S of the same event."""
    if "p_arrival_s" not in batch.labels:
        missing = np.full(len(batch), np.nan)
        return PhaseTimes(p_s=missing, s_s=missing.copy())
    p_s = batch.labels["p_arrival_s"].double().cpu().numpy()
    s_s = batch.labels["s_arrival_s"].double().cpu().numpy()
    duration_s = batch.num_samples / batch.sampling_rate_hz.double().cpu().numpy()
    inside = (p_s >= 0) & (p_s < duration_s[:, None])
    first = np.where(inside, p_s, np.inf).argmin(axis=1)
    rows = np.arange(len(batch))
    found = inside.any(axis=1)
    return PhaseTimes(
        p_s=np.where(found, p_s[rows, first], np.nan), s_s=np.where(found, s_s[rows, first], np.nan)
    )


class PickedTimes:
    """The times of a picker: its most probable P, and its most probable S after that.

    thresholds: lowest probability by phase; the picker's own where None.
    """

    def __init__(self, picker: WindowPicker, thresholds: Mapping[str, float] | None = None) -> None:
        self.picker = picker
        self.thresholds = dict(thresholds or picker.default_thresholds)

    def __call__(self, batch: WaveformBatch) -> PhaseTimes:
        """The best pair of each window, NaN where nothing reaches the threshold."""
        picks = self.picker(batch).above(self.thresholds)
        p_s, s_s = np.full(len(batch), np.nan), np.full(len(batch), np.nan)
        for window in np.unique(picks.window).tolist():
            here = picks.select(picks.window == window)
            p, s = here.of_phase("P"), here.of_phase("S")
            if not len(p):
                continue
            p_s[window] = p.time_s[p.probability.argmax()]
            after = s.select(s.time_s > p_s[window])
            if len(after):
                s_s[window] = after.time_s[after.probability.argmax()]
        return PhaseTimes(p_s=p_s, s_s=s_s)
