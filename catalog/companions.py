"""Whom a station's record listens to: the nearest other stations, one record of each."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import torch

from ..data.records import Record
from ..foundation.places import WindowPlaces
from .station_places import site_of

_KINDS = "HLPNG"
"""Second letters of channel codes, those first whose instruments see small earthquakes best."""


class Companions:
    """Records that listen together, of stations whose places are known.

    places: latitude and longitude in degrees, elevation in metres `(record, 3)`.
    nearest: so many records, the listening one included, listen to each other at most.
    within_km: none further away is listened to.

    A record never listens to its own station (NET.STA), whose other instruments see the same noise. Of a
    station with several instruments others listen to one: high-gain seismometers first, then higher rates.
    """

    def __init__(self, records: Sequence[Record], places: np.ndarray, nearest: int, within_km: float) -> None:
        self.nearest = nearest
        self._sites = [site_of(record.station_id) for record in records]
        ranks = sorted(range(len(records)), key=lambda number: _rank(records[number]))
        self._rank = {number: rank for rank, number in enumerate(ranks)}
        self._order: dict[int, list[int]] = {}
        for number, distance_km in enumerate(_distances_km(places)):
            near = [other for other in self._rank if distance_km[other] <= within_km]
            self._order[number] = sorted(near, key=lambda other: (distance_km[other], self._rank[other]))

    def of(self, number: int, present: Collection[int]) -> tuple[int, ...]:
        """A record and those of `present` that it listens to, in an order that does not depend on theirs."""
        chosen, sites = [number], {self._sites[number]}
        for other in self._order[number]:
            if len(chosen) == self.nearest:
                break
            if other in present and self._sites[other] not in sites:
                chosen.append(other)
                sites.add(self._sites[other])
        return tuple(sorted(chosen, key=self._rank.__getitem__))


def _distances_km(places: np.ndarray) -> list[list[float]]:
    latitude_deg, longitude_deg, elevation_m = torch.from_numpy(places.astype(np.float64)).unbind(dim=1)
    nothing = torch.zeros(len(places))
    known = WindowPlaces(nothing, latitude_deg, longitude_deg, elevation_m / 1000.0, nothing)
    return known.distance_km(torch.arange(len(places))[None])[0].tolist()


def _rank(record: Record) -> tuple[str, int, float, str, str, float]:
    channel = str(record.metadata.get("trace_channel", ""))
    kind = _KINDS.find(channel[1:2]) % (len(_KINDS) + 1) if len(channel) > 1 else len(_KINDS)
    site = site_of(record.station_id)
    return site, kind, -record.sampling_rate_hz, channel, record.station_id, record.start_time
