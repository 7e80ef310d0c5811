"""What was recorded of some views, and all that is true about it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from .labels import ArrivalTable
from .recorder import Recorded
from .views import Views


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What was recorded of some views, one entry a record.

    views: what there was to see. recorded: what was written down. arrivals: of the first event and of the
    second, whose entries are NaN where there is none. second_magnitude: its size, likewise.
    origin_s: float64, of the first event after the record's first sample. snr_db: of P and S of the first
    event, `(record, 2)`, NaN where they are not in the record.
    """

    views: Views
    recorded: Recorded
    arrivals: tuple[ArrivalTable, ArrivalTable]
    second_magnitude: Tensor
    origin_s: Tensor
    snr_db: Tensor
