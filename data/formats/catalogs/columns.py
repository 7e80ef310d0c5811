"""The columns of picks and of events that every reader of a catalog gives, and the words in them."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

logger = logging.getLogger(__name__)

PICK_COLUMNS = (
    "event_id",
    "station_id",
    "phase",
    "time",
    "polarity",
    "evaluation",
    "onset",
    "uncertainty_s",
    "probability",
    "author",
)
EVENT_COLUMNS = (
    "event_id",
    "time",
    "latitude_deg",
    "longitude_deg",
    "depth_km",
    "magnitude",
    "magnitude_type",
    "event_type",
    "author",
    "magnitudes",
    "mechanisms",
)

TIME_DTYPE = "datetime64[ns, UTC]"

_PICK_NUMBERS = ("uncertainty_s", "probability")
_EVENT_NUMBERS = ("latitude_deg", "longitude_deg", "depth_km", "magnitude")
_EVENT_LISTS = ("magnitudes", "mechanisms")

_POLARITY = {
    "positive": ("positive", "up", "u", "+", "1", "1.0", "c"),
    "negative": ("negative", "down", "d", "-", "-1", "-1.0"),
    "undecidable": ("undecidable",),
}
POLARITY_OF = {word: polarity for polarity, words in _POLARITY.items() for word in words}
"""First motions as others write them, in lower case."""

_ONSET = {
    "impulsive": ("impulsive", "i"),
    "emergent": ("emergent", "e"),
    "questionable": ("questionable", "q"),
}
ONSET_OF = {word: onset for onset, words in _ONSET.items() for word in words}
"""Sharpness of onsets as others write it, in lower case."""


def utc_times(seconds: Iterable[float]) -> pd.Series:
    """Seconds since 1970 as UTC times, to the microsecond, which is all that their float holds."""
    microseconds = pd.Series(seconds, dtype=float).mul(1e6).round().astype("int64")
    return pd.to_datetime(microseconds, unit="us", utc=True).astype(TIME_DTYPE)


def pick_table(rows: Iterable[dict[str, Any]], file: Path) -> pd.DataFrame:
    """Picks with `PICK_COLUMNS`; what a row does not tell is "" or NaN. `time` in seconds since 1970.

    Those whose evaluation is `rejected` are left out, and logged.
    """
    table = _frame(rows, PICK_COLUMNS, _PICK_NUMBERS, ())
    table["evaluation"] = table["evaluation"].where(table["evaluation"] != "", "unknown")
    return without_rejected(table, file)


def without_rejected(picks: pd.DataFrame, file: Path) -> pd.DataFrame:
    """The picks that nobody rejected; the number of the others is logged."""
    rejected = picks["evaluation"] == "rejected"
    if rejected.any():
        logger.warning("%s: %d rejected picks are left out", file, int(rejected.sum()))
    return picks[~rejected]


def event_table(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """Events with `EVENT_COLUMNS`; what a row does not tell is "", NaN or []. `time` in s since 1970."""
    return _frame(rows, EVENT_COLUMNS, _EVENT_NUMBERS, _EVENT_LISTS)


def _frame(
    rows: Iterable[dict[str, Any]], columns: Iterable[str], numbers: Iterable[str], lists: Iterable[str]
) -> pd.DataFrame:
    """Rows under columns, each column with its own word for what is not known."""
    listed = list(rows)
    cells: dict[str, Any] = {}
    for name in columns:
        values: list[Any] = [row.get(name) for row in listed]
        if name in lists:
            cells[name] = pd.Series([value or [] for value in values], dtype=object)
        elif name in numbers:
            cells[name] = pd.Series(values, dtype=float)
        else:
            cells[name] = utc_times(values) if name == "time" else [str(value or "") for value in values]
    return pd.DataFrame(cells)
