"""What catalogs and station lists say of a window: as facts, as numbers, and as a sentence.

Nothing here depends on where in its window an arrival lies: no arrival times, no start time, no ids. SeisCLIP
(Si et al. 2024, arXiv 2309.02320) gave its network the position of P among the metadata, by which a waveform
can be told from others without any seismology.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ...data.batch import UNITS, WaveformBatch
from ...data.event_types import EVENT_TYPES

EVENT_FACTS = ("magnitude", "distance", "direction", "depth", "event_type")
"""What can be told of an event as a station hears it."""

FACTS = (*EVENT_FACTS, "elevation", "unit")
"""All that can be told of a window."""

NUMBERS = {
    "magnitude": (2.0, 1.5),
    "log_distance": (1.7, 0.5),
    "sine": (0.0, 0.7),
    "cosine": (0.0, 0.7),
    "depth_km": (10.0, 15.0),
    "elevation_km": (0.5, 0.7),
}
"""Numbers of a window, each with a typical value and spread. Sine and cosine are the back azimuth's."""

DIRECTIONS = ("north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west")

NOISE = EVENT_TYPES.index("noise")


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is told of each window.

    magnitude, distance_km, back_azimuth_deg, depth_km, elevation_m: float32 `(window,)`, NaN where unknown.
    event_type: int64 `(window,)`, position in `EVENT_TYPES`, −1 where unknown.
    unit: one of `UNITS` a window.
    """

    magnitude: Tensor
    distance_km: Tensor
    back_azimuth_deg: Tensor
    depth_km: Tensor
    elevation_m: Tensor
    event_type: Tensor
    unit: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.unit)

    def of_event(self) -> Tensor:
        """Whether anything is known about what shook the ground, bool `(window,)`."""
        numbers = torch.stack([self.magnitude, self.distance_km, self.back_azimuth_deg, self.depth_km])
        return numbers.isfinite().any(dim=0) | (self.event_type >= 0)

    def vectors(self) -> Tensor:
        """As float32 `(window, column)`.

        Each of `NUMBERS`, scaled, 0 where unknown; whether each is known; and one column for each event type
        and unit.
        """
        angle = torch.deg2rad(self.back_azimuth_deg)
        log_distance = self.distance_km.clamp(min=0.1).log10()
        kilometres = self.elevation_m / 1000.0
        raw = torch.stack(
            [self.magnitude, log_distance, angle.sin(), angle.cos(), self.depth_km, kilometres], dim=1
        )
        centre, spread = raw.new_tensor(list(NUMBERS.values())).unbind(dim=1)
        known = raw.isfinite()
        numbers = torch.where(known, (raw - centre) / spread, 0.0)
        codes = torch.tensor([UNITS.index(unit) for unit in self.unit], device=raw.device)
        units = F.one_hot(codes, len(UNITS))[:, : UNITS.index("unknown")]
        kinds = F.one_hot(self.event_type + 1, len(EVENT_TYPES) + 1)[:, 1:]
        return torch.cat([numbers, known.float(), kinds.float(), units.float()], dim=1)

    def sentences(self) -> list[str]:
        """As text. What is unknown is not mentioned.

        Such as "magnitude 2.3 earthquake, 45 km north-east of the station, 8 km deep, recorded in m/s".
        """
        columns = (self.magnitude, self.distance_km, self.back_azimuth_deg, self.depth_km, self.elevation_m)
        numbers = torch.stack(columns, dim=1).tolist()
        rows = zip(numbers, self.event_type.tolist(), self.unit, strict=True)
        return [_sentence(row, kind, unit) for row, kind, unit in rows]


NUM_COLUMNS = 2 * len(NUMBERS) + len(EVENT_TYPES) + len(UNITS) - 1
"""Columns of `Facts.vectors`."""


def facts_of(batch: WaveformBatch, told: tuple[str, ...] = FACTS) -> Facts:
    """What is known of a batch's windows.

    told: those of `FACTS` that are given; the others count as unknown.
    """
    unknown = batch.waveform.new_full((len(batch),), torch.nan)

    def number(fact: str, value: Tensor | None) -> Tensor:
        return value.float() if fact in told and value is not None else unknown

    labels, geometry = batch.labels, batch.station_geometry
    no_type = torch.full_like(unknown, -1, dtype=torch.int64)
    return Facts(
        magnitude=number("magnitude", labels.get("magnitude")),
        distance_km=number("distance", labels.get("distance_km")),
        back_azimuth_deg=number("direction", labels.get("back_azimuth_deg")),
        depth_km=number("depth", labels.get("depth_km")),
        elevation_m=number("elevation", None if geometry is None else geometry[:, 2]),
        event_type=labels.get("event_type", no_type) if "event_type" in told else no_type,
        unit=batch.unit if "unit" in told else ("unknown",) * len(batch),
    )


def _sentence(numbers: list[float], kind: int, unit: str) -> str:
    magnitude, distance_km, back_azimuth_deg, depth_km, elevation_m = numbers
    what = "event" if kind < 0 else EVENT_TYPES[kind].replace("_", " ")
    parts = [f"magnitude {magnitude:.1f} {what}" if math.isfinite(magnitude) else what]
    where = [f"{_short(distance_km)} km"] if math.isfinite(distance_km) else []
    if math.isfinite(back_azimuth_deg):
        where.append(f"{DIRECTIONS[round(back_azimuth_deg / 45.0) % 8]} of the station")
    elif where:
        where.append("from the station")
    parts += [" ".join(where)] if where else []
    parts += [f"{_short(depth_km)} km deep"] if math.isfinite(depth_km) else []
    parts += [f"station {elevation_m:.0f} m high"] if math.isfinite(elevation_m) else []
    parts += [f"recorded in {unit}"] if unit != "unknown" else []
    return ", ".join(parts)


def _short(number: float) -> str:
    """Whole from ten on, to a tenth below."""
    return f"{number:.0f}" if abs(number) >= 10 else f"{round(number, 1):g}"
