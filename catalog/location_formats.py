"""A catalog's arrivals in the layouts that location programs read: HypoInverse and NonLinLoc."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .events import Catalog
from .files import replacing
from .quakeml import catalog_to_obspy

_WEIGHT_CODE_ABOVE = (0.8, 0.6, 0.4, 0.2)
"""Least probabilities for HypoInverse's weight codes 0 (full) to 3; below that 4 (none)."""


def write_hypoinverse(catalog: Catalog, path: str | Path) -> None:
    """A phase archive in HypoInverse's Y2000 layout.

    For each event a summary line, one line a station, and a terminator.

    Columns after F. Klein, User's Guide to HYPOINVERSE-2000 (USGS Open-File Report 02-171), section on the
    archive format. HypoInverse has one line for a station's P and S. A pick's weight code follows from its
    probability; picks whose probability is unknown get full weight. Phases other than P and S are written as
    what they begin with.
    """
    with replacing(path) as temporary:
        temporary.write_text("".join(_hypoinverse_event(catalog, row, i) for i, row in _numbered(catalog)))


def write_nonlinloc(catalog: Catalog, folder: str | Path) -> list[Path]:
    """NonLinLoc observations, one .obs file an event (ObsPy writes them), and their paths."""
    paths = []
    for event_id, event in zip(catalog.events["event_id"], catalog_to_obspy(catalog), strict=True):
        path = Path(folder) / f"{event_id}.obs"
        with replacing(path) as temporary:
            event.write(str(temporary), format="NLLOC_OBS")
        paths.append(path)
    return paths


def _numbered(catalog: Catalog) -> list[tuple[int, dict[Any, Any]]]:
    return list(enumerate(catalog.events.to_dict("records"), 1))


def _hypoinverse_event(catalog: Catalog, row: Mapping[Any, Any], number: int) -> str:
    arrivals = catalog.arrivals_of(row["event_id"])
    lines = [_summary_line(row, number)]
    lines += [
        _station_line(station_id, group) for station_id, group in arrivals.groupby("station_id", sort=False)
    ]
    lines.append(" " * 62 + f"{number:10d}")
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _summary_line(row: Mapping[Any, Any], number: int) -> str:
    latitude, longitude = row["latitude_deg"], row["longitude_deg"]
    place = (
        f"{_degrees(latitude):2d}{'S' if latitude < 0 else ' '}{_minutes(latitude):4d}"
        f"{_degrees(longitude):3d}{' ' if longitude < 0 else 'E'}{_minutes(longitude):4d}"
    )
    line = f"{_clock(row['time'])}{_hundredths(row['time']):4d}{place}{round(row['depth_km'] * 100):5d}"
    return f"{line:<136}{number:10d}"


def _station_line(station_id: object, arrivals: pd.DataFrame) -> str:
    network, station, location = (*str(station_id).split("."), "", "")[:3]
    p, s = (_first(arrivals, phase) for phase in "PS")
    minute = (p if p is not None else s)["time"].floor("min")  # type: ignore[index]
    instrument = str(arrivals["instrument"].iloc[0])
    channel = (instrument + "Z")[:3] if instrument else ""
    p_part = "    " if p is None else f" P{_first_motion(p)}{_weight_code(p)}"
    s_part = "    " if s is None else f" S {_weight_code(s)}"
    p_seconds = 0 if p is None else _hundredths_after(p["time"], minute)
    s_seconds = 0 if s is None else _hundredths_after(s["time"], minute)
    line = f"{station:<5.5}{network:<2.2}  {channel:<3.3} {p_part}"
    line += f"{_clock(minute)}{p_seconds:5d}{'':7}{s_seconds:5d}"
    return f"{line}{s_part}{'':61}{location:<2.2}"


def _first(arrivals: pd.DataFrame, phase: str) -> pd.Series | None:
    found = arrivals[arrivals["phase"].str.startswith(phase)]
    return None if found.empty else found.iloc[0]


def _first_motion(arrival: pd.Series) -> str:
    return {"positive": "U", "negative": "D"}.get(arrival["polarity"], " ")


def _weight_code(arrival: pd.Series) -> int:
    probability = arrival["probability"]
    if np.isnan(probability):
        return 0
    return next((code for code, least in enumerate(_WEIGHT_CODE_ABOVE) if probability >= least), 4)


def _clock(time: pd.Timestamp) -> str:
    return time.strftime("%Y%m%d%H%M")


def _hundredths(time: pd.Timestamp) -> int:
    # Cut, not rounded: 59.999 s must not become 60.00.
    return time.second * 100 + time.microsecond // 10_000


def _hundredths_after(time: pd.Timestamp, minute: pd.Timestamp) -> int:
    return round((time - minute).total_seconds() * 100)


def _degrees(value: float) -> int:
    return int(abs(value))


def _minutes(value: float) -> int:
    """Hundredths of minutes, of which 5999 are the most."""
    return min(round((abs(value) - int(abs(value))) * 6000), 5999)
