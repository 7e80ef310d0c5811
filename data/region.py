"""A region's own training set: continuous waveforms and the picks that somebody made on them, as records."""

from __future__ import annotations

import dataclasses
import math
from bisect import bisect
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
import obspy
import pandas as pd
from obspy.geodetics import gps2dist_azimuth

from .archive import Archive
from .records import PHASE_FAMILY, Arrival, Record, Skipped
from .station_picks import StationPick, picks_by_station, utc_seconds_of
from .streams import stream_to_records


def make_region_records(
    archive: Archive,
    stations: pd.DataFrame,
    picks: pd.DataFrame,
    events: pd.DataFrame | None = None,
    window_before_s: float = 30.0,
    window_after_s: float = 60.0,
    unit: str = "counts",
) -> tuple[list[Record], list[Skipped]]:
    """One record for each event at each station that has a pick of it, and what could not be used.

    archive: the waveforms.
    stations, picks, events: as `read_stations`, `read_picks` and `read_events` give them.
    window_before_s, window_after_s: a record runs from so long before the first pick of its event to so long
        after the last, as far as there are data.

    The record's event is its event 0. Every other pick of the station in the record is listed as well, those
    of one event under one number. A phase counts as labelled where each event seen in the record has a pick
    of it: an event with P alone leaves S unknown there. The labels are as complete as the picks are; events
    that nobody picked at a station cannot be known. Stations are matched as in `picks_by_station`.

    Raises ValueError where a table lacks columns.
    """
    skipped: list[Skipped] = []
    records: list[Record] = []
    num_known_faults = len(archive.skipped)
    about_events = {} if events is None else {str(row["event_id"]): row for row in events.to_dict("records")}
    for station_id, own in picks_by_station(picks, archive.station_ids, skipped).items():
        about_station = _about_station(stations, station_id, skipped)
        event_ids = list(dict.fromkeys(pick.event_id for pick in own if pick.has_event))
        for event_id in event_ids:
            times = [pick.time for pick in own if pick.event_id == event_id]
            stream = archive.read(station_id, min(times) - window_before_s, max(times) + window_after_s)
            found = _whole_records(stream, f"event {event_id} at {station_id}", unit, skipped)
            metadata = about_station | _about_event(about_events.get(event_id), about_station)
            labelled = [_labelled(record, event_id, own, metadata, skipped) for record in found]
            records.extend(record for record in labelled if record is not None)
        num_loose = sum(not pick.has_event for pick in own)
        if num_loose:
            reason = (
                f"{num_loose} picks without an event_id make no record, but are listed in those of others"
            )
            skipped.append(Skipped(station_id, reason))
        if events is not None and (
            unknown := [event_id for event_id in event_ids if event_id not in about_events]
        ):
            reason = f"events {unknown} are not in the event table: no magnitude, no distance"
            skipped.append(Skipped(station_id, reason))
    return records, skipped + archive.skipped[num_known_faults:]


def noise_records(
    archive: Archive,
    stations: pd.DataFrame,
    picks: pd.DataFrame,
    generator: np.random.Generator,
    events: pd.DataFrame | None = None,
    num_per_station: int = 10,
    duration_s: float = 60.0,
    clearance_s: float = 120.0,
    unit: str = "counts",
) -> tuple[list[Record], list[Skipped]]:
    """Windows in which nothing was picked, at random places: P and S are labelled as absent.

    A window keeps `clearance_s` from every pick of its station, and from every origin time where `events` are
    given. Only stations with picks are used: of the others nobody knows when they are quiet.
    """
    skipped: list[Skipped] = []
    records: list[Record] = []
    origins = [] if events is None else utc_seconds_of(events["time"]).tolist()
    for station_id, own in picks_by_station(picks, archive.station_ids, skipped).items():
        about_station = _about_station(stations, station_id, skipped)
        places = _quiet_places(
            archive.spans(station_id), [pick.time for pick in own] + origins, duration_s, clearance_s
        )
        quiet: list[Record] = []
        for start in _draw(places, 5 * num_per_station, generator):
            if len(quiet) >= num_per_station:
                break
            # ObsPy includes the last sample, which belongs to the next window.
            stream = archive.read(station_id, start, start + duration_s * (1 - 1e-6))
            found, _ = stream_to_records(
                stream, max_gap_s=math.inf, min_duration_s=0.9 * duration_s, unit=unit
            )
            quiet.extend(found[: num_per_station - len(quiet)])
        records.extend(
            dataclasses.replace(
                record,
                record_id=f"noise/{record.record_id}",
                labelled_phases=frozenset({"P", "S"}),
                metadata=record.metadata | about_station | {"source_type": "noise"},
            )
            for record in quiet
        )
        if len(quiet) < num_per_station:
            reason = (
                f"only {len(quiet)} of {num_per_station} windows of noise: the others have too few data or "
                f"lie within {clearance_s:g} s of a pick or an event"
            )
            skipped.append(Skipped(station_id, reason))
    return records, skipped


def _whole_records(stream: obspy.Stream, item: str, unit: str, skipped: list[Skipped]) -> list[Record]:
    """The records of a stretch of an archive, gaps and all, one an instrument."""
    found, reasons = stream_to_records(stream, max_gap_s=math.inf, unit=unit)
    skipped.extend(Skipped(f"{item}: {note.item}", note.reason) for note in reasons)
    if not found:
        skipped.append(Skipped(item, "the archive has no data around its picks"))
    return found


def _about_station(stations: pd.DataFrame, station_id: str, skipped: list[Skipped]) -> dict[str, Any]:
    """A station's place as metadata, by its id or else by NET.STA."""
    rows = stations[stations["id"] == station_id]
    if rows.empty:
        rows = stations[stations["network"] + "." + stations["station"] == station_id.rpartition(".")[0]]
    if rows.empty:
        skipped.append(Skipped(station_id, "not in the station table: its records have no coordinates"))
        return {}
    names = ("latitude_deg", "longitude_deg", "elevation_m")
    return {f"station_{name}": float(rows.iloc[0][name]) for name in names if not pd.isna(rows.iloc[0][name])}


def _about_event(event: Mapping[Any, Any] | None, about_station: dict[str, Any]) -> dict[str, Any]:
    """What is known of the source and of the path to a station, under SeisBench's names."""
    if event is None:
        return {}
    names = ("magnitude", "magnitude_type", "latitude_deg", "longitude_deg", "depth_km")
    values = {f"source_{name}": event.get(name) for name in names}
    known = {key: value for key, value in values.items() if not pd.isna(value) and value != ""}
    keys = ("source_latitude_deg", "source_longitude_deg", "station_latitude_deg", "station_longitude_deg")
    places = [(known | about_station).get(key) for key in keys]
    if all(place is not None for place in places):
        distance_m, _, back_azimuth_deg = gps2dist_azimuth(*places)
        known |= {"path_ep_distance_km": distance_m / 1e3, "path_back_azimuth_deg": back_azimuth_deg}
    return known


def _labelled(
    record: Record, event_id: str, picks: list[StationPick], metadata: dict[str, Any], skipped: list[Skipped]
) -> Record | None:
    """A record with its event's arrivals and its neighbours', or None where no pick of the event has data."""
    inside = [pick for pick in picks if 0 <= pick.time - record.start_time < record.duration_s]
    seen = [pick for pick in inside if _observed(record, pick.time)]
    item = f"event {event_id} in {record.record_id}"
    for pick in picks:
        if pick.event_id == event_id and pick not in seen:
            skipped.append(Skipped(item, f"the {pick.phase} pick lies in a gap or outside of the data"))
    if not any(pick.event_id == event_id for pick in seen):
        return None
    numbers = {
        event: i for i, event in enumerate(dict.fromkeys([event_id, *(pick.event_id for pick in seen)]))
    }
    arrivals = tuple(
        Arrival(
            phase=pick.phase,
            time_s=pick.time - record.start_time,
            event=numbers[pick.event_id],
            polarity=pick.polarity,
            evaluation=pick.evaluation,
        )
        for pick in seen
    )
    return dataclasses.replace(
        record,
        record_id=f"{event_id}/{record.record_id}",
        event_id=event_id,
        arrivals=arrivals,
        labelled_phases=_complete_phases(record, picks),
        metadata=record.metadata | metadata,
    )


def _observed(record: Record, time: float) -> bool:
    """Whether any component has a sample at a time."""
    sample = min(round((time - record.start_time) * record.sampling_rate_hz), record.waveform.shape[1] - 1)
    return bool(np.isfinite(record.waveform[:, sample]).any())


def _complete_phases(record: Record, picks: list[StationPick], reach_s: float = 60.0) -> frozenset[str]:
    """P and S, each where every event that can be seen in the record has a pick of it at this station.

    An event whose last pick is up to `reach_s` before the record may still send its S into it.
    """
    families: dict[str, set[str]] = defaultdict(set)
    for pick in picks:
        families[pick.event_id].add(PHASE_FAMILY.get(pick.phase, pick.phase))
    visible = {
        pick.event_id for pick in picks if -reach_s <= pick.time - record.start_time < record.duration_s
    }
    return frozenset(family for family in "PS" if all(family in families[event] for event in visible))


def _quiet_places(
    spans: list[tuple[float, float]], busy: list[float], duration_s: float, clearance_s: float
) -> list[tuple[float, float]]:
    """Where a window may start: inside of a file, and away from every busy time."""
    places = []
    busy = sorted(busy)
    for start, end in spans:
        earliest, latest = start, end - duration_s
        near = slice(bisect(busy, start - clearance_s), bisect(busy, end + clearance_s))
        for time in busy[near]:
            places.append((earliest, min(latest, time - clearance_s - duration_s)))
            earliest = max(earliest, time + clearance_s)
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
