"""Scores of source parameters as tables: in Markdown to be read, and as rows to be put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from .source_protocol import SourceRow

MAIN: Mapping[str, str] = {
    "magnitude": "mae",
    "distance_km": "mae",
    "back_azimuth_deg": "mae",
    "depth_km": "mae",
    "event_type": "balanced_accuracy",
    "polarity": "balanced_accuracy",
}
"""The score that stands for a label."""

_MORE = {"magnitude": "r2", "distance_km": "r2", "depth_km": "r2", "back_azimuth_deg": "within"}

_HEADER = (
    "| reference | told | answered | score | 95 % | dummy there | 68 / 90 % coverage |",
    "| --- | --- | --- | --- | --- | --- | --- |",
)


def markdown_table(rows: Sequence[SourceRow]) -> list[str]:
    """The lines of a table: each predictor's main score for each label that it tells, by label."""
    ordered = sorted(rows, key=lambda row: (row.label, row.jitter_s))
    return [
        *_HEADER,
        *(_line(row) for row in ordered if not (row.predictor.startswith("dummy") and row.jitter_s)),
    ]


def _line(row: SourceRow) -> str:
    main = MAIN[row.label]
    score, dummy = row.scores[main], row.dummy.get(main)
    extra = f", {_MORE[row.label]} {row.scores[_MORE[row.label]].value:.2f}" if row.label in _MORE else ""
    extra += f", bias {row.scores['bias'].value:+.2f}" if row.label in ("magnitude", "distance_km") else ""
    label = f"{row.label}, P ± {row.jitter_s:g} s" if row.label == "polarity" else row.label
    beside = f"{dummy.value:.2f}" if dummy else ""
    coverage = f"{row.coverage[0.68]:.2f} / {row.coverage[0.9]:.2f}" if row.coverage else ""
    return (
        f"| {row.predictor} | {label} | {row.answered} of {row.labelled} | {main} {score.value:.2f}{extra} | "
        f"{score.low:.2f} to {score.high:.2f} | {beside} | {coverage} |"
    )


def score_frame(rows: Sequence[SourceRow]) -> pd.DataFrame:
    """One line a predictor, label, jitter and metric, with interval, dummy and how many were answered."""
    return pd.DataFrame([line for row in rows for line in _frame_lines(row)])


def _frame_lines(row: SourceRow) -> list[dict[str, Any]]:
    about = {
        "predictor": row.predictor,
        "label": row.label,
        "jitter_s": row.jitter_s,
        "labelled": row.labelled,
        "answered": row.answered,
        "coverage_68": row.coverage.get(0.68),
        "coverage_90": row.coverage.get(0.9),
    }
    return [
        about
        | {"metric": metric, "value": score.value, "low": score.low, "high": score.high}
        | {"dummy": row.dummy[metric].value if metric in row.dummy else None}
        for metric, score in row.scores.items()
    ]
