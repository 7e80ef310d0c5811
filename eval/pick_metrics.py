"""How good picks are: matching with labels, precision and recall, residuals; pure functions of seconds.

What guards these numbers against flattery:

* a pick and a label pair off one to one, the closest first, and each counts once;
* a miss is a miss, counted by recall, and never a residual of zero;
* windows in which a phase is not labelled count neither for nor against a picker;
* picks in noise count: precision and false picks per station-hour see every window.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class PhaseTruth:
    """What is known about one phase in some windows.

    window: int64 `(arrival,)`, the window of each listed arrival.
    time_s: float64 `(arrival,)`, after the window's first sample.
    scored: bool `(arrival,)`; False for an arrival outside of the window or where nothing was observed: it is
        no miss, and the pick that belongs to it is no false one.
    labelled: bool `(window,)`, whether all arrivals of the phase are listed.
    observed_s: float64 `(window,)`, seconds with data.
    """

    window: np.ndarray
    time_s: np.ndarray
    scored: np.ndarray
    labelled: np.ndarray
    observed_s: np.ndarray

    @property
    def station_hours(self) -> float:
        """Hours of data in which every arrival of the phase is known."""
        return float(self.observed_s[self.labelled].sum()) / 3600.0

    @property
    def num_arrivals(self) -> int:
        """Arrivals that a picker should find."""
        return int((self.scored & self.labelled[self.window]).sum())


@dataclass(frozen=True, kw_only=True)
class Matching:
    """Picks beside labels.

    residual_s: float64 `(arrival,)`, pick − label of each listed arrival, NaN where no pick was near.
    pick: int64 `(arrival,)`, position of that pick, −1 where none.
    arrival: int64 `(pick,)`, position of each pick's arrival, −1 where none.
    """

    residual_s: np.ndarray
    pick: np.ndarray
    arrival: np.ndarray


@dataclass(frozen=True, kw_only=True)
class WindowCounts:
    """True positives, false positives and misses (false negatives) of each window, int64 `(window,)`."""

    true_positives: np.ndarray
    false_positives: np.ndarray
    misses: np.ndarray

    @property
    def table(self) -> np.ndarray:
        """The three side by side, `(window, 3)`."""
        return np.stack([self.true_positives, self.false_positives, self.misses], axis=1)


def match_picks(
    truth: PhaseTruth, pick_window: np.ndarray, pick_time_s: np.ndarray, within_s: float
) -> Matching:
    """Pair picks with arrivals of the same window, one to one, the closest pair first, `within_s` at most.

    Closest first, rather than the largest number of pairs, because a smaller tolerance then keeps a part of
    the same pairs (recall never falls as the tolerance grows), and because no pair is made worse to make
    another possible. Of equally close pairs the earlier arrival, then the earlier pick, comes first.
    """
    arrival, pick = _near_pairs(
        truth, np.asarray(pick_window), np.asarray(pick_time_s, dtype=float), within_s
    )
    gap_s = np.abs(pick_time_s[pick] - truth.time_s[arrival])
    of_arrival = np.full(len(truth.window), -1, dtype=np.int64)
    of_pick = np.full(len(pick_window), -1, dtype=np.int64)
    for i in np.lexsort((pick_time_s[pick], truth.time_s[arrival], gap_s)):
        if of_arrival[arrival[i]] < 0 and of_pick[pick[i]] < 0:
            of_arrival[arrival[i]], of_pick[pick[i]] = pick[i], arrival[i]
    residual_s = np.full(len(truth.window), np.nan)
    found = of_arrival >= 0
    residual_s[found] = pick_time_s[of_arrival[found]] - truth.time_s[found]
    return Matching(residual_s=residual_s, pick=of_arrival, arrival=of_pick)


def count_picks(
    truth: PhaseTruth, pick_window: np.ndarray, matching: Matching, tolerance_s: float
) -> WindowCounts:
    """Hits, false picks and misses of each window at a tolerance; windows without labels have none of them.

    matching: of all picks, within `tolerance_s` or more.
    """
    num_windows = len(truth.labelled)
    near = np.abs(matching.residual_s) <= tolerance_s
    wanted = truth.scored & truth.labelled[truth.window]
    excused = np.zeros(len(pick_window), dtype=bool)
    excused[matching.pick[near]] = True
    false_pick = ~excused & truth.labelled[pick_window]
    return WindowCounts(
        true_positives=np.bincount(truth.window[wanted & near], minlength=num_windows),
        false_positives=np.bincount(pick_window[false_pick], minlength=num_windows),
        misses=np.bincount(truth.window[wanted & ~near], minlength=num_windows),
    )


def precision_recall_f1(counts: np.ndarray) -> np.ndarray:
    """Precision, recall and F1 `(…, 3)` from true positives, false positives and misses `(…, 3)`.

    NaN where there is nothing to judge: precision without picks, recall without arrivals, F1 without both.
    """
    hits, false_picks, misses = np.moveaxis(np.asarray(counts, dtype=float), -1, 0)
    parts = (
        _ratio(hits, hits + false_picks),
        _ratio(hits, hits + misses),
        _ratio(2 * hits, 2 * hits + false_picks + misses),
    )
    return np.stack(parts, axis=-1)


def scored_residuals(truth: PhaseTruth, matching: Matching, within_s: float) -> np.ndarray:
    """Residuals of the arrivals that count, `(arrival,)`; NaN for those without a pick within `within_s`."""
    residual_s = matching.residual_s[truth.scored & truth.labelled[truth.window]]
    return np.where(np.abs(residual_s) <= within_s, residual_s, np.nan)


def residual_statistics(residual_s: np.ndarray, outlier_s: float = 1.0) -> dict[str, float]:
    """Timing errors of the arrivals that were found, with the number of those that were not beside them.

    residual_s: pick − label of every arrival, NaN for a miss. Misses enter `missed` and `found_share`, never
    the errors. `std_s` is about the mean (n − 1), `mad_s` the median distance from the median, not scaled to
    a standard deviation, and `outlier_share` the part of the found ones that is off by more than `outlier_s`.
    """
    known = residual_s[np.isfinite(residual_s)]
    total, found = len(residual_s), len(known)
    statistics = {
        "arrivals": total,
        "found": found,
        "missed": total - found,
        "found_share": found / total if total else np.nan,
    }
    if not found:
        return statistics | dict.fromkeys(("mean_s", "std_s", "mae_s", "mad_s", "outlier_share"), np.nan)
    return statistics | {
        "mean_s": float(known.mean()),
        "std_s": float(known.std(ddof=1)) if found > 1 else np.nan,
        "mae_s": float(np.abs(known).mean()),
        "mad_s": float(np.median(np.abs(known - np.median(known)))),
        "outlier_share": float((np.abs(known) > outlier_s).mean()),
    }


def false_picks_per_station_hour(truth: PhaseTruth, counts: WindowCounts) -> float:
    """False picks in an hour of one station's data; NaN where no labelled data were seen."""
    hours = truth.station_hours
    return float(counts.false_positives.sum() / hours) if hours > 0 else np.nan


def _near_pairs(
    truth: PhaseTruth, pick_window: np.ndarray, pick_time_s: np.ndarray, within_s: float
) -> tuple[np.ndarray, np.ndarray]:
    """All (arrival, pick) of the same window that lie within reach, as two arrays of positions."""
    order = np.argsort(pick_window, kind="stable")
    first = np.searchsorted(pick_window[order], truth.window, side="left")
    count = np.searchsorted(pick_window[order], truth.window, side="right") - first
    arrival = np.repeat(np.arange(len(truth.window)), count)
    within_group = np.arange(len(arrival)) - np.repeat(np.cumsum(count) - count, count)
    pick = order[np.repeat(first, count) + within_group]
    near = np.abs(pick_time_s[pick] - truth.time_s[arrival]) <= within_s
    return arrival[near], pick[near]


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    return np.divide(numerator, denominator, out=np.full(np.shape(numerator), np.nan), where=denominator > 0)
