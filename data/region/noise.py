"""A region's noise: stretches of its archive in which no known event can be seen."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ..continuous.archive import Archive
from ..continuous.inventory import ChannelBook
from ..continuous.streams import stream_to_records
from ..records import Record, Skipped
from .events import Heard, KnownEvents
from .records import UNPICKED_STATION, RegionConfig, about_station
from .station_picks import StationPick, picks_by_station

_TRIES = 50
"""Places that are tried for each window that is wanted: day files may have little in them."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoiseConfig:
    """Which noise is taken from a region's archive.

    num_per_station: windows of each station. duration_s: their length.
    clearance_s: kept from every pick of the station, from every origin, and from the time in which a known
        event's waves can pass the station, from its first P to its last S.
    """

    num_per_station: int = 10
    duration_s: float = 60.0
    clearance_s: float = 120.0

    def __post_init__(self) -> None:
        if self.num_per_station < 0 or self.duration_s <= 0 or self.clearance_s < 0:
            raise ValueError(
                "num_per_station and clearance_s must not be negative and duration_s be positive, found "
                f"{self.num_per_station}, {self.clearance_s:g} and {self.duration_s:g}"
            )


def noise_records(
    archive: Archive,
    stations: pd.DataFrame,
    picks: pd.DataFrame,
    generator: np.random.Generator,
    events: pd.DataFrame | None = None,
    channels: ChannelBook | None = None,
    noise: NoiseConfig | None = None,
    config: RegionConfig | None = None,
) -> tuple[list[Record], list[Skipped]]:
    """Windows away from every known event, at random places: P and S are labelled as absent.

    Only stations with picks are used: of the others nobody knows when they are quiet. The rest is as in
    `iterate_region_records`. Events of any distance count, and of the catalog also those that nobody picked.
    """
    noise, config = noise or NoiseConfig(), config or RegionConfig()
    skipped: list[Skipped] = []
    records: list[Record] = []
    known = KnownEvents(events, config.event_words, config.reach_km)
    by_station = picks_by_station(picks, archive.station_ids, skipped)
    skipped.extend(Skipped(name, UNPICKED_STATION) for name in archive.station_ids if name not in by_station)
    for station_id, own in by_station.items():
        place = about_station(stations, station_id, skipped)
        heard = known.heard_at(place)
        quiet = _quiet_records(archive, station_id, busy_times(own, heard), generator, noise, config.unit)
        for record in quiet:
            about = place | ({} if channels is None else channels.about(record, skipped))
            records.append(as_noise(record, about))
        if len(quiet) < noise.num_per_station:
            reason = (
                f"only {len(quiet)} of {noise.num_per_station} windows of noise: the others have too few "
                f"data or lie within {noise.clearance_s:g} s of a pick or an event"
            )
            skipped.append(Skipped(station_id, reason))
    return records, skipped


def busy_times(picks: Sequence[StationPick], heard: Heard) -> np.ndarray:
    """Start and end of what a station is known to record, `(stretch, 2)`, UTC seconds: picks and events."""
    times = np.array([pick.time for pick in picks])
    return np.concatenate([np.stack([times, times], axis=1), np.stack([heard.origin, heard.s_last], axis=1)])


def as_noise(record: Record, about: Mapping[str, object]) -> Record:
    """A record as noise: P and S are labelled as absent."""
    return dataclasses.replace(
        record,
        record_id=f"noise/{record.record_id}",
        labelled_phases=frozenset({"P", "S"}),
        metadata={**record.metadata, **about, "source_type": "noise"},
    )


def _quiet_records(
    archive: Archive,
    station_id: str,
    busy: np.ndarray,
    generator: np.random.Generator,
    noise: NoiseConfig,
    unit: str,
) -> list[Record]:
    """Windows of one station at random quiet places, as many as are wanted or can be found."""
    clear = busy + np.array([-noise.clearance_s, noise.clearance_s])
    places = quiet_places(archive.spans(station_id), clear, noise.duration_s)
    quiet: list[Record] = []
    for start in _draw(places, _TRIES * noise.num_per_station, generator):
        if len(quiet) >= noise.num_per_station:
            break
        if any(abs(start - record.start_time) < record.duration_s for record in quiet):
            continue
        # ObsPy includes the last sample, which belongs to the next window.
        stream = archive.read(station_id, start, start + noise.duration_s * (1 - 1e-6))
        found, _ = stream_to_records(
            stream, max_gap_s=math.inf, min_duration_s=0.9 * noise.duration_s, unit=unit
        )
        quiet.extend(found[: noise.num_per_station - len(quiet)])
    return quiet


def quiet_places(
    spans: list[tuple[float, float]], busy: np.ndarray, duration_s: float
) -> list[tuple[float, float]]:
    """Where a window may start: inside of a file, and clear of every busy `(stretch, start and end)`."""
    places = []
    ordered = busy[np.argsort(busy[:, 0], kind="stable")]
    for start, end in spans:
        earliest, latest = start, end - duration_s
        for first, last in ordered[(ordered[:, 1] > start) & (ordered[:, 0] < end)].tolist():
            places.append((earliest, min(latest, first - duration_s)))
            earliest = max(earliest, last)
        places.append((earliest, latest))
    return [(first, last) for first, last in places if first < last]


def _draw(places: list[tuple[float, float]], number: int, generator: np.random.Generator) -> list[float]:
    """Times uniformly from some intervals."""
    if not places:
        return []
    first = np.array([start for start, _ in places])
    lengths = np.array([end - start for start, end in places])
    chosen = generator.choice(len(places), size=number, p=lengths / lengths.sum())
    return (first[chosen] + generator.random(number) * lengths[chosen]).tolist()
