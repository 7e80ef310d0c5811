"""What is true about each record's arrivals: times, polarity, and the angles at both ends."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..records import POLARITIES, Arrival
from .plan import BRANCHES, Sources, Waves
from .sources import is_kind


@dataclass(frozen=True, kw_only=True)
class ArrivalTable:
    """The arrivals of one event in each record, `(record, branch)` in the order of `plan.BRANCHES`.

    time_s: float64, after the record's first sample, NaN where the branch does not exist or the record holds
    noise alone; it may lie outside of the record. takeoff_deg: at the source, 0 is down. incidence_deg: at
    the station, 0 is vertical. polarity: int64 `(record,)`, of P, position in `records.POLARITIES`, −1
    without a P. impulsive: bool `(record,)`, False for sources without a sharp onset.
    """

    time_s: Tensor
    takeoff_deg: Tensor
    incidence_deg: Tensor
    polarity: Tensor
    impulsive: Tensor

    def of(self, phase: str) -> Tensor:
        """The times of one phase, `(record,)`."""
        return self.time_s[:, BRANCHES.index(phase)]


def arrival_table(waves: Waves, sources: Sources, origin_s: Tensor) -> ArrivalTable:
    """The arrivals of events whose origin lies `origin_s` `(record,)` after each record's first sample.

    P's polarity is the sign of its vertical motion, undecidable for sources that have no sharp onset.
    """
    silent = is_kind(sources.kind, "noise")
    time_s = (origin_s.double()[:, None] + waves.travel_time_s).masked_fill(silent[:, None], torch.nan)
    up = waves.motion[:, BRANCHES.index("P"), 0] > 0
    polarity = torch.where(up, POLARITIES.index("positive"), POLARITIES.index("negative"))
    impulsive = sources.emergence_s == 0
    polarity = polarity.where(impulsive, POLARITIES.index("undecidable"))
    exists = time_s.isfinite()
    return ArrivalTable(
        time_s=time_s,
        takeoff_deg=waves.takeoff_deg.where(exists, torch.nan),
        incidence_deg=waves.incidence_deg.where(exists, torch.nan),
        polarity=polarity.where(exists[:, BRANCHES.index("P")], -1),
        impulsive=impulsive,
    )


def arrival_tuples(table: ArrivalTable, duration_s: float, event: int = 0) -> list[tuple[Arrival, ...]]:
    """For each record its arrivals inside the first `duration_s` seconds, in order of time.

    event: the number of the event among the record's.
    """
    columns = zip(table.time_s.tolist(), table.polarity.tolist(), table.impulsive.tolist(), strict=True)
    records = []
    for times_s, polarity, impulsive in columns:
        named = zip(times_s, BRANCHES, strict=True)
        inside = sorted((time_s, name) for time_s, name in named if 0 <= time_s < duration_s)
        records.append(
            tuple(
                Arrival(
                    phase=name,
                    time_s=time_s,
                    event=event,
                    polarity=POLARITIES[polarity] if name == "P" else None,
                    evaluation="synthetic",
                    onset=None if impulsive else "emergent",
                )
                for time_s, name in inside
            )
        )
    return records
