"""What a calibration did, as a table, as numbers and as one figure with a panel for each head."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..figures import BLUE, GREEN, GREY, ORANGE, PURPLE, add_legend, new_figure
from .judged import LEVELS, Judged, JudgedAngles, JudgedClasses, JudgedNumbers, coverage, coverage_error
from .run import PICK_TIME

TITLES = {
    "picking_p": "P picks",
    "picking_s": "S picks",
    PICK_TIME: "times of picks",
    "event_type": "event type",
    "back_azimuth": "back azimuth",
}
COLUMNS = 2
LINES = ((ORANGE, "--"), (BLUE, "-"), (GREEN, "-."), (PURPLE, ":"))
"""Colour and style of each set of answers in a figure."""


def measures(judged: Judged) -> dict[str, Any]:
    """Everything about how sure answers were and how right, for the JSON."""
    if isinstance(judged, JudgedClasses):
        bins = judged.reliability()
        return {
            "measure": "expected calibration error",
            "n": len(judged),
            "error": bins.expected_calibration_error,
            "nll": judged.nll() if len(judged) else math.nan,
            "bins": {"n": bins.n, "said": bins.confidence, "came_true": bins.share_right},
        }
    if not isinstance(judged, JudgedNumbers | JudgedAngles):
        raise TypeError(f"nothing measures answers of type {type(judged).__name__}")
    rank = judged.central_rank()
    return {
        "measure": "coverage error",
        "n": len(judged),
        "error": coverage_error(rank),
        "nll": judged.nll() if len(judged) else math.nan,
        "coverage": dict(zip(LEVELS, coverage(rank), strict=True)),
    }


def summary_table(before: Mapping[str, Judged], after: Mapping[str, Judged]) -> pd.DataFrame:
    """One row a head: how far what it claims is from what comes true, before and after."""
    rows = []
    for name, judged in before.items():
        old, new = measures(judged), measures(after[name])
        rows.append(
            {
                "answers": TITLES.get(name, name),
                "measure": old["measure"],
                "n": old["n"],
                "error before": old["error"],
                "error after": new["error"],
                "−log likelihood before": old["nll"],
                "−log likelihood after": new["nll"],
            }
        )
    return pd.DataFrame(rows)


def reliability_figure(told: Mapping[str, Mapping[str, Judged]]) -> Figure:
    """A panel for each head: what was said against what came true; the diagonal is honest.

    told: up to four sets of answers by what they are called, such as before and after; each head's n is of
    the first. For probabilities bins of what was said, the dots as large as the bins are full; for numbers
    and angles the share of truths within the central interval of each level.
    """
    first = next(iter(told.values()))
    names = [name for name, judged in first.items() if len(judged)]
    rows = max(math.ceil(len(names) / COLUMNS), 1)
    figure, panels = new_figure(2.9 * rows + 0.2, rows=rows, columns=COLUMNS)
    for axes, name in zip(panels, names, strict=False):
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1)
        for (label, answers), (color, style) in zip(told.items(), LINES, strict=False):
            if name in answers:
                _draw(axes, answers[name], color, style, label)
        axes.set(xlim=(0, 1), ylim=(0, 1.02))
        axes.set_title(f"{TITLES.get(name, name)} (n = {len(first[name])})", loc="left", fontsize=11)
        axes.grid(alpha=0.25)
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    if names:
        add_legend(panels[0], loc="upper left")
    return figure


def _draw(axes: Axes, judged: Judged, color: str, style: str, label: str) -> None:
    if isinstance(judged, JudgedClasses):
        bins = judged.reliability()
        full = bins.n > 0
        size = 10.0 + 150.0 * bins.weight[full] / max(bins.weight.sum(), 1e-12)
        axes.plot(bins.confidence[full], bins.share_right[full], style, color=color, label=label)
        axes.scatter(bins.confidence[full], bins.share_right[full], s=size, color=color, alpha=0.6)
        axes.set(xlabel="probability said", ylabel="share that came true")
    elif isinstance(judged, JudgedNumbers | JudgedAngles):
        axes.plot(LEVELS, coverage(judged.central_rank()), style, color=color, marker="o", ms=4, label=label)
        axes.set(xlabel="level of the interval", ylabel="share of truths inside")


def example_thresholds(calibration: Any, thresholds: tuple[float, ...] = (0.1, 0.3, 0.5)) -> pd.DataFrame:
    """What thresholds that were in use before a calibration of picks have become."""
    return pd.DataFrame(
        {
            "before": thresholds,
            "P now": [calibration.calibrated("P", value) for value in thresholds],
            "S now": [calibration.calibrated("S", value) for value in thresholds],
        }
    )


def strangeness_figure(table: pd.DataFrame) -> Figure:
    """How well each kind of strange window is told from ordinary ones: bars of the area under the curve."""
    figure, (axes,) = new_figure(1.2 + 0.32 * len(table))
    place = np.arange(len(table))
    axes.barh(place, table["auc"], color=BLUE)
    axes.axvline(0.5, color=GREY, linewidth=1)
    axes.set_yticks(place, table["windows"])
    axes.invert_yaxis()
    axes.set(xlim=(0, 1), xlabel="AUC against ordinary windows")
    return figure
