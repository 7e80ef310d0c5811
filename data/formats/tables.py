"""Stations, picks and events from the tables that seismologists have, in one set of columns."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Any

import obspy
import pandas as pd

from .catalogs.columns import EVENT_COLUMNS, ONSET_OF, PICK_COLUMNS, POLARITY_OF, without_rejected
from .catalogs.hypoinverse import hypoinverse_events, hypoinverse_picks, is_hypoinverse
from .catalogs.obspy_events import obspy_events, obspy_picks
from .table_dialects import (
    EVENT_DIALECT,
    MAGNITUDE_KINDS,
    PICK_DIALECT,
    STATION_DIALECT,
    numbers,
    read_table,
    times,
)

logger = logging.getLogger(__name__)

_TABLES = (".csv", ".txt", ".tsv", ".dat")

STATION_COLUMNS = ("network", "station", "location", "latitude_deg", "longitude_deg", "elevation_m", "id")


def read_stations(path: str | Path) -> pd.DataFrame:
    """Where the stations stand: `STATION_COLUMNS`, one row for each NET.STA.LOC (`id`).

    path: StationXML (or any inventory in XML that ObsPy reads), or a text table with a header, as of
        SeisBench, PyOcto or an FDSN service. Codes may be in columns of their own or in one like
        `XX.ABC.00.HHZ`. A location or elevation that is not given is "" or NaN.

    Where a station has moved, its last place counts, and a warning is logged.

    Raises FileNotFoundError, or ValueError with the columns that were expected.
    """
    file = _existing(path, "stations as StationXML or CSV")
    if is_xml(file):
        return inventory_stations(obspy.read_inventory(str(file)), str(file))
    return _last_places(_station_table(file), str(file))


def inventory_stations(inventory: obspy.Inventory, source: str = "the inventory") -> pd.DataFrame:
    """Where the stations of an inventory stand, as `read_stations` tells it.

    Raises ValueError where it holds no station.
    """
    return _last_places(_inventory_table(inventory, source), source)


def _last_places(table: pd.DataFrame, source: str) -> pd.DataFrame:
    places = ["id", "latitude_deg", "longitude_deg", "elevation_m"]
    moved = table.drop_duplicates(places)
    for station_id in moved.loc[moved["id"].duplicated(), "id"].unique():
        logger.warning("%s: %s stands at several places; the last one is taken", source, station_id)
    table = table.drop_duplicates("id", keep="last").reset_index(drop=True)
    return table[list(STATION_COLUMNS)]


def read_picks(path: str | Path) -> pd.DataFrame:
    """Who picked which phase when: `PICK_COLUMNS`, in order of time.

    path: QuakeML, Nordic or any catalog that ObsPy reads; a Y2000 archive of HypoInverse; or a text table
        with a header, as of SeisBench, GaMMA or PyOcto.

    Returns `event_id` ("" where a pick belongs to none), `station_id` (NET.STA.LOC, or as much of it as the
    table tells), `phase`, `time` (UTC), `polarity` (positive, negative, undecidable, or "" where nobody
    looked), `evaluation` (manual, automatic or unknown), `onset` (impulsive, emergent, questionable or ""),
    `uncertainty_s` and `probability` (NaN where nobody says) and `author`. Rejected picks are left out, and
    logged.

    Raises FileNotFoundError, or ValueError with the columns that were expected.
    """
    file = _existing(path, "picks as QuakeML, HypoInverse archive, Nordic or CSV")
    table = _read_as(file, obspy_picks, hypoinverse_picks, _pick_table)
    return table.sort_values("time", kind="stable").reset_index(drop=True)[list(PICK_COLUMNS)]


def read_events(path: str | Path) -> pd.DataFrame:
    """Which earthquakes there were: `EVENT_COLUMNS`, in order of time.

    path: QuakeML, Nordic or any catalog that ObsPy reads (the preferred origin and magnitude count); an
        archive, summary or printed list of HypoInverse; or a text table with a header, as of the USGS.

    `time` is UTC, depth positive down. An event without an id is called by its time. `event_type` is the
    catalog's own word (see `event_types`); `magnitudes` and `mechanisms` list all of them, in the form of a
    record's `source_magnitudes` and `source_mechanisms`.

    Raises FileNotFoundError, or ValueError with the columns that were expected.
    """
    file = _existing(path, "events as QuakeML, HypoInverse archive, Nordic or CSV")
    table = _read_as(file, obspy_events, hypoinverse_events, _event_table)
    return table.sort_values("time", kind="stable").reset_index(drop=True)[list(EVENT_COLUMNS)]


def station_id_of_codes(text: str) -> str:
    """NET.STA.LOC from `NET.STA`, `NET.STA.LOC` or `NET.STA.LOC.CHA`; a lone station code stays as it is."""
    parts = text.strip().split(".")
    return ".".join([*parts, ""][:3]) if len(parts) > 1 else parts[0]


def _existing(path: str | Path, expected: str) -> Path:
    if not Path(path).is_file():
        raise FileNotFoundError(f"no file {path}: expected {expected}")
    if Path(path).stat().st_size == 0:
        raise ValueError(f"{path} is empty (0 bytes): expected {expected}")
    return Path(path)


def is_event_catalog(file: Path) -> bool:
    """Whether a file of picks tells of events too: one of ObsPy's formats or HypoInverse's, and no table."""
    return is_xml(file) or is_hypoinverse(file) or file.suffix.lower() not in _TABLES


def is_xml(file: Path) -> bool:
    """Whether a file begins like XML."""
    with file.open("rb") as opened:
        return opened.read(64).lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<")


def _read_as(
    file: Path,
    catalog: Callable[[Path], pd.DataFrame],
    hypoinverse: Callable[[Path], pd.DataFrame],
    table: Callable[[Path], pd.DataFrame],
) -> pd.DataFrame:
    """A file by the reader of its kind, which its first line tells, else its name."""
    if is_xml(file):
        return catalog(file)
    if is_hypoinverse(file):
        return hypoinverse(file)
    return (table if file.suffix.lower() in _TABLES else catalog)(file)


def _station_table(file: Path) -> pd.DataFrame:
    table = read_table(file, STATION_DIALECT, ("latitude_deg", "longitude_deg"))
    if (table["id"] == "").all() and (table["station"] == "").all():
        raise ValueError(f"{file} must name the stations: expected columns network and station, or id")
    for column in ("latitude_deg", "longitude_deg", "elevation_m"):
        table[column] = numbers(table[column], file, column)
    # The codes may stand in a column called id or, together, in the one called station.
    whole = table["id"].where(~table["station"].str.contains(".", regex=False), table["station"])
    own = table["network"] + "." + table["station"] + "." + table["location"]
    has_codes = (
        (table["station"] != "") & ~table["station"].str.contains(".", regex=False) & (table["network"] != "")
    )
    joined = own.where(has_codes, whole.where(whole != "", table["station"]))
    table["id"] = joined.map(station_id_of_codes)
    parts = table["id"].map(lambda code: code.split(".") if "." in code else ["", code, ""])
    for position, column in enumerate(("network", "station", "location")):
        table[column] = parts.str[position]
    return table


def _inventory_table(inventory: obspy.Inventory, source: str) -> pd.DataFrame:
    """A row for each epoch of a channel, in order of time; of a station where it has no channel."""
    rows = []
    for network in inventory:
        for station in network:
            for place in station.channels or [station]:
                start = place.start_date.timestamp if place.start_date else float("-inf")
                location = getattr(place, "location_code", None) or ""
                row = (network.code, station.code, location, place.latitude, place.longitude, place.elevation)
                rows.append((start, *row, f"{network.code}.{station.code}.{location}"))
    if not rows:
        raise ValueError(f"{source} holds no station")
    rows.sort(key=lambda row: row[0])
    return pd.DataFrame([row[1:] for row in rows], columns=list(STATION_COLUMNS))


def _pick_table(file: Path) -> pd.DataFrame:
    table = read_table(file, PICK_DIALECT, ("station_id", "phase", "time"))
    lone = ~table["station_id"].str.contains(".", regex=False) & (table["network"] != "")
    full = table["network"] + "." + table["station_id"] + "." + table["location"]
    table["station_id"] = table["station_id"].where(~lone, full).map(station_id_of_codes)
    # GaMMA marks a pick of no event by -1.
    table["event_id"] = table["event_id"].where(~table["event_id"].isin(["-1", "-1.0", "nan", "None"]), "")
    table["phase"] = table["phase"].replace({"p": "P", "s": "S"})
    table["time"] = times(table["time"], file)
    table["polarity"] = [POLARITY_OF.get(cell.lower(), "") for cell in table["polarity"]]
    table["onset"] = [ONSET_OF.get(cell.lower(), "") for cell in table["onset"]]
    table["evaluation"] = table["evaluation"].where(table["evaluation"] != "", "unknown").str.lower()
    for column in ("uncertainty_s", "probability"):
        table[column] = numbers(table[column], file, column)
    return without_rejected(table, file)


def _event_table(file: Path) -> pd.DataFrame:
    table = read_table(file, EVENT_DIALECT, ("time", "latitude_deg", "longitude_deg"))
    unnamed = table["event_id"] == ""
    table["event_id"] = table["event_id"].where(~unnamed, table["time"])
    table["time"] = times(table["time"], file)
    for column in ("latitude_deg", "longitude_deg", "depth_km", "magnitude", *MAGNITUDE_KINDS):
        table[column] = numbers(table[column], file, column)
    for kind in MAGNITUDE_KINDS:
        nameless = table["magnitude"].isna() & table[kind].notna()
        table.loc[nameless, "magnitude_type"] = kind
        table["magnitude"] = table["magnitude"].where(~nameless, table[kind])
    table["magnitudes"] = [_all_magnitudes(row) for row in table.to_dict("records")]
    return table.assign(mechanisms=[[] for _ in range(len(table))])


def _all_magnitudes(row: Mapping[Hashable, Any]) -> list[dict[str, Any]]:
    """The magnitude, and those of other kinds that have a column of their own."""
    others = {kind: row[kind] for kind in MAGNITUDE_KINDS if kind != row["magnitude_type"]}
    return [
        {"value": value, "type": kind or None, "author": None, "uncertainty": None}
        for kind, value in ({row["magnitude_type"]: row["magnitude"]} | others).items()
        if not pd.isna(value)
    ]
