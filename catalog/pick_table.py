"""Picks as a table: one row for each phase that somebody or something saw at a station."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

TEXT_COLUMNS = ("station_id", "phase", "instrument", "polarity", "model", "model_revision")
NUMBER_COLUMNS = (
    "time_uncertainty_s",
    "probability",
    "amplitude",
    "polarity_probability",
    "magnitude",
    "snr_db",
)
COLUMNS = (
    "station_id",
    "phase",
    "time",
    "time_uncertainty_s",
    "probability",
    "amplitude",
    "polarity",
    "polarity_probability",
    "magnitude",
    "snr_db",
    "instrument",
    "model",
    "model_revision",
)
POLARITIES = ("", "positive", "negative", "undecidable")
TIME_DTYPE = "datetime64[ns, UTC]"


@dataclass(frozen=True, eq=False)
class PickTable:
    """Picks sorted by time, then station and phase; validated at birth.

    frame: a DataFrame with the columns of `COLUMNS`, in that order:
        station_id: NET.STA.LOC; phase: P, S, Pg …; time: UTC; time_uncertainty_s: one standard deviation;
        probability: 0 to 1; amplitude: in the unit of the waveform (counts unless the response was removed);
        polarity: positive, negative, undecidable or "" where nobody looked; instrument: first two letters of
        the channel codes; model and model_revision: who picked. Numbers that are not known are NaN, texts "".

    Only station_id, phase and time must be given; other columns are filled as unknown. Raises ValueError with
    what was expected and what was found.
    """

    frame: pd.DataFrame

    def __post_init__(self) -> None:
        object.__setattr__(self, "frame", _validated(self.frame))

    @classmethod
    def empty(cls) -> PickTable:
        """No picks at all."""
        return cls(pd.DataFrame({"station_id": [], "phase": [], "time": []}))

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any]]) -> PickTable:
        """From dictionaries; times as UTC seconds since 1970, ISO strings or timestamps."""
        listed = list(rows)
        return cls(pd.DataFrame(listed)) if listed else cls.empty()

    @classmethod
    def concat(cls, tables: Iterable[PickTable]) -> PickTable:
        """Several tables as one."""
        frames = [table.frame for table in tables if len(table)]
        return cls(pd.concat(frames, ignore_index=True)) if frames else cls.empty()

    def __len__(self) -> int:
        return len(self.frame)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PickTable) and self.frame.equals(other.frame)

    __hash__ = None  # type: ignore[assignment]  # a table of data is no key

    @property
    def time_s(self) -> np.ndarray:
        """Pick times as float64 UTC seconds since 1970 (good to a microsecond)."""
        return self.frame["time"].astype("int64").to_numpy() / 1e9

    def select(self, mask: np.ndarray | pd.Series) -> PickTable:
        """The rows where the mask is true."""
        return PickTable(self.frame[np.asarray(mask)])

    def between(self, start_time_s: float, end_time_s: float) -> PickTable:
        """Picks with start ≤ time < end, in UTC seconds since 1970."""
        start, end = (pd.Timestamp(round(t * 1e9), unit="ns", tz="UTC") for t in (start_time_s, end_time_s))
        return self.select((self.frame["time"] >= start) & (self.frame["time"] < end))

    def counts(self) -> pd.DataFrame:
        """How many picks of each phase at each station: one row a station, one column a phase."""
        if not len(self):
            return pd.DataFrame(index=pd.Index([], name="station_id"))
        return pd.crosstab(self.frame["station_id"], self.frame["phase"]).rename_axis(columns=None)


def as_times(values: pd.Series) -> pd.Series:
    """UTC times to the nanosecond from timestamps, ISO texts or float seconds since 1970."""
    if pd.api.types.is_numeric_dtype(values):
        seconds = values.to_numpy(float)
        if not np.isfinite(seconds).all():
            raise ValueError("found NaN or infinity")
        # Whole seconds and the rest apart: float64 nanoseconds since 1970 are only good to 256 ns.
        whole = np.floor(seconds)
        nanoseconds = whole.astype("int64") * 10**9 + np.rint((seconds - whole) * 1e9).astype("int64")
        return pd.Series(pd.to_datetime(nanoseconds, unit="ns", utc=True), index=values.index)
    return pd.to_datetime(values, utc=True, format="ISO8601").astype(TIME_DTYPE)


def _validated(frame: pd.DataFrame) -> pd.DataFrame:
    absent = [name for name in ("station_id", "phase", "time") if name not in frame.columns]
    unknown = [name for name in frame.columns if name not in COLUMNS]
    if absent or unknown:
        raise ValueError(f"a pick table has columns {COLUMNS}; missing are {absent}, unknown are {unknown}")
    columns: dict[str, Any] = {"time": _times(frame["time"])}
    for name in TEXT_COLUMNS:
        columns[name] = frame[name].fillna("").astype("str") if name in frame else _constant(frame, "", "str")
    for name in NUMBER_COLUMNS:
        columns[name] = (
            frame[name].astype("float64") if name in frame else _constant(frame, np.nan, "float64")
        )
    table = pd.DataFrame(columns)[list(COLUMNS)]
    _check_values(table)
    return table.sort_values(["time", "station_id", "phase", "instrument"], kind="stable").reset_index(
        drop=True
    )


def _constant(frame: pd.DataFrame, value: object, dtype: str) -> pd.Series:
    return pd.Series(value, index=frame.index, dtype=dtype)


def _times(values: pd.Series) -> pd.Series:
    try:
        return as_times(values)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"pick times must be UTC seconds since 1970, ISO texts or timestamps: {error}"
        ) from error


def _check_values(table: pd.DataFrame) -> None:
    if table["time"].isna().any():
        raise ValueError(f"every pick needs a time, found {int(table['time'].isna().sum())} without")
    for name in ("station_id", "phase"):
        if (table[name] == "").any():
            raise ValueError(f"every pick needs a {name}, found {int((table[name] == '').sum())} without")
    for name in ("probability", "polarity_probability"):
        outside = table[name][(table[name] < 0) | (table[name] > 1)]
        if len(outside):
            raise ValueError(f"{name} must lie in 0 to 1, found {outside.iloc[0]:g}")
    if (table["time_uncertainty_s"] < 0).any():
        raise ValueError(
            f"time_uncertainty_s must not be negative, found {table['time_uncertainty_s'].min():g}"
        )
    strange = sorted(set(table["polarity"]) - set(POLARITIES))
    if strange:
        raise ValueError(f"polarity must be one of {POLARITIES}, found {strange}")
