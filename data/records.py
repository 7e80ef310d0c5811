"""A record: one station's waveform over some time, with its labels, whatever file it came from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np

from .batch import COMPONENT_SLOTS, UNITS

POLARITIES = ("positive", "negative", "undecidable")
"""Classes of the `polarity` label, by position; −1 is unknown."""

PHASE_FAMILY = {"P": "P", "Pg": "P", "Pn": "P", "Pb": "P", "S": "S", "Sg": "S", "Sn": "S", "Sb": "S"}
"""Which crustal phases compete for an event's first P and first S."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrival:
    """One seismic phase in a record.

    phase: P, S, Pg, Pn, Sg, Sn …
    time_s: seconds after the record's first sample.
    event: which of the record's events it belongs to; P and S of one event share the number.
    polarity: positive, negative, undecidable, or None where nobody looked.
    evaluation: manual, automatic, synthetic or unknown: who says so.
    onset: impulsive, emergent, questionable, or None.
    uncertainty_s: standard deviation of the time, None where nobody said.
    probability: a machine's own, None for an analyst.
    author: who or what picked, such as an agency or a model with its revision; None where unknown.
    """

    phase: str
    time_s: float
    event: int = 0
    polarity: str | None = None
    evaluation: str = "unknown"
    onset: str | None = None
    uncertainty_s: float | None = None
    probability: float | None = None
    author: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One station's waveform at its native rate and length, and what is known about it.

    waveform: float32 `(component, sample)`, NaN where nothing was observed.
    component_names: Z, N, E, 1, 2, 3, U or H, one a row, each going to its own slot of `COMPONENT_SLOTS`.
    start_time: UTC seconds since 1970, NaN where unknown.
    labelled_phases: the phases (P, S) of which *every* arrival in the record is listed. A phase that is not
        named here is unknown, not absent, and no loss or metric counts its absence.
    metadata: the rest, under SeisBench's names with units (`source_magnitude`, `path_back_azimuth_deg` …).
    """

    record_id: str
    waveform: np.ndarray
    component_names: tuple[str, ...]
    sampling_rate_hz: float
    start_time: float = float("nan")
    station_id: str = ""
    event_id: str = ""
    unit: str = "unknown"
    arrivals: tuple[Arrival, ...] = ()
    labelled_phases: frozenset[str] = frozenset()
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = self.waveform.shape
        if self.waveform.dtype != np.float32 or len(shape) != 2 or len(self.component_names) != shape[0]:
            raise ValueError(
                f"record {self.record_id}: waveform must be float32 (component, sample) with one row "
                f"for each of {self.component_names}, found {self.waveform.dtype} {shape}"
            )
        unknown = [name for name in self.component_names if name not in COMPONENT_SLOTS]
        if unknown:
            raise ValueError(
                f"record {self.record_id}: unknown component {unknown}; known are {tuple(COMPONENT_SLOTS)}"
            )
        slots = [COMPONENT_SLOTS[name] for name in self.component_names]
        if len(set(slots)) != len(slots):
            raise ValueError(
                f"record {self.record_id}: {self.component_names} want the same slot twice ({slots})"
            )
        if not self.sampling_rate_hz > 0:
            raise ValueError(
                f"record {self.record_id}: sampling rate must be positive, found {self.sampling_rate_hz}"
            )
        if self.unit not in UNITS:
            raise ValueError(f"record {self.record_id}: unit must be one of {UNITS}, found {self.unit!r}")

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.waveform.shape[1] / self.sampling_rate_hz

    def arrival_s(self, phase: str, event: int = 0) -> float:
        """The time of a phase of one event in seconds after the first sample, NaN where it is not listed."""
        for arrival in self.arrivals:
            if arrival.phase == phase and arrival.event == event:
                return arrival.time_s
        return float("nan")

    @property
    def num_events(self) -> int:
        """How many events have an arrival here."""
        return 1 + max((arrival.event for arrival in self.arrivals), default=-1)


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that was not used, and why: nothing is dropped in silence."""

    item: str
    reason: str


def waveform_hash(record: Record) -> str:
    """SHA-256 of the samples alone, whatever the record is called and in which order its components come.

    A component without any sample counts as absent, and every NaN as the same.
    """
    missing = np.isnan(record.waveform)
    waveform = np.where(missing, np.float32(np.nan), record.waveform) if missing.any() else record.waveform
    rows = sorted(row.tobytes() for row in waveform[~missing.all(axis=1)])
    return hashlib.sha256(b"".join(rows)).hexdigest()


def station_ids(records: Iterable[Record]) -> list[str]:
    """The stations of some records, sorted, each once."""
    return sorted({record.station_id for record in records})


class Subset(Sequence[Record]):
    """Some records of a sequence, each still read only when it is asked for.

    records: the whole sequence. positions: where they stand in it, int64.
    """

    def __init__(self, records: Sequence[Record], positions: Sequence[int] | np.ndarray):
        self.records = records
        self.positions = np.asarray(positions, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.positions)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> Subset: ...
    def __getitem__(self, index: int | slice) -> Record | Subset:
        if isinstance(index, slice):
            return Subset(self.records, self.positions[index])
        return self.records[int(self.positions[index])]

    def event_keys(self) -> list[str]:
        """See `event_keys`."""
        keys = event_keys(self.records)
        return [keys[position] for position in self.positions]

    def waveform(self, position: int, first: int = 0, last: int | None = None) -> np.ndarray:
        """See `waveform_of`."""
        return waveform_of(self.records, int(self.positions[position]), first, last)

    def instrument(self, position: int) -> dict[str, Any]:
        """See `instrument_of`."""
        return instrument_of(self.records, int(self.positions[position]))

    def record_weights(self) -> np.ndarray:
        """How often each record is met in training, `(record,)`: 1, unless the whole sequence says it."""
        own = getattr(self.records, "record_weights", None)
        return np.ones(len(self)) if own is None else own()[self.positions]


def waveform_of(
    records: Sequence[Record], position: int, first: int = 0, last: int | None = None
) -> np.ndarray:
    """Samples `first` to `last` (left out) of one record, float32 `(component, sample)`, perhaps read-only.

    A sequence that reads them without the rest of the record does so in a method `waveform`.
    """
    own = getattr(records, "waveform", None)
    return records[position].waveform[:, first:last] if own is None else own(position, first, last)


INSTRUMENT_KEYS = (
    "trace_response_state",
    "trace_sensitivity",
    "trace_sensitivity_unit",
    "trace_response",
    "trace_component_azimuth_deg",
    "trace_component_dip_deg",
)
"""Metadata that tell what an instrument made of the ground's motion, or its orientation."""


def instrument_of(records: Sequence[Record], position: int) -> dict[str, Any]:
    """What is known of `INSTRUMENT_KEYS` for one record, and its `component_names`.

    A sequence that knows this without the rest of the record says it in a method `instrument`.
    """
    own = getattr(records, "instrument", None)
    if own is not None:
        return own(position)
    record = records[position]
    known = {key: value for key in INSTRUMENT_KEYS if (value := record.metadata.get(key)) is not None}
    return {"component_names": record.component_names, **known}


def event_keys(records: Sequence[Record]) -> list[str]:
    """The event of each record; a record without an event id counts as an event of its own.

    A sequence that knows this without reading a waveform says so in a method of the same name.
    """
    own = getattr(records, "event_keys", None)
    return own() if own is not None else [record.event_id or record.record_id for record in records]
