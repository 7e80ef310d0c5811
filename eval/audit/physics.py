"""What the Earth allows: bands of travel times and of amplitudes that no real record leaves."""

from __future__ import annotations

import numpy as np

MAX_DEPTH_KM = 60.0
"""Assumed for an event of unknown depth, where depth makes a time or a distance longer."""

FASTEST_KM_S, FAST_VP_VS = 9.0, 1.55
SLOW_SHALLOW_KM, SLOW_SHALLOW_KM_S, SLOW_SHALLOW_VP_VS = 15.0, 2.5, 2.3
SLOW_DEEP_KM_S, SLOW_DEEP_VP_VS = 5.0, 1.95
"""The fastest and the slowest ground a wave may cross on its way: uppermost mantle, sediments, slow crust."""

# Atkinson (2015, BSSA 105, 981–992), table 1: log10 Y = c0 + c1 M + c2 M² + c3 log10 √(R² + h²), with
# Y in cm/s or cm/s² and h = max(1, 10^(−1.72 + 0.43 M)) km; R hypocentral.
ATTENUATION = {
    "m/s": (-4.151, 1.762, -0.09509, -1.669),
    "m/s**2": (-2.376, 1.818, -0.1153, -1.752),
}

LEAST_FITTED = 3.0


def p_time_band_s(distance_km: float, depth_km: float) -> tuple[float, float]:
    """Shortest and longest time that P can take, for an epicentral distance and a depth (NaN: unknown)."""
    near_km, far_km = _path_band_km(distance_km, depth_km)
    slow_km = min(far_km, SLOW_SHALLOW_KM)
    longest = slow_km / SLOW_SHALLOW_KM_S + (far_km - slow_km) / SLOW_DEEP_KM_S
    return near_km / FASTEST_KM_S, longest


def s_minus_p_band_s(distance_km: float, depth_km: float) -> tuple[float, float]:
    """Shortest and longest S − P for an epicentral distance and a depth (NaN: unknown)."""
    near_km, far_km = _path_band_km(distance_km, depth_km)
    slow_km = min(far_km, SLOW_SHALLOW_KM)
    longest = slow_km * (SLOW_SHALLOW_VP_VS - 1.0) / SLOW_SHALLOW_KM_S
    longest += (far_km - slow_km) * (SLOW_DEEP_VP_VS - 1.0) / SLOW_DEEP_KM_S
    return near_km * (FAST_VP_VS - 1.0) / FASTEST_KM_S, longest


def expected_log_amplitude(magnitude: float, hypocentral_km: float, unit: str) -> float:
    """log10 of the peak motion in `unit` (m/s or m/s**2) by Atkinson's relation (2015).

    It was fitted to M 3 to 6 within 40 km and serves here, with a wide band, far outside of that. Below M 3
    it goes on with its slope there: the magnitudes of small events are local ones, whose unit is a factor
    of ten in amplitude.
    """
    c0, c1, c2, c3 = ATTENUATION[unit]
    fitted = max(magnitude, LEAST_FITTED)
    size = c1 * fitted + c2 * fitted**2 + (c1 + 2.0 * c2 * LEAST_FITTED) * (magnitude - fitted)
    saturation_km = max(1.0, 10.0 ** (-1.72 + 0.43 * magnitude))
    return float(c0 + size + c3 * np.log10(np.hypot(hypocentral_km, saturation_km)) - 2.0)


def hypocentral_km(distance_km: float, depth_km: float) -> float:
    """The straight way from source to station; an unknown depth (NaN) counts as 10 km."""
    return float(np.hypot(distance_km, depth_km if np.isfinite(depth_km) else 10.0))


def _path_band_km(distance_km: float, depth_km: float) -> tuple[float, float]:
    if np.isfinite(depth_km):
        way = float(np.hypot(distance_km, depth_km))
        return way, way
    return distance_km, float(np.hypot(distance_km, MAX_DEPTH_KM))
