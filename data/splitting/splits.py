"""Records divided into sides that share nothing: by event, by time, by region, by station."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..record_facts import RecordFacts, record_facts
from ..records import Record, Subset, event_keys
from .coincidence import linked_groups, overlapping_records, same_origins, unique_origins
from .split_sides import NEEDED, SIDES, UNASSIGNED, LinkConfig, SplitConfig, check_fractions, sides_by_hash


def split_records(records: Sequence[Record], config: SplitConfig) -> dict[str, Subset]:
    """The sides as views, without reading a waveform where the store knows the rest; see `assign_sides`.

    `unassigned` is among them where any record is.
    """
    if config.kind == "event" and config.link is None:
        return split_by_event(records, config.fractions, config.seed)
    sides = assign_sides(record_facts(records), config)
    names = [*config.sides, *([UNASSIGNED] if (sides == UNASSIGNED).any() else [])]
    return {name: Subset(records, np.flatnonzero(sides == name)) for name in names}


def assign_sides(facts: RecordFacts, config: SplitConfig) -> np.ndarray:
    """The side of each record, object `(record,)` of str.

    Times are origin times, of records without one the time of their first sample; places are epicentres, of
    records without an event those of their stations. But for `link`, each record's side depends on its own
    facts and the configuration alone, so that a corpus that grows moves none.

    Raises ValueError where time or place is unknown and `unknown` is error, or where an event would lie on
    two sides.
    """
    decisive = facts if config.link is None else facts.select(_representatives(facts, config.link))
    sides = SIDES[config.kind](facts, decisive, config)
    unknown = sides == ""
    if unknown.any() and config.unknown == "error":
        raise ValueError(
            f"{unknown.sum()} of {len(facts)} records have no {NEEDED[config.kind]} to split them by "
            f"{config.kind}, such as {facts.record_id[unknown][0]!r}: unknown={UNASSIGNED} leaves them out, "
            "or split by event"
        )
    sides[unknown] = UNASSIGNED
    if config.kind != "station":
        _check_whole(decisive.event_keys, sides)
    return sides


def split_by_event(records: Sequence[Record], fractions: dict[str, float], seed: int) -> dict[str, Subset]:
    """Records split by event, so that no earthquake lies on two sides.

    An event's side is decided by a hash of its id and the seed alone: a corpus that grows moves no event. No
    waveform of a sequence that has `event_keys` is read.
    """
    check_fractions(fractions)
    sides = sides_by_hash(np.array(event_keys(records), dtype=object), fractions, seed)
    return {name: Subset(records, np.flatnonzero(sides == name)) for name in fractions}


def split_validation(records: Sequence[Record], validation_fraction: float, seed: int) -> dict[str, Subset]:
    """Records to learn from, `train`, and those of other events that choose the weights, `validation`.

    Raises ValueError where a side would be empty.
    """
    fractions = {"train": 1.0 - validation_fraction, "validation": validation_fraction}
    sides = split_by_event(records, fractions, seed)
    empty = [side for side, part in sides.items() if not len(part)]
    if empty:
        raise ValueError(
            f"the split by event leaves nothing for {empty} of {len(records)} records: give more events, or "
            f"another validation_fraction (found {validation_fraction})"
        )
    return sides


def _representatives(facts: RecordFacts, link: LinkConfig) -> np.ndarray:
    """The record whose facts decide for each record: of its linked events, that of the least id.

    Positions, int64. A later record can join two groups, and the one with the greater id then follows.
    """
    event, keys = pd.factorize(facts.event_keys, sort=True)
    origins, place = unique_origins(facts)
    located = np.flatnonzero(place >= 0)
    # The pairs join nodes: events first, then origins.
    near, other = same_origins(origins, origins, link.within_s, link.within_km)
    left = [event[located], near + len(keys)]
    right = [place[located] + len(keys), other + len(keys)]
    if link.overlap:
        first, second = overlapping_records(facts)
        left.append(event[first])
        right.append(event[second])
    group = linked_groups(len(keys) + len(origins), np.concatenate(left), np.concatenate(right))[event]
    # Events are numbered by their sorted ids, and a located record of an event speaks for it.
    order = np.lexsort((place < 0, event))
    _, first_of_group, which = np.unique(group[order], return_index=True, return_inverse=True)
    representative = np.empty(len(facts), dtype=np.int64)
    representative[order] = order[first_of_group][which.ravel()]
    return representative


def _check_whole(keys: np.ndarray, sides: np.ndarray) -> None:
    """Raise ValueError where one event lies on two sides: its records tell several times or places."""
    assigned = sides != UNASSIGNED
    pairs = sorted(set(zip(keys[assigned].tolist(), sides[assigned].tolist(), strict=True)))
    divided = sorted({one for (one, _), (next_one, _) in itertools.pairwise(pairs) if one == next_one})
    if divided:
        raise ValueError(
            f"{len(divided)} events would lie on two sides, such as {divided[0]!r}: their records tell "
            "several origins, or none. Give each event one origin, a longer gap_s, or link"
        )
