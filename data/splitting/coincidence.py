"""Which earthquakes and which stretches of time are the same, whatever they are called."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from ..record_facts import RecordFacts
from ..record_table import ranges

EARTH_RADIUS_KM = 6371.0


def unique_origins(facts: RecordFacts) -> tuple[np.ndarray, np.ndarray]:
    """The origins of some records, each once: float64 `(origin, 3)` of UTC seconds, latitude and longitude.

    The second array, int64 `(record,)`, tells which of them is a record's own, −1 where any part is unknown.
    """
    columns = (facts.origin_time, facts.event_latitude_deg, facts.event_longitude_deg)
    table = np.stack(columns, axis=1)
    known = np.isfinite(table).all(axis=1)
    origins, which = np.unique(table[known], axis=0, return_inverse=True)
    place = np.full(len(facts), -1, dtype=np.int64)
    place[known] = which.ravel()
    return origins, place


def same_origins(
    origins: np.ndarray, others: np.ndarray, within_s: float, within_km: float
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of positions in two sets of origins `(origin, 3)` that are near each other in time and place.

    Depth is left out: two catalogs agree on it least.
    """
    order = np.argsort(others[:, 0], kind="stable")
    times = others[order, 0]
    first = np.searchsorted(times, origins[:, 0] - within_s, side="left")
    last = np.searchsorted(times, origins[:, 0] + within_s, side="right")
    left = np.repeat(np.arange(len(origins)), last - first)
    right = order[ranges(first, last)]
    near = distance_km(origins[left, 1:], others[right, 1:]) <= within_km
    return left[near], right[near]


def distance_km(places: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Great-circle distances on a sphere between latitudes and longitudes in degrees, `(place, 2)` each.

    The haversine formula (Sinnott 1984, Sky & Telescope 68), exact enough to tell two earthquakes apart.
    """
    latitude, longitude = np.radians(places).T
    other_latitude, other_longitude = np.radians(others).T
    half = np.sin((other_latitude - latitude) / 2) ** 2
    half += np.cos(latitude) * np.cos(other_latitude) * np.sin((other_longitude - longitude) / 2) ** 2
    return 2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(half.clip(0.0, 1.0)))


def covered_by(facts: RecordFacts, others: RecordFacts) -> np.ndarray:
    """Whether any of the others recorded at a record's site during some of its time, bool `(record,)`."""
    shared = np.zeros(len(facts), dtype=bool)
    positions, other_positions = _timed_by_site(facts), _timed_by_site(others)
    for site in positions.keys() & other_positions.keys():
        rows, starts = positions[site], others.start_time[other_positions[site]]
        # The latest end of all that began before: a long record that began early still counts.
        ends = np.maximum.accumulate(others.end_time[other_positions[site]])
        begun = np.searchsorted(starts, facts.end_time[rows], side="left")
        shared[rows] = (begun > 0) & (ends[np.maximum(begun, 1) - 1] > facts.start_time[rows])
    return shared


def overlapping_records(facts: RecordFacts) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of records of one site with time in common: not all, but as many as join each group of them."""
    left: list[np.ndarray] = [np.empty(0, np.int64)]
    right: list[np.ndarray] = [np.empty(0, np.int64)]
    for rows in _timed_by_site(facts).values():
        ends = facts.end_time[rows]
        latest = np.maximum.accumulate(ends)
        holder = np.maximum.accumulate(np.where(ends >= latest, np.arange(len(rows)), 0))
        joined = facts.start_time[rows[1:]] < latest[:-1]
        left.append(rows[1:][joined])
        right.append(rows[holder[:-1]][joined])
    return np.concatenate(left), np.concatenate(right)


def linked_groups(num_items: int, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The group of each item, int `(item,)`, where pairs of items belong together, directly or by a chain."""
    graph = coo_matrix((np.ones(len(left), dtype=bool), (left, right)), shape=(num_items, num_items))
    return connected_components(graph, directed=False)[1]


def _timed_by_site(facts: RecordFacts) -> dict[str, np.ndarray]:
    """The records of each site in the order of their start times, without those of unknown site or time."""
    timed = np.flatnonzero(np.isfinite(facts.end_time) & (facts.station_id != ""))
    which, sites = pd.factorize(facts.sites[timed])
    order = timed[np.lexsort((facts.start_time[timed], which))]
    borders = np.searchsorted(np.sort(which), np.arange(1, len(sites)))
    return dict(zip(sites, np.split(order, borders), strict=False))
