"""SeisBench's dataset format: waveforms in HDF5, metadata in CSV, plain or in chunks."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, overload

import h5py
import numpy as np
import pandas as pd

from ..event_types import TYPE_COLUMNS, unknown_words, with_event_type
from ..record_facts import SOURCE_KEYS, RecordFacts, source_facts
from ..records import Record, Skipped
from .seisbench_chunks import KINDS, Chunk, chunk_names, open_chunk, row_of
from .seisbench_columns import (
    ARRIVAL_COLUMN,
    FIELD_COLUMNS,
    arrivals_of_row,
    encode_columns,
    row_of_record,
    station_id_of_row,
    unit_of_row,
    utc_seconds,
    with_families,
)

FACT_COLUMNS = (
    "trace_name",
    "trace_name_original",
    "trace_start_time",
    "trace_npts",
    "trace_sampling_rate_hz",
    "trace_dt_s",
    "station_network_code",
    "station_code",
    "station_location_code",
    "source_id",
    *SOURCE_KEYS.values(),
)
"""What `record_facts` needs."""

_BUCKET_ROWS = 1024
_PENDING_BYTES = 256 * 2**20
_PLACE_PART = r"(-?\d+|(-?\d+)?:(-?\d+)?(:(-?\d+)?)?)"


class SeisBenchDataset(Sequence[Record]):
    """Somebody's training set in SeisBench's format (Woollam et al. 2022), record by record.

    A component of zeros alone is read as missing (NaN), since SeisBench fills absent components so. A phase
    counts as labelled where the metadata have an arrival column for it, `Pg` and `Pn` also for P, unless the
    data set was written by `write_seisbench`, which says for each record which phases are. A row's columns
    that are no field of a record are its `metadata`, empty cells left out.

    path: the folder with `waveforms.hdf5` and `metadata.csv`, or with `chunks` and a pair for each.
    labelled_phases: overrides what counts as labelled, for every record. SeisBench has no word for it: give
        () for a set whose arrivals are incomplete.
    event_words: whose words its event types are, to classify them (see `with_event_type`).

    Raises FileNotFoundError where files are missing, ValueError where their format is not told.
    """

    def __init__(
        self,
        path: str | Path,
        labelled_phases: Iterable[str] | None = None,
        event_words: str | None = None,
    ) -> None:
        self.path = Path(path)
        self._event_words = event_words
        self._labelled = None if labelled_phases is None else frozenset(labelled_phases)
        self._chunks = [open_chunk(self.path, name) for name in chunk_names(self.path)]
        self._files: dict[Path, h5py.File] = {}
        self._places = [(chunk, row) for chunk in self._chunks for row in range(chunk.num_rows)]
        columns = dict.fromkeys(column for chunk in self._chunks for column in chunk.columns)
        self._phases = [found["phase"] for column in columns if (found := ARRIVAL_COLUMN.match(column))]

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> list[Record]: ...
    def __getitem__(self, index: int | slice) -> Record | list[Record]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        chunk, number = self._places[index]
        return self._record(chunk, row_of(chunk, number))

    def event_keys(self) -> list[str]:
        """The event of each record, its own id where it has none, from the metadata alone."""
        columns = ("source_id", "trace_name_original", "trace_name")
        rows = ((chunk, row_of(chunk, number, columns)) for chunk, number in self._places)
        return [_event_id(row) or _record_id(row, chunk) for chunk, row in rows]

    def record_facts(self) -> RecordFacts:
        """Who, where and when of each record, from the metadata alone."""
        return RecordFacts.from_rows(self._facts(chunk, number) for chunk, number in self._places)

    def _facts(self, chunk: Chunk, number: int) -> dict[str, Any]:
        row = row_of(chunk, number, FACT_COLUMNS)
        num_samples = _num_samples(row, chunk)
        return {
            "record_id": _record_id(row, chunk),
            "event_id": _event_id(row),
            "station_id": station_id_of_row(row),
            "start_time": utc_seconds(row["trace_start_time"]) if "trace_start_time" in row else None,
            "duration_s": None if num_samples is None else num_samples / _sampling_rate_hz(row, chunk),
            **source_facts(row),
        }

    def __getstate__(self) -> dict[str, Any]:
        """Open files do not travel to another process: it opens its own."""
        return self.__dict__ | {"_files": {}}

    def _record(self, chunk: Chunk, row: dict[str, Any]) -> Record:
        rate_hz = _sampling_rate_hz(row, chunk)
        components = _component_names(row, chunk)
        arrival_columns = {
            f"trace_{p}_{end}" for p in self._phases for end in ("arrival_sample", "status", "polarity")
        }
        own = FIELD_COLUMNS | arrival_columns
        others = {key: value for key, value in row.items() if key not in own}
        return Record(
            record_id=_record_id(row, chunk),
            waveform=self._waveform(chunk, row["trace_name"], len(components)),
            component_names=components,
            sampling_rate_hz=rate_hz,
            start_time=utc_seconds(row["trace_start_time"]) if "trace_start_time" in row else float("nan"),
            station_id=station_id_of_row(row),
            event_id=_event_id(row),
            unit=unit_of_row(row, chunk.data_format.get("unit", "unknown")),
            arrivals=arrivals_of_row(row, self._phases, rate_hz),
            labelled_phases=self._labelled_phases(row),
            metadata=with_event_type(others, self._event_words, strict=False),
        )

    def unknown_event_types(self) -> list[Skipped]:
        """A note for each word of the event types that `event_words` does not have: it gives no class."""
        columns = (c.columns.get(name, ()) for c in self._chunks for name in TYPE_COLUMNS)
        return unknown_words(chain.from_iterable(columns), self._event_words)

    def _labelled_phases(self, row: dict[str, Any]) -> frozenset[str]:
        if self._labelled is not None:
            return self._labelled
        if "trace_labelled_phases" in row:
            return frozenset(json.loads(row["trace_labelled_phases"]))
        return with_families(self._phases)

    def _waveform(self, chunk: Chunk, trace_name: str, num_components: int) -> np.ndarray:
        """Float32 `(component, sample)`, from a place such as `bucket0$17,:3,:1200` or a whole dataset."""
        if chunk.waveforms not in self._files:
            self._files[chunk.waveforms] = h5py.File(chunk.waveforms, "r")
        name, _, place = trace_name.partition("$")
        data = self._files[chunk.waveforms]["data"]
        if name not in data:
            raise ValueError(f"{chunk.waveforms} has no trace {name!r}, which its metadata name")
        stored = data[name][_index(place)] if place else data[name][()]
        waveform = stored.T if chunk.data_format["dimension_order"] == "WC" else stored
        if waveform.ndim != 2 or len(waveform) != num_components:
            raise ValueError(
                f"{chunk.waveforms}: trace {trace_name} must have {num_components} components, "
                f"found shape {stored.shape} in order {chunk.data_format['dimension_order']}"
            )
        waveform = np.array(waveform, dtype=np.float32, order="C")
        waveform[(waveform == 0).all(axis=1)] = np.nan
        return waveform


def _record_id(row: dict[str, Any], chunk: Chunk) -> str:
    return str(row.get("trace_name_original", f"{chunk.name}/{row['trace_name']}"))


def _event_id(row: dict[str, Any]) -> str:
    return str(row.get("source_id", ""))


def _component_names(row: dict[str, Any], chunk: Chunk) -> tuple[str, ...]:
    names = str(row.get("trace_component_order", "")) or chunk.data_format.get("component_order", "")
    if not names:
        raise ValueError(
            f"{chunk.waveforms}: nothing tells the components of trace {row['trace_name']}; give "
            "data_format/component_order, or fill the metadata column trace_component_order"
        )
    return tuple(names)


def _num_samples(row: dict[str, Any], chunk: Chunk) -> int | None:
    """Of a trace, from what its metadata say; None where only the waveforms tell."""
    if "trace_npts" in row:
        return int(row["trace_npts"])
    slices = re.findall(r"(\d*):(\d+)", str(row["trace_name"]).partition("$")[2])
    if len(slices) != 2:
        return None
    begin, end = slices[1 if chunk.data_format["dimension_order"] == "CW" else 0]
    return int(end) - int(begin or 0)


def _sampling_rate_hz(row: dict[str, Any], chunk: Chunk) -> float:
    if "trace_sampling_rate_hz" in row:
        return float(row["trace_sampling_rate_hz"])
    if "trace_dt_s" in row:
        return 1.0 / float(row["trace_dt_s"])
    if "sampling_rate" in chunk.data_format:
        return float(chunk.data_format["sampling_rate"])
    raise ValueError(
        f"{chunk.waveforms}: nothing tells the sampling rate; give data_format/sampling_rate, "
        "or a metadata column trace_sampling_rate_hz"
    )


def _index(place: str) -> tuple[int | slice, ...]:
    """`17,:3,:1200` as an index, as Python writes it: also with negative numbers, steps and blanks."""
    place = place.replace(" ", "")
    if not re.fullmatch(rf"{_PLACE_PART}(,{_PLACE_PART})*", place):
        raise ValueError(f"a trace's place must look like bucket0$17,:3,:1200, found {place!r}")
    parts = [part.split(":") for part in place.split(",")]
    return tuple(
        slice(*(int(p) if p else None for p in part)) if len(part) > 1 else int(part[0]) for part in parts
    )


def write_seisbench(records: Iterable[Record], path: str | Path) -> None:
    """Records as a data set that SeisBench opens and that `SeisBenchDataset` reads back bit for bit.

    Traces of one shape share an HDF5 dataset (a bucket). A component without any sample is written as zeros,
    SeisBench's way to say that it is missing; shorter gaps stay NaN. The folder appears when it is complete.

    Raises FileExistsError where the folder exists already, ValueError where there is no record.
    """
    target = Path(path)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise FileExistsError(f"{target} exists already: give a new folder, or remove it first")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.parent / f".{target.name}.{os.getpid()}.partial"
    partial.mkdir()
    try:
        with h5py.File(partial / "waveforms.hdf5", "w") as file:
            table = _write_waveforms(records, file)
        table.to_csv(partial / "metadata.csv", index=False, lineterminator="\n")
        partial.replace(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write_waveforms(records: Iterable[Record], file: h5py.File) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    buckets = _Buckets(file=file)
    for record in records:
        rows.append({"trace_name": buckets.add(record.waveform), **row_of_record(record)})
    buckets.flush()
    if not rows:
        raise ValueError("expected at least one record to write, found none")
    table, kinds = encode_columns(rows)
    shared = {
        column: table[column].unique() for column in ("trace_component_order", "trace_sampling_rate_hz")
    }
    file["data_format/dimension_order"] = "CW"
    file["data_format/component_order"] = str(shared["trace_component_order"][0])
    if len(shared["trace_sampling_rate_hz"]) == 1:
        file["data_format/sampling_rate"] = float(shared["trace_sampling_rate_hz"][0])
    units = table["trace_unit"].unique()
    file["data_format/unit"] = str(units[0]) if len(units) == 1 else "unknown"
    file["data_format/measurement"] = "unknown"
    file[KINDS] = json.dumps(kinds)
    return table


@dataclass(kw_only=True)
class _Buckets:
    """Waveforms that wait to be written with others of their shape."""

    file: h5py.File
    pending: dict[str, list[np.ndarray]] = field(default_factory=dict)
    open: dict[tuple[int, ...], str] = field(default_factory=dict)
    num_started: int = 0
    num_bytes: int = 0

    def add(self, waveform: np.ndarray) -> str:
        """Take a waveform, and tell its place in SeisBench's words."""
        if self.num_bytes > _PENDING_BYTES:
            self.flush()
        name = self.open.get(waveform.shape)
        if name is None or len(self.pending[name]) >= _BUCKET_ROWS:
            name = self.open[waveform.shape] = f"bucket{self.num_started}"
            self.pending[name] = []
            self.num_started += 1
        self.pending[name].append(np.where(np.isnan(waveform).all(axis=1, keepdims=True), 0, waveform))
        self.num_bytes += waveform.nbytes
        return f"{name}${len(self.pending[name]) - 1},:{waveform.shape[0]},:{waveform.shape[1]}"

    def flush(self) -> None:
        """Write everything that waits."""
        for name, waveforms in self.pending.items():
            self.file[f"data/{name}"] = np.stack(waveforms).astype(np.float32)
        self.pending, self.open, self.num_bytes = {}, {}, 0
