"""Training with fewer labels than the data have: what a label is worth, or what can take its place."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import torch

from ..batch import WaveformBatch
from ..record_table import SOURCE_LABELS


@dataclass(frozen=True, kw_only=True)
class FewerLabels:
    """Which labels of an event are forgotten; without a `share` none is.

    share: by label, the share of the events that keep it, such as `{magnitude: 0.0625}`; the labels that
        describe a window as a whole: magnitude, distance_km, back_azimuth_deg, depth_km. An event that keeps
        the rarer of two keeps the other one too.
    seed: of which events these are.
    """

    share: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.share) - set(SOURCE_LABELS)):
            raise ValueError(f"fewer_labels takes shares of {sorted(SOURCE_LABELS)}, found {unknown}")
        if bad := {name: share for name, share in self.share.items() if not 0.0 <= share <= 1.0}:
            raise ValueError(f"the shares of fewer_labels must lie in 0 to 1, found {bad}")

    def apply(self, batch: WaveformBatch) -> WaveformBatch:
        """The batch without the labels that are forgotten: NaN.

        An event is told by its `event_id` alone, so that all its windows keep a label or none does, in
        training as in validation, whatever their company.

        Raises ValueError where a window with such a label has no `event_id`.
        """
        known = {name: batch.labels[name] for name in self.share if name in batch.labels}
        if not known:
            return batch
        event_id = batch.event_id or ("",) * len(batch)
        nameless = torch.tensor([not name for name in event_id], device=batch.device)
        for name, label in known.items():
            if lost := int((nameless & label.isfinite()).sum()):
                raise ValueError(
                    f"fewer_labels decides by event, but {lost} windows with the label {name!r} have no "
                    "event_id: give their records one, or leave fewer_labels out"
                )
        place = torch.tensor([_place(name, self.seed) for name in event_id], device=batch.device)
        kept = {
            name: label.where(place < self.share[name], label.new_full((), torch.nan))
            for name, label in known.items()
        }
        return batch.replace(labels={**batch.labels, **kept})


@lru_cache(maxsize=4096)
def _place(event_id: str, seed: int) -> float:
    """A number in [0, 1) that belongs to an event."""
    return int.from_bytes(hashlib.sha256(f"label/{seed}/{event_id}".encode()).digest()[:6]) / 2**48
