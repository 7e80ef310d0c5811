"""The training loader: a batch is a pure function of the seed and its place, so that runs resume exactly."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import torch

from ..batch import WaveformBatch
from ..records import Record
from .augmentation import AugmentationConfig, Augmenter
from .memory import keep_freed_memory
from .sampler import SamplerState, WindowSampler, record_weights
from .window_source import WindowSource
from .windows import WindowConfig


class WindowLoader:
    """Endless shuffled batches of augmented windows, the same on every run with the same seed.

    records: any sequence, also a lazy one that reads a record when it is asked for.
    augmentation: None for none.
    batch_size: windows a batch and rank.
    prefetch: batches made ahead in the background, 0 for none.
    device: where windows are augmented and given out. They are cut on the CPU.

    The windows of a run are numbered (see `WindowSampler`), and each is a function of its number and the seed
    alone. Rank r of W takes the windows (i W + r) B to (i W + r + 1) B for its batch i of B: an epoch has the
    same windows for any number of ranks, none twice and none lost.
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
        device: torch.device | str = "cpu",
    ):
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
        keep_freed_memory()
        self.source = WindowSource(records, windows.harmonization)
        self.sampler = WindowSampler(record_weights(records), seed, windows.length_block)
        self.windows = windows
        noise = WindowSource(noise_records, windows.harmonization) if len(noise_records) else None
        self.augmenter = None if augmentation is None else Augmenter(augmentation, self.source, noise)
        self.batch_size = batch_size
        self.rank = rank
        self.world_size = world_size
        self.prefetch = prefetch
        self.device = torch.device(device)

    def batch(self, index: int) -> WaveformBatch:
        """This rank's batch of a number, always the same, in whatever order batches are asked for."""
        first = (index * self.world_size + self.rank) * self.batch_size
        random = self.sampler.random(first, self.batch_size)
        batch = self.source.cut(
            self.sampler.records(first, self.batch_size),
            random,
            self._windows(random.shared_uniform("length")),
        )
        random = random.to(self.device)
        batch = batch.to(self.device).with_window_key(random.keys)
        return batch if self.augmenter is None else self.augmenter(batch, random)

    def batches(self, start: int = 0) -> Generator[WaveformBatch, None, None]:
        """This rank's batches from a number on, without end.

        Close the iterator (or drop it) to stop the background thread. An error while a batch is made is
        raised in place of that batch.
        """
        if start < 0:
            raise ValueError(f"start must not be negative, found {start}")
        return self._prefetched(start) if self.prefetch else map(self.batch, itertools.count(start))  # type: ignore[return-value]

    def state(self, index: int) -> SamplerState:
        """Where a run stands that goes on with batch `index` of every rank."""
        return self.sampler.state(index * self.world_size * self.batch_size)

    def index(self, state: SamplerState) -> int:
        """The batch with which a run goes on, also one that had another number of ranks.

        Raises ValueError where it would begin inside of a batch of all ranks.
        """
        index, rest = divmod(self.sampler.window(state), self.world_size * self.batch_size)
        if rest:
            raise ValueError(
                f"{state} lies {rest} windows inside of a batch of {self.world_size} ranks × "
                f"{self.batch_size}: choose ranks and batch size whose product divides the former run's"
            )
        return index

    def _windows(self, draw: float) -> WindowConfig:
        lengths_s = (self.windows.window_s, *self.windows.also_s)
        return replace(self.windows, window_s=lengths_s[int(draw * len(lengths_s))], also_s=())

    def _prefetched(self, start: int) -> Generator[WaveformBatch, None, None]:
        # An executor rather than a bare thread: the interpreter waits for it when a run ends with the
        # iterator still open, where killing a daemon thread inside of torch aborts the process.
        pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="WindowLoader")
        ready: deque[Future[WaveformBatch]] = deque()
        try:
            ready.extend(pool.submit(self.batch, start + ahead) for ahead in range(self.prefetch))
            for index in itertools.count(start + self.prefetch):
                batch = ready.popleft().result()
                ready.append(pool.submit(self.batch, index))
                yield batch
        finally:
            for future in ready:
                future.cancel()
            pool.shutdown()
