"""A noise bank: real noise from any archive, with known events cut out and unknown ones vetoed."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from ..continuous.archive import Archive
from ..continuous.inventory import ChannelBook
from ..continuous.streams import stream_to_records
from ..formats.tables import is_event_catalog, is_xml, read_events, read_picks, read_stations
from ..records import Record, Skipped
from ..region.events import KnownEvents
from ..region.noise import as_noise, busy_times, quiet_places
from ..region.records import UNPICKED_STATION, about_station
from ..region.station_picks import StationPick, picks_by_station
from .noise_veto import VetoConfig, veto

_CHUNK_S = 3600.0
"""So much of an archive is read at once."""

_LEAST_SHARE = 0.9
"""Of a window at the edge of the data."""

UNLISTED = "neither picks nor events are known of it: only the veto keeps earthquakes out of its noise"


@dataclass(frozen=True, kw_only=True)
class NoiseBankConfig:
    """Which noise is taken from an archive.

    duration_s: of the windows, which lie side by side. max_per_station: at most so many of each station,
        spread over all of its time; None for all.
    clearance_s: kept free before and after every pick of the station and the time in which a listed event's
        waves can pass it, from its origin to its last S.
    veto: what is left out though no event is listed. None takes everything.
    reach_km: how far an event may be whose place is unknown. event_words: see `RegionConfig`.
    unit: of the archive's samples.
    """

    duration_s: float = 60.0
    max_per_station: int | None = None
    clearance_s: tuple[float, float] = (10.0, 120.0)
    veto: VetoConfig | None = field(default_factory=VetoConfig)
    reach_km: float = 150.0
    event_words: str = "quakeml"
    unit: str = "counts"

    def __post_init__(self) -> None:
        if self.duration_s <= 0 or min(self.clearance_s) < 0:
            raise ValueError(
                "duration_s must be positive and clearance_s not negative, found "
                f"{self.duration_s:g} and {self.clearance_s}"
            )
        if self.max_per_station is not None and self.max_per_station < 1:
            raise ValueError(f"max_per_station must be at least 1 or null, found {self.max_per_station}")


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is known of an archive, each None where nobody knows it.

    stations, picks, events: tables as `read_stations`, `read_picks` and `read_events` give them.
    channels: orientations and responses.
    """

    stations: pd.DataFrame | None = None
    picks: pd.DataFrame | None = None
    events: pd.DataFrame | None = None
    channels: ChannelBook | None = None


def read_known(stations: Path | None = None, picks: Path | None = None, catalog: Path | None = None) -> Known:
    """What files tell, each None where there is none; a catalog in QuakeML and the like brings its picks.

    Raises FileNotFoundError where a file is missing, ValueError where it is not what it should be.
    """
    with_picks = picks or (catalog if catalog is not None and is_event_catalog(catalog) else None)
    return Known(
        stations=None if stations is None else read_stations(stations),
        picks=None if with_picks is None else read_picks(with_picks),
        events=None if catalog is None else read_events(catalog),
        channels=ChannelBook.read(stations) if stations is not None and is_xml(stations) else None,
    )


def cut_noise(
    archive: Archive, known: Known, skipped: list[Skipped], config: NoiseBankConfig | None = None
) -> Iterator[Record]:
    """Windows in which an archive shows no event, station by station: P and S are labelled as absent.

    A station without picks is used only where events are listed, whose waves are then cut out by their travel
    times, or where nothing at all is known of the archive, which is told. `metadata["trace_quiet_by"]` says
    what a window's quiet rests on: catalog, veto, or both.

    skipped: gets every vetoed window and unused station, with reasons.
    """
    config = config or NoiseBankConfig()
    book = KnownEvents(known.events, config.event_words, config.reach_km)
    picks: dict[str, list[StationPick]] = {}
    if known.picks is not None:
        picks = picks_by_station(known.picks, archive.station_ids, skipped)
    for station_id in archive.station_ids:
        if station_id not in picks and known.events is None:
            skipped.append(Skipped(station_id, UNLISTED if known.picks is None else UNPICKED_STATION))
            if known.picks is not None:
                continue
        place = {} if known.stations is None else about_station(known.stations, station_id, skipped)
        busy = busy_times(picks.get(station_id, []), book.heard_at(place))
        by = [] if known.picks is None and known.events is None else ["catalog"]
        about = place | {"trace_quiet_by": " and ".join(by + ["veto"] * (config.veto is not None))}
        for record in _quiet_windows(archive, station_id, busy, skipped, config):
            channels = {} if known.channels is None else known.channels.about(record, skipped)
            yield as_noise(record, about | channels)


def _quiet_windows(
    archive: Archive, station_id: str, busy: np.ndarray, skipped: list[Skipped], config: NoiseBankConfig
) -> Iterator[Record]:
    """A station's windows that are clear of what is known and pass the veto."""
    before_s, after_s = config.clearance_s
    clear = busy + np.array([-before_s, after_s])
    starts = _side_by_side(quiet_places(archive.spans(station_id), clear, config.duration_s), config)
    found = 0
    for chunk in _chunks(_spread(starts, config.max_per_station), config.duration_s):
        for record in _windows_at(archive, station_id, chunk, skipped, config):
            if config.max_per_station is not None and found >= config.max_per_station:
                return
            reason = None if config.veto is None else veto(record, config.veto)
            if reason is None:
                found += 1
                yield record
            else:
                skipped.append(Skipped(record.record_id, f"not taken for noise: {reason}"))


def _side_by_side(places: list[tuple[float, float]], config: NoiseBankConfig) -> np.ndarray:
    """Where windows start, in order and without overlap; each place is first and last possible start."""
    starts: list[float] = []
    for earliest, last in sorted(places):
        first = max(earliest, starts[-1] + config.duration_s) if starts else earliest
        count = math.floor((last - first) / config.duration_s) + 1
        starts += [first + number * config.duration_s for number in range(count)]
    return np.array(starts)


def _spread(starts: np.ndarray, most: int | None) -> np.ndarray:
    """The starts in the order in which they are tried: all in turn, or from all over the time.

    A golden-ratio sequence visits the whole time evenly, however many of its windows the veto leaves.
    """
    if most is None:
        return starts
    golden = (np.arange(len(starts)) * 0.6180339887498949) % 1.0
    return starts[np.argsort(golden, kind="stable")]


def _chunks(starts: np.ndarray, duration_s: float) -> Iterator[np.ndarray]:
    """Neighbouring starts that are read at once."""
    first = 0
    for last in range(1, len(starts) + 1):
        is_end = last == len(starts)
        if (
            is_end
            or abs(starts[last] - starts[last - 1] - duration_s) > 1e-3
            or (starts[last] - starts[first] >= _CHUNK_S)
        ):
            yield starts[first:last]
            first = last


def _windows_at(
    archive: Archive, station_id: str, starts: np.ndarray, skipped: list[Skipped], config: NoiseBankConfig
) -> Iterator[Record]:
    """The windows at some neighbouring starts, of each instrument of the station, whole or nearly so."""
    # ObsPy includes the last sample, which belongs to the next window.
    until = starts[-1] + config.duration_s * (1 - 1e-6)
    stream = archive.read(station_id, float(starts[0]), float(until))
    found, reasons = stream_to_records(stream, max_gap_s=math.inf, unit=config.unit)
    skipped.extend(reasons)
    for whole in found:
        num_samples = round(config.duration_s * whole.sampling_rate_hz)
        for start in starts.tolist():
            first = round((start - whole.start_time) * whole.sampling_rate_hz)
            begin, end = max(first, 0), max(first + num_samples, 0)
            window = dataclasses.replace(
                whole,
                record_id=f"{whole.record_id}/{begin}",
                waveform=whole.waveform[:, begin:end],
                start_time=whole.start_time + begin / whole.sampling_rate_hz,
            )
            if window.waveform.shape[1] >= _LEAST_SHARE * num_samples:
                yield window
            else:
                reason = f"only {window.duration_s:g} of {config.duration_s:g} s are there"
                skipped.append(Skipped(window.record_id, reason))
