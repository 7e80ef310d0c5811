"""How others head the columns of stations, picks and events, and how such tables become ours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from .catalogs.columns import utc_times
from .seisbench_columns import utc_seconds

MAGNITUDE_KINDS = ("Mw", "ML", "MA", "Md")
"""Magnitudes that tables give a column of their own; the first that is there counts."""

Dialect = Mapping[str, tuple[str | tuple[str, float], ...]]

# Our column → how others head it, in lower case; a second item scales to our unit.
STATION_DIALECT: Dialect = {
    "id": ("id", "station_id", "trace_id"),
    "network": ("network", "net", "station_network_code", "network_code"),
    "station": ("station", "sta", "station_code", "code", "name"),
    "location": ("location", "loc", "station_location_code", "location_code"),
    "latitude_deg": ("latitude_deg", "latitude", "lat", "station_latitude_deg", "sta_lat", "stla"),
    "longitude_deg": ("longitude_deg", "longitude", "lon", "station_longitude_deg", "sta_lon", "stlo"),
    "elevation_m": (
        "elevation_m",
        "elevation",
        "elev",
        "station_elevation_m",
        "elevation(m)",
        "stel",
        ("elevation_km", 1e3),
        ("elevation(km)", 1e3),
    ),
}
PICK_DIALECT: Dialect = {
    "event_id": ("event_id", "event", "event_index", "event_idx", "source_id", "evid"),
    "station_id": ("station_id", "trace_id", "seed_id", "station", "sta", "station_code", "id"),
    "network": ("network", "net", "network_code"),
    "location": ("location", "loc", "location_code"),
    "phase": ("phase", "type", "phase_type", "phase_hint"),
    "time": ("time", "timestamp", "peak_time", "phase_time", "pick_time"),
    "polarity": ("polarity", "p_polarity", "phase_polarity"),
    "evaluation": ("evaluation", "evaluation_mode", "status"),
    "onset": ("onset", "phase_onset", "pick_onset"),
    "uncertainty_s": ("uncertainty_s", "time_uncertainty_s", "uncertainty", "time_error", "time_error_s"),
    "probability": ("probability", "prob", "peak_value", "phase_score", "score"),
    "author": ("author", "agency", "picker", "method", "model"),
}
EVENT_DIALECT: Dialect = {
    "event_id": (
        "event_id",
        "id",
        "evid",
        "event",
        "event_index",
        "event_idx",
        "idx",
        "source_id",
        "eventid",
    ),
    "time": ("time", "origin_time", "origin", "source_origin_time", "datetime"),
    "latitude_deg": ("latitude_deg", "latitude", "lat", "source_latitude_deg", "ev_lat"),
    "longitude_deg": ("longitude_deg", "longitude", "lon", "source_longitude_deg", "ev_lon"),
    "depth_km": (
        "depth_km",
        "depth",
        "depth(km)",
        "depth/km",
        "source_depth_km",
        ("depth_m", 1e-3),
        ("depth(m)", 1e-3),
    ),
    "magnitude": ("magnitude", "mag", "source_magnitude"),
    **{kind: (kind.lower(),) for kind in MAGNITUDE_KINDS},
    "magnitude_type": ("magnitude_type", "magtype", "source_magnitude_type"),
    "event_type": ("event_type", "source_type", "type", "evtype"),
    "author": ("author", "source_author", "agency", "locationsource"),
}


def read_table(file: Path, dialect: Dialect, required: Iterable[str]) -> pd.DataFrame:
    """A text table's known columns under our names, as text, "" where a cell or a column is empty."""
    with file.open(encoding="utf-8-sig") as opened:
        header = opened.readline()
    separator = next((mark for mark in ("|", "\t", ";", ",") if mark in header), r"\s+")
    raw = pd.read_csv(file, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    raw.columns = [str(column).strip().lstrip("#").strip().lower() for column in raw.columns]
    columns: dict[str, Any] = {}
    for ours, others in dialect.items():
        for other in others:
            name, scale = (other, 1.0) if isinstance(other, str) else other
            if ours not in columns and name in raw:
                text = raw[name].str.strip()
                columns[ours] = text if scale == 1.0 else (numbers(text, file, name) * scale).map(repr)
    absent = [name for name in required if name not in columns]
    if absent:
        known = {name: [o if isinstance(o, str) else o[0] for o in dialect[name]] for name in absent}
        raise ValueError(
            f"{file} lacks {absent}: expected one of the columns {known}, found {list(raw.columns)}"
        )
    return pd.DataFrame({name: columns.get(name, "") for name in dialect}, index=raw.index)


def numbers(text: pd.Series, file: Path, column: str) -> pd.Series:
    """Float64, NaN where empty."""
    try:
        return text.map(lambda cell: float(cell or "nan")).astype(float)
    except ValueError as error:
        raise ValueError(f"{file}: column {column} must hold numbers: {error}") from error


def times(text: pd.Series, file: Path) -> pd.Series:
    """UTC times, from text or from seconds since 1970, to the microsecond."""
    number = re.compile(r"-?\d+(\.\d*)?([eE]\+?\d+)?$")
    try:
        seconds = text.map(lambda cell: float(cell) if number.match(cell) else utc_seconds(cell))
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error
    return utc_times(seconds)
