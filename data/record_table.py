"""What labels need to know of many records, in columns: windows of a whole batch are labelled at once."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from .batch import COMPONENT_SLOTS, COMPONENTS, UNITS
from .event_types import event_type_codes
from .formats.seisbench_columns import utc_seconds
from .records import PHASE_FAMILY, POLARITIES, Record, Subset

FAMILIES = ("P", "S")

SOURCE_LABELS = {
    "magnitude": "source_magnitude",
    "distance_km": "path_ep_distance_km",
    "back_azimuth_deg": "path_back_azimuth_deg",
    "depth_km": "source_depth_km",
}
"""Label of a window → metadata of its record (SeisBench's names)."""

STATION_GEOMETRY = ("station_latitude_deg", "station_longitude_deg", "station_elevation_m")


@dataclass(frozen=True, kw_only=True)
class ArrivalColumns:
    """The arrivals of many records, one an entry, in the order of their records.

    record: int64, the record's position. event: the record's own number of the event. family: 0 for P, 1 for
    S, −1 for any other phase. polarity: position in `POLARITIES`, −1 where unknown.
    """

    record: np.ndarray
    event: np.ndarray
    family: np.ndarray
    time_s: np.ndarray
    polarity: np.ndarray

    @classmethod
    def of(cls, arrivals: Iterable[tuple[int, int, str, float, str | None]]) -> ArrivalColumns:
        """From (record, event, phase, time_s, polarity) of each arrival."""
        rows = [
            (record, event, _family(phase), time_s, _polarity(polarity))
            for record, event, phase, time_s, polarity in arrivals
        ]
        columns = list(zip(*rows, strict=True)) if rows else [()] * 5
        kinds = (np.int64, np.int64, np.int8, np.float64, np.int8)
        return cls(
            **{
                field.name: np.array(column, dtype=kind)
                for field, column, kind in zip(dataclasses.fields(cls), columns, kinds, strict=True)
            }
        )


@dataclass(frozen=True, kw_only=True)
class RecordTable:
    """Columns of the same length, one entry a record; events stand one after the other, record by record.

    record_id, station_id, event_id: object arrays of str. unit: int8, position in `UNITS`.
    component_rows: int8 `(record, 4)`, the waveform's row for each of `COMPONENTS`, −1 where it has none.
    labelled: bool `(record, 2)`, whether every arrival of P, of S is listed.
    station_geometry: float32 `(record, 3)`. source: float32 `(record, label)` in the order of
        `SOURCE_LABELS`, NaN where unknown. event_type: int8, position in `EVENT_TYPES`, −1 where unknown.
    origin_s: float64, when the event that `source` describes began, seconds after the record's first sample,
        NaN where unknown. has_arrivals: bool, of whatever phase.
    first_arrival_s: float64, the earliest P or S inside of the record, NaN where there is none.
    event_start: int64 `(record + 1,)`: the events of record i are `event_start[i]` to `event_start[i + 1]`.
    event_number: their numbers in the record; 0 is the one that `source` describes.
    event_arrival_s: float64 `(event, 2)`, first P and S after the record's first sample, NaN for none.
    event_polarity: int8 `(event,)`.
    """

    record_id: np.ndarray
    station_id: np.ndarray
    event_id: np.ndarray
    unit: np.ndarray
    num_samples: np.ndarray
    sampling_rate_hz: np.ndarray
    start_time: np.ndarray
    component_rows: np.ndarray
    labelled: np.ndarray
    station_geometry: np.ndarray
    source: np.ndarray
    event_type: np.ndarray
    origin_s: np.ndarray
    has_arrivals: np.ndarray
    first_arrival_s: np.ndarray
    event_start: np.ndarray
    event_number: np.ndarray
    event_arrival_s: np.ndarray
    event_polarity: np.ndarray

    def __len__(self) -> int:
        return len(self.num_samples)

    @property
    def duration_s(self) -> np.ndarray:
        """Length of each record."""
        return self.num_samples / self.sampling_rate_hz

    @classmethod
    def from_columns(cls, arrivals: ArrivalColumns, **columns: np.ndarray) -> RecordTable:
        """From the columns that have one entry a record, and all arrivals."""
        duration_s = columns["num_samples"] / columns["sampling_rate_hz"]
        return cls(
            **columns,
            has_arrivals=np.isin(np.arange(len(duration_s)), arrivals.record),
            first_arrival_s=_first_arrivals_s(arrivals, duration_s),
            **_events(arrivals, len(duration_s)),
        )

    @classmethod
    def from_records(cls, records: Sequence[Record]) -> RecordTable:
        """From records that are at hand."""
        arrivals = ArrivalColumns.of(
            (i, arrival.event, arrival.phase, arrival.time_s, arrival.polarity)
            for i, record in enumerate(records)
            for arrival in record.arrivals
        )
        return cls.from_columns(
            arrivals,
            record_id=np.array([record.record_id for record in records], dtype=object),
            station_id=np.array([record.station_id for record in records], dtype=object),
            event_id=np.array([record.event_id for record in records], dtype=object),
            unit=np.array([UNITS.index(record.unit) for record in records], dtype=np.int8),
            num_samples=np.array([record.waveform.shape[1] for record in records], dtype=np.int64),
            sampling_rate_hz=np.array([record.sampling_rate_hz for record in records], dtype=np.float64),
            start_time=np.array([record.start_time for record in records], dtype=np.float64),
            component_rows=component_rows([record.component_names for record in records]),
            labelled=np.array(
                [[family in record.labelled_phases for family in FAMILIES] for record in records], dtype=bool
            ).reshape(-1, len(FAMILIES)),
            station_geometry=_numbers(records, STATION_GEOMETRY),
            source=_numbers(records, tuple(SOURCE_LABELS.values())),
            event_type=event_type_codes(record.metadata.get("source_type") for record in records),
            origin_s=np.array([_origin_s(record) for record in records], dtype=np.float64),
        )

    def select(self, positions: Sequence[int] | np.ndarray) -> RecordTable:
        """The records at some positions, in that order."""
        chosen = np.asarray(positions, dtype=np.int64)
        first, last = self.event_start[chosen], self.event_start[chosen + 1]
        events = ranges(first, last)
        per_event = {name: getattr(self, name)[events] for name in _EVENT_COLUMNS}
        per_record = {name: getattr(self, name)[chosen] for name in _RECORD_COLUMNS}
        starts = np.concatenate([[0], np.cumsum(last - first)])
        return RecordTable(**per_record, **per_event, event_start=starts)

    @classmethod
    def concatenate(cls, tables: Sequence[RecordTable]) -> RecordTable:
        """Several tables, one after the other."""
        if len(tables) == 1:
            return tables[0]
        joined = {
            name: np.concatenate([getattr(table, name) for table in tables])
            for name in (*_RECORD_COLUMNS, *_EVENT_COLUMNS)
        }
        counts = np.concatenate([np.diff(table.event_start) for table in tables])
        return cls(**joined, event_start=np.concatenate([[0], np.cumsum(counts)]))


_EVENT_COLUMNS = ("event_number", "event_arrival_s", "event_polarity")
_RECORD_COLUMNS = tuple(
    field.name
    for field in dataclasses.fields(RecordTable)
    if field.name not in (*_EVENT_COLUMNS, "event_start")
)


def record_table(records: Sequence[Record]) -> RecordTable | None:
    """The table of a sequence that knows it without reading waveforms, or that lies in memory; else None.

    A lazy sequence says it in a method of the same name.
    """
    if isinstance(records, Subset):
        whole = record_table(records.records)
        return None if whole is None else whole.select(records.positions)
    own = getattr(records, "record_table", None)
    if own is not None:
        return own()
    return RecordTable.from_records(records) if isinstance(records, list | tuple) else None


def component_rows(component_names: Iterable[Sequence[str]]) -> np.ndarray:
    """Which row of a record's waveform fills each of `COMPONENTS`, int8 `(record, 4)`, −1 for none."""
    known: dict[tuple[str, ...], list[int]] = {}
    rows = []
    for names in map(tuple, component_names):
        if names not in known:
            slots = [COMPONENT_SLOTS[name] for name in names]
            known[names] = [slots.index(slot) if slot in slots else -1 for slot in COMPONENTS]
        rows.append(known[names])
    return np.array(rows, dtype=np.int8).reshape(-1, len(COMPONENTS))


def ranges(first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """The numbers from each `first` up to its `last` (left out), one range after the other."""
    counts = last - first
    before = np.cumsum(counts) - counts
    return np.arange(counts.sum()) + np.repeat(first - before, counts)


def _origin_s(record: Record) -> float:
    origin = record.metadata.get("source_origin_time")
    return math.nan if origin is None else utc_seconds(str(origin)) - record.start_time


def _family(phase: str) -> int:
    return FAMILIES.index(PHASE_FAMILY[phase]) if phase in PHASE_FAMILY else -1


def _polarity(polarity: str | None) -> int:
    return POLARITIES.index(polarity) if polarity in POLARITIES else -1


def _numbers(records: Sequence[Record], keys: Sequence[str]) -> np.ndarray:
    rows = [
        [math.nan if (value := record.metadata.get(key)) is None else float(value) for key in keys]
        for record in records
    ]
    return np.array(rows, dtype=np.float32).reshape(len(records), len(keys))


def _first_arrivals_s(arrivals: ArrivalColumns, duration_s: np.ndarray) -> np.ndarray:
    inside = (arrivals.family >= 0) & (arrivals.time_s >= 0) & (arrivals.time_s < duration_s[arrivals.record])
    first_s = np.full(len(duration_s), np.inf)
    np.minimum.at(first_s, arrivals.record[inside], arrivals.time_s[inside])
    return np.where(np.isinf(first_s), np.nan, first_s)


def _events(arrivals: ArrivalColumns, num_records: int) -> dict[str, np.ndarray]:
    """The first P and S of each event, and the P's first motion."""
    known = np.flatnonzero(arrivals.family >= 0)
    owners = np.stack([arrivals.record[known], arrivals.event[known]], axis=1)
    events, of_event = np.unique(owners, axis=0, return_inverse=True)
    arrival_s = np.full((len(events), len(FAMILIES)), np.inf)
    family, time_s = arrivals.family[known], arrivals.time_s[known]
    np.minimum.at(arrival_s, (of_event, family), time_s)
    polarity = np.full(len(events), -1, dtype=np.int8)
    # Backwards, so that of two P at one time the one that is listed first has the last word.
    is_first = ((family == 0) & (time_s == arrival_s[of_event, 0])).nonzero()[0][::-1]
    polarity[of_event[is_first]] = arrivals.polarity[known][is_first]
    counts = np.bincount(events[:, 0], minlength=num_records) if num_records else np.zeros(0, dtype=np.int64)
    return {
        "event_start": np.concatenate([[0], np.cumsum(counts)]),
        "event_number": events[:, 1],
        "event_arrival_s": np.where(np.isinf(arrival_s), np.nan, arrival_s),
        "event_polarity": polarity,
    }
