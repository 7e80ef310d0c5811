"""The side that a record falls on in a split by event, time, region or station, from its own facts alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ..formats.seisbench_columns import utc_seconds
from ..record_facts import RecordFacts, site_of
from .regions import Region, inside_region

UNASSIGNED = "unassigned"
"""The side of records that no side may have: too near to an edge in time, or unknown and not refused."""

KINDS = ("event", "time_block", "time", "region", "station")


@dataclass(frozen=True, kw_only=True)
class LinkConfig:
    """Which events count as one although their ids differ, as those of two catalogs do.

    within_s, within_km: so near origins are one earthquake.
    overlap: records of one site with time in common belong together too, since they share samples.
    """

    within_s: float = 2.0
    within_km: float = 10.0
    overlap: bool = True


@dataclass(frozen=True, kw_only=True)
class SplitConfig:
    """How records are divided.

    kind: what stays whole. event, the default. time_block: blocks of `block_s` since 1970. time: before and
        after the dates of `starts`. region: cells of `cell_deg` of the epicentres, or `regions`. station:
        stations, all of them or those of `stations`.
    fractions: sides and the share of things (events, blocks, cells, stations) that each gets, by a hash of
        the thing and the seed: what is added later moves nothing.
    gap_s: of the two kinds of time: records nearer to an edge between two sides are `unassigned`, so that no
        coda and no aftershock reaches across.
    starts: side → UTC time at which it begins; it ends where the next one begins.
    regions: side → corners (latitude, longitude) in degrees, two of a box, or more of a polygon.
    stations: side → names such as CX.PB01, with or without location code.
    rest: the side of all that `regions` or `stations` do not name.
    unknown: error, or unassigned: what becomes of records without the time or place that decides.
    link: also keep together what is one earthquake under several ids.
    """

    kind: str = "event"
    fractions: dict[str, float] = field(
        default_factory=lambda: {"train": 0.7, "validation": 0.1, "test": 0.2}
    )
    seed: int = 0
    block_s: float = 30 * 86400.0
    gap_s: float = 600.0
    starts: dict[str, str] = field(default_factory=dict)
    cell_deg: float = 1.0
    regions: dict[str, Region] = field(default_factory=dict)
    stations: dict[str, tuple[str, ...]] = field(default_factory=dict)
    rest: str = "train"
    unknown: str = "error"
    link: LinkConfig | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"the kind of a split must be one of {KINDS}, found {self.kind!r}")
        if self.unknown not in ("error", UNASSIGNED):
            raise ValueError(f"unknown must be error or {UNASSIGNED}, found {self.unknown!r}")
        if self.kind == "time" and len(self.starts) < 2:
            raise ValueError(f"a split by time needs the starts of two sides or more, found {self.starts}")
        if min(self.block_s, self.cell_deg) <= 0 or self.gap_s < 0:
            raise ValueError(
                "block_s and cell_deg must be positive and gap_s not negative, "
                f"found {self.block_s}, {self.cell_deg}, {self.gap_s}"
            )
        if self.kind == "time_block" and self.block_s <= 2 * self.gap_s:
            raise ValueError(
                f"block_s must be longer than two gaps: found {self.block_s:g} and {self.gap_s:g} s"
            )
        if self.kind == "station" and self.link is not None:
            raise ValueError("link keeps events together, which a split by station divides: leave one out")
        if self.rest in self._named:
            raise ValueError(f"rest must be another side than those of {self._named}, found {self.rest!r}")
        if UNASSIGNED in self.sides:
            raise ValueError(f"no side may be called {UNASSIGNED}: give it another name")
        check_fractions(self.fractions)

    @property
    def sides(self) -> tuple[str, ...]:
        """The names of the sides that records can fall on."""
        if self.kind == "time":
            return tuple(self.starts)
        return (self.rest, *self._named) if self._named else tuple(self.fractions)

    @property
    def _named(self) -> tuple[str, ...]:
        """The sides of which the configuration tells what is on them."""
        if self.kind == "region":
            return tuple(self.regions)
        return tuple(self.stations) if self.kind == "station" else ()


def check_fractions(fractions: Mapping[str, float]) -> None:
    """Raise ValueError unless shares are a whole."""
    if not fractions or abs(sum(fractions.values()) - 1.0) > 1e-9 or min(fractions.values()) < 0:
        raise ValueError(f"fractions must sum to 1, none negative, found {dict(fractions)}")


def sides_by_hash(keys: np.ndarray, fractions: Mapping[str, float], seed: int) -> np.ndarray:
    """The side of each key (object array of str) by its hash and the seed alone."""
    edges = np.cumsum(list(fractions.values()))
    which, unique = pd.factorize(keys)
    hashes = [hashlib.sha256(f"{seed}/{key}".encode()).digest()[:8] for key in unique]
    places = np.array([int.from_bytes(start) / 2**64 for start in hashes])
    numbers = np.minimum(np.searchsorted(edges, places, side="right"), len(edges) - 1)
    return np.array(list(fractions), dtype=object)[numbers[which]]


def _by_event(facts: RecordFacts, decisive: RecordFacts, config: SplitConfig) -> np.ndarray:
    return sides_by_hash(decisive.event_keys, config.fractions, config.seed)


def _by_time_block(facts: RecordFacts, decisive: RecordFacts, config: SplitConfig) -> np.ndarray:
    time = _decisive_time(decisive)
    own, first, last = (
        np.floor(when / config.block_s) for when in (time, *_guarded_span(facts, time, config.gap_s))
    )
    sides, before, after = (_of_blocks(number, config) for number in (own, first, last))
    # Only an edge between two sides is guarded: a block of the same side is no neighbour to fear. Nothing
    # that lasts longer than a block is free of edges, whatever lies at its ends.
    guarded = (before != sides) | (after != sides) | (last - first > 1)
    sides[guarded & (sides != "")] = UNASSIGNED
    return sides


def _of_blocks(number: np.ndarray, config: SplitConfig) -> np.ndarray:
    """The sides of numbered blocks of time, "" where the number is NaN."""
    known = np.isfinite(number)
    sides = np.full(len(number), "", dtype=object)
    keys = np.array([f"block {n:.0f}" for n in number[known].tolist()], dtype=object)
    sides[known] = sides_by_hash(keys, config.fractions, config.seed)
    return sides


def _by_time(facts: RecordFacts, decisive: RecordFacts, config: SplitConfig) -> np.ndarray:
    names = sorted(config.starts, key=lambda name: utc_seconds(config.starts[name]))
    edges = np.array([utc_seconds(config.starts[name]) for name in names])
    time = _decisive_time(decisive)
    own, first, last = (
        np.searchsorted(edges, when, "right") for when in (time, *_guarded_span(facts, time, config.gap_s))
    )
    # Before the first start there is no side.
    sides = np.array([UNASSIGNED, *names], dtype=object)[own]
    sides[(first != own) | (last != own)] = UNASSIGNED
    sides[np.isnan(time)] = ""
    return sides


def _by_region(facts: RecordFacts, decisive: RecordFacts, config: SplitConfig) -> np.ndarray:
    latitude, longitude = _decisive_place(decisive)
    known = np.isfinite(latitude) & np.isfinite(longitude)
    if not config.regions:
        return _by_cell(latitude, longitude, known, config)
    sides = np.where(known, np.array(config.rest, dtype=object), "")
    taken = np.zeros(len(facts), dtype=bool)
    for name, corners in config.regions.items():
        inside = known & inside_region(latitude, longitude, corners)
        if (inside & taken).any():
            raise ValueError(
                f"the region {name} overlaps with another: {(inside & taken).sum()} records lie in both"
            )
        sides[inside] = name
        taken |= inside
    return sides


def _by_cell(
    latitude: np.ndarray, longitude: np.ndarray, known: np.ndarray, config: SplitConfig
) -> np.ndarray:
    row = np.floor((latitude[known] + 90.0) / config.cell_deg).astype(np.int64)
    column = np.floor((longitude[known] % 360.0) / config.cell_deg).astype(np.int64)
    keys = np.array(
        [f"cell {i} {j}" for i, j in zip(row.tolist(), column.tolist(), strict=True)], dtype=object
    )
    sides = np.full(len(known), "", dtype=object)
    sides[known] = sides_by_hash(keys, config.fractions, config.seed)
    return sides


def _by_station(facts: RecordFacts, decisive: RecordFacts, config: SplitConfig) -> np.ndarray:
    sites = facts.sites
    if config.stations:
        side_of = {site_of(f"{name}." if name.count(".") == 1 else name): side
                   for side, names in config.stations.items() for name in names}  # fmt: skip
        absent = sorted(set(side_of) - set(sites))
        if absent:
            raise ValueError(f"no record is of the stations {absent}: names are such as {sites[:1]}")
        sides = np.array([side_of.get(site, config.rest) for site in sites], dtype=object)
    else:
        sides = sides_by_hash(sites, config.fractions, config.seed)
    sides[sites == ""] = ""
    return sides


def _guarded_span(
    facts: RecordFacts, decisive_time: np.ndarray, gap_s: float
) -> tuple[np.ndarray, np.ndarray]:
    """From `gap_s` before the origin or first sample to `gap_s` after the last, as far as known."""
    first = np.fmin(decisive_time, facts.start_time)
    last = np.fmax(decisive_time, facts.end_time)
    return first - gap_s, last + gap_s


def _decisive_time(facts: RecordFacts) -> np.ndarray:
    return np.where(np.isfinite(facts.origin_time), facts.origin_time, facts.start_time)


def _decisive_place(facts: RecordFacts) -> tuple[np.ndarray, np.ndarray]:
    """Epicentres, and of records without an event the places of their stations."""
    own = np.isfinite(facts.event_latitude_deg) & np.isfinite(facts.event_longitude_deg)
    noise = ~own & (facts.event_id == "")
    latitude = np.where(noise, facts.station_latitude_deg, facts.event_latitude_deg)
    return latitude, np.where(noise, facts.station_longitude_deg, facts.event_longitude_deg)


SIDES: dict[str, Callable[[RecordFacts, RecordFacts, SplitConfig], np.ndarray]] = {
    "event": _by_event,
    "time_block": _by_time_block,
    "time": _by_time,
    "region": _by_region,
    "station": _by_station,
}
NEEDED = {"event": "event", "time_block": "time", "time": "time", "region": "epicentre", "station": "station"}
