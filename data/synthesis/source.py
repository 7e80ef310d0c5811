"""What an earthquake radiates: seismic moment, corner frequency, and the spectrum of its far-field pulse."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

DENSITY_KG_M3 = 2700.0
P_CORNER_RATIO = 1.5
"""Corner of P over that of S, 1.3 to 1.7 for circular cracks (Madariaga, 1976)."""


def seismic_moment_n_m(magnitude: float) -> float:
    """The moment of a moment magnitude, log10 M0 = 1.5 Mw + 9.1 (Hanks & Kanamori, 1979; IASPEI)."""
    return float(10.0 ** (1.5 * magnitude + 9.1))


def corner_frequency_hz(moment_n_m: float, stress_drop_pa: float, vs_m_s: float) -> float:
    """The corner of the S spectrum, 0.37 β (16 Δσ / 7 M0)^(1/3) (Brune, 1970, 1971)."""
    return float(0.37 * vs_m_s * (16.0 * stress_drop_pa / (7.0 * moment_n_m)) ** (1.0 / 3.0))


def brune_amplitude(frequency_hz: FloatArray, corner_hz: float) -> FloatArray:
    """The shape of the displacement spectrum, 1 at low frequencies, f^-2 above the corner (Brune, 1970)."""
    return 1.0 / (1.0 + (frequency_hz / corner_hz) ** 2)


def far_field_displacement_m_s(moment_n_m: float, distance_km: float, velocity_km_s: float) -> float:
    """The low-frequency level of the displacement spectrum, M0 / (4π ρ v³ R), for unit radiation, in m·s.

    Aki & Richards (2002), eq. 4.32. It holds 1/R; beyond 70 km see `path.geometric_spreading`.
    """
    velocity_m_s = velocity_km_s * 1000.0
    return moment_n_m / (4.0 * np.pi * DENSITY_KG_M3 * velocity_m_s**3 * distance_km * 1000.0)
