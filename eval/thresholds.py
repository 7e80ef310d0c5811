"""Which probability makes a pick: thresholds chosen on validation windows, never on the scored ones."""

from __future__ import annotations

import numpy as np
import pandas as pd

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
        best = curve["f1"].fillna(-1.0).to_numpy()
        if validation.truth(phase).num_arrivals == 0:
            source[phase] = f"given (validation has no labelled {phase})"
            continue
        equal = THRESHOLD_GRID[best >= best.max() - 1e-12]
        thresholds[phase], source[phase] = float(equal[len(equal) // 2]), "validation"
    return thresholds, source


def threshold_curve(picks: PeakPicks, windows: ScoredWindows, phase: str, tolerance_s: float) -> pd.DataFrame:
    """Precision, recall and F1 of a phase (columns) at each threshold of `THRESHOLD_GRID` (rows)."""
    truth = windows.truth(phase)
    scores = []
    for threshold in THRESHOLD_GRID:
        chosen = picks.above({phase: float(threshold)})
        matching = match_picks(truth, chosen.window, chosen.time_s, tolerance_s)
        counts = count_picks(truth, chosen.window, matching, tolerance_s)
        scores.append(precision_recall_f1(counts.table.sum(axis=0)))
    curve = pd.DataFrame(np.asarray(scores), columns=["precision", "recall", "f1"])
    return curve.assign(threshold=THRESHOLD_GRID)
