"""What a double couple sends into each direction of the focal sphere, for many mechanisms at once.

P is γ·M·γ and the whole of S has the square |Mγ|² − (γ·M·γ)²: both are forms of the ray's six products, so
one matrix product gives all directions for all mechanisms. `synthesis.moment_tensor.radiated` has SV and SH
apart, one record a source.
"""

from __future__ import annotations

import torch
from torch import Tensor

SP_AT_EQUAL_RADIATION = 0.69
"""log10 of S over P where both radiate alike: (Vp/Vs)³ = 4.9, as Hardebeck & Shearer (2003) take it."""

FAINTEST = 1e-2
"""Radiation below this share of the largest counts as this much: scattering fills the nodes of real waves."""

_ROW, _COLUMN, _TIMES = (0, 1, 2, 0, 0, 1), (0, 1, 2, 1, 2, 2), (1.0, 1.0, 1.0, 2.0, 2.0, 2.0)


def rays_of(azimuth_deg: Tensor, takeoff_deg: Tensor) -> Tensor:
    """Unit vectors (north, east, down) `(…, 3)`; the take-off angle is from the downward vertical."""
    azimuth, takeoff = torch.broadcast_tensors(azimuth_deg.deg2rad(), takeoff_deg.deg2rad())
    return torch.stack([takeoff.sin() * azimuth.cos(), takeoff.sin() * azimuth.sin(), takeoff.cos()], dim=-1)


def ray_products(rays: Tensor) -> Tensor:
    """The six products nn, ee, dd, ne, nd, ed of each ray `(…, 6)`; a ray and its opposite have the same."""
    return rays[..., _ROW] * rays[..., _COLUMN]


def tensor_weights(tensors: Tensor) -> Tensor:
    """A symmetric tensor `(…, 3, 3)` as six weights, so that γ·M·γ is their product with `ray_products`."""
    return tensors[..., _ROW, _COLUMN] * tensors.new_tensor(_TIMES)


def p_radiation(products: Tensor, tensors: Tensor) -> Tensor:
    """P amplitude `(…, ray, mechanism)`, up to ±1: `(…, ray, 6)` by `(mechanism, 3, 3)`."""
    return products @ tensor_weights(tensors).mT


def log10_sp_ratio(products: Tensor, tensors: Tensor) -> Tensor:
    """log10 of S over P amplitude `(…, ray, mechanism)`, both waves having at least `FAINTEST`."""
    p = p_radiation(products, tensors)
    s = (p_radiation(products, tensors @ tensors) - p.square()).clamp(min=0.0).sqrt()
    return s.clamp(min=FAINTEST).log10() - p.abs().clamp(min=FAINTEST).log10() + SP_AT_EQUAL_RADIATION
