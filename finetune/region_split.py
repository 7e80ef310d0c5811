"""A region's records divided into what is learned from, what chooses, and what is held out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..data.records import Record


@dataclass(frozen=True, kw_only=True)
class RegionSplit:
    """Records by their purpose; no two sides share an event or a moment of time.

    train, validation, test: records with events. train_noise, test_noise: records without.
    """

    train: list[Record]
    validation: list[Record]
    test: list[Record]
    train_noise: list[Record]
    test_noise: list[Record]

    def num_events(self) -> dict[str, int]:
        """How many events each side has."""
        sides = {"train": self.train, "validation": self.validation, "test": self.test}
        return {side: len(_events(records)) for side, records in sides.items()}


def split_region(
    records: Sequence[Record],
    noise: Sequence[Record],
    num_training_events: int,
    validation_fraction: float,
    seed: int,
) -> RegionSplit:
    """A few events to learn from, the rest held out.

    Events whose records overlap in time, as an aftershock's do, stay on one side: the record of the one shows
    the other. At most `num_training_events` are taken, in an order that a hash of seed and event id decides;
    `validation_fraction` of them, but one at least, choose the weights and thresholds. Noise is divided in
    the same proportion.

    Raises ValueError where a side would have no event.
    """
    groups = _shuffled(overlapping_groups(records), seed)
    taken, rest = _take(groups, num_training_events)
    validation, train = _take(taken, max(1, round(validation_fraction * num_training_events)))
    if not (train and validation and rest):
        raise ValueError(
            f"{len(_events(records))} events in {len(groups)} groups that do not overlap in time cannot be "
            f"divided into {num_training_events} training events with validation among them, and held-out "
            "ones: give more events, fewer training events, or shorter windows around the picks"
        )
    share = sum(len(_events(group)) for group in taken) / len(_events(records))
    noise_groups = _shuffled(overlapping_groups(noise), seed)
    num_train_noise = round(share * len(noise_groups))
    return RegionSplit(
        train=_joined(train),
        validation=_joined(validation),
        test=_joined(rest),
        train_noise=_joined(noise_groups[:num_train_noise]),
        test_noise=_joined(noise_groups[num_train_noise:]),
    )


def overlapping_groups(records: Iterable[Record]) -> list[list[Record]]:
    """Records in groups between which no time is shared, whatever their station."""
    groups: list[list[Record]] = []
    end = float("-inf")
    for record in sorted(records, key=lambda r: (r.start_time, r.record_id)):
        if record.start_time >= end:
            groups.append([])
        groups[-1].append(record)
        end = max(end, record.start_time + record.duration_s)
    return _with_whole_events(groups)


def _with_whole_events(groups: list[list[Record]]) -> list[list[Record]]:
    """Groups that share an event joined, with all between them: an event's records need not overlap."""
    joined: list[list[Record]] = []
    for group in groups:
        sharing = (i for i, earlier in enumerate(joined) if _events(earlier) & _events(group))
        first = next(sharing, len(joined))
        joined[first:] = [[record for part in (*joined[first:], group) for record in part]]
    return joined


def _take(groups: Sequence[list[Record]], num_events: int) -> tuple[list[list[Record]], list[list[Record]]]:
    """The first groups that together have at most `num_events` events, and the others."""
    taken: list[list[Record]] = []
    rest: list[list[Record]] = []
    left = num_events
    for group in groups:
        fits = len(_events(group)) <= left
        (taken if fits else rest).append(group)
        left -= len(_events(group)) if fits else 0
    return taken, rest


def _shuffled(groups: list[list[Record]], seed: int) -> list[list[Record]]:
    def key(group: list[Record]) -> bytes:
        first = group[0].event_id or group[0].record_id
        return hashlib.sha256(f"{seed}/{first}".encode()).digest()

    return sorted(groups, key=key)


def _events(records: Iterable[Record]) -> set[str]:
    return {record.event_id for record in records if record.event_id}


def _joined(groups: Iterable[list[Record]]) -> list[Record]:
    return [record for group in groups for record in group]
