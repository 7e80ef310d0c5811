"""Random sources: what shakes, how strongly, with which mechanism."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import pad

from ..event_types import EVENT_TYPES
from ..loading.window_random import WindowRandom
from .draws import Range, check_ranges, check_shares, log_uniform, uniform
from .plan import Sources
from .rupture import MAX_SUBEVENTS, ripple_fire, subevents

MOMENT_PARTS: dict[str, tuple[Range, Range, Range]] = {
    "earthquake": ((1.0, 1.0), (0.0, 0.0), (0.0, 0.0)),
    "quarry_blast": ((0.05, 0.2), (0.65, 0.85), (-0.3, 0.3)),
    "explosion": ((0.0, 0.0), (0.85, 1.0), (0.0, 0.15)),
    "collapse": ((0.0, 0.0), (-0.65, -0.5), (-0.5, -0.35)),
    "surface_event": ((0.4, 0.6), (-0.2, 0.2), (-0.4, 0.4)),
    "noise": ((0.0, 0.0), (0.0, 0.0), (0.0, 0.0)),
}
"""Ranges of the double couple, the isotropic part and the vertical CLVD of each kind's moment tensor.

Every blast and explosion pushes and every collapse pulls in all directions; a closing horizontal crack, which
a collapse resembles, has 5 : 4 of isotropic part to CLVD where Poisson's ratio is 1/4.
"""

SHALLOW = ("quarry_blast", "explosion", "collapse", "surface_event")
SLOW = ("collapse", "surface_event")
SURFACE_VS_M_S = 2000.0
"""The shear velocity that turns a slow source's corner frequency into a stress drop."""


@dataclass(frozen=True, kw_only=True)
class TypeShares:
    """How often each kind of source occurs, relative to the sum of all."""

    earthquake: float = 0.83
    quarry_blast: float = 0.06
    explosion: float = 0.01
    collapse: float = 0.01
    surface_event: float = 0.01
    noise: float = 0.08

    def __post_init__(self) -> None:
        shares = dataclasses.asdict(self)
        if min(shares.values()) < 0 or not sum(shares.values()) > 0:
            raise ValueError(f"type shares must be at least 0 and one of them positive, found {shares}")


@dataclass(frozen=True, kw_only=True)
class SourcesConfig:
    """The sources of a region.

    types: how often each kind occurs. magnitude: Mw, uniform; see `with_magnitude`.
    depth_km: of earthquakes, log-uniform; slab_share of them lie at slab_depth_km instead, uniform.
    shallow_depth_km: of the other kinds, log-uniform.
    stress_drop_pa: log-uniform. slow_corner_hz: log-uniform corner of S of collapses and surface events.
    shots, shot_interval_s: of a ripple-fired blast; shot_scatter: standard deviation of a shot's delay,
    relative to the interval. emergence_s: log-uniform rise time of surface events.
    latitude_deg, longitude_deg: where sources lie.
    """

    types: TypeShares = field(default_factory=TypeShares)
    magnitude: Range = (-1.0, 6.5)
    depth_km: Range = (0.3, 25.0)
    slab_share: float = 0.0
    slab_depth_km: Range = (50.0, 150.0)
    shallow_depth_km: Range = (0.01, 0.3)
    stress_drop_pa: Range = (1e5, 3e7)
    slow_corner_hz: Range = (0.5, 4.0)
    shots: tuple[int, int] = (5, 40)
    shot_interval_s: Range = (0.008, 0.05)
    shot_scatter: float = 0.05
    emergence_s: Range = (1.0, 15.0)
    latitude_deg: Range = (-60.0, 60.0)
    longitude_deg: Range = (-180.0, 180.0)

    def __post_init__(self) -> None:
        check_ranges(self, "magnitude", lowest=-4.0)
        check_ranges(self, "depth_km", "slab_depth_km", "shallow_depth_km", lowest=0.001)
        check_ranges(self, "stress_drop_pa", "slow_corner_hz", "shot_interval_s", "emergence_s", lowest=1e-3)
        check_ranges(self, "shots", lowest=1)
        check_ranges(self, "latitude_deg", lowest=-90.0)
        check_ranges(self, "longitude_deg", lowest=-180.0)
        check_shares(self, "slab_share", "shot_scatter")


def draw_sources(event: WindowRandom, config: SourcesConfig) -> Sources:
    """What shakes in each record's event; strike, the cosine of the dip, and rake are uniform.

    Latitude and longitude are float64.
    """
    kind = _kinds(event, config.types)
    double_couple, isotropic, clvd = _moment_parts(event, kind).unbind(dim=1)
    zero = torch.zeros_like(clvd)
    sources = Sources(
        kind=kind,
        magnitude=zero,
        stress_drop_pa=log_uniform(event, "source/stress_drop", config.stress_drop_pa),
        depth_km=_depths(event, kind, config),
        latitude_deg=_place(event, "source/latitude", config.latitude_deg),
        longitude_deg=_place(event, "source/longitude", config.longitude_deg),
        mechanism_deg=_mechanisms(event).where((double_couple != 0)[:, None], torch.nan),
        double_couple=double_couple,
        isotropic=isotropic,
        clvd=clvd,
        delays_s=zero[:, None],
        weights=zero[:, None],
        emergence_s=log_uniform(event, "source/emergence", config.emergence_s).where(
            is_kind(kind, "surface_event"), zero
        ),
    )
    return with_magnitude(sources, uniform(event, "source/magnitude", config.magnitude), event, config)


def with_magnitude(
    sources: Sources, magnitude: Tensor, event: WindowRandom, config: SourcesConfig
) -> Sources:
    """The same sources with other magnitudes `(record,)`, and what follows from these.

    Sub-events above magnitude 3 follow, and the stress drop of collapses and surface events, whose corner
    frequency stays: 0.37 β (16 Δσ / 7 M0)^(1/3) (Brune, 1970, 1971) solved for Δσ.
    """
    corner_hz = log_uniform(event, "source/slow_corner", config.slow_corner_hz)
    moment_n_m = 10.0 ** (1.5 * magnitude + 9.1)
    slow_stress_pa = (corner_hz / (0.37 * SURFACE_VS_M_S)) ** 3 * (7.0 / 16.0) * moment_n_m
    blast = is_kind(sources.kind, "quarry_blast")[:, None]
    width = max(config.shots[1], MAX_SUBEVENTS)
    earthquake = is_kind(sources.kind, "earthquake")
    shots = ripple_fire(event, config.shots, config.shot_interval_s, config.shot_scatter)
    pulses = subevents(event, magnitude.where(earthquake, config.magnitude[0] - 10.0))
    delays_s, weights = (
        torch.where(blast, pad(fired, (0, width - fired.shape[1])), pad(ruptured, (0, width - MAX_SUBEVENTS)))
        for fired, ruptured in zip(shots, pulses, strict=True)
    )
    return dataclasses.replace(
        sources,
        magnitude=magnitude,
        stress_drop_pa=torch.where(is_kind(sources.kind, *SLOW), slow_stress_pa, sources.stress_drop_pa),
        delays_s=delays_s,
        weights=weights,
    )


def is_kind(kind: Tensor, *names: str) -> Tensor:
    """Which entries of `Sources.kind` are one of these classes of `EVENT_TYPES`, bool `(record,)`."""
    return torch.isin(kind, torch.tensor([EVENT_TYPES.index(name) for name in names], device=kind.device))


def _kinds(event: WindowRandom, types: TypeShares) -> Tensor:
    """Positions in `EVENT_TYPES`, as often as their shares ask for."""
    shares = dataclasses.asdict(types)
    edges = torch.tensor(list(shares.values()), dtype=torch.float64).cumsum(0)
    edges = (edges / edges[-1]).float().to(event.device)
    drawn = torch.searchsorted(edges, event.uniform("source/kind"), right=True)
    return torch.tensor([EVENT_TYPES.index(name) for name in shares], device=event.device)[drawn]


def _moment_parts(event: WindowRandom, kind: Tensor) -> Tensor:
    """Weights of double couple, isotropic part and CLVD, `(record, 3)`."""
    ranges = torch.zeros(len(EVENT_TYPES), 3, 2)
    for name, parts in MOMENT_PARTS.items():
        ranges[EVENT_TYPES.index(name)] = torch.tensor(parts)
    low, high = ranges.to(event.device)[kind].unbind(dim=2)
    return low + (high - low) * event.uniform("source/moment_parts", 3)


def _mechanisms(event: WindowRandom) -> Tensor:
    """Strike, dip, rake in degrees `(record, 3)`, without a preferred direction."""
    strike, cos_dip, rake = event.uniform("source/mechanism", 3).unbind(dim=1)
    return torch.stack([360.0 * strike, cos_dip.acos().rad2deg(), 360.0 * rake - 180.0], dim=1)


def _depths(event: WindowRandom, kind: Tensor, config: SourcesConfig) -> Tensor:
    crustal_km = log_uniform(event, "source/depth", config.depth_km)
    slab_km = uniform(event, "source/slab_depth", config.slab_depth_km)
    deep = event.uniform("source/slab") < config.slab_share
    shallow_km = log_uniform(event, "source/shallow_depth", config.shallow_depth_km)
    return torch.where(is_kind(kind, *SHALLOW), shallow_km, torch.where(deep, slab_km, crustal_km))


def _place(event: WindowRandom, name: str, limits: Range) -> Tensor:
    return limits[0] + (limits[1] - limits[0]) * event.uniform64(name)
