"""Picks to files and back: CSV, Parquet, QuakeML, and what associators and locators read."""

from __future__ import annotations

from pathlib import Path

import obspy
import pandas as pd

from .files import replacing
from .pick_table import NUMBER_COLUMNS, PickTable
from .quakeml import picks_from_obspy, write_quakeml

SUFFIXES = (".csv", ".parquet", ".xml", ".qml", ".quakeml")


def write_picks(picks: PickTable, path: str | Path) -> None:
    """Write picks in the format of the file's suffix: .csv, .parquet, or .xml/.qml/.quakeml for QuakeML.

    CSV and Parquet are read back equal. The file appears in whole or not at all.
    """
    suffix = _suffix(path)
    if suffix in SUFFIXES[2:]:
        return write_quakeml(picks, path)
    with replacing(path) as temporary:
        if suffix == ".csv":
            picks.frame.assign(time=_iso(picks.frame["time"])).to_csv(temporary, index=False)
        else:
            picks.frame.to_parquet(temporary, index=False)


def read_picks(path: str | Path) -> PickTable:
    """Picks from a file that `write_picks` wrote, or from any QuakeML.

    Raises FileNotFoundError, or ValueError where the columns are not those of a pick table.
    """
    suffix, file = _suffix(path), Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"expected a file of picks, found nothing at {file}")
    if suffix in SUFFIXES[2:]:
        return picks_from_obspy(obspy.read_events(str(file)))
    if suffix == ".parquet":
        return PickTable(pd.read_parquet(file))
    frame = pd.read_csv(file, dtype=str, keep_default_na=False)
    # Python reads back every digit that it wrote; pandas' own fast parser may be off by one in the last.
    numbers = {
        name: frame[name].map(lambda text: float(text or "nan")) for name in NUMBER_COLUMNS if name in frame
    }
    return PickTable(frame.assign(**numbers))


def write_gamma(picks: PickTable, path: str | Path) -> None:
    """The pick file of the GaMMA associator: `id,timestamp,prob,type,amp`, phases in lower case.

    Unknown probabilities are written as 1 and unknown amplitudes as 0, since GaMMA does arithmetic on both.
    """
    frame = picks.frame
    table = pd.DataFrame(
        {
            "id": frame["station_id"],
            "timestamp": frame["time"].dt.strftime("%Y-%m-%dT%H:%M:%S.%f"),
            "prob": frame["probability"].fillna(1.0),
            "type": frame["phase"].str.lower(),
            "amp": frame["amplitude"].fillna(0.0),
        }
    )
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False)


def write_pyocto(picks: PickTable, path: str | Path) -> None:
    """The pick file of the PyOcto associator: `station,phase,time,probability`, seconds since 1970."""
    with replacing(path) as temporary:
        pyocto_picks(picks).to_csv(temporary, index=False, float_format="%.6f")


def pyocto_picks(picks: PickTable) -> pd.DataFrame:
    """Picks as PyOcto takes them in memory: station, phase, time (seconds since 1970) and probability."""
    frame = picks.frame
    return pd.DataFrame(
        {
            "station": frame["station_id"],
            "phase": frame["phase"],
            "time": picks.time_s,
            "probability": frame["probability"],
        }
    )


def _suffix(path: str | Path) -> str:
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(
            f"picks are written and read as {', '.join(SUFFIXES)}, found the suffix {suffix!r} in {path}"
        )
    return suffix


def _iso(times: pd.Series) -> pd.Series:
    """ISO texts to the nanosecond, with a trailing Z."""
    nanoseconds = times.astype("int64") % 10**9
    return times.dt.strftime("%Y-%m-%dT%H:%M:%S.") + nanoseconds.astype(str).str.zfill(9) + "Z"
