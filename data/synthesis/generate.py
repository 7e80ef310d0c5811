"""Labelled synthetic records of local earthquakes, blasts and noise: the generator that training calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context

import torch
from torch import Tensor

from ..event_types import EVENT_TYPES
from ..loading.window_random import WindowRandom, window_keys
from ..records import Record
from .config import SynthesisConfig
from .engine import SyntheticEarth

RECORDS_AT_ONCE = 64


def synthesize_records(
    config: SynthesisConfig,
    seed: int,
    num_events: int,
    progress: Callable[[int], None] | None = None,
    workers: int = 1,
) -> list[Record]:
    """Records of random events at random stations, with every label that their physics gives.

    Event i depends on (config, seed, i) alone, not on how many events are made or by how many processes. An
    event of noise is one record. See `records_of` for the metadata. `progress` is called with the number of
    events done.
    """
    per_batch = max(1, RECORDS_AT_ONCE // config.stations_per_event[1])
    starts = range(0, num_events, per_batch)
    make = partial(_events, config, seed, num_events, per_batch)
    records: list[Record] = []
    with _each_of(make, starts, workers) as batches:
        for start, batch in zip(starts, batches, strict=True):
            records += batch
            if progress is not None:
                progress(min(start + per_batch, num_events))
    return records


def synthesize_event(config: SynthesisConfig, seed: int, index: int) -> list[Record]:
    """The records of event number `index`: one a station, or a single one of noise."""
    return _events(config, seed, index + 1, 1, index)


def record_numbers(earth: SyntheticEarth, first: int, last: int) -> Tensor:
    """Of the events `first` to `last` (left out): the numbers of their records, int64.

    An event has as many as `config.stations_per_event` draws for it, one that is noise has one.
    """
    fewest, most = earth.config.stations_per_event
    events = torch.arange(first, last)
    random = WindowRandom(window_keys(events, "event", earth.seed))
    count = fewest + (random.uniform("geometry/stations") * (most - fewest + 1)).long()
    kind = earth.views(events * most).scene.sources.kind.cpu()
    count = torch.where(kind == EVENT_TYPES.index("noise"), 1, count)
    place = torch.arange(most)
    return (events[:, None] * most + place)[place < count[:, None]]


def _events(config: SynthesisConfig, seed: int, num_events: int, per_batch: int, first: int) -> list[Record]:
    earth = SyntheticEarth(config, seed)
    return earth.records(record_numbers(earth, first, min(first + per_batch, num_events)))


@contextmanager
def _each_of(
    make: Callable[[int], list[Record]], starts: range, workers: int
) -> Iterator[Iterator[list[Record]]]:
    if workers == 1:
        yield map(make, starts)
        return
    # A forked copy of a process that runs torch's threads can hang; a fresh one cannot.
    context = get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        yield pool.map(make, starts)
