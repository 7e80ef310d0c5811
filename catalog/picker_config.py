"""How picks are made, and what comes out."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from ..data.records import Skipped
from .pick_table import PickTable

UNKNOWN_THRESHOLD = 0.3
"""The least probability of a pick where neither the user nor the model says one."""


@dataclass(frozen=True, kw_only=True)
class PickerConfig:
    """How picks are made.

    p_threshold, s_threshold, detection_threshold: least probabilities. None takes what the model recommends
        (`PickCalibration`), or `UNKNOWN_THRESHOLD` where it does not.
    window_s: what the model sees at once; None takes what its contract prefers.
    overlap: share of a window that the next one covers too.
    min_separation_s: of two picks of a phase that are closer, the more probable one stays.
    refine: look at each pick again from the middle of windows of its own, so that it does not depend on
        where the stream began. The first look then takes peaks of `candidate_fraction` of the thresholds.
    refine_shifts: how many windows, spread over one token of the network, that second look has. With 16 (one
        a sample at 100 Hz) picks stay within some 5 ms, with fewer they cost less and move by up to 50 ms.
    max_gap_s: longer gaps end a record; shorter ones are NaN inside of it.
    nearest_stations, within_km: of a model whose heads listen to other stations: how many stations share what
        they see, the listening one included, and how far away another may be. Networks that such models learn
        from have at most 12 stations, within some 80 km of each other.
    """

    p_threshold: float | None = None
    s_threshold: float | None = None
    detection_threshold: float = 0.5
    window_s: float | None = None
    overlap: float = 0.5
    batch_size: int = 16
    min_separation_s: float = 0.5
    refine: bool = True
    refine_shifts: int = 16
    candidate_fraction: float = 0.5
    max_gap_s: float = 60.0
    nearest_stations: int = 12
    within_km: float = 100.0

    def __post_init__(self) -> None:
        for name in ("p_threshold", "s_threshold", "detection_threshold", "candidate_fraction"):
            value = getattr(self, name)
            if value is not None and not 0.0 < value <= 1.0:
                raise ValueError(f"{name} must be above 0 and at most 1, found {value}")
        if not 0.0 <= self.overlap < 1.0:
            raise ValueError(f"overlap must be from 0 to below 1, found {self.overlap}")
        if self.nearest_stations < 1 or not self.within_km >= 0:
            raise ValueError(
                "nearest_stations must be at least 1 and within_km not negative, found "
                f"{self.nearest_stations} and {self.within_km}"
            )
        if self.batch_size < 1 or self.min_separation_s < 0:
            raise ValueError(
                "batch_size must be at least 1 and min_separation_s not negative, found "
                f"{self.batch_size} and {self.min_separation_s}"
            )


@dataclass(frozen=True, kw_only=True)
class PickResult:
    """What a picker found in a stream.

    detections: one row an event at a station, `DETECTION_COLUMNS`: UTC start and end of the time when the
        detection curve stays above its threshold, and the highest probability in it.
    skipped: what was not looked at, and why; and what a listening model could not listen to.
    num_records: recordings that were looked at, gaps and all, one or more for each station's instrument.
    """

    picks: PickTable
    detections: pd.DataFrame
    skipped: list[Skipped]
    num_records: int
