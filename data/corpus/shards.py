"""One shard of a corpus: some records as an Arrow or Parquet file, and its rows of the index beside it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

from ..records import Record, Skipped, waveform_hash
from .codec import CHOICES, encode, encoding_for
from .schema import WAVEFORM_COLUMN, arrow_schema, index_schema, row_of

FILE_FORMATS = ("arrow", "parquet")
BATCH_BYTES = 16 * 2**20
"""A shard is written, and read in a stream, in batches of about this much waveform."""

_ABOUT = b"seisfm_part"


@dataclass(frozen=True, kw_only=True)
class CorpusConfig:
    """How a corpus is written.

    encoding: of the waveforms: float32, int32, int32_delta_zstd, float32_zstd, auto (int32 where nothing is
        lost, else float32: fast at random) or auto_zstd (the same, compressed: small).
    records_per_shard: of every shard but the last.
    file_format: arrow, which is mapped into memory for training, or parquet, to publish and to read in order.
    dataset, licence, citation: for records whose metadata do not tell theirs.
    """

    encoding: str = "auto"
    records_per_shard: int = 1024
    file_format: str = "arrow"
    dataset: str | None = None
    licence: str | None = None
    citation: str | None = None

    def __post_init__(self) -> None:
        if self.encoding not in CHOICES:
            raise ValueError(f"the encoding must be one of {CHOICES}, found {self.encoding!r}")
        if self.file_format not in FILE_FORMATS:
            raise ValueError(f"the file format must be one of {FILE_FORMATS}, found {self.file_format!r}")
        if self.records_per_shard < 1:
            raise ValueError(f"records_per_shard must be at least 1, found {self.records_per_shard}")


@dataclass(frozen=True, kw_only=True)
class Part:
    """What is known of a finished shard.

    num_given: records that it was made from; num_rows of them are in it, the others are `skipped`.
    """

    number: int
    file: str
    num_given: int
    num_rows: int
    num_bytes: int
    sha256: str
    skipped: tuple[Skipped, ...]


def shard_file(number: int, config: CorpusConfig) -> str:
    """Its path in the corpus."""
    return f"shards/shard-{number:05d}.{config.file_format}"


def part_path(folder: Path, number: int) -> Path:
    """Where the shard's rows of the index wait until the corpus is finished."""
    return folder / "parts" / f"part-{number:05d}.parquet"


def write_shard(number: int, records: Sequence[Record], folder: Path, config: CorpusConfig) -> Part:
    """Write some records as shard `number`. It counts as finished when its part of the index is there.

    A record that cannot be read is skipped, with its reason. Both files appear under their names when they
    are complete, the index last.
    """
    skipped: list[Skipped] = []
    file = shard_file(number, config)
    with renamed_when_complete(folder / file) as partial:
        rows = _write_rows(partial, _rows(records, number, config, skipped), config)
        place = {
            "shard": [number] * len(rows),
            "row": list(range(len(rows))),
            "offset": _offsets(partial) if config.file_format == "arrow" else [None] * len(rows),
        }
        num_bytes, sha256 = partial.stat().st_size, file_sha256(partial)
    part = Part(
        number=number,
        file=file,
        num_given=len(records),
        num_rows=len(rows),
        num_bytes=num_bytes,
        sha256=sha256,
        skipped=tuple(skipped),
    )
    _write_part(folder, part, rows, place)
    return part


def read_part(folder: Path, number: int, config: CorpusConfig) -> Part | None:
    """What an earlier run left of a shard; None where it did not finish it."""
    path = part_path(folder, number)
    if not path.is_file():
        return None
    about = json.loads(pq.read_schema(path).metadata[_ABOUT])
    about["skipped"] = tuple(Skipped(**item) for item in about["skipped"])
    part = Part(**about)
    shard = folder / part.file
    complete = shard.is_file() and shard.stat().st_size == part.num_bytes
    return part if complete and part.file == shard_file(number, config) else None


def read_part_index(folder: Path, part: Part) -> pa.Table:
    """The shard's rows of the index."""
    return pq.read_table(part_path(folder, part.number)).replace_schema_metadata()


@contextmanager
def renamed_when_complete(path: Path) -> Iterator[Path]:
    """A file to write to, which gets its name, safe on the disk, when all went well, and vanishes if not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.parent / f".{path.name}.{os.getpid()}.partial"
    try:
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def file_sha256(path: Path) -> str:
    """The hash of a whole file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _rows(
    records: Sequence[Record], number: int, config: CorpusConfig, skipped: list[Skipped]
) -> Iterator[dict[str, Any]]:
    told = {key: getattr(config, key) for key in ("dataset", "licence", "citation")}
    told = {key: value for key, value in told.items() if value is not None}
    for position in range(len(records)):
        try:
            record = records[position]
        except (ValueError, OSError) as error:
            name = f"record {number * config.records_per_shard + position}"
            skipped.append(Skipped(name, f"{type(error).__name__}: {error}"))
            continue
        record = replace(record, metadata=told | record.metadata) if told else record
        yield row_of(record) | _stored(record, config)


def _stored(record: Record, config: CorpusConfig) -> dict[str, Any]:
    """The columns of the store. Every NaN gets the same bits, so that the hash is that of what is read."""
    missing = np.isnan(record.waveform)
    waveform = np.where(missing, np.float32(np.nan), record.waveform)
    try:
        encoding = encoding_for(waveform, config.encoding)
    except ValueError as error:
        raise ValueError(f"record {record.record_id}: {error}") from error
    return {
        "num_samples": waveform.shape[1],
        "num_missing": int(missing.sum()),
        "content_hash": waveform_hash(replace(record, waveform=waveform)),
        "encoding": encoding,
        WAVEFORM_COLUMN.name: encode(waveform, encoding),
    }


def _write_rows(path: Path, rows: Iterator[dict[str, Any]], config: CorpusConfig) -> list[dict[str, Any]]:
    """Write rows in batches, and give them back without their waveforms."""
    kept: list[dict[str, Any]] = []
    with _writer(path, config) as writer:
        batch: list[dict[str, Any]] = []
        num_bytes = 0
        for row in rows:
            batch.append(row)
            num_bytes += len(row[WAVEFORM_COLUMN.name])
            if num_bytes >= BATCH_BYTES:
                kept += _flush(writer, batch)
                batch, num_bytes = [], 0
        kept += _flush(writer, batch) if batch else []
    return kept


def _writer(path: Path, config: CorpusConfig) -> Any:
    if config.file_format == "arrow":
        return pa.ipc.new_file(str(path), arrow_schema())
    return pq.ParquetWriter(
        path, arrow_schema(), compression="zstd", use_dictionary=False, write_statistics=False
    )


def _flush(writer: Any, batch: list[dict[str, Any]]) -> list[dict[str, Any]]:
    writer.write_batch(pa.RecordBatch.from_pylist(batch, schema=arrow_schema()))
    return [
        {name: cell for name, cell in row.items() if name != WAVEFORM_COLUMN.name}
        | {"num_bytes": len(row[WAVEFORM_COLUMN.name])}
        for row in batch
    ]


def _offsets(path: Path) -> list[int]:
    """Where each waveform begins in an uncompressed Arrow file, bytes from the file's begin."""
    found: list[int] = []
    with pa.memory_map(str(path)) as source:
        begin = source.read_buffer().address
        reader = pa.ipc.open_file(source)
        for number in range(reader.num_record_batches):
            column = reader.get_batch(number).column(WAVEFORM_COLUMN.name)
            _, ends, content = column.buffers()
            starts = np.frombuffer(ends, np.int64)[: len(column)]
            found += (starts + content.address - begin).tolist()
    return found


def _write_part(folder: Path, part: Part, rows: list[dict[str, Any]], place: dict[str, list[Any]]) -> None:
    schema = index_schema()
    names = [name for name in schema.names if name not in place]
    columns = {name: [row[name] for row in rows] for name in names} | place
    table = pa.table({name: pa.array(columns[name], schema.field(name).type) for name in schema.names})
    about = {
        **{name: getattr(part, name) for name in ("number", "file", "num_given", "num_rows", "num_bytes")},
        "sha256": part.sha256,
        "skipped": [{"item": one.item, "reason": one.reason} for one in part.skipped],
    }
    with renamed_when_complete(part_path(folder, part.number)) as partial:
        pq.write_table(table.replace_schema_metadata({_ABOUT: json.dumps(about)}), partial)
