"""Batches of whole networks: windows of all stations that recorded an event, all from the same time on."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ..batch import WaveformBatch
from ..record_table import RecordTable, record_table
from ..records import Record, Skipped, event_keys
from .window_random import WindowRandom, window_keys
from .window_source import WindowSource
from .windows import WindowConfig


class MakesNetworkWindows(Protocol):
    """What has windows of networks under numbers, such as `RecordedNetworks` or `SyntheticNetworks`."""

    def network_windows(self, numbers: Tensor) -> WaveformBatch:
        """All stations' windows of some networks, int64 `(network,)`, with `event_index` and places."""
        ...


class NetworkLoader:
    """Endless batches of network windows: batch i of every rank is a pure function of its number.

    networks: how many a batch and rank. Rank r of W takes the numbers (i W + r) B to (i W + r + 1) B.
    """

    def __init__(self, source: MakesNetworkWindows, networks: int, rank: int = 0, world_size: int = 1):
        if networks < 1 or not 0 <= rank < world_size:
            raise ValueError(
                "networks must be 1 or more and rank lie in 0 to world_size − 1, "
                f"found {networks}, {rank} of {world_size}"
            )
        self.source, self.networks, self.rank, self.world_size = source, networks, rank, world_size

    def batch(self, index: int) -> WaveformBatch:
        """This rank's batch of a number."""
        first = (index * self.world_size + self.rank) * self.networks
        return self.source.network_windows(torch.arange(first, first + self.networks))

    def batches(self, start: int = 0) -> Iterator[WaveformBatch]:
        """This rank's batches from a number on, without end."""
        for index in itertools.count(start):
            yield self.batch(index)


class RecordedNetworks:
    """Records of the same events at several stations, as windows that begin at one time.

    Number n is an event of the epoch n // (number of events), in which each has its turn by chance. A share
    `arrival_fraction` of the windows begins up to `window_s − margin_s` and at least `margin_s` before the
    network's first arrival, the others anywhere between the first and last sample of the event's records.
    A station whose record does not reach into the window is NaN there.

    fewest_stations: events with fewer records are skipped, and so are records without a start time.
    """

    def __init__(self, records: Sequence[Record], windows: WindowConfig, seed: int, fewest_stations: int = 2):
        self.windows, self.seed = windows, seed
        self._source = WindowSource(records, windows.harmonization)
        self._table = record_table(records) or RecordTable.from_records(records)
        self.skipped: list[Skipped] = []
        self.events = self._grouped(event_keys(records), fewest_stations)
        if not self.events:
            raise ValueError(
                f"no event has {fewest_stations} records with a start time: {len(self.skipped)} were skipped"
            )

    def __len__(self) -> int:
        return len(self.events)

    def network_windows(self, numbers: Tensor) -> WaveformBatch:
        """All stations' windows of some networks; `event_index` is the network's place in `numbers`."""
        draws = WindowRandom(window_keys(numbers, "network", self.seed)).uniform64("window", 2).numpy()
        chosen = [self._event(number) for number in numbers.tolist()]
        starts = [self._starts(rows, draw) for rows, draw in zip(chosen, draws, strict=True)]
        positions, first = np.concatenate(chosen), np.concatenate(starts)
        batch = self._source.cut_at(positions, first, self.windows)
        sizes = torch.tensor([len(rows) for rows in chosen])
        return batch.replace(event_index=torch.arange(len(chosen)).repeat_interleave(sizes))

    def _event(self, number: int) -> np.ndarray:
        epoch, place = divmod(number, len(self.events))
        return self.events[np.random.default_rng((self.seed, epoch)).permutation(len(self.events))[place]]

    def _starts(self, rows: np.ndarray, draws: np.ndarray) -> np.ndarray:
        """The first sample in its record of each window of one network, int64."""
        table, windows = self._table, self.windows
        first, length_s = table.start_time[rows], table.duration_s[rows]
        arrival = (first + table.first_arrival_s[rows])[np.isfinite(table.first_arrival_s[rows])]
        if len(arrival) and draws[0] < windows.arrival_fraction:
            room_s = windows.window_s - 2 * windows.margin_s
            begin = arrival.min() - windows.margin_s - draws[1] * room_s
        else:
            room_s = max((first + length_s).max() - first.min() - windows.window_s, 0.0)
            begin = first.min() + draws[1] * room_s
        return np.round((begin - first) * table.sampling_rate_hz[rows]).astype(np.int64)

    def _grouped(self, keys: Sequence[str], fewest: int) -> list[np.ndarray]:
        """The positions of each event's records."""
        timed = np.isfinite(self._table.start_time)
        names, index = np.unique(np.asarray(keys, dtype=np.str_), return_inverse=True)
        events = []
        for number, name in enumerate(names.tolist()):
            rows = np.flatnonzero(index == number)
            lost = rows[~timed[rows]].tolist()
            self.skipped += [Skipped(str(self._table.record_id[row]), "no start time") for row in lost]
            rows = rows[timed[rows]]
            if len(rows) >= fewest:
                events.append(rows)
            elif len(rows):
                self.skipped.append(Skipped(name, f"{len(rows)} records, wanted are {fewest} or more"))
        return events
