"""Disturbances that are no earthquakes, put into some records, so that a network learns what not to pick."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..loading.window_random import WindowRandom
from .disturbance_shapes import SHAPES
from .draws import check_ranges, check_shares, log_uniform

DISTURBANCES = tuple(SHAPES)
"""Kinds, in the order of what `disturb` returns."""

NOTHING = -1


@dataclass(frozen=True, kw_only=True)
class DisturbanceConfig:
    """How often what disturbs a record.

    share: of records with one disturbance. weights: relative frequency of each of `DISTURBANCES`.
    size: log-uniform peak, in units of the root mean square of the record's loudest component.
    """

    share: float = 0.2
    weights: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0, 0.5, 1.0, 0.5, 0.3, 0.5)
    size: tuple[float, float] = (2.0, 60.0)

    def __post_init__(self) -> None:
        check_shares(self, "share")
        check_ranges(self, "size", lowest=1e-6)
        if len(self.weights) != len(DISTURBANCES) or min(self.weights) < 0 or not sum(self.weights) > 0:
            raise ValueError(
                f"weights must be one number of at least 0 for each of {DISTURBANCES}, not all of them 0, "
                f"found {self.weights}"
            )


def disturb(
    motion: Tensor, station: WindowRandom, rate_hz: float, config: DisturbanceConfig | None = None
) -> tuple[Tensor, Tensor]:
    """Motion with a disturbance in some records, and what it is.

    motion: `(record, 3 or more, sample)`, usually noise, which is not changed; components beyond Z, N and E
    stay as they are. It begins anywhere in the record. The second result is int64 `(record,)`, a position in
    `DISTURBANCES` or `NOTHING`.
    """
    config = config or DisturbanceConfig()
    kind = draw_kinds(station, config)
    disturbed = motion.clone()
    for number, shape in enumerate(SHAPES.values()):
        rows = (kind == number).nonzero().flatten()
        if not len(rows):
            continue
        own, chosen = station.select(rows), disturbed[rows]
        sample = torch.arange(motion.shape[-1], device=motion.device)
        begin = (own.uniform("disturbance/begin") * motion.shape[-1]).floor()
        made = shape(own, (sample - begin[:, None]) / rate_hz, rate_hz)
        peak = made.abs().amax(dim=(1, 2)).clamp_(min=1e-20)
        size = log_uniform(own, "disturbance/size", config.size) * _loudest_rms(chosen[:, :3])
        chosen[:, :3] += made * (size / peak)[:, None, None]
        disturbed.index_copy_(0, rows, chosen)
    return disturbed, kind


def _loudest_rms(motion: Tensor) -> Tensor:
    """Of the loudest component `(record,)`. Noise has no mean; `Tensor.std` takes ten times as long."""
    return motion.square().mean(dim=-1).amax(dim=1).sqrt_()


def draw_kinds(station: WindowRandom, config: DisturbanceConfig) -> Tensor:
    """Which disturbance each record has, int64 `(record,)`: a position in `DISTURBANCES` or `NOTHING`."""
    weights = torch.tensor(config.weights, dtype=torch.float64, device=station.device)
    ends = (config.share * weights.cumsum(0) / weights.sum()).float()
    fall = station.uniform("disturbance/kind")
    kind = torch.searchsorted(ends, fall, right=True)
    return torch.where(fall < config.share, kind.clamp_(max=len(weights) - 1), NOTHING)
