"""Stations that fall silent or sick, and the list of it that a network operator would love to have."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import obspy
import torch
from numpy.typing import NDArray

from ..loading.window_random import WindowRandom
from .draws import Range, check_ranges, check_shares

SICKNESSES = ("reversed", "swapped", "weak", "dead")
"""Vertical upside down; N and E exchanged; the east component at a tenth; the north component at zero."""

WEAK_FACTOR = 0.1


@dataclass(frozen=True, kw_only=True)
class HealthConfig:
    """What goes wrong in a network. outage_share: of a station's time, in outages of outage_s (log-uniform).
    sick_share: of the stations that have one of `SICKNESSES` all the time.
    """

    outage_share: float = 0.0
    outage_s: Range = (60.0, 7200.0)
    sick_share: float = 0.0

    def __post_init__(self) -> None:
        check_shares(self, "outage_share", "sick_share")
        check_ranges(self, "outage_s", lowest=1.0)
        if self.outage_share >= 1.0:
            raise ValueError(f"outage_share must stay below 1, found {self.outage_share}")


@dataclass(frozen=True, kw_only=True)
class StationHealth:
    """outages_s: begin and end of each, `(outage, 2)`, after the archive's start. sickness: "" for none."""

    outages_s: NDArray[np.float64]
    sickness: str

    def is_out(self, time_s: float) -> bool:
        """Whether nothing is recorded at a time after the archive's start."""
        return bool(((self.outages_s[:, 0] <= time_s) & (time_s < self.outages_s[:, 1])).any())

    def applied(self, counts: NDArray[np.float32], first: int, rate_hz: float) -> NDArray[np.float32]:
        """Counts `(Z N E, sample)` from sample `first` of the archive on, as they arrive: NaN in outages."""
        counts = counts.copy()
        if self.sickness == "reversed":
            counts[0] *= -1.0
        elif self.sickness == "swapped":
            counts = counts[[0, 2, 1]]
        elif self.sickness == "weak":
            counts[2] = np.round(WEAK_FACTOR * counts[2])
        elif self.sickness == "dead":
            counts[1] = 0.0
        for begin_s, end_s in self.outages_s:
            begin, end = round(begin_s * rate_hz) - first, round(end_s * rate_hz) - first
            counts[:, max(begin, 0) : max(end, 0)] = np.nan
        return counts


def draw_health(stations: WindowRandom, config: HealthConfig, duration_s: float) -> list[StationHealth]:
    """The health of each station over an archive of this length; outages may overlap."""
    low_s, high_s = config.outage_s
    mean_s = low_s if low_s == high_s else (high_s - low_s) / math.log(high_s / low_s)
    # The share that n random outages cover approaches 1 − e^(−n mean / duration).
    expected = -math.log1p(-config.outage_share) * duration_s / mean_s
    most = math.ceil(4.0 * expected) + 8 if expected > 0 else 0
    steps = -torch.log1p(-stations.uniform64("health/steps", max(most, 1)))
    count = (steps.cumsum(dim=1) < expected).sum(dim=1).tolist()
    begin_s = stations.uniform64("health/begin", max(most, 1)) * duration_s
    length_s = low_s * (high_s / low_s) ** stations.uniform64("health/length", max(most, 1))
    intervals = torch.stack([begin_s, (begin_s + length_s).clamp(max=duration_s)], dim=2).numpy()
    sick = stations.uniform("health/sick", 2)
    kinds = (sick[:, 1] * len(SICKNESSES)).long().tolist()
    ill = (sick[:, 0] < config.sick_share).tolist()
    return [
        StationHealth(
            outages_s=intervals[row, : count[row]][np.argsort(intervals[row, : count[row], 0])],
            sickness=SICKNESSES[kinds[row]] if ill[row] else "",
        )
        for row in range(len(stations))
    ]


def write_health(path: Path, station_ids: list[str], health: list[StationHealth], start_time: float) -> None:
    """Write station_id, what (an outage or a sickness), begin and end (UTC, empty for a sickness)."""
    lines = ["station_id,what,begin,end"]
    for station_id, one in zip(station_ids, health, strict=True):
        if one.sickness:
            lines.append(f"{station_id},{one.sickness},,")
        for begin_s, end_s in one.outages_s.tolist():
            begin, end = (obspy.UTCDateTime(start_time + time_s) for time_s in (begin_s, end_s))
            lines.append(f"{station_id},outage,{begin},{end}")
    partial = path.with_name(path.name + ".part")
    partial.write_text("\n".join(lines) + "\n")
    partial.replace(path)
