"""A region's own training set: continuous waveforms and the picks that somebody made on them, as records."""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..continuous.archive import Archive
from ..continuous.inventory import ChannelBook
from ..continuous.streams import stream_to_records
from ..records import PHASE_FAMILY, Record, Skipped
from .events import TYPICAL_P, TYPICAL_S, Heard, KnownEvents
from .station_picks import StationPick, picks_by_station

_PICKED_REACH_S = 60.0
"""An event whose last pick is up to this long before a record may still send its S into it."""


UNPICKED_STATION = "data without picks: not used, since a station that nobody picked is not known to be quiet"


@dataclass(frozen=True, kw_only=True)
class RegionConfig:
    """How a region's files become records.

    window_before_s, window_after_s: a record runs from so long before the first pick of its event to so long
        after the last, as far as there are data.
    unit: of the archive's samples.
    include_unpicked: also give a record of each event at each station with data within reach where nobody
        picked it, without labels: P and S are unknown there, and no loss takes them for noise.
    reach_km: up to this hypocentral distance a station may have heard an event that nobody picked there.
    event_words: whose words the catalog's event types are, a key of `EVENT_TYPE_WORDS`.
    """

    window_before_s: float = 30.0
    window_after_s: float = 60.0
    unit: str = "counts"
    include_unpicked: bool = False
    reach_km: float = 150.0
    event_words: str = "quakeml"

    def __post_init__(self) -> None:
        if min(self.window_before_s, self.window_after_s) < 0 or self.reach_km <= 0:
            raise ValueError(
                "window_before_s and window_after_s must not be negative and reach_km be positive, found "
                f"{self.window_before_s:g}, {self.window_after_s:g} and {self.reach_km:g}"
            )


def make_region_records(
    archive: Archive,
    stations: pd.DataFrame,
    picks: pd.DataFrame,
    events: pd.DataFrame | None = None,
    channels: ChannelBook | None = None,
    config: RegionConfig | None = None,
) -> tuple[list[Record], list[Skipped]]:
    """The records of `iterate_region_records` in memory, and what could not be used."""
    skipped: list[Skipped] = []
    settings = config or RegionConfig()
    return list(
        iterate_region_records(archive, stations, picks, events, channels, settings, skipped)
    ), skipped


def iterate_region_records(
    archive: Archive,
    stations: pd.DataFrame,
    picks: pd.DataFrame,
    events: pd.DataFrame | None,
    channels: ChannelBook | None,
    config: RegionConfig,
    skipped: list[Skipped],
) -> Iterator[Record]:
    """One record for each event at each station and instrument that has a pick of it, station by station.

    archive: the waveforms.
    stations, picks, events: as `read_stations`, `read_picks` and `read_events` give them.
    channels: what StationXML tells of the channels; their place at the time counts before `stations`.
    skipped: gets what could not be used.

    The record's event is its event 0. Every other pick of the station in the record is listed as well, those
    of one event under one number. A phase counts as labelled where each event that can be seen in the record
    has a pick of it: an event with P alone leaves S unknown there, and an event of the catalog that nobody
    picked at the station leaves unknown each phase that it may send into the record. Without a catalog the
    labels are as complete as the picks are. Stations are matched as in `picks_by_station`.

    Raises ValueError where a table lacks columns.
    """
    num_known_faults = len(archive.skipped)
    known = KnownEvents(events, config.event_words, config.reach_km)
    by_station = picks_by_station(picks, archive.station_ids, skipped)
    for station_id in archive.station_ids:
        own = by_station.get(station_id, [])
        if not own and not config.include_unpicked:
            skipped.append(Skipped(station_id, UNPICKED_STATION))
            continue
        place = about_station(stations, station_id, skipped)
        picked = {pick.event_id for pick in own}
        station = _Station(
            station_id=station_id,
            place=place,
            picks=own,
            unpicked=known.heard_at(place).unpicked(picked, config.reach_km),
        )
        yield from _picked_records(archive, station, known, channels, config, skipped)
        if config.include_unpicked:
            yield from _unpicked_records(archive, station, known, channels, config, skipped)
    skipped.extend(archive.skipped[num_known_faults:])


def about_station(stations: pd.DataFrame, station_id: str, skipped: list[Skipped]) -> dict[str, Any]:
    """A station's place as metadata, by its id or else by NET.STA."""
    rows = stations[stations["id"] == station_id]
    if rows.empty:
        rows = stations[stations["network"] + "." + stations["station"] == station_id.rpartition(".")[0]]
    if rows.empty:
        skipped.append(Skipped(station_id, "not in the station table: its records have no coordinates"))
        return {}
    names = ("latitude_deg", "longitude_deg", "elevation_m")
    return {f"station_{name}": float(rows.iloc[0][name]) for name in names if not pd.isna(rows.iloc[0][name])}


@dataclass(frozen=True, kw_only=True)
class _Station:
    """What is known of a station: its place, its picks, and when it may hear the events that lack one."""

    station_id: str
    place: dict[str, Any]
    picks: list[StationPick]
    unpicked: Heard


def _picked_records(
    archive: Archive,
    station: _Station,
    known: KnownEvents,
    channels: ChannelBook | None,
    config: RegionConfig,
    skipped: list[Skipped],
) -> Iterator[Record]:
    """The records of the events with picks here."""
    event_ids = list(dict.fromkeys(pick.event_id for pick in station.picks if pick.has_event))
    for event_id in event_ids:
        times = [pick.time for pick in station.picks if pick.event_id == event_id]
        start, end = min(times) - config.window_before_s, max(times) + config.window_after_s
        stream = archive.read(station.station_id, start, end)
        item = f"event {event_id} at {station.station_id}"
        found, reasons = stream_to_records(stream, max_gap_s=math.inf, unit=config.unit)
        skipped.extend(Skipped(f"{item}: {note.item}", note.reason) for note in reasons)
        if not found:
            skipped.append(Skipped(item, "the archive has no data around its picks"))
        for record in found:
            if _sees(record, event_id, station, skipped):
                about = _metadata(record, event_id, station, known, channels, skipped)
                yield _labelled(record, event_id, station, about, _complete_phases(record, station))
    num_loose = sum(not pick.has_event for pick in station.picks)
    if num_loose:
        reason = f"{num_loose} picks without an event_id make no record, but are listed in those of others"
        skipped.append(Skipped(station.station_id, reason))
    absent = [event_id for event_id in event_ids if known.is_known and event_id not in known]
    if absent:
        reason = f"events {absent} are not in the event table: no magnitude, no distance"
        skipped.append(Skipped(station.station_id, reason))


def _unpicked_records(
    archive: Archive,
    station: _Station,
    known: KnownEvents,
    channels: ChannelBook | None,
    config: RegionConfig,
    skipped: list[Skipped],
) -> Iterator[Record]:
    """The records of the events within reach that nobody picked here, without a label of their own."""
    heard, spans = station.unpicked, archive.spans(station.station_id)
    for event_id, origin, distance_km in zip(
        heard.event_ids, heard.origin.tolist(), heard.distance_km.tolist(), strict=True
    ):
        start = origin + distance_km / TYPICAL_P - config.window_before_s
        end = origin + distance_km / TYPICAL_S + config.window_after_s
        # A station without data at that time has nothing to tell; one without coordinates cannot be asked.
        if math.isnan(distance_km) or not any(first < end and last > start for first, last in spans):
            continue
        stream = archive.read(station.station_id, start, end)
        item = f"event {event_id} at {station.station_id}"
        found, reasons = stream_to_records(stream, max_gap_s=math.inf, unit=config.unit)
        skipped.extend(Skipped(f"{item}: {note.item}", note.reason) for note in reasons)
        for record in found:
            about = _metadata(record, event_id, station, known, channels, skipped)
            yield _labelled(record, event_id, station, about, frozenset())


def _metadata(
    record: Record,
    event_id: str,
    station: _Station,
    known: KnownEvents,
    channels: ChannelBook | None,
    skipped: list[Skipped],
) -> dict[str, Any]:
    """What is known of the record's station at its time, of its event and of the path between them."""
    place = station.place | ({} if channels is None else channels.about(record, skipped))
    return record.metadata | place | known.about(event_id, place, skipped)


def _sees(record: Record, event_id: str, station: _Station, skipped: list[Skipped]) -> bool:
    """Whether the record has data at any pick of its event; those where it has none are told."""
    own = [pick for pick in station.picks if pick.event_id == event_id]
    seen = [pick for pick in own if _observed(record, pick)]
    for pick in own:
        if pick not in seen:
            reason = f"the {pick.phase} pick lies in a gap or outside of the data"
            skipped.append(Skipped(f"event {event_id} in {record.record_id}", reason))
    return bool(seen)


def _labelled(
    record: Record, event_id: str, station: _Station, metadata: dict[str, Any], labelled: frozenset[str]
) -> Record:
    """A record with the arrivals of its event, number 0, and of its neighbours."""
    seen = [pick for pick in station.picks if _observed(record, pick)]
    ids = dict.fromkeys([event_id, *(pick.event_id for pick in seen)])
    numbers = {event: number for number, event in enumerate(ids)}
    return dataclasses.replace(
        record,
        record_id=f"{event_id}/{record.record_id}",
        event_id=event_id,
        arrivals=tuple(pick.arrival(record.start_time, numbers[pick.event_id]) for pick in seen),
        labelled_phases=labelled,
        metadata=metadata,
    )


def _observed(record: Record, pick: StationPick) -> bool:
    """Whether any component has a sample at a pick."""
    time_s = pick.time - record.start_time
    if not 0 <= time_s < record.duration_s:
        return False
    sample = min(round(time_s * record.sampling_rate_hz), record.waveform.shape[1] - 1)
    return bool(np.isfinite(record.waveform[:, sample]).any())


def _complete_phases(record: Record, station: _Station) -> frozenset[str]:
    """P and S, each where every event that can be seen in the record has a pick of it at this station."""
    families: dict[str, set[str]] = defaultdict(set)
    for pick in station.picks:
        families[pick.event_id].add(PHASE_FAMILY.get(pick.phase, pick.phase))
    visible = {
        pick.event_id
        for pick in station.picks
        if -_PICKED_REACH_S <= pick.time - record.start_time < record.duration_s
    }
    complete = {family for family in "PS" if all(family in families[event] for event in visible)}
    end = record.start_time + record.duration_s
    return frozenset(complete - station.unpicked.families_in(record.start_time, end))
