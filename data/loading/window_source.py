"""Windows of a sequence of records: drawn at random for training, or fixed for evaluation."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from ..batch import WaveformBatch
from ..instruments.harmonization import HarmonizationConfig, Harmonizer
from ..record_table import RecordTable, record_table
from ..records import Record, instrument_of, waveform_of
from .endless import MakesWindows, PartedWindows, leaves_of
from .window_random import WindowRandom, window_keys
from .windows import WindowConfig, cut_windows, start_samples


class WindowSource:
    """A sequence of records from which windows are cut.

    harmonization: what is made of the native values that records hold, in every window.
    records: any sequence. One that has a `record_table()` is not read to place and label its windows, and one
        with a `waveform(position, first, last)` is read without making records, and no more than the window.
        One that `MakesWindows` makes those of training without a record.
    """

    def __init__(self, records: Sequence[Record], harmonization: HarmonizationConfig | None = None):
        if len(records) == 0:
            raise ValueError(
                "windows need one record or more, found none: check the split and what was skipped"
            )
        self.records = records
        self.harmonizer = Harmonizer(harmonization or HarmonizationConfig())
        self._table = record_table(records)
        self._parts = self._parted(records)

    def __len__(self) -> int:
        return len(self.records)

    def cut(self, positions: np.ndarray, random: WindowRandom, windows: WindowConfig) -> WaveformBatch:
        """A window at a random place of each record of `positions` (int64), on the CPU."""
        if self._parts is not None:
            own = replace(windows, harmonization=self.harmonizer.config)
            return windows.fewer_labels.apply(self._parts.cut(positions, random, own))
        draws = random.uniform64("window", 2).cpu().numpy()
        return self._cut(
            positions, windows, lambda table, places: start_samples(table, places, windows, draws)
        )

    def cut_at(self, positions: np.ndarray, starts: np.ndarray, windows: WindowConfig) -> WaveformBatch:
        """A window of each record of `positions`, from a given sample on (negative: before its beginning)."""
        return self._cut(positions, windows, lambda table, places: starts)

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

        def starts(table: RecordTable, places: np.ndarray) -> np.ndarray:
            names = zip(table.record_id[places].tolist(), repeats.tolist(), strict=True)
            draws = np.array([_draws(name, seed, repeat) for name, repeat in names])
            return start_samples(table, places, windows, draws)

        return self._cut(positions, windows, starts)

    def _parted(self, records: Sequence[Record]) -> PartedWindows | None:
        """The ways to windows of a sequence of which a part makes them itself; None where all are cut."""
        leaves, leaf, place = leaves_of(records)
        if not any(isinstance(part, MakesWindows) for part in leaves):
            return None
        config = self.harmonizer.config
        # A part of which nothing was chosen is never asked, and may be empty.
        cutters = [
            None if isinstance(part, MakesWindows) or not len(part) else WindowSource(part, config)
            for part in leaves
        ]
        return PartedWindows(leaves, leaf, place, cutters)

    def _cut(
        self,
        positions: np.ndarray,
        windows: WindowConfig,
        starts: Callable[[RecordTable, np.ndarray], np.ndarray],
    ) -> WaveformBatch:
        """Windows whose first samples are told by the table and where the records stand in it."""
        records, table, places = self.records, self._table, positions
        if table is None:
            records = [self.records[position] for position in positions.tolist()]
            table, places = RecordTable.from_records(records), np.arange(len(records))
        read = partial(waveform_of, records)
        batch = windows.fewer_labels.apply(cut_windows(table, places, read, starts(table, places), windows))
        if self.harmonizer.config == HarmonizationConfig():
            return batch
        return self.harmonizer(batch, [instrument_of(records, place) for place in places.tolist()])


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
    source = WindowSource(records, windows.harmonization)
    places = np.arange(len(records) * windows_per_record)
    return [
        source.fixed(
            chosen // windows_per_record, chosen % windows_per_record, windows, seed
        ).with_window_key(window_keys(torch.from_numpy(chosen), "fixed", seed))
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
