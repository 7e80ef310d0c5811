"""Where a run's windows of whole networks come from, as a configuration says it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .batch import COMPONENTS, WaveformBatch
from .loading.endless import joined
from .loading.network_windows import MakesNetworkWindows, RecordedNetworks
from .loading.window_random import WindowRandom, window_keys
from .loading.windows import WindowConfig
from .records import Record, Skipped
from .sources import SourceConfig, load_all
from .splitting.splits import split_validation
from .synthesis.network_windows import NetworkWindowsConfig, SyntheticNetworks

HELD_OUT = 2**40
"""The numbers of synthetic networks that no training reaches begin here."""


@dataclass(frozen=True, kw_only=True)
class NetworkSourceConfig:
    """One source of networks: of a synthetic Earth, or of records that share an event.

    synthetic: what those networks are; their windows are as long as the run's (`window_s` is not asked).
    records: sources of records, of which those of an event make a network (see `RecordedNetworks`).
    fewest_stations: recorded events with fewer are left out.
    seed: of the synthetic networks, or of the order of the events. weight: how often its networks are met,
        relative to those of other sources.
    """

    synthetic: NetworkWindowsConfig | None = None
    records: tuple[SourceConfig, ...] = ()
    fewest_stations: int = 2
    seed: int = 0
    weight: float = 1.0

    def __post_init__(self) -> None:
        if (self.synthetic is None) != bool(self.records):
            raise ValueError(
                "a source of networks is either synthetic or made of records: give one of the two, found "
                f"{'neither' if self.synthetic is None else 'both'}"
            )
        if not 0 < self.weight < float("inf"):
            raise ValueError(f"the weight of a source must be positive, found {self.weight}")


@dataclass(frozen=True, kw_only=True)
class NetworkSides:
    """The networks of a run, those that are learned from and others, and the records behind them."""

    train: MixedNetworks
    validation: MixedNetworks
    train_records: Sequence[Record]
    validation_records: Sequence[Record]


class MixedNetworks:
    """Networks of several sources, each met as often as its weight says; of one number, always the same.

    Windows of a batch that are shorter than its longest are not observed at their end.
    """

    def __init__(
        self, sources: Sequence[MakesNetworkWindows], weights: Sequence[float], seed: int, first: int
    ):
        """first: the source's own number of this one's network 0."""
        self._sources, self._seed, self._first = list(sources), seed, first
        self._ends = np.cumsum(weights) / np.sum(weights)

    def network_windows(self, numbers: Tensor) -> WaveformBatch:
        """All stations' windows of some networks; `event_index` is the network's place in `numbers`."""
        numbers = numbers + self._first
        draws = WindowRandom(window_keys(numbers, "network source", self._seed)).uniform64("source").numpy()
        chosen = np.searchsorted(self._ends[:-1], draws, side="right")
        batches, index = [], []
        for source in np.unique(chosen).tolist():
            places = torch.from_numpy(np.flatnonzero(chosen == source))
            batch = self._sources[source].network_windows(numbers[places]).to("cpu")
            assert batch.event_index is not None
            batches.append(batch)
            index.append(places[batch.event_index])
        whole = batches[0] if len(batches) == 1 else joined(_alike(batches))
        return whole.replace(event_index=torch.cat(index), observed=None)


def load_networks(
    sources: Sequence[NetworkSourceConfig], windows: WindowConfig, validation_fraction: float, seed: int
) -> tuple[NetworkSides, list[Skipped]]:
    """The networks of some sources in two parts that share no event, and what could not be used.

    Raises FileNotFoundError and ValueError as `load_all` and `RecordedNetworks` do.
    """
    sides: dict[str, list[MakesNetworkWindows]] = {"train": [], "validation": []}
    records: dict[str, list[Record]] = {"train": [], "validation": []}
    skipped: list[Skipped] = []
    for source in sources:
        if source.synthetic is not None:
            networks = SyntheticNetworks(replace(source.synthetic, window_s=windows.window_s), source.seed)
            for made in sides.values():
                made.append(networks)
            continue
        loaded, more = load_all(source.records)
        skipped += more
        for name, part in split_validation(loaded, validation_fraction, seed).items():
            recorded = RecordedNetworks(part, windows, source.seed, source.fewest_stations)
            skipped += recorded.skipped
            sides[name].append(recorded)
            records[name] += list(part)
    weights = [source.weight for source in sources]
    return NetworkSides(
        train=MixedNetworks(sides["train"], weights, seed, 0),
        validation=MixedNetworks(sides["validation"], weights, seed, HELD_OUT),
        train_records=records["train"],
        validation_records=records["validation"],
    ), skipped


def _alike(batches: Sequence[WaveformBatch]) -> list[WaveformBatch]:
    """Batches with the rows of all of them, and as long as the longest."""
    names = {name for batch in batches for name in batch.component_names}
    rows = tuple(name for name in COMPONENTS if name in names)
    longest = max(batch.num_samples for batch in batches)
    wide = [batch.with_components(rows) for batch in batches]
    return [
        batch.replace(waveform=F.pad(batch.waveform, (0, longest - batch.num_samples), value=torch.nan))
        for batch in wide
    ]
