"""A training corpus on disk: any record of it at random, at the cost of looking at memory."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..record_facts import RecordFacts
from ..record_table import RecordTable
from ..records import INSTRUMENT_KEYS, Record, Skipped, Subset
from .codec import ENCODINGS, decode, with_gaps
from .columns import Lookup, table_of_index
from .parquet_shards import ParquetShards
from .places import PLACE_COLUMNS, Places, mapped
from .schema import record_of
from .shards import file_sha256
from .writer import FORMAT, INDEX, SKIPPED, SUMMARY, UNFINISHED, VERSION

_FLOAT32, _INT32 = ENCODINGS.index("float32"), ENCODINGS.index("int32")
_ROWS_AT_ONCE = 256


class Corpus(Sequence[Record]):
    """A folder of shards that `write_corpus` or `seisfm data convert` made, opened for reading.

    Arrow shards are mapped into memory: opening costs nothing, a window costs its own bytes, and what many
    processes read they share. Parquet shards are for reading in order (`iter_records`), slow at random. It
    travels to other processes as its path.

    summary: what corpus.json says: sources with licences, counts, shards.
    places: where each waveform lies, as arrays.

    Raises FileNotFoundError where there is no finished corpus, ValueError where it is damaged or too new.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).absolute()
        self.summary = _read_summary(self.path)
        self._files = [self.path / shard["file"] for shard in self.summary["shards"]]
        _check_files(self._files, self.summary)
        self.places = Places.of_index(self._read_index(PLACE_COLUMNS))
        if len(self.places) != self.summary["num_records"]:
            raise ValueError(
                f"{self.path / INDEX} has {len(self.places)} records, corpus.json "
                f"{self.summary['num_records']}: the corpus is damaged, convert it again"
            )

    def __reduce__(self) -> tuple[type[Corpus], tuple[Path]]:
        """Mapped files do not travel to another process: it maps its own."""
        return Corpus, (self.path,)

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> Subset: ...
    def __getitem__(self, index: int | slice) -> Record | Subset:
        if isinstance(index, slice):
            return Subset(self, range(*index.indices(len(self))))
        position = range(len(self))[index]
        (row,) = self._rows.slice(position, 1).to_pylist()
        return self._record(row, position)

    def __iter__(self) -> Iterator[Record]:
        return self.iter_records()

    def iter_records(self) -> Iterator[Record]:
        """All records in order, each read when its turn comes."""
        for first in range(0, len(self), _ROWS_AT_ONCE):
            for number, row in enumerate(self._rows.slice(first, _ROWS_AT_ONCE).to_pylist()):
                yield self._record(row, first + number)

    def waveform(self, position: int, first: int = 0, last: int | None = None) -> np.ndarray:
        """Samples `first` to `last` (left out) of a record, float32 `(component, sample)`, NaN for gaps.

        Of raw encodings nothing else is read, and floats are a read-only view of the file: copy to write.
        """
        places = self.places
        encoding = places.encoding[position]
        offset = places.offset[position]
        if encoding > _INT32 or offset < 0:
            return self._decoded(position)[:, first:last]
        rows, samples = places.num_components[position], places.num_samples[position]
        flat = self.buffers[places.shard[position]][offset : offset + rows * samples]
        window = flat.reshape(rows, samples)[:, first:last]
        if encoding == _FLOAT32:
            return window
        integers = window.view(np.int32)
        return with_gaps(integers) if places.has_gaps[position] else integers.astype(np.float32)

    @cached_property
    def buffers(self) -> list[np.ndarray]:
        """Each Arrow shard as one flat, read-only float32 array; `.view(np.int32)` where `places` says int32.

        Record i of a raw encoding begins at `places.offset[i]` of `buffers[places.shard[i]]`.

        Raises ValueError for Parquet shards, which have no bytes to look at.
        """
        if self._parquet is not None:
            raise ValueError(
                f"{self.path} is of Parquet shards: convert it to Arrow ones to read it at random"
            )
        return [content[: len(content) // 4 * 4].view(np.float32) for content in self._bytes]

    @cached_property
    def index(self) -> pa.Table:
        """Every column but the waveform, one row a record (see `schema.COLUMNS`)."""
        return self._read_index(None)

    def record_ids(self) -> list[str]:
        """The name of each record."""
        return self.index["record_id"].to_pylist()

    def event_keys(self) -> list[str]:
        """See `records.event_keys`."""
        events = self.index["event_id"].to_pylist()
        return [event or record for event, record in zip(events, self.record_ids(), strict=True)]

    def record_facts(self) -> RecordFacts:
        """Who, where and when of all records, with their hashes, from the index alone."""
        return RecordFacts.from_index(self.index)

    def record_table(self) -> RecordTable:
        """What labels need to know of all records, from the index alone."""
        return self._table

    def instrument(self, position: int) -> dict[str, Any]:
        """See `records.instrument_of`."""
        (row,) = self._instruments.slice(position, 1).to_pylist()
        return {key: value for key, value in row.items() if value is not None}

    def positions_of_event(self, event_id: str) -> np.ndarray:
        """Where the records of an event stand, int64."""
        return self._events.positions(event_id)

    def positions_of_station(self, station_id: str) -> np.ndarray:
        """Where the records of a station stand, int64."""
        return self._stations.positions(station_id)

    def skipped(self) -> list[Skipped]:
        """What was left out when the corpus was made, and why."""
        with (self.path / SKIPPED).open(newline="", encoding="utf-8") as file:
            return [Skipped(row["item"], row["reason"]) for row in csv.DictReader(file)]

    def verify(self) -> None:
        """Compare every file with the hash that was taken when it was written.

        Raises ValueError that names the files that differ.
        """
        expected = {self.path / shard["file"]: shard["sha256"] for shard in self.summary["shards"]}
        expected[self.path / INDEX] = self.summary["index"]["sha256"]
        damaged = [str(file.name) for file, sha256 in expected.items() if file_sha256(file) != sha256]
        if damaged:
            raise ValueError(
                f"{self.path}: {damaged} differ from what was written (SHA-256): copy or convert them again"
            )

    @cached_property
    def _rows(self) -> pa.Table:
        """The index with start times as integers, which Python's own types can hold."""
        at = self.index.schema.get_field_index("start_time")
        return self.index.set_column(at, "start_time", self.index["start_time"].cast(pa.int64()))

    @cached_property
    def _instruments(self) -> pa.Table:
        return self.index.select(["component_names", *INSTRUMENT_KEYS]).combine_chunks()

    @cached_property
    def _table(self) -> RecordTable:
        return table_of_index(self.index)

    @cached_property
    def _events(self) -> Lookup:
        return Lookup(self.index["event_id"])

    @cached_property
    def _stations(self) -> Lookup:
        return Lookup(self.index["station_id"])

    @cached_property
    def _bytes(self) -> list[np.ndarray]:
        return [mapped(file) for file in self._files]

    @cached_property
    def _parquet(self) -> ParquetShards | None:
        return ParquetShards(self._files) if self.summary["config"]["file_format"] == "parquet" else None

    def _record(self, row: dict[str, Any], position: int) -> Record:
        # A copy: a record may be written to, and outlive the mapped file.
        return record_of(row, np.array(self.waveform(position)))

    def _decoded(self, position: int) -> np.ndarray:
        """A whole waveform that is compressed, or in a Parquet shard."""
        places = self.places
        shard = places.shard[position]
        if self._parquet is not None:
            stored: np.ndarray | bytes = self._parquet.stored(shard, places.row[position])
        else:
            begin = places.offset[position]
            stored = self._bytes[shard][begin : begin + places.num_bytes[position]]
        shape = int(places.num_components[position]), int(places.num_samples[position])
        return decode(stored, ENCODINGS[places.encoding[position]], *shape)

    def _read_index(self, columns: Sequence[str] | None) -> pa.Table:
        path = self.path / INDEX
        if not path.is_file():
            raise FileNotFoundError(f"the corpus {self.path} has lost its {INDEX}: copy or convert it again")
        try:
            return pq.read_table(path, columns=columns and list(columns), memory_map=True)
        except (pa.ArrowException, OSError) as error:
            raise ValueError(f"{path} is damaged ({error}): copy or convert the corpus again") from error


def _read_summary(path: Path) -> dict[str, Any]:
    if not (path / SUMMARY).is_file():
        if (path / UNFINISHED).is_file():
            raise FileNotFoundError(
                f"the corpus {path} is not finished: run its conversion again, it goes on"
            )
        raise FileNotFoundError(f"no corpus in {path}: expected a folder with {SUMMARY}")
    summary = json.loads((path / SUMMARY).read_text(encoding="utf-8"))
    if summary.get("format") != FORMAT or summary.get("version") != VERSION:
        raise ValueError(
            f"{path / SUMMARY}: expected {FORMAT} of version {VERSION}, found {summary.get('format')} of "
            f"version {summary.get('version')}: update seisfm, or convert the data again"
        )
    return summary


def _check_files(files: Sequence[Path], summary: dict[str, Any]) -> None:
    for file, shard in zip(files, summary["shards"], strict=True):
        if not file.is_file():
            raise FileNotFoundError(f"the corpus has lost its shard {file}: copy or convert it again")
        if file.stat().st_size != shard["num_bytes"]:
            raise ValueError(
                f"{file} should have {shard['num_bytes']} bytes, found {file.stat().st_size}: "
                "it was cut short or changed; copy or convert it again"
            )
