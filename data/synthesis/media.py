"""Random layered crusts: what a region's range of velocity models and attenuation looks like."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..earth.velocity import VelocityModel
from ..loading.window_random import WindowRandom
from .draws import Range, check_ranges, check_shares, integers, log_uniform, uniform
from .plan import Media

SPACING_KM = 0.05
"""Least thickness of a crustal layer."""


@dataclass(frozen=True, kw_only=True)
class CoverConfig:
    """What lies over the rock: soft ground, ice, or the sediments of an ocean's floor.

    share: of the events whose region has it. thickness_km: log-uniform. vp_km_s, vp_vs: of the cover.
    """

    share: float = 0.3
    thickness_km: Range = (0.2, 0.8)
    vp_km_s: Range = (1.8, 3.2)
    vp_vs: Range = (1.75, 2.2)

    def __post_init__(self) -> None:
        check_shares(self, "share")
        check_ranges(self, "thickness_km", "vp_km_s", lowest=0.01)
        check_ranges(self, "vp_vs", lowest=math.sqrt(2.0))


@dataclass(frozen=True, kw_only=True)
class MediaConfig:
    """The crusts of a region.

    num_layers: fewest and most, the mantle included, the cover not. moho_km: its depth below the rock's
    surface; null for a region without one (a volcano), whose deepest layer begins at `base_km`. base_km:
    where the velocity reaches `base_vp_km_s` then. surface_vp_km_s, base_vp_km_s: between them vp grows with
    (depth / base) ^ gradient_exponent, ± vp_scatter of their difference. mantle_vp_km_s: below the Moho.
    vp_vs: of a whole crust, ± vp_vs_scatter of each layer.
    crowding: above 1, the layers are thinner near the surface.
    s_quality_1hz (log-uniform), quality_exponent, quality_ratio: see `Media`.
    """

    num_layers: tuple[int, int] = (3, 8)
    moho_km: Range | None = (24.0, 45.0)
    base_km: Range = (8.0, 20.0)
    surface_vp_km_s: Range = (3.5, 5.6)
    base_vp_km_s: Range = (6.4, 7.0)
    mantle_vp_km_s: Range = (7.7, 8.2)
    gradient_exponent: Range = (0.5, 0.5)
    vp_scatter: float = 0.03
    vp_vs: Range = (1.65, 1.82)
    vp_vs_scatter: float = 0.015
    crowding: float = 2.0
    cover: CoverConfig = field(default_factory=CoverConfig)
    s_quality_1hz: Range = (40.0, 500.0)
    quality_exponent: Range = (0.0, 0.6)
    quality_ratio: Range = (1.0, 2.25)

    def __post_init__(self) -> None:
        check_ranges(self, "num_layers", lowest=2)
        check_ranges(self, "base_km", *(["moho_km"] if self.moho_km else []), lowest=5.0)
        check_ranges(self, "surface_vp_km_s", "base_vp_km_s", "mantle_vp_km_s", lowest=0.5)
        check_ranges(self, "s_quality_1hz", "quality_ratio", "gradient_exponent", lowest=0.01)
        check_ranges(self, "quality_exponent", lowest=0.0)
        check_ranges(self, "vp_vs", lowest=math.sqrt(2.0) + 5 * self.vp_vs_scatter)
        fastest = self.surface_vp_km_s[1], self.base_vp_km_s[0], self.base_vp_km_s[1], self.mantle_vp_km_s[0]
        if fastest[0] > fastest[1] or (self.moho_km and fastest[2] >= fastest[3]):
            raise ValueError(
                "vp must grow downwards, from surface_vp_km_s over base_vp_km_s to mantle_vp_km_s, found "
                f"{self.surface_vp_km_s}, {self.base_vp_km_s}, {self.mantle_vp_km_s}"
            )


def draw_media(event: WindowRandom, config: MediaConfig) -> Media:
    """The crust of each record's event: 3 to 8 layers that get faster downwards, sometimes under a cover.

    The layers are as many as `config` allows at most and one for the cover, the rest padding.
    """
    below_km = uniform(event, "medium/base", config.moho_km or config.base_km)
    num_layers = integers(event, "medium/layers", config.num_layers)
    top_km = _layer_tops(event, config, below_km, num_layers)
    vp_km_s = _velocities(event, config, top_km, below_km, num_layers)
    scatter = config.vp_vs_scatter * event.normal("medium/layer_vp_vs", top_km.shape[1]).clamp(-3.0, 3.0)
    vp_vs = uniform(event, "medium/vp_vs", config.vp_vs)[:, None] + scatter
    # The padding is the last layer's continuation, for S too.
    last = torch.arange(top_km.shape[1], device=event.device).minimum(num_layers[:, None] - 1)
    top_km, vp_km_s, vs_km_s = _covered(event, config.cover, top_km, vp_km_s, vp_km_s / vp_vs.gather(1, last))
    covered = torch.isfinite(top_km).sum(dim=1) - (num_layers - 1)
    no_moho = torch.full_like(num_layers, -1)
    return Media(
        top_km=top_km,
        vp_km_s=vp_km_s,
        vs_km_s=vs_km_s,
        moho=no_moho if config.moho_km is None else num_layers - 1 + covered,
        s_quality_1hz=log_uniform(event, "medium/quality", config.s_quality_1hz),
        quality_exponent=uniform(event, "medium/quality_exponent", config.quality_exponent),
        quality_ratio=uniform(event, "medium/quality_ratio", config.quality_ratio),
    )


def _layer_tops(event: WindowRandom, config: MediaConfig, below_km: Tensor, num_layers: Tensor) -> Tensor:
    """Depths of the layers' tops without a cover, `(record, layer)`: 0, inner ones, the deepest, infinity."""
    most = config.num_layers[1]
    place = torch.arange(most, device=event.device)
    used = place[: most - 2] < (num_layers - 2)[:, None]
    share = event.uniform("medium/interfaces", most - 2) ** config.crowding
    inner_km = torch.where(used, share * (below_km[:, None] - 3.0) + 1.0, torch.inf).sort(dim=1).values
    inner_km = inner_km + SPACING_KM * place[: most - 2]
    tops_km = torch.cat([torch.zeros_like(below_km)[:, None], inner_km, below_km[:, None]], dim=1)
    return tops_km.sort(dim=1).values


def _velocities(
    event: WindowRandom, config: MediaConfig, top_km: Tensor, below_km: Tensor, num_layers: Tensor
) -> Tensor:
    """P velocities `(record, layer)` that never fall with depth; padding is as fast as the last layer."""
    surface = uniform(event, "medium/surface_vp", config.surface_vp_km_s)[:, None]
    base = uniform(event, "medium/base_vp", config.base_vp_km_s)[:, None]
    exponent = uniform(event, "medium/gradient", config.gradient_exponent)[:, None]
    depth_share = (top_km / below_km[:, None]).clamp(max=1.0) ** exponent
    scatter = config.vp_scatter * event.normal("medium/layer_vp", top_km.shape[1])
    vp_km_s = surface + (depth_share + scatter).clamp(0.0, 1.0) * (base - surface)
    last = base
    if config.moho_km is not None:
        last = uniform(event, "medium/mantle", config.mantle_vp_km_s)[:, None]
    crust = torch.arange(top_km.shape[1], device=event.device) < (num_layers - 1)[:, None]
    return torch.where(crust, vp_km_s, last).sort(dim=1).values


def _covered(
    event: WindowRandom, cover: CoverConfig, top_km: Tensor, vp_km_s: Tensor, vs_km_s: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The layers, the first −∞ upwards, with one more on top where there is a cover, else one of padding."""
    thickness_km = log_uniform(event, "medium/cover_thickness", cover.thickness_km)[:, None]
    cover_vp = uniform(event, "medium/cover_vp", cover.vp_km_s)[:, None]
    cover_vs = cover_vp / uniform(event, "medium/cover_vp_vs", cover.vp_vs)[:, None]
    bare = (event.uniform("medium/cover") >= cover.share)[:, None]

    def laid(on_top: Tensor, layers: Tensor, padding: Tensor) -> Tensor:
        return torch.where(bare, torch.cat([layers, padding], 1), torch.cat([on_top, layers], 1))

    air = torch.full_like(thickness_km, -torch.inf)
    bottomless = torch.full_like(thickness_km, torch.inf)
    rock_km = torch.where(bare, top_km, top_km + thickness_km)
    top_km = laid(air, rock_km, bottomless)
    top_km[:, 0] = -torch.inf
    return top_km, laid(cover_vp, vp_km_s, vp_km_s[:, -1:]), laid(cover_vs, vs_km_s, vs_km_s[:, -1:])


def layer_at(media: Media, depth_km: Tensor) -> Tensor:
    """The layer in which each record's depths lie, int64 like `depth_km` `(record, …)`.

    An interface belongs to the layer below it.
    """
    tops = media.top_km[:, 1:].to(depth_km.dtype)
    flat = depth_km.reshape(len(depth_km), -1).contiguous()
    return torch.searchsorted(tops.contiguous(), flat, right=True).reshape(depth_km.shape)


def velocity_at(media: Media, depth_km: Tensor, kind: str) -> Tensor:
    """The velocity of P or S in km/s at depths `(record, …)`, like them in shape."""
    velocity = media.vp_km_s if kind == "P" else media.vs_km_s
    index = layer_at(media, depth_km)
    return velocity.gather(1, index.reshape(len(index), -1)).reshape(index.shape)


def velocity_model(media: Media, record: int) -> VelocityModel:
    """One record's crust as the velocity model that location and archives use."""
    used = int(torch.isfinite(media.top_km[record]).sum()) + 1
    tops_km = [0.0, *media.top_km[record, 1:used].tolist()]
    return VelocityModel(
        tuple(tops_km),
        tuple(media.vp_km_s[record, :used].tolist()),
        tuple(media.vs_km_s[record, :used].tolist()),
    )
