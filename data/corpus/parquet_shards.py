"""Waveforms of Parquet shards: good to read in order, slower at random."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from .schema import WAVEFORM_COLUMN


class ParquetShards:
    """The waveform columns of some Parquet files, of which the row group that was last read is kept."""

    def __init__(self, files: Sequence[Path]):
        self._files = files
        self._first_rows = [_first_rows(file) for file in files]
        self._at = (-1, -1)
        self._group: pa.ChunkedArray | None = None

    def stored(self, shard: int, row: int) -> bytes:
        """The encoded waveform in a row of a shard; a look within the same row group reads nothing again."""
        first_rows = self._first_rows[shard]
        group = int(np.searchsorted(first_rows, row, side="right")) - 1
        if self._group is None or self._at != (shard, group):
            with pq.ParquetFile(self._files[shard]) as file:
                self._group = file.read_row_group(group, columns=[WAVEFORM_COLUMN.name])[0]
            self._at = (shard, group)
        return self._group[int(row - first_rows[group])].as_py()


def _first_rows(path: Path) -> np.ndarray:
    about = pq.read_metadata(path)
    lengths = [about.row_group(number).num_rows for number in range(about.num_row_groups)]
    return np.cumsum([0, *lengths])
