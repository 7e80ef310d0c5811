"""A region's files by their paths: archive, stations, picks and events, to records and noise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from ..continuous.archive import Archive
from ..continuous.inventory import ChannelBook
from ..formats.tables import is_event_catalog, is_xml, read_events, read_picks, read_stations
from ..records import Record, Skipped
from .noise import NoiseConfig, noise_records
from .records import RegionConfig, iterate_region_records


@dataclass(frozen=True, kw_only=True)
class RegionFiles:
    """A user's own archive and catalog.

    stations: StationXML (then its orientations, responses and epochs are taken too), or a table.
    picks: QuakeML, Nordic, a HypoInverse archive, or a table.
    events: likewise; None for those of `picks`, where that holds events.
    records, noise: what is made of them.
    """

    stations: str
    picks: str
    events: str | None = None
    records: RegionConfig = field(default_factory=RegionConfig)
    noise: NoiseConfig = field(default_factory=NoiseConfig)


def iterate_region(
    archive: str | Path, files: RegionFiles, seed: int, skipped: list[Skipped]
) -> Iterator[Record]:
    """The records of a region's events, station by station, and then its noise, one in memory at a time.

    skipped: gets what could not be used, with reasons.

    Raises FileNotFoundError where a file is missing, ValueError where it is not what it should be.
    """
    waveforms = Archive.open(archive)
    skipped.extend(waveforms.skipped)
    stations, picks, events = read_stations(files.stations), read_picks(files.picks), _events(files)
    channels = ChannelBook.read(files.stations) if is_xml(Path(files.stations)) else None
    yield from iterate_region_records(waveforms, stations, picks, events, channels, files.records, skipped)
    if files.noise.num_per_station:
        noise, reasons = noise_records(
            waveforms,
            stations,
            picks,
            np.random.default_rng(seed),
            events,
            channels,
            files.noise,
            files.records,
        )
        # What is wrong with the stations and the picks has been told already.
        skipped.extend(reason for reason in reasons if reason not in skipped)
        yield from noise


def _events(files: RegionFiles) -> pd.DataFrame | None:
    if files.events is not None:
        return read_events(files.events)
    return read_events(files.picks) if is_event_catalog(Path(files.picks)) else None
