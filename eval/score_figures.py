"""Figures of scores: learning curves, residuals, thresholds, before and after."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from .figures import BLUE, GREY, ORANGE, add_legend, new_figure

LINE_STYLES = ("-", "--", ":", "-.")


def read_training_log(path: str | Path) -> pd.DataFrame:
    """A training run's `log.jsonl` as a table, one row a line.

    Raises ValueError for a line that is no JSON, naming it. A last line without its end, cut off when a run
    was killed, is left out: training writes it again when it resumes.
    """
    text = Path(path).read_text(encoding="utf-8")
    lines = text.split("\n")[:-1]
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise ValueError(
                f"{path}, line {number}: expected one JSON object a line, found {line[:60]!r}"
            ) from error
    return pd.DataFrame(rows)


def learning_curve_figure(
    log: pd.DataFrame, columns: Sequence[str] = ("loss",), step: str = "step"
) -> Figure:
    """Losses (or whatever was logged) against the training step.

    Raises ValueError for a column that the log does not have.
    """
    absent = [name for name in (step, *columns) if name not in log.columns]
    if absent:
        raise ValueError(f"the log has no column {absent}; it has {sorted(log.columns)}")
    figure, (axes,) = new_figure(3.4)
    for i, name in enumerate(columns):
        known = log[[step, name]].dropna()
        marker = "o" if len(known) < 30 else None
        axes.plot(
            known[step], known[name], LINE_STYLES[i % 4], marker=marker, ms=3, label=name.replace("_", " ")
        )
    axes.set(xlabel="training step", ylabel=columns[0].replace("_", " ") if len(columns) == 1 else "value")
    axes.grid(alpha=0.25)
    if len(columns) > 1:
        add_legend(axes)
    return figure


def residual_figure(residuals_s: Mapping[str, np.ndarray], limit_s: float = 1.0, bins: int = 41) -> Figure:
    """Pick times minus labels, one panel for each name; what lies beyond the limit is counted, not hidden."""
    figure, panels = new_figure(
        0.6 + 2.1 * max(len(residuals_s), 1), rows=max(len(residuals_s), 1), sharex=True
    )
    for axes, (name, values) in zip(panels, residuals_s.items(), strict=False):
        known = np.asarray(values, dtype=float)
        known = known[np.isfinite(known)]
        inside = known[np.abs(known) <= limit_s]
        axes.hist(inside, bins=bins, range=(-limit_s, limit_s), color=BLUE)
        axes.axvline(0.0, color="black", linewidth=0.8)
        axes.set(ylabel="picks", xlim=(-limit_s, limit_s))
        text = f"{len(known)} picks, {len(known) - len(inside)} beyond ±{limit_s:g} s"
        axes.set_title(f"{name}: {text}", loc="left", fontsize=11)
    panels[-1].set_xlabel("pick − label (s)")
    return figure


def threshold_figure(curve: pd.DataFrame, chosen: float | None = None) -> Figure:
    """Precision, recall and F1 against the threshold, and precision against recall.

    curve: columns threshold, precision, recall, f1. chosen: the threshold in use.
    """
    figure, (left, right) = new_figure(3.6, columns=2)
    for name, style in zip(("precision", "recall", "f1"), LINE_STYLES, strict=False):
        left.plot(curve["threshold"], curve[name], style, linewidth=2, label=name.replace("f1", "F1"))
    if chosen is not None:
        left.axvline(chosen, color=GREY, linewidth=1)
        at = int((curve["threshold"] - chosen).abs().to_numpy().argmin())
        right.plot(curve["recall"].iloc[at], curve["precision"].iloc[at], "o", color=ORANGE, ms=8, zorder=3)
    right.plot(curve["recall"], curve["precision"], color=BLUE, linewidth=2)
    left.set(xlabel="threshold", ylim=(0, 1.03), xlim=(0, 1))
    right.set(xlabel="recall", ylabel="precision", ylim=(0, 1.03), xlim=(0, 1.03))
    for axes in (left, right):
        axes.grid(alpha=0.25)
    add_legend(left, loc="lower left")
    return figure


def comparison_figure(
    table: pd.DataFrame, label: str, value: str, group: str, axis_label: str = ""
) -> Figure:
    """Bars side by side: one block for each `label` (before P, before S …), one bar for each `group`.

    table: one row a bar; columns `{value}_low` and `{value}_high`, where there are any, become error bars.
    """
    labels, groups = list(dict.fromkeys(table[label])), list(dict.fromkeys(table[group]))
    figure, (axes,) = new_figure(1.6 + 0.34 * len(labels) * len(groups))
    height = 0.8 / len(groups)
    for i, name in enumerate(groups):
        rows = table[table[group] == name].set_index(label).reindex(labels)
        place = np.arange(len(labels)) + (i - (len(groups) - 1) / 2) * height
        axes.barh(place, rows[value], height=0.92 * height, label=str(name), xerr=_error_bars(rows, value))
        for y, bar in zip(place, rows[value], strict=True):
            if np.isfinite(bar):
                axes.text(0.01, y, f"{bar:.3g}", va="center", color="white", fontsize=10, fontweight="bold")
    axes.set_yticks(np.arange(len(labels)), [str(name) for name in labels])
    axes.invert_yaxis()
    axes.set_xlabel(axis_label or value)
    figure.legend(
        *axes.get_legend_handles_labels(), loc="outside upper center", ncols=3, fontsize=11, frameon=False
    )
    return figure


def _error_bars(rows: pd.DataFrame, value: str) -> np.ndarray | None:
    """Distances below and above the bar, from the interval's ends."""
    if f"{value}_low" not in rows or f"{value}_high" not in rows:
        return None
    low, high = rows[value] - rows[f"{value}_low"], rows[f"{value}_high"] - rows[value]
    return np.nan_to_num(np.stack([low.to_numpy(float), high.to_numpy(float)]).clip(min=0.0))
