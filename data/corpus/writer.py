"""The frame around a corpus's shards: begun, gone on with, finished."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..records import Record, Skipped
from .card import dataset_card
from .shards import (
    CorpusConfig,
    Part,
    file_sha256,
    part_path,
    read_part,
    read_part_index,
    renamed_when_complete,
)

FORMAT, VERSION = "seisfm corpus", 1
SUMMARY, UNFINISHED, INDEX, SKIPPED = "corpus.json", "unfinished.json", "index.parquet", "skipped.csv"


def begin(folder: Path, config: CorpusConfig) -> None:
    """Make the folder, or check that it holds an unfinished corpus of the same configuration.

    Raises FileExistsError where it holds something else, or a finished corpus.
    """
    state = {"format": FORMAT, "version": VERSION, "config": asdict(config)}
    if (folder / SUMMARY).is_file():
        raise FileExistsError(f"{folder} is a finished corpus already: give a new folder, or remove it first")
    if (folder / UNFINISHED).is_file():
        found = json.loads((folder / UNFINISHED).read_text())
        if found != state:
            raise FileExistsError(
                f"{folder} holds an unfinished corpus of another configuration: expected {state}, "
                f"found {found}; go on with that one, or remove the folder"
            )
        for leftover in folder.glob("**/.*.partial"):
            leftover.unlink()
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} exists already: give a new folder, or remove it first")
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / UNFINISHED, json.dumps(state, indent=2))


def finished_part(folder: Path, number: int, records: Sequence[Record], config: CorpusConfig) -> Part | None:
    """The shard that an earlier run made of these records, None where it has to be made.

    Raises ValueError where that run was given other records.
    """
    part = read_part(folder, number, config)
    if part is None:
        return None
    names = read_part_index(folder, part)["record_id"]
    given = _first_readable(records)
    if part.num_given != len(records) or (names[0].as_py() if len(names) else None) != given:
        raise ValueError(
            f"{folder} was begun with other records: shard {number} was made of {part.num_given}, of which "
            f"{names[:1].to_pylist()} is the first, and now {len(records)} are given that begin with "
            f"{given!r}; remove the folder, or give the same records"
        )
    return part


def _first_readable(records: Sequence[Record]) -> str | None:
    for position in range(len(records)):
        try:
            return records[position].record_id
        except (ValueError, OSError):  # the shard has it among its skipped
            continue
    return None


def finish(folder: Path, config: CorpusConfig, parts: Sequence[Part], skipped: Sequence[Skipped]) -> None:
    """Write the index, the card and, last of all, corpus.json, which makes the folder a corpus.

    Raises ValueError, and removes the folder, where there is no record in it.
    """
    left_out = [*skipped, *(item for part in parts for item in part.skipped)]
    if not sum(part.num_rows for part in parts):
        shutil.rmtree(folder)
        reason = f"; the first of {len(left_out)} skipped: {left_out[0]}" if left_out else ""
        raise ValueError(f"expected at least one record for a corpus, found none{reason}")
    index = pa.concat_tables([read_part_index(folder, part) for part in parts])
    with renamed_when_complete(folder / INDEX) as partial:
        pq.write_table(index, partial, compression="zstd")
    with renamed_when_complete(folder / SKIPPED) as partial:
        _write_skipped(partial, left_out)
    summary = _summary(folder, config, parts, index) | {"num_skipped": len(left_out)}
    write_text(folder / "README.md", dataset_card(summary, config.file_format))
    write_text(folder / SUMMARY, json.dumps(summary, indent=2, ensure_ascii=False))
    for part in parts:
        part_path(folder, part.number).unlink()
    part_path(folder, 0).parent.rmdir()
    (folder / UNFINISHED).unlink()


def _write_skipped(path: Path, left_out: Sequence[Skipped]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerows([("item", "reason"), *((item.item, item.reason) for item in left_out)])


def _summary(folder: Path, config: CorpusConfig, parts: Sequence[Part], index: pa.Table) -> dict[str, Any]:
    keys = ["dataset", "licence", "citation"]
    sources = index.group_by(keys).aggregate([([], "count_all")]).rename_columns([*keys, "num_records"])
    shards = [
        {"file": part.file, "num_records": part.num_rows, "num_bytes": part.num_bytes, "sha256": part.sha256}
        for part in parts
    ]
    return {
        "format": FORMAT,
        "version": VERSION,
        "name": config.dataset
        or ", ".join(sorted({s for s in sources["dataset"].to_pylist() if s}))
        or "Corpus",
        "config": asdict(config),
        "num_records": index.num_rows,
        "num_events": pc.count_distinct(index["event_id"], mode="only_valid").as_py(),
        "num_stations": pc.count_distinct(index["station_id"], mode="only_valid").as_py(),
        "encodings": {
            item["values"]: item["counts"] for item in pc.value_counts(index["encoding"]).to_pylist()
        },
        "sources": sorted(sources.to_pylist(), key=str),
        "shards": shards,
        "index": {"file": INDEX, "sha256": file_sha256(folder / INDEX)},
    }


def write_text(path: Path, text: str) -> None:
    """A small file that is there as a whole or not at all."""
    with renamed_when_complete(path) as partial:
        partial.write_text(text + "\n" * (not text.endswith("\n")), encoding="utf-8")
