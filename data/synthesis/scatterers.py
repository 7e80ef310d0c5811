"""What heterogeneity adds to distinct waves: followers scattered near the station, and conversions.

Everything here is a *reflectivity*: impulses that are convolved with the wave's pulse afterwards. So each
scattered wave is causal, and its spectrum is that of the wave that was scattered.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..loading.window_random import WindowRandom
from .draws import Range, check_ranges, check_shares, log_uniform, uniform

LEAST_FOLLOWERS = 3
MOST_POISSON = 64
PACKET_SIZE = 12
"""So many waves close behind S share what its onset lacks."""

FIRST_FOLLOWER_S = 0.04
"""No follower comes sooner: the first motion is direct."""


@dataclass(frozen=True, kw_only=True)
class ScatteringConfig:
    """How strongly the ways of a region scatter, over what is found in crusts (Sato, Fehler & Maeda, 2012).

    p_coda, s_coda: median and spread (standard deviation of the logarithm) of the early coda's amplitude as a
        fraction of the direct wave's mean amplitude; coda_share: of the records that have one.
    rise_s: log-uniform time in which scattered energy builds up; long ones make emergent onsets.
    p_decay, s_decay: exponents of the fall with lapse time, see `coda.coda_envelope`.
    quality_1hz, quality_exponent: coda Qc = quality f^exponent.
    p_coda_end: P coda falls off steeply after so many times S minus P, see `coda.coda_shape`; 1e6: never.
    coda_waxing: depth, as a standard deviation of the logarithm, in which the coda waxes and wanes.
    direct_s: amplitude of S at its onset as a fraction of all of it; (1, 1) leaves it one pulse.
    s_packet_s: log-uniform mean delay of the waves behind it that have the rest of its energy.
    follower_share: of records with distinct secondary arrivals; followers_per_s: their rate after an onset;
        follower_size: median and spread of their amplitude as a fraction of the parent's.
    conversion_share: of stations over a layer that converts P to S and S to P; conversion: amplitude as a
        fraction of the parent; conversion_delay_s: log-uniform S minus P time through it.
    """

    coda_share: float = 1.0
    p_coda: Range = (1.0, 0.45)
    s_coda: Range = (0.4, 0.45)
    rise_s: Range = (0.03, 0.8)
    p_decay: Range = (0.4, 1.6)
    s_decay: Range = (1.5, 3.8)
    quality_1hz: Range = (40.0, 200.0)
    quality_exponent: Range = (0.5, 1.0)
    p_coda_end: Range = (1.5, 2.5)
    coda_waxing: Range = (0.0, 0.5)
    direct_s: Range = (0.3, 0.8)
    s_packet_s: Range = (0.03, 0.15)
    follower_share: float = 1.0
    followers_per_s: Range = (1.0, 12.0)
    follower_size: Range = (0.41, 0.5)
    conversion_share: float = 0.6
    conversion: Range = (0.05, 0.35)
    conversion_delay_s: Range = (0.05, 0.9)

    def __post_init__(self) -> None:
        check_shares(self, "coda_share", "follower_share", "conversion_share")
        check_ranges(self, "rise_s", "quality_1hz", "conversion_delay_s", "s_packet_s", lowest=1e-3)
        check_ranges(self, "p_coda_end", lowest=0.1)
        check_ranges(self, "coda_waxing", "direct_s", lowest=0.0)
        check_ranges(self, "p_decay", "s_decay", "quality_exponent", "conversion", lowest=0.0)
        check_ranges(self, "followers_per_s", lowest=0.0)
        if self.followers_per_s[1] > 12.0:
            raise ValueError(
                f"followers_per_s must stay within 12 ({MOST_POISSON} in 4 s), found {self.followers_per_s}"
            )
        if self.direct_s[1] > 1.0:
            raise ValueError(f"direct_s must be at most 1, all of the amplitude, found {self.direct_s}")
        for name in ("p_coda", "s_coda", "follower_size"):
            median, spread = getattr(self, name)
            if median <= 0 or spread < 0:
                raise ValueError(f"{name} must be (median above 0, spread from 0), found {(median, spread)}")


@dataclass(frozen=True, kw_only=True)
class Scattering:
    """How strongly the way to each record's station scatters, all `(record,)`; see `ScatteringConfig`.

    p_coda, s_coda and conversion are 0 where there is none; follower_size is the median, 0 likewise.
    """

    p_coda: Tensor
    s_coda: Tensor
    rise_s: Tensor
    p_decay: Tensor
    s_decay: Tensor
    quality_1hz: Tensor
    quality_exponent: Tensor
    p_coda_end: Tensor
    coda_waxing: Tensor
    direct_s: Tensor
    s_packet_s: Tensor
    followers_per_s: Tensor
    follower_size: Tensor
    follower_spread: float
    conversion: Tensor
    conversion_delay_s: Tensor


def draw_scattering(station: WindowRandom, config: ScatteringConfig) -> Scattering:
    """The scattering of each record."""

    def share_of(name: str, share: float) -> Tensor:
        return (station.uniform(f"scattering/{name}_share") < share).float()

    def about(name: str, centre: Range) -> Tensor:
        return centre[0] * (centre[1] * station.normal(f"scattering/{name}")).exp()

    with_coda = share_of("coda", config.coda_share)
    return Scattering(
        p_coda=with_coda * about("p_coda", config.p_coda),
        s_coda=with_coda * about("s_coda", config.s_coda),
        rise_s=log_uniform(station, "scattering/rise", config.rise_s),
        p_decay=uniform(station, "scattering/p_decay", config.p_decay),
        s_decay=uniform(station, "scattering/s_decay", config.s_decay),
        quality_1hz=uniform(station, "scattering/quality", config.quality_1hz),
        quality_exponent=uniform(station, "scattering/quality_exponent", config.quality_exponent),
        p_coda_end=uniform(station, "scattering/p_coda_end", config.p_coda_end),
        coda_waxing=uniform(station, "scattering/coda_waxing", config.coda_waxing),
        direct_s=uniform(station, "scattering/direct_s", config.direct_s),
        s_packet_s=log_uniform(station, "scattering/s_packet", config.s_packet_s),
        followers_per_s=uniform(station, "scattering/followers_per_s", config.followers_per_s),
        follower_size=share_of("follower", config.follower_share) * config.follower_size[0],
        follower_spread=config.follower_size[1],
        conversion=share_of("conversion", config.conversion_share)
        * uniform(station, "scattering/conversion", config.conversion),
        conversion_delay_s=log_uniform(station, "scattering/conversion_delay", config.conversion_delay_s),
    )


def follower_arrivals(
    scattering: Scattering, station: WindowRandom, kind: str, motion: Tensor, span_s: Tensor
) -> tuple[Tensor, Tensor]:
    """Delays (s) `(record, branch, arrival)` and motions `(record, branch, arrival, 3)` of scattered waves.

    motion: of the parents, `(record, branch, 3)`. span_s: `(record,)`, within which they follow, at most 4 s.
    Three and a Poisson number of weaker copies of each parent, whose directions of motion are turned at
    random. An arrival that does not exist has no motion.
    """
    count, name = LEAST_FOLLOWERS + MOST_POISSON, f"follower/{kind}"
    shape = motion.shape[1], count
    span_s = span_s[:, None, None]
    # Most follow closely and make a packet of the pulse.
    delay_s = FIRST_FOLLOWER_S + station.uniform(f"{name}/delay", *shape).pow_(3).mul_(span_s)
    size = station.normal(f"{name}/size", *shape).mul_(scattering.follower_spread)
    size = size.sub_(2.0 * delay_s / span_s).exp_().mul_(scattering.follower_size[:, None, None])
    size *= _exist(scattering.followers_per_s[:, None, None] * span_s, station, name, shape)
    size *= torch.linalg.vector_norm(motion, dim=-1, keepdim=True)
    size *= torch.where(station.uniform(f"{name}/sign", *shape) < 0.5, -1.0, 1.0)
    turned = station.normal(f"{name}/direction", *shape, 3).mul_(0.5)
    turned += torch.nn.functional.normalize(motion, dim=-1)[:, :, None]
    return delay_s, turned.mul_((size / torch.linalg.vector_norm(turned, dim=-1))[..., None])


def packet_arrivals(
    scattering: Scattering, station: WindowRandom, num_branches: int
) -> tuple[Tensor, Tensor]:
    """Delays (s) and sizes `(record, branch, arrival)` of the waves that S near its onset consists of.

    The first is the onset itself, of size `direct_s`. The others, with exponential delays and normal sizes,
    have the rest of the energy, 1 − direct_s², on average: real S reaches half of its height in 50 ms, after
    many ways that differ little. All move as their parent does.
    """
    shape = num_branches, PACKET_SIZE
    onset = scattering.direct_s[:, None, None].expand(-1, num_branches, 1)
    rest = (1.0 - scattering.direct_s.square()).div(PACKET_SIZE).sqrt()[:, None, None]
    delay_s = station.uniform("packet/delay", *shape).neg_().log1p_().neg_()
    delay_s *= scattering.s_packet_s[:, None, None]
    size = station.normal("packet/size", *shape).mul_(rest)
    return torch.nn.functional.pad(delay_s, (1, 0)), torch.cat([onset, size], dim=-1)


def _exist(mean: Tensor, station: WindowRandom, name: str, shape: tuple[int, int]) -> Tensor:
    """Which of the arrivals exist: a Poisson process counts its exponential steps that fit into the mean."""
    steps = station.uniform(f"{name}/count", shape[0], MOST_POISSON).neg_().log1p_().neg_()
    poisson = steps.cumsum(dim=-1) < mean
    return torch.nn.functional.pad(poisson, (LEAST_FOLLOWERS, 0), value=True)


def converted_motion(scattering: Scattering, motion: Tensor, kind: str) -> Tensor:
    """Motion `(record, 3)` of the wave that the ground below the station makes of P (Ps) or S (Sp).

    Ps moves the horizontals, Sp the vertical, by a fraction of the parent's whole motion and with its sign.
    """
    pattern = [0.0, 1.0, 1.0] if kind == "P" else [1.0, 0.0, 0.0]
    size = scattering.conversion * torch.linalg.vector_norm(motion, dim=-1)
    return size[:, None] * torch.tensor(pattern, device=motion.device) * motion.sign()
