"""The training loader: a batch is a pure function of the seed and its place, so that runs resume exactly."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache

import torch
from torch import Tensor

from .augmentation import AugmentationConfig, Augmenter
from .batch import WaveformBatch
from .records import Record
from .windows import WindowConfig, cut_windows


class WindowLoader:
    """Endless shuffled batches of augmented windows, the same on every run with the same seed.

    records: any sequence, also a lazy one that reads a record when it is asked for.
    augmentation: None for none.
    batch_size: windows a batch and rank; every rank gets records of its own.
    prefetch: batches made ahead in the background, 0 for none.

    An epoch is one permutation of the records, whatever the number of ranks; its end is dropped where it
    fills no batch. With fewer records than one batch of all ranks takes, the epoch is one batch, and records
    repeat.
    """

    def __init__(
        self,
        records: Sequence[Record],
        windows: WindowConfig,
        augmentation: AugmentationConfig | None,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        noise_records: Sequence[Record] = (),
        prefetch: int = 2,
    ):
        if len(records) == 0:
            raise ValueError(
                "a loader needs one record or more, found none: check the split and what was skipped"
            )
        if batch_size < 1 or prefetch < 0:
            raise ValueError(
                f"batch_size must be 1 or more and prefetch not negative, found {batch_size} and {prefetch}"
            )
        if not 0 <= rank < world_size:
            raise ValueError(f"rank must lie in 0 to world_size − 1, found {rank} of {world_size}")
        if augmentation is None and len(noise_records):
            raise ValueError(
                "noise_records are for augmentation, which is None: give one, or no noise records"
            )
        self.records = records
        self.windows = windows
        self.augmenter = None if augmentation is None else Augmenter(augmentation, noise_records)
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.prefetch = prefetch

    @property
    def num_batches(self) -> int:
        """Batches of one rank in an epoch, one or more."""
        return max(1, len(self.records) // (self.batch_size * self.world_size))

    def batch(self, epoch: int, position: int) -> WaveformBatch:
        """The batch at a position of an epoch, always the same, in whatever order batches are asked for."""
        if not 0 <= position < self.num_batches:
            raise IndexError(f"an epoch has positions 0 to {self.num_batches - 1}, found {position}")
        first = (position * self.world_size + self.rank) * self.batch_size
        order = _epoch_order(self.seed, epoch, len(self.records), self.batch_size * self.world_size)
        chosen = order[first : first + self.batch_size].tolist()
        generator = _generator(self.seed, epoch, position, self.rank)
        batch = cut_windows([self.records[i] for i in chosen], self.windows, generator)
        return batch if self.augmenter is None else self.augmenter(batch, generator)

    def batches(self, start: int = 0) -> Generator[WaveformBatch, None, None]:
        """Batches from a global position on (epoch, position = divmod(start, num_batches)), without end.

        Close the iterator (or drop it) to stop the background thread. An error while a batch is made is
        raised in place of that batch.
        """
        if start < 0:
            raise ValueError(f"start must not be negative, found {start}")
        return self._prefetched(start) if self.prefetch else (self._at(i) for i in itertools.count(start))

    def _at(self, index: int) -> WaveformBatch:
        return self.batch(*divmod(index, self.num_batches))

    def _prefetched(self, start: int) -> Generator[WaveformBatch, None, None]:
        # An executor rather than a bare thread: the interpreter waits for it when a run ends with the
        # iterator still open, where killing a daemon thread inside of torch aborts the process.
        pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="WindowLoader")
        ready: deque[Future[WaveformBatch]] = deque()
        try:
            ready.extend(pool.submit(self._at, start + ahead) for ahead in range(self.prefetch))
            for index in itertools.count(start + self.prefetch):
                batch = ready.popleft().result()
                ready.append(pool.submit(self._at, index))
                yield batch
        finally:
            for future in ready:
                future.cancel()
            pool.shutdown()


@lru_cache(maxsize=4)
def _epoch_order(seed: int, epoch: int, num_records: int, wanted: int) -> Tensor:
    """The epoch's records; further permutations follow where one alone fills no batch of all ranks."""
    generator = _generator(seed, epoch)
    repeats = max(1, math.ceil(wanted / num_records))
    return torch.cat([torch.randperm(num_records, generator=generator) for _ in range(repeats)])


def _generator(*numbers: int) -> torch.Generator:
    """A random generator that only these numbers decide: a hash keeps neighbouring seeds apart."""
    digest = hashlib.sha256("/".join(map(str, numbers)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8]) >> 1)
