"""In which order an endless run meets its records: a pure function of the seed and a window's number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from ..records import Record
from .window_random import WindowRandom, shared_key, window_keys


@dataclass(frozen=True, kw_only=True)
class SamplerState:
    """Where a run stands: the window with which it goes on, whatever the batch size and number of ranks.

    position: windows of the epoch that were used already.
    """

    seed: int
    epoch: int
    position: int


class WindowSampler:
    """Numbers an endless run's windows, and tells the record of each.

    weights: how often a record is met, per epoch; `(record,)`. 1 is once in every epoch, 2 is twice, 0.25 is
        once in four epochs. Records of one weight take turns: none is met again before all others of its
        weight were.
    block: so many windows one after the other share what a batch must decide as a whole.

    Window number n belongs to epoch n // `epoch_windows`. Epochs follow each other without a break: no window
    is lost or repeated at their ends, whatever a batch's size.
    """

    def __init__(self, weights: np.ndarray, seed: int, block: int = 4096):
        if len(weights) == 0 or not np.isfinite(weights).all() or weights.min() <= 0:
            raise ValueError(f"weights must be one positive number a record, found {weights}")
        if block < 1:
            raise ValueError(f"block must be 1 or more, found {block}")
        self.seed = seed
        self.block = block
        self._groups = [np.flatnonzero(weights == weight) for weight in np.unique(weights)]
        self._shares = [
            max(1, round(float(weight) * len(group)))
            for weight, group in zip(np.unique(weights), self._groups, strict=True)
        ]
        self.epoch_windows = sum(self._shares)
        self._order = lru_cache(maxsize=2)(self._epoch)

    def records(self, first: int, count: int) -> np.ndarray:
        """The records of windows number `first` to `first + count`, int64 positions."""
        parts = []
        while count > 0:
            epoch, place = divmod(first, self.epoch_windows)
            parts.append(self._order(epoch)[place : place + count])
            first, count = first + len(parts[-1]), count - len(parts[-1])
        return np.concatenate(parts)

    def random(self, first: int, count: int) -> WindowRandom:
        """The random numbers of these windows, on the CPU."""
        numbers = torch.arange(first, first + count, dtype=torch.int64)
        return WindowRandom(
            window_keys(numbers, "window", self.seed), shared_key(first // self.block, "block", self.seed)
        )

    def state(self, window: int) -> SamplerState:
        """Where a run stands whose next window has this number."""
        epoch, position = divmod(window, self.epoch_windows)
        return SamplerState(seed=self.seed, epoch=epoch, position=position)

    def window(self, state: SamplerState) -> int:
        """The number of the window with which a run goes on. Raises ValueError for another seed's state."""
        if state.seed != self.seed or not 0 <= state.position < self.epoch_windows:
            raise ValueError(
                f"the state must be of seed {self.seed} and one of {self.epoch_windows} windows of an epoch, "
                f"found {state}"
            )
        return state.epoch * self.epoch_windows + state.position

    def _epoch(self, epoch: int) -> np.ndarray:
        chosen = [
            group[self._turns(number, len(group), epoch * share, share)]
            for number, (group, share) in enumerate(zip(self._groups, self._shares, strict=True))
        ]
        order = np.concatenate(chosen)
        return order[_generator(self.seed, "epoch", epoch).permutation(len(order))]

    def _turns(self, group: int, size: int, first: int, count: int) -> np.ndarray:
        """Numbers `first` to `first + count` of an endless row of permutations of one group's records."""
        rounds = range(first // size, (first + count - 1) // size + 1)
        row = np.concatenate(
            [_generator(self.seed, "group", group, turn).permutation(size) for turn in rounds]
        )
        return row[first - rounds.start * size :][:count]


def record_weights(records: Sequence[Record]) -> np.ndarray:
    """How often each record is met per epoch, `(record,)`: 1, unless the sequence says it itself."""
    own = getattr(records, "record_weights", None)
    return np.ones(len(records)) if own is None else own()


def _generator(*seeds: int | str) -> np.random.Generator:
    return np.random.default_rng(shared_key(0, "order", *seeds) % 2**64)
