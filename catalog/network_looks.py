"""Windows of all stations of a network together, for a model whose heads listen to other stations."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from torch import Tensor, nn

from ..data.batch import WaveformBatch
from ..data.records import Record
from ..foundation.features import SeismicFeatures
from ..heads.network_listening import StationWindow, told, with_added
from .companions import Companions
from .window_model import CURVE_HEADS, Shifted, WindowModel, evaluating, where_observed
from .windows import Blend, batched, grid_starts

NETWORKS_AT_ONCE = 8
"""Memory grows with this times the square of the moments of a network."""

_Network = tuple[int, tuple[int, ...]]
"""The number of a time, and the records that listen to each other then."""

_Told = dict[str, dict[_Network, Tensor]]


@dataclass(frozen=True)
class _Seen:
    """What the encoder knows of some windows of one record; `times` are the numbers of their times."""

    batch: WaveformBatch
    features: SeismicFeatures
    starts: np.ndarray
    times: list[int]


class NetworkLooks:
    """Records of one network, of which each is picked with an eye on its companions.

    Windows of all records begin at the same times, to the nearest sample. Each is encoded once, for itself
    and for those who listen to it; then each network of a record and its companions exchanges what it knows,
    as a network of training does, and each record answers. Where all have the same companions, that is one
    exchange for all of them.

    places: of the records `(record, 3)`; those whose place is NaN are left out.
    """

    def __init__(
        self, windows: WindowModel, records: Sequence[Record], places: np.ndarray, companions: Companions
    ) -> None:
        self.windows, self.records, self.places, self.companions = windows, records, places, companions
        self.placed = np.flatnonzero(np.isfinite(places).all(axis=1)).tolist()
        heads = cast("nn.ModuleDict", windows.model.heads)
        self._heads = {name: heads[name] for name in windows.listening}

    def curves(self) -> dict[int, Tensor]:
        """The curves of each placed record `(curve, sample)`, as `WindowModel.curves` gives them."""
        windows = self.windows
        blends = {
            number: Blend(
                windows.num_curves,
                self.records[number].waveform.shape[1],
                windows.window_samples(self.records[number]),
            )
            for number in self.placed
        }
        for group in together(self.records, self.placed):
            grid = self._grid(group)
            for times in batched(np.arange(len(grid[group[0]])), windows.batch_size):
                self._answer({number: grid[number][times] for number in group}, blends)
        return {n: where_observed(blend.result(), self.records[n]) for n, blend in blends.items()}

    def moved(self, number: int, starts: np.ndarray) -> Shifted:
        """P and S of a record's windows at these first samples, moved by some samples.

        The others are asked once, before the move: it is short against the moments of which they tell.
        """
        record = self.records[number]
        begin_s = record.start_time + starts / record.sampling_rate_hz
        all_starts = {other: self._starts(other, begin_s) for other in self.placed}
        all_starts[number] = starts
        members = dict(self._networks(all_starts, [number]))
        with evaluating(self.windows.model):
            seen = {
                other: self._encoded(other, all_starts[other], times)
                for other in self.placed
                if (times := [time for time, of in members.items() if other in of])
            }
            added = self._added(number, members, self._told(sorted(members.items()), seen))

        def answer(shift: int) -> Tensor:
            with evaluating(self.windows.model):
                own = self._encoded(number, starts + shift, np.arange(len(starts)).tolist())
                return self._curves_of(own, added, ("picking",))

        return answer

    def _grid(self, group: Sequence[int]) -> dict[int, np.ndarray]:
        """First samples, in each record of a group, of windows that begin at the same times and cover all.

        They are evenly spaced, the last one flush with the group's end.
        """
        own = {number: self._own_grid(number) for number in group}
        records = [self.records[number] for number in group]
        first_s = min(record.start_time for record in records)
        last_s = max(record.start_time + record.duration_s for record in records)
        rate_hz = max(record.sampling_rate_hz for record in records)
        window = math.ceil(self.windows.window_s * rate_hz - 1e-6)
        starts = grid_starts(round((last_s - first_s) * rate_hz), window, self.windows.overlap)
        grid = {number: self._starts(number, first_s + starts / rate_hz) for number in group}
        for number in group:
            # Where it differs by less than a token, a record has the windows that it has alone.
            reach = self.windows.token_s * self.records[number].sampling_rate_hz
            if len(own[number]) == len(starts) and np.abs(own[number] - grid[number]).max() <= reach:
                grid[number] = own[number]
        return grid

    def _own_grid(self, number: int) -> np.ndarray:
        record = self.records[number]
        window = self.windows.window_samples(record)
        return grid_starts(record.waveform.shape[1], window, self.windows.overlap)

    def _starts(self, number: int, begin_s: np.ndarray) -> np.ndarray:
        """The first samples of a record's windows that begin at these times; they may lie outside of it."""
        record = self.records[number]
        return np.rint((begin_s - record.start_time) * record.sampling_rate_hz).astype(np.int64)

    def _networks(self, starts: Mapping[int, np.ndarray], listening: Iterable[int]) -> list[_Network]:
        """At each time, each listening record of which its window shows anything, with its companions."""
        shows = {
            number: (first + self.windows.window_samples(self.records[number]) > 0)
            & (first < self.records[number].waveform.shape[1])
            for number, first in starts.items()
        }
        found = []
        for number in listening:
            for time in range(len(starts[number])):
                present = {other for other, shown in shows.items() if shown[time]}
                if number in present:
                    found.append((time, self.companions.of(number, present)))
        return found

    def _encoded(self, number: int, starts: np.ndarray, times: list[int]) -> _Seen:
        """What the encoder knows of a record's windows at some of the times."""
        chosen = starts[times]
        batch = self.windows.cut(self.records[number], chosen).to(
            next(self.windows.model.parameters()).device
        )
        return _Seen(batch, self.windows.model.encoder(batch), chosen, times)  # type: ignore[operator]

    def _answer(self, starts: Mapping[int, np.ndarray], blends: Mapping[int, Blend]) -> None:
        """Look at the records of a group at some times, and add what is said to their curves."""
        members = {number: dict(self._networks(starts, [number])) for number in starts}
        networks = sorted({network for of in members.values() for network in of.items()})
        with evaluating(self.windows.model):
            seen = {n: self._encoded(n, starts[n], sorted(of)) for n, of in members.items() if of}
            of_networks = self._told(networks, seen)
            for number, own in seen.items():
                added = self._added(number, members[number], of_networks)
                blends[number].add(own.starts, self._curves_of(own, added, CURVE_HEADS))

    def _told(self, networks: Sequence[_Network], seen: Mapping[int, _Seen]) -> _Told:
        """What each listening head adds to the tokens of each network `(station, token, dim)`."""
        several = [network for network in networks if len(network[1]) > 1]
        found: _Told = {name: {} for name in self._heads}
        for name, head in self._heads.items():
            for first in range(0, len(several), NETWORKS_AT_ONCE):
                some = several[first : first + NETWORKS_AT_ONCE]
                made = [[self._window(number, seen[number], time) for number in of] for time, of in some]
                found[name] |= dict(zip(some, told(head, made), strict=True))
        return found

    def _added(
        self, number: int, members: Mapping[int, tuple[int, ...]], of_networks: _Told
    ) -> dict[str, dict[int, Tensor]]:
        """What each listening head adds to a record's tokens `(token, dim)`, by the numbers of the times."""
        return {
            name: {
                time: added[time, of][of.index(number)] for time, of in members.items() if (time, of) in added
            }
            for name, added in of_networks.items()
        }

    def _window(self, number: int, seen: _Seen, time: int) -> StationWindow:
        row, record = seen.times.index(time), self.records[number]
        return StationWindow(
            tokens=seen.features["tokens"][row],
            observed=seen.features["token_observed"][row],
            place=tuple(self.places[number].tolist()),
            start_s=record.start_time - self._origin_s + float(seen.starts[row]) / record.sampling_rate_hz,
        )

    @property
    def _origin_s(self) -> float:
        return self.records[0].start_time

    def _curves_of(
        self, own: _Seen, added: Mapping[str, Mapping[int, Tensor]], heads: Sequence[str]
    ) -> Tensor:
        """The curves of a record's windows after it was told what others saw, of these heads."""
        model, output = self.windows.model, {}
        for name in [name for name in heads if name in model.heads]:  # type: ignore[operator]
            features = own.features
            if name in added:
                features = with_added(features, [added[name].get(time) for time in own.times])
            output[name] = model.answer(name, features, own.batch)  # type: ignore[operator]
        return self.windows.as_curves(output)


def together(records: Sequence[Record], numbers: Sequence[int]) -> Iterator[list[int]]:
    """Groups of some records (their numbers) between which there are times when nothing was recorded."""
    group: list[int] = []
    until_s = -np.inf
    for number in sorted(numbers, key=lambda n: records[n].start_time):
        record = records[number]
        if group and record.start_time > until_s:
            yield group
            group, until_s = [], -np.inf
        group.append(number)
        until_s = max(until_s, record.start_time + record.duration_s)
    if group:
        yield group
