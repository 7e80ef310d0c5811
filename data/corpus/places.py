"""Where the waveforms of a corpus lie, as columns of numbers, and the files mapped into memory."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .codec import ENCODINGS

RAW = (ENCODINGS.index("float32"), ENCODINGS.index("int32"))
PLACE_COLUMNS = (
    "component_names",
    "num_samples",
    "num_missing",
    "encoding",
    "shard",
    "row",
    "offset",
    "num_bytes",
)
"""The columns of the index that `Places` is made of."""


@dataclass(frozen=True, kw_only=True)
class Places:
    """One entry a record, for reading without any other look at the index.

    shard: int32. row: int32, in the shard.
    offset: int64, of the first sample in the shard's file, counted in samples of 4 bytes; of a compressed
        waveform, in bytes; −1 in Parquet shards.
    num_bytes: int64. num_components: int16. num_samples: int64, of each component.
    encoding: int8, position in `codec.ENCODINGS`; the first two are raw.
    has_gaps: bool, whether any sample is NaN.
    """

    shard: np.ndarray
    row: np.ndarray
    offset: np.ndarray
    num_bytes: np.ndarray
    num_components: np.ndarray
    num_samples: np.ndarray
    encoding: np.ndarray
    has_gaps: np.ndarray

    def __len__(self) -> int:
        return len(self.shard)

    @classmethod
    def of_index(cls, index: pa.Table) -> Places:
        """From `PLACE_COLUMNS`. Raises ValueError where an encoding is unknown or samples are not aligned."""
        encoding = np.array([_code(name) for name in index["encoding"].to_pylist()], dtype=np.int8)
        offset = pc.fill_null(index["offset"], -1).to_numpy().astype(np.int64)
        in_samples = np.isin(encoding, RAW) & (offset >= 0)
        if (offset[in_samples] % 4).any():
            raise ValueError("a waveform does not begin at a multiple of 4 bytes: convert the corpus again")
        return cls(
            shard=index["shard"].to_numpy(),
            row=index["row"].to_numpy(),
            offset=np.where(in_samples, offset // 4, offset),
            num_bytes=index["num_bytes"].to_numpy(),
            num_components=pc.list_value_length(index["component_names"]).to_numpy().astype(np.int16),
            num_samples=index["num_samples"].to_numpy(),
            encoding=encoding,
            has_gaps=index["num_missing"].to_numpy() > 0,
        )


def _code(name: str) -> int:
    if name not in ENCODINGS:
        raise ValueError(f"this version knows the encodings {ENCODINGS}, found {name!r}: update seisfm")
    return ENCODINGS.index(name)


def mapped(path: Path) -> np.ndarray:
    """A file's bytes, read-only uint8, read from the disk when they are looked at."""
    with path.open("rb") as file:
        return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
