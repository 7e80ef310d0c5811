"""Windows of a sequence of records: drawn at random for training, or fixed for evaluation."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy as np

from .batch import WaveformBatch
from .record_table import RecordTable, record_table
from .records import Record
from .window_random import WindowRandom
from .windows import ReadWaveform, WindowConfig, cut_windows, start_samples


class WindowSource:
    """A sequence of records from which windows are cut.

    records: any sequence. One that has a `record_table()` is not read to place and label its windows, and one
        with a `waveform(position, first, last)` is read without making records, and no more than the window.
    """

    def __init__(self, records: Sequence[Record]):
        if len(records) == 0:
            raise ValueError(
                "windows need one record or more, found none: check the split and what was skipped"
            )
        self.records = records
        self._table = record_table(records)

    def __len__(self) -> int:
        return len(self.records)

    def cut(self, positions: np.ndarray, random: WindowRandom, windows: WindowConfig) -> WaveformBatch:
        """A window at a random place of each record of `positions` (int64), on the CPU."""
        draws = random.uniform64("window", 2).cpu().numpy()
        table, places, read = self._about(positions)
        return cut_windows(table, places, read, start_samples(table, places, windows, draws), windows)

    def cut_at(self, positions: np.ndarray, starts: np.ndarray, windows: WindowConfig) -> WaveformBatch:
        """A window of each record of `positions`, from a given sample on (negative: before its beginning)."""
        table, places, read = self._about(positions)
        return cut_windows(table, places, read, starts, windows)

    def draw(self, random: WindowRandom, windows: WindowConfig) -> WaveformBatch:
        """A window at a random place of a random record for each entry of `random`, on its device."""
        positions = (random.uniform64("record") * len(self)).long().cpu().numpy()
        return self.cut(positions, random, windows).to(random.device)

    def fixed(
        self, positions: np.ndarray, repeats: np.ndarray, windows: WindowConfig, seed: int
    ) -> WaveformBatch:
        """Windows of an evaluation: the same for a record whatever its company or order.

        repeats: tells several windows of one record apart. The place comes from it, the seed and `record_id`.
        """
        table, places, read = self._about(positions)
        names = table.record_id[places].tolist()
        draws = [_draws(name, seed, repeat) for name, repeat in zip(names, repeats.tolist(), strict=True)]
        return cut_windows(
            table, places, read, start_samples(table, places, windows, np.array(draws)), windows
        )

    def _about(self, positions: np.ndarray) -> tuple[RecordTable, np.ndarray, ReadWaveform]:
        """A table, where the records stand in it, and how to read them from there."""
        if self._table is None:
            chosen = [self.records[position] for position in positions.tolist()]
            return RecordTable.from_records(chosen), np.arange(len(chosen)), _reader(chosen)
        own: ReadWaveform | None = getattr(self.records, "waveform", None)
        return self._table, positions, own or _reader(self.records)


def _reader(records: Sequence[Record]) -> ReadWaveform:
    return lambda position, first, last: records[position].waveform[:, first:last]


def fixed_windows(
    records: Sequence[Record],
    windows: WindowConfig,
    seed: int,
    windows_per_record: int = 1,
    batch_size: int = 64,
) -> list[WaveformBatch]:
    """The windows of an evaluation, record by record, always the same (see `WindowSource.fixed`)."""
    if windows_per_record < 1 or batch_size < 1:
        raise ValueError(
            "windows_per_record and batch_size must be 1 or more, "
            f"found {windows_per_record} and {batch_size}"
        )
    if len(records) == 0:
        return []
    source = WindowSource(records)
    places = np.arange(len(records) * windows_per_record)
    return [
        source.fixed(chosen // windows_per_record, chosen % windows_per_record, windows, seed)
        for chosen in np.split(places, range(batch_size, len(places), batch_size))
    ]


def validation_windows(
    records: Sequence[Record], windows: WindowConfig, seed: int, num_windows: int, batch_size: int
) -> list[WaveformBatch]:
    """About so many fixed windows, evenly from all records: sources stand in them one after the other.

    Each record that is taken gives as many windows as the others; only those that are taken are read.
    """
    windows_per_record = math.ceil(num_windows / len(records))
    num_records = math.ceil(num_windows / windows_per_record)
    chosen = [records[i * len(records) // num_records] for i in range(num_records)]
    return fixed_windows(chosen, windows, seed, windows_per_record, batch_size)


def _draws(record_id: str, seed: int, repeat: int) -> tuple[float, float]:
    digest = hashlib.sha256(f"{seed}/{repeat}/{record_id}".encode()).digest()
    return int.from_bytes(digest[:6]) / 2**48, int.from_bytes(digest[6:12]) / 2**48
