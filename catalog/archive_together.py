"""All stations of an archive's day picked together, for a model whose heads listen to other stations."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime, time

import obspy
import pandas as pd

from ..data.continuous.archive import DAY_S, Archive
from ..data.records import Skipped
from .pick_table import PickTable
from .picker import Picker
from .station_places import places_of

PIECE_S = 3600.0
"""All stations are in memory for so long a time, not for a day."""


def pick_date(
    archive: Archive, picker: Picker, day: date, station_ids: Sequence[str], places: pd.DataFrame
) -> tuple[PickTable, list[Skipped], list[Skipped]]:
    """The picks of all stations on a UTC day, what was skipped, and the station-days that could not be read.

    The day is read in pieces of `PIECE_S` with a window's length of their neighbours on either side. A
    station of which a piece cannot be read is left out of it, and named among the last.
    """
    midnight = datetime.combine(day, time(), UTC).timestamp()
    num_known_faults = len(archive.skipped)
    tables: list[PickTable] = []
    skipped: list[Skipped] = []
    unread: dict[str, Skipped] = {}
    for number in range(round(DAY_S / PIECE_S)):
        begin, end = midnight + number * PIECE_S, midnight + (number + 1) * PIECE_S
        stream = obspy.Stream()
        for station_id in station_ids:
            try:
                stream += archive.read(station_id, begin - picker.window_s, end + picker.window_s)
            except Exception as error:  # one bad station must not cost the others
                name = f"{station_id} {day}"
                unread.setdefault(name, Skipped(name, f"{type(error).__name__}: {error}"))
        result = picker.classify(stream, places)
        tables.append(result.picks.between(begin, end))
        skipped += result.skipped
    skipped = archive.skipped[num_known_faults:] + skipped
    return PickTable.concat(tables), list(dict.fromkeys(skipped)), list(unread.values())


def network_fingerprint(station_ids: Collection[str], places: pd.DataFrame) -> str:
    """Twelve digits of the SHA-256 of which stations stand where: each one's picks depend on it."""
    names = sorted(station_ids)
    table = places_of(names, places)[0]
    lines = [f"{name} {' '.join(map(repr, row))}" for name, row in zip(names, table.tolist(), strict=True)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]
