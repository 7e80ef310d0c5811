"""How a wave moves the ground at a station: P along the ray, SV and SH across it, with the free surface."""

from __future__ import annotations

import torch
from torch import Tensor

STEEPEST_SLOWNESS = 0.95
"""Largest slowness times vp at which the coefficients are evaluated: beyond 1 they are complex."""


def surface_motion(
    p: Tensor, sv: Tensor, sh: Tensor, slowness_s_km: Tensor, back_azimuth_deg: Tensor, vp: Tensor, vs: Tensor
) -> Tensor:
    """Displacement `(…, 3)` (Z up, N, E) of the free surface for incident amplitudes of P, SV and SH.

    All arguments have one shape or broadcast to it; vp and vs (km/s) are those of the ground. Free-surface
    coefficients of Kennett (1991, Geophys. J. Int. 104, 153–163); SV is positive upwards and towards the
    source, SH clockwise around the source.
    """
    slowness = torch.minimum(slowness_s_km, STEEPEST_SLOWNESS / vp)
    p_vertical = (vp**-2 - slowness**2).sqrt()
    s_vertical = (vs**-2 - slowness**2).sqrt()
    shear = vs**-2 - 2.0 * slowness**2
    rayleigh = shear**2 + 4.0 * slowness**2 * p_vertical * s_vertical
    first = 2.0 * vs**-2 * shear / rayleigh
    second = 4.0 * vs**-2 * p_vertical * s_vertical / rayleigh
    up = p * vp * p_vertical * first + sv * vs * slowness * second
    away = p * vp * slowness * second - sv * vs * s_vertical * first
    back_azimuth = back_azimuth_deg.deg2rad()
    north, east = -back_azimuth.cos(), -back_azimuth.sin()
    return torch.stack([up, away * north - 2.0 * sh * east, away * east + 2.0 * sh * north], dim=-1)
