"""Which probability makes a pick: thresholds chosen on validation windows, never on the scored ones."""

from __future__ import annotations

import numpy as np

from .baselines import WindowPicker
from .model_picker import LOWEST_THRESHOLD, run_picker
from .peaks import PeakPicks
from .pick_metrics import count_picks, match_picks, precision_recall_f1
from .scored_windows import ScoredWindows

THRESHOLD_GRID = np.round(np.arange(LOWEST_THRESHOLD, 0.98, 0.025), 3)
"""Candidates."""


def choose_thresholds(
    picker: WindowPicker, validation: ScoredWindows | None, tolerance_s: float
) -> tuple[dict[str, float], dict[str, str]]:
    """The threshold of each phase with the best F1 on validation windows, and where each one comes from.

    Of equally good thresholds the middle one. A phase that the validation windows do not label keeps its
    given threshold, and the source says so.
    """
    thresholds = dict(picker.default_thresholds)
    source = dict.fromkeys(thresholds, "given")
    if validation is None:
        return thresholds, source
    picks, _ = run_picker(picker, validation)
    for phase in thresholds:
        curve = threshold_curve(picks, validation, phase, tolerance_s)
        best = np.nan_to_num(curve[:, 2], nan=-1.0)
        if validation.truth(phase).num_arrivals == 0:
            source[phase] = f"given (validation has no labelled {phase})"
            continue
        equal = THRESHOLD_GRID[best >= best.max() - 1e-12]
        thresholds[phase], source[phase] = float(equal[len(equal) // 2]), "validation"
    return thresholds, source


def threshold_curve(picks: PeakPicks, windows: ScoredWindows, phase: str, tolerance_s: float) -> np.ndarray:
    """Precision, recall and F1 of a phase at each of `THRESHOLD_GRID`, `(threshold, 3)`."""
    truth = windows.truth(phase)
    scores = []
    for threshold in THRESHOLD_GRID:
        chosen = picks.above({phase: float(threshold)})
        matching = match_picks(truth, chosen.window, chosen.time_s, tolerance_s)
        counts = count_picks(truth, chosen.window, matching, tolerance_s)
        scores.append(precision_recall_f1(counts.table.sum(axis=0)))
    return np.asarray(scores)
