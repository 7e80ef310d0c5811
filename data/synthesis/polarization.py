"""How a wave moves the ground at a station: P along the ray, SV and SH across it, with the free surface."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

STEEPEST_SLOWNESS = 0.95
"""Largest slowness times vp at which the coefficients are evaluated: beyond 1 they are complex."""


def surface_motion(
    wave: str, incidence_deg: float, back_azimuth_deg: float, vp_km_s: float, vs_km_s: float
) -> FloatArray:
    """Displacement (Z up, N, E) at the free surface for a unit incident wave.

    wave: P, SV or SH. incidence_deg: from the vertical, for that wave. Free-surface coefficients of
    Kennett (1991, Geophys. J. Int. 104, 153–163); SV is positive upwards and towards the source, SH
    clockwise around the source.
    """
    toward_north, toward_east = -np.cos(np.radians(back_azimuth_deg)), -np.sin(np.radians(back_azimuth_deg))
    if wave == "SH":
        return 2.0 * np.array([0.0, -toward_east, toward_north])
    velocity = vp_km_s if wave == "P" else vs_km_s
    slowness = min(np.sin(np.radians(incidence_deg)) / velocity, STEEPEST_SLOWNESS / vp_km_s)
    vertical, radial = _coefficients(wave, slowness, vp_km_s, vs_km_s)
    return np.array([vertical, radial * toward_north, radial * toward_east])


def _coefficients(wave: str, slowness: float, vp_km_s: float, vs_km_s: float) -> tuple[float, float]:
    """Vertical (up) and radial (away from the source) motion for a unit P or SV."""
    p_vertical = np.sqrt(vp_km_s**-2 - slowness**2)
    s_vertical = np.sqrt(vs_km_s**-2 - slowness**2)
    shear = vs_km_s**-2 - 2.0 * slowness**2
    rayleigh = shear**2 + 4.0 * slowness**2 * p_vertical * s_vertical
    first = 2.0 * vs_km_s**-2 * shear / rayleigh
    second = 4.0 * vs_km_s**-2 * p_vertical * s_vertical / rayleigh
    if wave == "P":
        return vp_km_s * p_vertical * first, vp_km_s * slowness * second
    return vs_km_s * slowness * second, -vs_km_s * s_vertical * first
