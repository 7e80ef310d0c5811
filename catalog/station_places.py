"""Where the stations of picks and records stand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import obspy
import pandas as pd

from ..data.formats.tables import inventory_stations, read_stations
from ..data.records import Skipped

Stations: TypeAlias = pd.DataFrame | obspy.Inventory | str | Path
"""A table as `read_stations` gives it, an inventory, or the file of either."""


def station_table(stations: Stations) -> pd.DataFrame:
    """Stations in any form as the table of `read_stations`.

    Raises FileNotFoundError, or ValueError with the columns that were expected.
    """
    if isinstance(stations, obspy.Inventory):
        return inventory_stations(stations)
    if isinstance(stations, str | Path):
        return read_stations(stations)
    expected = ["id", "network", "station", "latitude_deg", "longitude_deg", "elevation_m"]
    if absent := [name for name in expected if name not in stations.columns]:
        raise ValueError(
            f"stations must be a table with the columns {expected}, found without {absent}: "
            "`read_stations` reads StationXML and CSV"
        )
    return stations


def station_rows(station_ids: pd.Series, stations: pd.DataFrame) -> pd.Series:
    """The index in a table of each NET.STA.LOC, else of its network and station code; NaN where absent."""
    by_code = stations["network"] + "." + stations["station"]
    exact = dict(zip(stations["id"], stations.index, strict=True))
    # A table without location codes still names its stations; the first entry stands for all locations.
    loose = dict(zip(by_code[::-1], stations.index[::-1], strict=True))
    return station_ids.map(lambda name: exact.get(name, loose.get(site_of(name))))


def site_of(station_id: str) -> str:
    """NET.STA of NET.STA.LOC."""
    return ".".join(station_id.split(".")[:2])


def places_of(station_ids: Sequence[str], stations: pd.DataFrame) -> tuple[np.ndarray, list[Skipped]]:
    """Latitude and longitude in degrees and elevation in metres `(station, 3)`, NaN where nobody knows.

    An unknown elevation is taken as 0 m, and told.
    """
    places = np.full((len(station_ids), 3), np.nan)
    found = station_rows(pd.Series(list(station_ids), dtype=object), stations)
    known = found.notna().to_numpy(bool)
    columns = ["latitude_deg", "longitude_deg", "elevation_m"]
    places[known] = stations.loc[found[known].to_numpy(), columns].to_numpy(float)
    placed = np.isfinite(places[:, :2]).all(axis=1)
    low = placed & ~np.isfinite(places[:, 2])
    places[low, 2] = 0.0
    places[~placed] = np.nan
    notes = [
        Skipped(station_ids[row], "elevation unknown: taken as 0 m") for row in np.flatnonzero(low).tolist()
    ]
    return places, list(dict.fromkeys(notes))
