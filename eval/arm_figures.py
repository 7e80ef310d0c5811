"""Arms of a study side by side: a table with what they reach, and a figure with a panel a head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .baselines import PositionalDummy
from .figures import BLUE, GREY, ORANGE, new_figure
from .head_scores import ALL, REFERENCE
from .source_references import BLIND


@dataclass(frozen=True)
class Measure:
    """The score that stands for a head, in a table's column and a figure's panel.

    larger: whether more is better. reference: the predictor that is drawn as a line. where: the windows that
    are scored; for `REFERENCE` those that the reference answered.
    """

    head: str
    label: str
    metric: str
    title: str
    larger: bool
    reference: str | None = None
    where: str = ALL
    jitter_s: float = 0.0

    def rows(self, table: pd.DataFrame) -> pd.DataFrame:
        """The lines of a table with this score."""
        named = (table["head"] == self.head) & (table.label == self.label) & (table.metric == self.metric)
        return table[named & (table["where"] == self.where) & np.isclose(table.jitter_s, self.jitter_s)]


MEASURES: tuple[Measure, ...] = (
    Measure("picking", "P", "f1@0.2s", "P, F1 at 0.2 s", True, "STA/LTA + AIC"),
    Measure("picking", "S", "f1@0.2s", "S, F1 at 0.2 s", True, "STA/LTA + AIC"),
    Measure("detection", "detection", "f1", "detection, F1", True),
    Measure("polarity", "polarity", "accuracy", "polarity, accuracy", True, BLIND["polarity"], REFERENCE),
    Measure(
        *("event_type", "event_type", "balanced_accuracy", "event type, balanced accuracy", True),
        *(BLIND["event_type"], REFERENCE),
    ),
    Measure("magnitude", "magnitude", "mae", "magnitude, MAE", False, BLIND["magnitude"], REFERENCE),
    Measure("distance", "distance_km", "mae", "distance, MAE (km)", False, BLIND["distance_km"], REFERENCE),
    Measure(
        *("back_azimuth", "back_azimuth_deg", "mae", "back azimuth, MAE (°)", False),
        *(BLIND["back_azimuth_deg"], REFERENCE),
    ),
    Measure("depth", "depth_km", "mae", "depth, MAE (km)", False),
)
"""Each head's score on the windows that its reference answered, so that both stand on the same."""

TITLES: Mapping[str, str] = {
    "polarity": "polarity, wrong",
    "event_type": "event type, wrong",
    "magnitude": "magnitude",
    "distance_km": "distance (km)",
    "back_azimuth_deg": "back azimuth (°)",
    "depth_km": "depth (km)",
}
"""Of errors by label, in a table of differences."""

ON_ALL = tuple(replace(m, where=ALL) for m in MEASURES)
"""The same on all windows, the ones that a reference would not answer among them."""


def over_seeds(rows: pd.DataFrame) -> pd.DataFrame:
    """By arm: means over seeds of `value`, `low` and `high`, the number of `seeds`, and their `spread`."""
    groups = rows.groupby("predictor", sort=False)
    columns = groups[["value", "low", "high", "dummy"]].mean()
    spread = groups["value"].max() - groups["value"].min()
    return columns.assign(seeds=groups.size(), spread=spread)


def arm_table(table: pd.DataFrame, arms: Sequence[str], measures: Sequence[Measure] = MEASURES) -> list[str]:
    """The lines of a Markdown table: an arm a row, a head a column, references and dummy below.

    A cell is a mean over seeds with its interval over events (the mean of the seeds' ends).
    """
    columns = {measure: over_seeds(measure.rows(table)) for measure in measures}
    others = [name for name in table.predictor.unique() if name not in arms]
    names = [name for name in arms if name in set(table.predictor)] + others
    titles = [measure.title for measure in measures]
    return [
        "| arm | " + " | ".join(titles) + " |",
        "| --- |" + " --- |" * len(titles),
        *(
            f"| {name} | " + " | ".join(_cell(columns[measure], name) for measure in measures) + " |"
            for name in names
            if any(name in column.index for column in columns.values())
        ),
    ]


def difference_table(differences: pd.DataFrame, arms: Sequence[str]) -> list[str]:
    """The lines of a Markdown table of `paired_differences`.

    Bold where the interval is clear of 0 and all seeds are on the same side of it. Of several seeds their
    least and largest mean follow.
    """
    labels = [label for label in TITLES if label in set(differences.label)]
    rows = differences.set_index(["predictor", "label"])
    return [
        "| arm | " + " | ".join(TITLES[label] for label in labels) + " |",
        "| --- |" + " --- |" * len(labels),
        *(
            f"| {name} | " + " | ".join(_difference(rows, name, label) for label in labels) + " |"
            for name in arms
            if name in rows.index.get_level_values(0)
        ),
    ]


def _difference(rows: pd.DataFrame, name: str, label: str) -> str:
    if (name, label) not in rows.index:
        return ""
    found = rows.loc[(name, label)]
    digits = 1 if label == "back_azimuth_deg" else 2 if label in ("distance_km", "depth_km") else 3
    mean = f"{found.difference:+.{digits}f}"
    clear = min(found.low, found.seed_low) > 0 or max(found.high, found.seed_high) < 0
    told = f"**{mean}**" if clear else mean
    interval = f"{told} ({found.low:+.{digits}f} to {found.high:+.{digits}f})"
    if found.seeds == 1:
        return interval
    return (
        f"{interval}; {found.seeds:.0f} seeds {found.seed_low:+.{digits}f} to {found.seed_high:+.{digits}f}"
    )


def _cell(column: pd.DataFrame, name: str) -> str:
    if name not in column.index:
        return ""
    found = column.loc[name]
    digits = 1 if abs(found.value) >= 10 else 2
    told = f"{found.value:.{digits}f}"
    return f"{told} ({found.low:.{digits}f}–{found.high:.{digits}f})" if np.isfinite(found.low) else told


def arm_figure(
    table: pd.DataFrame, arms: Sequence[str], measures: Sequence[Measure] = MEASURES, columns: int = 2
) -> Figure:
    """A panel a head: its arms as points with intervals over events, the reference and the dummy as lines."""
    shown = {m: over_seeds(m.rows(table)) for m in measures}
    kept = [m for m in measures if any(name in shown[m].index for name in arms)]
    longest = max(sum(name in shown[m].index for name in arms) for m in kept)
    rows = -(-len(kept) // columns)
    figure, axes = new_figure(rows * (1.0 + 0.2 * longest), rows=rows, columns=columns)
    figure.set_figwidth(4.5 * columns)
    for panel, measure in zip(axes, kept, strict=False):
        _panel(panel, shown[measure], [name for name in arms if name in shown[measure].index], measure)
    for panel in axes[len(kept) :]:
        panel.set_axis_off()
    handles = {
        label: handle
        for panel in axes[: len(kept)]
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
    }
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=2, frameon=False)
    return figure


def _panel(axes: Axes, scores: pd.DataFrame, arms: Sequence[str], measure: Measure) -> None:
    found = scores.loc[list(arms)]
    ends = np.nan_to_num([found.value - found.low, found.high - found.value]).clip(min=0.0)
    places = np.arange(len(arms))[::-1]
    axes.errorbar(found.value, places, xerr=ends, fmt="o", ms=4, color=BLUE, lw=1.2)
    axes.set_yticks(places, arms, fontsize=8)
    if measure.reference in scores.index:
        axes.axvline(scores.loc[measure.reference].value, color=ORANGE, lw=1.2, label="reference")
    dummy = scores.value.get(PositionalDummy.name, found.dummy.mean())
    if np.isfinite(dummy):
        axes.axvline(dummy, color=GREY, lw=1.2, ls=(0, (2, 2)), label="dummy")
    axes.set_title(f"{measure.title} {'→' if measure.larger else '←'}", loc="left", fontsize=10)
    axes.grid(axis="x", alpha=0.25)
