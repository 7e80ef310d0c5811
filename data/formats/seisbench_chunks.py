"""SeisBench's pairs of files, opened: metadata as columns, and what they say of their waveforms."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from .seisbench_columns import TEXT_COLUMNS, decode_row

KINDS = "seisfm/column_kinds"
"""Where `write_seisbench` keeps the kind of each column, which CSV cannot tell."""

_NOT_AVAILABLE = ["", "nan", "NaN", "NAN", "None", "none", "null", "NA", "N/A", "<NA>"]


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """One pair of files."""

    name: str
    waveforms: Path
    columns: dict[str, np.ndarray]
    num_rows: int
    data_format: dict[str, Any]
    kinds: dict[str, str] | None


def chunk_names(path: Path) -> list[str]:
    """The chunks, listed or found by their files, in SeisBench's order: record i is its trace i."""
    if (path / "chunks").is_file() and (listed := (path / "chunks").read_text().split()):
        return sorted(listed)
    if (path / "waveforms.hdf5").is_file():
        return [""]
    pairs = (("waveforms", ".hdf5"), ("metadata", ".csv"))
    found = {
        file.name.removeprefix(start).removesuffix(end)
        for start, end in pairs
        for file in path.glob(f"{start}*{end}")
    }
    if found:
        return sorted(found)
    raise FileNotFoundError(
        f"no SeisBench data set in {path}: expected waveforms.hdf5 and metadata.csv, or such a pair for each "
        "chunk, perhaps listed in a file named chunks"
    )


def open_chunk(path: Path, name: str) -> Chunk:
    """Read the metadata of a pair of files, and what the other one says of its waveforms.

    Raises FileNotFoundError where one is missing, ValueError where the format is not told.
    """
    waveforms, metadata = path / f"waveforms{name}.hdf5", path / f"metadata{name}.csv"
    absent = [file.name for file in (waveforms, metadata) if not file.is_file()]
    if absent:
        raise FileNotFoundError(f"the SeisBench data set in {path} lacks {absent}")
    with h5py.File(waveforms, "r") as file:
        found = {key: _scalar(value[()]) for key, value in file.get("data_format", {}).items()}
        kinds = json.loads(_scalar(file[KINDS][()])) if KINDS in file else None
    order = str(found.get("dimension_order", "")).removeprefix("N")
    table = _read_text(metadata) if kinds is not None else _read_inferred(metadata)
    named = found.get("component_order") or "trace_component_order" in table
    if order not in ("CW", "WC") or not named:
        raise ValueError(
            f"{waveforms}: data_format needs component_order and dimension_order, CW or WC, found {found}"
        )
    if "trace_name" not in table:
        raise ValueError(f"{metadata} must have a column trace_name, found {list(table.columns)}")
    return Chunk(
        name=name,
        waveforms=waveforms,
        columns={str(name): column.to_numpy() for name, column in table.items()},
        num_rows=len(table),
        data_format=found | {"dimension_order": order},
        kinds=kinds,
    )


def _scalar(value: Any) -> Any:
    """HDF5's bytes as text; a list of them, such as of components, as one word."""
    if isinstance(value, np.ndarray):
        return "".join(str(_scalar(item)) for item in value.tolist())
    return value.decode() if isinstance(value, bytes) else value


def _read_text(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def _read_inferred(path: Path) -> pd.DataFrame:
    """Anybody's metadata: numbers where a column looks like it, but codes as text (NA is a network)."""
    columns = pd.read_csv(path, nrows=0).columns
    return pd.read_csv(
        path,
        dtype=dict.fromkeys(set(TEXT_COLUMNS) & set(columns), str),
        keep_default_na=False,
        na_values={column: [""] if column in TEXT_COLUMNS else _NOT_AVAILABLE for column in columns},
        low_memory=False,
    )


def row_of(chunk: Chunk, number: int, columns: Iterable[str] | None = None) -> dict[str, Any]:
    """What a row says in some columns, or all, empty cells left out, in Python's own types."""
    wanted = chunk.columns.keys() if columns is None else chunk.columns.keys() & columns
    cells = {name: chunk.columns[name][number] for name in wanted}
    if chunk.kinds is not None:
        return decode_row(cells, chunk.kinds)
    return {
        key: getattr(cell, "item", lambda cell=cell: cell)()
        for key, cell in cells.items()
        if not pd.isna(cell)
    }
