"""What splits and leakage need to know of records: who, where and when, without the waveforms."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from .formats.seisbench_columns import utc_seconds
from .records import Record, Subset, waveform_hash

HASH_DIGITS = 16
"""Hexadecimal digits of a waveform's hash that are compared: 64 bits keep a billion records apart."""

SOURCE_KEYS = {
    "origin_time": "source_origin_time",
    "event_latitude_deg": "source_latitude_deg",
    "event_longitude_deg": "source_longitude_deg",
    "station_latitude_deg": "station_latitude_deg",
    "station_longitude_deg": "station_longitude_deg",
}
"""Field of `RecordFacts` → metadata of a record."""

TEXTS = ("record_id", "event_id", "station_id", "waveform_hash")
NUMBERS = ("start_time", "duration_s", *SOURCE_KEYS)
_HASH_OF_NOTHING = "e3b0c44298fc1c14"


@dataclass(frozen=True, kw_only=True)
class RecordFacts:
    """Columns of the same length, one entry a record.

    record_id, event_id, station_id: object arrays of str, "" where unknown.
    waveform_hash: the first 16 hexadecimal digits of `records.waveform_hash`, "" where nobody computed it.
    start_time, origin_time: float64, UTC seconds since 1970. duration_s, positions in degrees: float64. NaN
        where unknown.
    """

    record_id: np.ndarray
    event_id: np.ndarray
    station_id: np.ndarray
    waveform_hash: np.ndarray
    start_time: np.ndarray
    duration_s: np.ndarray
    origin_time: np.ndarray
    event_latitude_deg: np.ndarray
    event_longitude_deg: np.ndarray
    station_latitude_deg: np.ndarray
    station_longitude_deg: np.ndarray

    def __len__(self) -> int:
        return len(self.record_id)

    @property
    def end_time(self) -> np.ndarray:
        """UTC seconds at the end of each record."""
        return self.start_time + self.duration_s

    @property
    def event_keys(self) -> np.ndarray:
        """The event of each record; one without an event id counts as an event of its own."""
        return np.where(self.event_id == "", self.record_id, self.event_id)

    @property
    def sites(self) -> np.ndarray:
        """NET.STA of each record: sensors at one place record the same ground, whatever their location."""
        which, stations = pd.factorize(self.station_id)
        return np.array([site_of(station) for station in stations], dtype=object)[which]

    def select(self, positions: Sequence[int] | np.ndarray) -> RecordFacts:
        """The records at some positions, int64, or of a bool mask."""
        chosen = np.asarray(positions)
        chosen = chosen if chosen.dtype == bool else chosen.astype(np.int64)
        return RecordFacts(**{name: getattr(self, name)[chosen] for name in (*TEXTS, *NUMBERS)})

    @classmethod
    def concatenate(cls, parts: Sequence[RecordFacts]) -> RecordFacts:
        """Several tables, one after the other."""
        parts = parts or [cls.from_rows([])]
        return cls(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in (*TEXTS, *NUMBERS)})

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any]]) -> RecordFacts:
        """From one mapping a record; a field that it lacks is unknown."""
        table = list(rows)
        texts = {name: _texts(row.get(name) for row in table) for name in TEXTS}
        numbers = {
            name: np.array([_number(row.get(name)) for row in table], dtype=np.float64) for name in NUMBERS
        }
        return cls(**texts, **numbers)

    @classmethod
    def from_index(cls, index: pa.Table) -> RecordFacts:
        """From a corpus's index (`Corpus.index`), which has the hashes too."""
        start_ns = index["start_time"].cast(pa.int64()).to_numpy()
        texts = {name: _texts(index[name].to_pylist()) for name in TEXTS if name != "waveform_hash"}
        hashes = _texts(known_hash(full) for full in index["content_hash"].to_pylist())
        numbers = {
            name: index[key].to_numpy().astype(np.float64)
            for name, key in SOURCE_KEYS.items()
            if name != "origin_time"
        }
        return cls(
            **texts,
            **numbers,
            waveform_hash=hashes,
            start_time=start_ns / 1e9,
            duration_s=index["num_samples"].to_numpy() / index["sampling_rate_hz"].to_numpy(),
            origin_time=utc_times(index["source_origin_time"]),
        )

    def to_table(self) -> pa.Table:
        """As an Arrow table, null where unknown."""
        columns = {name: pa.array([text or None for text in getattr(self, name)]) for name in TEXTS}
        columns = {name: column.cast(pa.string()) for name, column in columns.items()}
        columns |= {name: pa.array(getattr(self, name), from_pandas=True) for name in NUMBERS}
        return pa.table(columns)

    @classmethod
    def from_table(cls, table: pa.Table) -> RecordFacts:
        """The inverse of `to_table`."""
        return cls(
            **{name: _texts(table[name].to_pylist()) for name in TEXTS},
            **{name: table[name].to_numpy().astype(np.float64) for name in NUMBERS},
        )


def record_facts(records: Sequence[Record], *, hashes: bool = False) -> RecordFacts:
    """The facts of some records, from their store's own tables where it has them, else in one pass.

    hashes: also of the waveforms; only those that no table knows are read for it.
    """
    if isinstance(records, Subset) and hasattr(records.records, "record_facts"):
        known = record_facts(records.records).select(records.positions)
    elif (own := getattr(records, "record_facts", None)) is not None:
        known = own()
    else:
        return RecordFacts.from_rows(facts_row(record, hashes) for record in records)
    return _with_hashes(known, records) if hashes else known


def facts_row(record: Record, with_hash: bool) -> dict[str, Any]:
    """One record's facts."""
    return {
        "record_id": record.record_id,
        "event_id": record.event_id,
        "station_id": record.station_id,
        "start_time": record.start_time,
        "duration_s": record.duration_s,
        "waveform_hash": known_hash(waveform_hash(record)) if with_hash else "",
        **source_facts(record.metadata),
    }


def source_facts(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Origin and station in the words of `RecordFacts`, from metadata in SeisBench's words."""
    found = {name: metadata[key] for name, key in SOURCE_KEYS.items() if metadata.get(key) is not None}
    if "origin_time" in found:
        found["origin_time"] = utc_seconds(str(found["origin_time"]))
    return found


def known_hash(full: str) -> str:
    """As many digits as are compared; "" for a record without any sample, which is like no other."""
    short = full[:HASH_DIGITS]
    return "" if short == _HASH_OF_NOTHING else short


def site_of(station_id: str) -> str:
    """NET.STA of a NET.STA.LOC; other names stay as they are."""
    parts = station_id.split(".")
    return ".".join(parts[:2]) if len(parts) == 3 else station_id


def _with_hashes(facts: RecordFacts, records: Sequence[Record]) -> RecordFacts:
    hashes = facts.waveform_hash.copy()
    for position in np.flatnonzero(hashes == "").tolist():
        hashes[position] = known_hash(waveform_hash(records[position]))
    return dataclasses.replace(facts, waveform_hash=hashes)


def _texts(values: Iterable[Any]) -> np.ndarray:
    return np.array([value or "" for value in values], dtype=object)


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)


def utc_times(column: pa.ChunkedArray) -> np.ndarray:
    """UTC seconds of ISO texts, NaN for none; each text is read once, since an event has many records."""
    codes, texts = pd.factorize(np.asarray(column.to_pylist(), dtype=object))
    seconds = np.array([utc_seconds(text) for text in texts] + [np.nan])
    return seconds[codes]
