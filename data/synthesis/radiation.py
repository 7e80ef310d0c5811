"""How strongly, and with which sign, a source sends P, SV and SH in a direction.

Directions are (north, east, down); the take-off angle is from the downward vertical.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


def double_couple(
    strike_deg: float, dip_deg: float, rake_deg: float, azimuth_deg: ArrayLike, takeoff_deg: ArrayLike
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Far-field amplitudes of P, SV and SH of a double couple, each between −1 and 1.

    P is positive outwards (first motion up at a station above), SV positive along θ (upwards for a ray that
    rises), SH along φ (clockwise from above). From fault normal n, slip u and ray γ:
    F_P = 2 (γ·n)(γ·u), F_SV = (θ·n)(γ·u) + (γ·n)(θ·u), F_SH likewise (Aki & Richards, 2002, eq. 4.88–4.91).
    """
    strike, dip, rake = np.radians([strike_deg, dip_deg, rake_deg])
    normal = np.array([-np.sin(dip) * np.sin(strike), np.sin(dip) * np.cos(strike), -np.cos(dip)])
    slip = np.array(
        [
            np.cos(rake) * np.cos(strike) + np.cos(dip) * np.sin(rake) * np.sin(strike),
            np.cos(rake) * np.sin(strike) - np.cos(dip) * np.sin(rake) * np.cos(strike),
            -np.sin(rake) * np.sin(dip),
        ]
    )
    ray, theta, phi = ray_axes(azimuth_deg, takeoff_deg)
    ray_normal, ray_slip = ray @ normal, ray @ slip
    p = 2.0 * ray_normal * ray_slip
    sv = (theta @ normal) * ray_slip + ray_normal * (theta @ slip)
    sh = (phi @ normal) * ray_slip + ray_normal * (phi @ slip)
    return p, sv, sh


def isotropic(azimuth_deg: ArrayLike, takeoff_deg: ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
    """An explosion: P outwards in every direction and no S."""
    ones = np.ones(np.broadcast_shapes(np.shape(azimuth_deg), np.shape(takeoff_deg)))
    return ones, 0.0 * ones, 0.0 * ones


def ray_axes(azimuth_deg: ArrayLike, takeoff_deg: ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Unit vectors `(…, 3)` (north, east, down) along the ray γ, along θ (SV) and along φ (SH)."""
    azimuth, takeoff = np.broadcast_arrays(np.radians(azimuth_deg), np.radians(takeoff_deg))
    sin_a, cos_a, sin_i, cos_i = np.sin(azimuth), np.cos(azimuth), np.sin(takeoff), np.cos(takeoff)
    ray = np.stack([sin_i * cos_a, sin_i * sin_a, cos_i], axis=-1)
    theta = np.stack([cos_i * cos_a, cos_i * sin_a, -sin_i], axis=-1)
    phi = np.stack([-sin_a, cos_a, np.zeros_like(sin_a)], axis=-1)
    return ray, theta, phi


def with_water_level(amplitude: FloatArray, level: float) -> FloatArray:
    """Amplitudes kept away from zero, sign preserved: scattering fills the nodes of real radiation."""
    return np.where(amplitude < 0, -1.0, 1.0) * np.hypot(amplitude, level)
