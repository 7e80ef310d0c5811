"""Disturbances that are no earthquakes, put into some records, so that a network learns what not to pick."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..loading.window_random import WindowRandom
from .disturbance_shapes import ON_THE_GROUND, SHAPES
from .draws import check_ranges, check_shares, log_uniform
from .snr import noise_power_above

DISTURBANCES = tuple(SHAPES)
"""Kinds, in the order of what `disturb` returns."""

NOTHING = -1


@dataclass(frozen=True, kw_only=True)
class DisturbanceConfig:
    """How often what disturbs a record.

    share: of records with one disturbance; quiet_share: of those in which no earthquake arrives.
    weights: relative frequency of each of `DISTURBANCES`.
    size: log-uniform peak, in units of the root mean square of the record's loudest component; above 1 Hz for
        what shakes the ground there (`ON_THE_GROUND`), which else would drown records full of microseism.
    """

    share: float = 0.35
    quiet_share: float = 0.6
    weights: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0, 0.5, 1.0, 0.5, 0.3, 0.5, 1.5, 1.5, 2.0, 1.0)
    size: tuple[float, float] = (2.0, 60.0)

    def __post_init__(self) -> None:
        check_shares(self, "share", "quiet_share")
        check_ranges(self, "size", lowest=1e-6)
        if len(self.weights) != len(DISTURBANCES) or min(self.weights) < 0 or not sum(self.weights) > 0:
            raise ValueError(
                f"weights must be one number of at least 0 for each of {DISTURBANCES}, not all of them 0, "
                f"found {self.weights}"
            )


def disturb(
    motion: Tensor,
    station: WindowRandom,
    rate_hz: float,
    config: DisturbanceConfig | None = None,
    quiet: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Motion with a disturbance in some records, and what it is.

    motion: `(record, 3 or more, sample)`, usually noise, which is not changed; components beyond Z, N and E
    stay as they are. It begins anywhere in the record. quiet: bool `(record,)`, in which no earthquake
    arrives; None stands for none. The second result is int64 `(record,)`, a position in `DISTURBANCES` or
    `NOTHING`.
    """
    config = config or DisturbanceConfig()
    kind = draw_kinds(station, config, quiet)
    disturbed = motion.clone()
    for number, (name, shape) in enumerate(SHAPES.items()):
        rows = (kind == number).nonzero().flatten()
        if not len(rows):
            continue
        own, chosen = station.select(rows), disturbed[rows]
        sample = torch.arange(motion.shape[-1], device=motion.device)
        begin = (own.uniform("disturbance/begin") * motion.shape[-1]).floor()
        made = shape(own, (sample - begin[:, None]) / rate_hz, rate_hz)
        peak = made.abs().amax(dim=(1, 2)).clamp_(min=1e-20)
        size = log_uniform(own, "disturbance/size", config.size) * _loudest_rms(name, chosen[:, :3], rate_hz)
        chosen[:, :3] += made * (size / peak)[:, None, None]
        disturbed.index_copy_(0, rows, chosen)
    return disturbed, kind


def _loudest_rms(kind: str, motion: Tensor, rate_hz: float) -> Tensor:
    """Of the loudest component, against which a kind of disturbance is measured, `(record,)`.

    Noise has no mean; `Tensor.std` takes ten times as long.
    """
    heard = kind in ON_THE_GROUND
    power = noise_power_above(motion, rate_hz) if heard else motion.square().mean(dim=-1)
    return power.amax(dim=1).sqrt_()


def draw_kinds(station: WindowRandom, config: DisturbanceConfig, quiet: Tensor | None = None) -> Tensor:
    """Which disturbance each record has, int64 `(record,)`: a position in `DISTURBANCES` or `NOTHING`."""
    weights = torch.tensor(config.weights, dtype=torch.float64, device=station.device)
    ends = (weights.cumsum(0) / weights.sum()).float()
    share = torch.full((len(station),), config.share, device=station.device)
    if quiet is not None:
        share = share.masked_fill(quiet, config.quiet_share)
    fall = station.uniform("disturbance/kind")
    kind = torch.searchsorted(ends, fall / share, right=True)
    return torch.where(fall < share, kind.clamp_(max=len(weights) - 1), NOTHING)
