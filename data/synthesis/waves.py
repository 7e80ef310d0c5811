"""What each ray brings to its station: radiation, strength of the branch, and the free surface."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..loading.window_random import WindowRandom
from .draws import Range, check_ranges, check_shares, uniform
from .free_surface import surface_motion
from .media import velocity_at
from .moment_tensor import moment_tensors, radiated, with_water_level
from .plan import BRANCHES, Geometry, Media, Sources, Splitting, Waves
from .rays import Rays, trace_rays

SAME_RAY_S = 1e-4
"""Two branches that arrive within this time are one ray under two names."""


@dataclass(frozen=True, kw_only=True)
class WavesConfig:
    """How strong the branches are.

    water_level: least amplitude that a double couple radiates, beside 1. refraction, reflection: strength of
    head waves and of Moho reflections against the direct wave; moho_refraction: of Pn and Sn, relative to
    other head waves. precritical: of reflections nearer than critical, relative to those beyond.
    branches: whether later branches arrive at all; the first P and S always do.
    spherical: whether times are corrected for the Earth's curvature (see `trace_rays`) or as in flat layers
    and `VelocityModel`: at 50 km the difference is at most 0.04 s, at 150 km 0.2 s.
    isotropic_shear: standard deviation of the SV and SH that an explosion's surroundings radiate.
    split_share: of the stations on anisotropic ground. split_delay_s: uniform, between fast and slow S.
    """

    water_level: float = 0.15
    refraction: Range = (0.4, 1.0)
    moho_refraction: float = 0.5
    reflection: Range = (0.1, 0.8)
    precritical: float = 0.12
    branches: bool = True
    spherical: bool = True
    isotropic_shear: float = 0.25
    split_share: float = 0.5
    split_delay_s: Range = (0.0, 0.1)

    def __post_init__(self) -> None:
        check_shares(self, "water_level", "moho_refraction", "precritical", "split_share")
        check_ranges(self, "refraction", "reflection", "split_delay_s", lowest=0.0)
        if not self.isotropic_shear >= 0:
            raise ValueError(f"isotropic_shear must be at least 0, found {self.isotropic_shear}")


def arriving_waves(
    media: Media, sources: Sources, geometry: Geometry, station: WindowRandom, config: WavesConfig
) -> Waves:
    """The rays of each record with the motion that they bring, per unit of far-field level.

    A later branch is weaker by the cube of the ratio of travel times: its longer way spreads more and, along
    soft ground, is attenuated more.
    """
    rays = trace_rays(media, sources.depth_km, geometry, config.spherical)
    time_s, first_s = rays.time_s, _of_first(rays.time_s)
    strength = _strengths(station, config) * (first_s / time_s) ** 3
    strength = strength * _reflected_share(rays, media, config.precritical)
    motion = _motion(rays, media, sources, geometry, station, config) * strength[..., None]
    return Waves(
        travel_time_s=time_s,
        motion=_each_ray_once(motion.nan_to_num(0.0), time_s, config.branches).float(),
        takeoff_deg=rays.takeoff_deg.float(),
        incidence_deg=rays.incidence_deg.float(),
        ray_parameter_s_km=rays.ray_parameter_s_km.float(),
    )


def draw_splitting(station: WindowRandom, config: WavesConfig) -> Splitting:
    """The anisotropy below each station, with a random fast direction."""
    split = station.uniform("splitting/share") < config.split_share
    delay_s = uniform(station, "splitting/delay", config.split_delay_s)
    return Splitting(
        fast_azimuth_deg=180.0 * station.uniform("splitting/azimuth"), delay_s=delay_s.where(split, 0.0)
    )


def _of_first(values: Tensor) -> Tensor:
    """`(record, branch)`: for each branch the value of the first arrival of its kind."""
    half = len(BRANCHES) // 2
    return values[:, [0] * half + [half] * half]


def _strengths(station: WindowRandom, config: WavesConfig) -> Tensor:
    """Relative strength `(record, branch)`: direct waves are strong, those along the Moho weak."""
    refraction = uniform(station, "waves/refraction", config.refraction)
    reflection = uniform(station, "waves/reflection", config.reflection)
    moho = config.moho_refraction * refraction
    of_one_kind = torch.stack([refraction, torch.ones_like(moho), moho, reflection], dim=1)
    return of_one_kind.repeat(1, 2)


def _reflected_share(rays: Rays, media: Media, precritical: float) -> Tensor:
    """1, but less for Moho reflections nearer than critical, whose energy goes on into the mantle."""
    row = media.moho.clamp(min=0)[:, None]
    mantle = torch.cat([media.vp_km_s.gather(1, row), media.vs_km_s.gather(1, row)], dim=1)
    mantle = mantle.repeat_interleave(len(BRANCHES) // 2, dim=1)
    reflection = torch.tensor([name.endswith(("mP", "mS")) for name in BRANCHES], device=mantle.device)
    return torch.where(reflection & (rays.ray_parameter_s_km * mantle < 1.0), precritical, 1.0)


def _motion(
    rays: Rays,
    media: Media,
    sources: Sources,
    geometry: Geometry,
    station: WindowRandom,
    config: WavesConfig,
) -> Tensor:
    """Ground motion `(record, branch, 3)` for what the source radiates along each ray."""
    sent = radiated(moment_tensors(sources), geometry.azimuth_deg[:, None], rays.takeoff_deg)
    level = (config.water_level * sources.double_couple.double())[:, None]
    p, sv, sh = (with_water_level(amplitude, level) for amplitude in sent)
    # A blast's shear comes from the heterogeneous rock about it and is the same along each of its rays.
    shear = config.isotropic_shear * sources.isotropic.abs()[:, None] * station.normal("waves/shear", 2)
    is_p = torch.tensor([name.startswith("P") for name in BRANCHES], device=p.device)
    surface_km = -geometry.station_elevation_m.double() / 1000.0
    return surface_motion(
        p.where(is_p, 0.0),
        (sv + shear[:, :1]).where(~is_p, 0.0),
        (sh + shear[:, 1:]).where(~is_p, 0.0),
        rays.ray_parameter_s_km,
        geometry.back_azimuth_deg.double()[:, None],
        velocity_at(media, surface_km, "P").double()[:, None],
        velocity_at(media, surface_km, "S").double()[:, None],
    )


def _each_ray_once(motion: Tensor, time_s: Tensor, branches: bool) -> Tensor:
    """Motions where a first arrival that has a name bears the name's motion, and the name none.

    Without `branches` the other names bear none either.
    """
    half = len(BRANCHES) // 2
    named = torch.tensor([len(name) > 1 for name in BRANCHES], device=motion.device)
    twin = named & ((time_s - _of_first(time_s)).abs() <= SAME_RAY_S)
    once = motion * (~(twin if branches else named.expand_as(twin)))[..., None]
    for first in (0, half):
        kind = slice(first, first + half)
        own = (motion[:, kind] * twin[:, kind, None]).sum(dim=1)
        once[:, first] = torch.where(twin[:, kind].any(dim=1)[:, None], own, once[:, first])
    return once
