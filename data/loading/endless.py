"""Windows that a sequence makes itself, as a generator does, beside those that are cut from records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from ..batch import WaveformBatch
from ..records import Record, Subset
from .window_random import WindowRandom
from .windows import WindowConfig

_UNKNOWN = {torch.bool: False, torch.int64: -1}
"""What stands for a label that nobody knows, where it is not NaN."""


@runtime_checkable
class MakesWindows(Protocol):
    """A sequence of records that makes a training window without making the record."""

    def make_windows(
        self, positions: np.ndarray, random: WindowRandom, windows: WindowConfig
    ) -> WaveformBatch:
        """A window for each of `positions` (int64), placed and harmonized as `windows` says, on the CPU.

        An endless sequence takes what a window shows from `random`, and every window of a run is new.
        """
        ...


class Cutter(Protocol):
    """What cuts windows from records, such as a `WindowSource`."""

    def cut(self, positions: np.ndarray, random: WindowRandom, windows: WindowConfig) -> WaveformBatch:
        """A window at a random place of each record of `positions`."""
        ...


class PartedWindows:
    """Windows of a sequence whose parts come to their windows in different ways.

    leaves: the sequences behind `Subset`s and joined ones. leaf, place: which of them each record is in, and
    where in it, int64 `(record,)`. cutters: of each leaf; None where it makes its windows itself.
    """

    def __init__(
        self,
        leaves: Sequence[Sequence[Record]],
        leaf: np.ndarray,
        place: np.ndarray,
        cutters: Sequence[Cutter | None],
    ):
        self._leaves = leaves
        self._leaf = leaf
        self._place = place
        self._cutters = cutters

    def cut(self, positions: np.ndarray, random: WindowRandom, windows: WindowConfig) -> WaveformBatch:
        """A window of each record of `positions`, in their order."""
        leaf, place = self._leaf[positions], self._place[positions]
        chosen = [np.flatnonzero(leaf == number) for number in np.unique(leaf)]
        batches = [
            self._part(int(leaf[rows[0]]), place[rows], random.select(torch.from_numpy(rows)), windows)
            for rows in chosen
        ]
        if len(batches) == 1:
            return batches[0]
        return joined(batches).select(torch.from_numpy(np.argsort(np.concatenate(chosen))))

    def _part(
        self, leaf: int, places: np.ndarray, random: WindowRandom, windows: WindowConfig
    ) -> WaveformBatch:
        cutter, records = self._cutters[leaf], self._leaves[leaf]
        if cutter is not None:
            return cutter.cut(places, random, windows)
        assert isinstance(records, MakesWindows)
        return records.make_windows(places, random, windows)


def leaves_of(records: Sequence[Record]) -> tuple[list[Sequence[Record]], np.ndarray, np.ndarray]:
    """The sequences that a nested one is made of, and for each record which of them and where in it."""
    if isinstance(records, Subset):
        leaves, leaf, place = leaves_of(records.records)
        return leaves, leaf[records.positions], place[records.positions]
    parts = getattr(records, "parts", None)
    if parts is None:
        return [records], np.zeros(len(records), dtype=np.int64), np.arange(len(records))
    leaves, leaf_parts, place_parts = [], [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    for part in parts:
        own, leaf, place = leaves_of(part)
        leaf_parts.append(leaf + len(leaves))
        place_parts.append(place)
        leaves += own
    return leaves, np.concatenate(leaf_parts), np.concatenate(place_parts)


def joined(batches: Sequence[WaveformBatch]) -> WaveformBatch:
    """Batches of the same rows and length, one after the other; a label that one lacks is unknown there."""
    first = batches[0]
    tensors: dict[str, Any] = {
        name: torch.cat([getattr(batch, name) for batch in batches])
        for name in ("waveform", "sampling_rate_hz", "start_time", "station_geometry")
        if all(getattr(batch, name) is not None for batch in batches)
    }
    texts: dict[str, Any] = {
        name: tuple(text for batch in batches for text in getattr(batch, name))
        for name in ("unit", "station_id", "event_id")
        if all(getattr(batch, name) is not None for batch in batches)
    }
    names = dict.fromkeys(name for batch in batches for name in batch.labels)
    labels = {name: _joined_label(name, batches) for name in names}
    return WaveformBatch(component_names=first.component_names, **tensors, **texts, labels=labels)


def _joined_label(name: str, batches: Sequence[WaveformBatch]) -> Tensor:
    """One label of all windows, as wide as its widest."""
    known = [batch.labels[name] for batch in batches if name in batch.labels]
    shape = [max(sizes) for sizes in zip(*(label.shape[1:] for label in known), strict=True)]
    kind = known[0].dtype
    whole = known[0].new_full((sum(map(len, batches)), *shape), _UNKNOWN.get(kind, torch.nan))
    first = 0
    for batch in batches:
        if name in batch.labels:
            label = batch.labels[name]
            inside = tuple(slice(size) for size in label.shape[1:])
            whole[(slice(first, first + len(batch)), *inside)] = label
        first += len(batch)
    return whole
