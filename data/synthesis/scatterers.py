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
"""So many waves follow close behind the onset of P and of S."""

FIRST_SWING_S = 0.04
"""Waves of a packet of P that come so close have taken nearly its way, and push where it pushes."""

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
    packet_share: of the records whose P and S are packets of waves; in the others each is one pulse.
    direct_p, direct_s: amplitude at the onset as a fraction of what a ray without scattering has.
    p_packet: root mean square of the waves behind P, together, on the same scale: they come from all around
        the ray's take-off, so that also near a node of the radiation P is seen. Those behind S have what its
        onset lacks. p_packet_s, s_packet_s: log-uniform mean delay of these waves.
    follower_share: of records with distinct secondary arrivals; followers_per_s: their rate after an onset;
        follower_size: median and spread of their amplitude as a fraction of the parent's.
    conversion_share: of stations over a layer that converts P to S and S to P; conversion: amplitude as a
        fraction of the parent; conversion_delay_s: log-uniform S minus P time through it.
    """

    coda_share: float = 1.0
    p_coda: Range = (0.75, 0.45)
    s_coda: Range = (0.4, 0.45)
    rise_s: Range = (0.03, 0.8)
    p_decay: Range = (0.0, 1.2)
    s_decay: Range = (1.5, 3.8)
    quality_1hz: Range = (40.0, 200.0)
    quality_exponent: Range = (0.5, 1.0)
    p_coda_end: Range = (1.5, 2.5)
    coda_waxing: Range = (0.0, 0.5)
    packet_share: float = 0.9
    direct_p: Range = (0.05, 0.5)
    p_packet: Range = (0.9, 2.0)
    p_packet_s: Range = (0.03, 0.12)
    direct_s: Range = (0.15, 0.7)
    s_packet_s: Range = (0.04, 0.25)
    follower_share: float = 1.0
    followers_per_s: Range = (1.0, 12.0)
    follower_size: Range = (0.38, 0.5)
    conversion_share: float = 0.6
    conversion: Range = (0.05, 0.35)
    conversion_delay_s: Range = (0.05, 0.9)

    def __post_init__(self) -> None:
        check_shares(self, "coda_share", "follower_share", "conversion_share", "packet_share")
        check_ranges(self, "rise_s", "quality_1hz", "conversion_delay_s", lowest=1e-3)
        check_ranges(self, "p_packet_s", "s_packet_s", lowest=1e-3)
        check_ranges(self, "p_coda_end", lowest=0.1)
        check_ranges(self, "coda_waxing", "direct_p", "direct_s", "p_packet", lowest=0.0)
        check_ranges(self, "p_decay", "s_decay", "quality_exponent", "conversion", lowest=0.0)
        check_ranges(self, "followers_per_s", lowest=0.0)
        if self.followers_per_s[1] > 12.0:
            raise ValueError(
                f"followers_per_s must stay within 12 ({MOST_POISSON} in 4 s), found {self.followers_per_s}"
            )
        for name in ("direct_p", "direct_s"):
            if getattr(self, name)[1] > 1.0:
                raise ValueError(
                    f"{name} must be at most 1, all of the amplitude, found {getattr(self, name)}"
                )
        for name in ("p_coda", "s_coda", "follower_size"):
            median, spread = getattr(self, name)
            if median <= 0 or spread < 0:
                raise ValueError(f"{name} must be (median above 0, spread from 0), found {(median, spread)}")


@dataclass(frozen=True, kw_only=True)
class Scattering:
    """How strongly the way to each record's station scatters, all `(record,)`; see `ScatteringConfig`.

    p_coda, s_coda, conversion, p_packet and s_packet are 0 where there is none; follower_size is the median,
    0 likewise.
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
    direct_p: Tensor
    p_packet: Tensor
    p_packet_s: Tensor
    direct_s: Tensor
    s_packet: Tensor
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

    with_coda, with_packet = (share_of("coda", config.coda_share), share_of("packet", config.packet_share))
    onset = {
        name: 1.0 - with_packet * (1.0 - uniform(station, f"scattering/{name}", getattr(config, name)))
        for name in ("direct_p", "direct_s")
    }
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
        direct_p=onset["direct_p"],
        p_packet=with_packet * uniform(station, "scattering/p_packet_size", config.p_packet),
        p_packet_s=log_uniform(station, "scattering/p_packet", config.p_packet_s),
        direct_s=onset["direct_s"],
        s_packet=(1.0 - onset["direct_s"].square()).sqrt(),
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
    scattering: Scattering, station: WindowRandom, kind: str, num_branches: int
) -> tuple[Tensor, Tensor]:
    """Delays (s) and sizes `(record, branch, arrival)` of the waves that P or S near its onset consists of.

    The first is the onset itself, of size `direct_p` or `direct_s`. The others have normal sizes, and delays
    of a gamma distribution of order 2, so that they set in gradually: a real P reaches its height after some
    50 ms, over many ways that differ little. All move along their parent's direction; what follows P within
    `FIRST_SWING_S` also has its sign, so that the first motion stays the one of the source.
    """
    direct, behind, mean_s = (
        (scattering.direct_p, scattering.p_packet, scattering.p_packet_s)
        if kind == "P"
        else (scattering.direct_s, scattering.s_packet, scattering.s_packet_s)
    )
    name, shape = f"packet/{kind}", (num_branches, PACKET_SIZE)
    steps = station.uniform(f"{name}/delay", 2, *shape).neg_().add_(1.0)
    delay_s = steps[:, 0].mul_(steps[:, 1]).log_().mul_(-0.5 * mean_s[:, None, None])
    size = station.normal(f"{name}/size", *shape).mul_((behind / PACKET_SIZE**0.5)[:, None, None])
    if kind == "P":
        size = torch.where(delay_s < FIRST_SWING_S, size.abs(), size)
    onset = direct[:, None, None].expand(-1, num_branches, 1)
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
