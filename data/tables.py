"""Stations, picks and events from the tables that seismologists have, in one set of columns."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import obspy
import pandas as pd
from obspy.core.event import Event

from .table_dialects import (
    EVENT_DIALECT,
    MAGNITUDE_KINDS,
    PICK_DIALECT,
    POLARITY_OF,
    STATION_DIALECT,
    numbers,
    read_table,
    times,
    utc_times,
)

logger = logging.getLogger(__name__)

STATION_COLUMNS = ("network", "station", "location", "latitude_deg", "longitude_deg", "elevation_m", "id")
PICK_COLUMNS = ("event_id", "station_id", "phase", "time", "polarity", "evaluation")
EVENT_COLUMNS = (
    "event_id",
    "time",
    "latitude_deg",
    "longitude_deg",
    "depth_km",
    "magnitude",
    "magnitude_type",
)


def read_stations(path: str | Path) -> pd.DataFrame:
    """Where the stations stand: `STATION_COLUMNS`, one row for each NET.STA.LOC (`id`).

    path: StationXML (or any inventory in XML that ObsPy reads), or a text table with a header, as of
        SeisBench, PyOcto or an FDSN service. Codes may be in columns of their own or in one like
        `XX.ABC.00.HHZ`. A location or elevation that is not given is "" or NaN.

    Where a station has moved, its last place counts, and a warning is logged.

    Raises FileNotFoundError, or ValueError with the columns that were expected.
    """
    file = _existing(path, "stations as StationXML or CSV")
    table = _inventory_table(file) if _is_xml(file) else _station_table(file)
    places = ["id", "latitude_deg", "longitude_deg", "elevation_m"]
    moved = table.drop_duplicates(places)
    for station_id in moved.loc[moved["id"].duplicated(), "id"].unique():
        logger.warning("%s: %s stands at several places; the last one is taken", file, station_id)
    table = table.drop_duplicates("id", keep="last").reset_index(drop=True)
    return table[list(STATION_COLUMNS)]


def read_picks(path: str | Path) -> pd.DataFrame:
    """Who picked which phase when: `PICK_COLUMNS`, in order of time.

    path: QuakeML (or any catalog that ObsPy reads), or a text table with a header, as of SeisBench, GaMMA or
        PyOcto.

    Returns `event_id` ("" where a pick belongs to none), `station_id` (NET.STA.LOC, or as much of it as the
    table tells), `phase`, `time` (UTC), `polarity` (positive, negative, undecidable, or "" where nobody
    looked) and `evaluation` (manual, automatic or unknown). Rejected picks are left out, and logged.

    Raises FileNotFoundError, or ValueError with the columns that were expected.
    """
    file = _existing(path, "picks as QuakeML or CSV")
    table = _catalog_picks(file) if _is_catalog(file) else _pick_table(file)
    return table.sort_values("time", kind="stable").reset_index(drop=True)[list(PICK_COLUMNS)]


def read_events(path: str | Path) -> pd.DataFrame:
    """Which earthquakes there were: `EVENT_COLUMNS`, in order of time.

    path: QuakeML (or any catalog that ObsPy reads; the preferred origin and magnitude count), or a text table
        with a header, as of the USGS or GaMMA. `time` is UTC, depth positive down. An event without an id is
        called by its time.

    Raises FileNotFoundError, or ValueError with the columns that were expected.
    """
    file = _existing(path, "events as QuakeML or CSV")
    table = _catalog_events(file) if _is_catalog(file) else _event_table(file)
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


def _is_xml(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(64).lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<")


def _is_catalog(file: Path) -> bool:
    """Whether a file is one of ObsPy's event formats rather than a table."""
    return _is_xml(file) or file.suffix.lower() not in (".csv", ".txt", ".tsv", ".dat")


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


def _inventory_table(file: Path) -> pd.DataFrame:
    """A row for each epoch of a channel, in order of time; of a station where it has no channel."""
    rows = []
    for network in obspy.read_inventory(str(file)):
        for station in network:
            for place in station.channels or [station]:
                start = place.start_date.timestamp if place.start_date else float("-inf")
                location = getattr(place, "location_code", None) or ""
                row = (network.code, station.code, location, place.latitude, place.longitude, place.elevation)
                rows.append((start, *row, f"{network.code}.{station.code}.{location}"))
    if not rows:
        raise ValueError(f"{file} holds no station")
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
    table["evaluation"] = table["evaluation"].where(table["evaluation"] != "", "unknown").str.lower()
    return _without_rejected(table, file)


def _without_rejected(table: pd.DataFrame, file: Path) -> pd.DataFrame:
    rejected = table["evaluation"] == "rejected"
    if rejected.any():
        logger.warning("%s: %d rejected picks are left out", file, int(rejected.sum()))
    return table[~rejected]


def _catalog_picks(file: Path) -> pd.DataFrame:
    rows = [row for event in _read_catalog(file) for row in _event_picks(event)]
    table = pd.DataFrame(rows, columns=list(PICK_COLUMNS))
    return _without_rejected(table.assign(time=utc_times(table["time"])), file)


def _read_catalog(file: Path) -> obspy.Catalog:
    try:
        return obspy.read_events(str(file))
    except Exception as error:  # ObsPy's readers raise nearly anything
        raise ValueError(
            f"{file} is no event format that ObsPy reads ({type(error).__name__}: {error}); "
            "a table must be called .csv, .txt, .tsv or .dat"
        ) from error


def _event_picks(event: Event) -> list[tuple[Any, ...]]:
    origin = event.preferred_origin() or (event.origins[0] if event.origins else None)
    phase_of = {arrival.pick_id.id: arrival.phase for arrival in (origin.arrivals if origin else [])}
    rows = []
    for pick in event.picks:
        phase = phase_of.get(pick.resource_id.id) or pick.phase_hint
        if not phase or pick.waveform_id is None:
            logger.warning("pick %s names no phase or no station: left out", pick.resource_id.id)
            continue
        stream = pick.waveform_id
        station_id = f"{stream.network_code or ''}.{stream.station_code}.{stream.location_code or ''}"
        evaluation = "rejected" if pick.evaluation_status == "rejected" else pick.evaluation_mode or "unknown"
        row = (event.resource_id.id, station_id, phase, pick.time.timestamp, pick.polarity or "", evaluation)
        rows.append(row)
    return rows


def _event_table(file: Path) -> pd.DataFrame:
    table = read_table(file, EVENT_DIALECT, ("time", "latitude_deg", "longitude_deg"))
    unnamed = table["event_id"] == ""
    table["event_id"] = table["event_id"].where(~unnamed, table["time"])
    table["time"] = times(table["time"], file)
    for kind in MAGNITUDE_KINDS:
        nameless = (table["magnitude"] == "") & (table[kind] != "")
        table.loc[nameless, "magnitude_type"] = kind
        table["magnitude"] = table["magnitude"].where(~nameless, table[kind])
    for column in ("latitude_deg", "longitude_deg", "depth_km", "magnitude"):
        table[column] = numbers(table[column], file, column)
    return table


def _catalog_events(file: Path) -> pd.DataFrame:
    rows = []
    for event in _read_catalog(file):
        origin = event.preferred_origin() or (event.origins[0] if event.origins else None)
        if origin is None or origin.time is None:
            logger.warning("%s: event %s has no origin: left out", file, event.resource_id.id)
            continue
        magnitude = event.preferred_magnitude() or (event.magnitudes[0] if event.magnitudes else None)
        rows.append(
            (
                event.resource_id.id,
                origin.time.timestamp,
                origin.latitude,
                origin.longitude,
                None if origin.depth is None else origin.depth / 1e3,
                magnitude.mag if magnitude else None,
                (magnitude.magnitude_type or "") if magnitude else "",
            )
        )
    float_columns = dict.fromkeys(("latitude_deg", "longitude_deg", "depth_km", "magnitude"), float)
    table = pd.DataFrame(rows, columns=list(EVENT_COLUMNS)).astype(float_columns)
    return table.assign(time=utc_times(table["time"]))
