"""Latitude and longitude to kilometres on a plane around a network, and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

_SEMI_MAJOR_KM = 6378.137
_N = (1 / 298.257223563) / (2 - 1 / 298.257223563)
_RADIUS_KM = _SEMI_MAJOR_KM / (1 + _N) * (1 + _N**2 / 4 + _N**4 / 64)
_ALPHA = (
    _N / 2 - 2 * _N**2 / 3 + 5 * _N**3 / 16,
    13 * _N**2 / 48 - 3 * _N**3 / 5,
    61 * _N**3 / 240,
)
_BETA = (
    _N / 2 - 2 * _N**2 / 3 + 37 * _N**3 / 96,
    _N**2 / 48 + _N**3 / 15,
    17 * _N**3 / 480,
)
_DELTA = (
    2 * _N - 2 * _N**2 / 3 - 2 * _N**3,
    7 * _N**2 / 3 - 8 * _N**3 / 5,
    56 * _N**3 / 15,
)


@dataclass(frozen=True, kw_only=True)
class LocalProjection:
    """A transverse Mercator plane whose origin is the middle of a network: x east, y north, in km.

    On the WGS 84 ellipsoid by Krüger's series to the third order in n (millimetres within a few degrees).
    Scale is true on the central meridian and grows by x²/(2R²): 0.05 % at 200 km.
    """

    latitude_deg: float
    longitude_deg: float

    @classmethod
    def around(cls, stations: pd.DataFrame) -> LocalProjection:
        """The plane in the middle of some stations, also across the date line."""
        if stations.empty:
            raise ValueError("expected at least one station to put the map's centre, found none")
        longitude = np.radians(stations["longitude_deg"].to_numpy(float))
        anchor = np.angle(np.exp(1j * longitude).mean())
        turned = (longitude - anchor + np.pi) % (2 * np.pi) - np.pi
        middle = np.degrees(anchor + (turned.min() + turned.max()) / 2)
        latitude = stations["latitude_deg"]
        return cls(
            latitude_deg=float((latitude.min() + latitude.max()) / 2),
            longitude_deg=float((middle + 180) % 360 - 180),
        )

    def to_km(self, latitude_deg: ArrayLike, longitude_deg: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """East and north of the centre in km."""
        east, north = _forward(
            np.asarray(latitude_deg, float), np.asarray(longitude_deg, float) - self.longitude_deg
        )
        return east, north - _forward(np.asarray(self.latitude_deg), np.asarray(0.0))[1]

    def to_degrees(self, x_km: ArrayLike, y_km: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Latitude and longitude in degrees."""
        origin = _forward(np.asarray(self.latitude_deg), np.asarray(0.0))[1]
        xi = (np.asarray(y_km, float) + origin) / _RADIUS_KM
        eta = np.asarray(x_km, float) / _RADIUS_KM
        xi_sphere = xi - sum(b * np.sin(2 * j * xi) * np.cosh(2 * j * eta) for j, b in enumerate(_BETA, 1))
        eta_sphere = eta - sum(b * np.cos(2 * j * xi) * np.sinh(2 * j * eta) for j, b in enumerate(_BETA, 1))
        conformal = np.arcsin(np.sin(xi_sphere) / np.cosh(eta_sphere))
        latitude = conformal + sum(d * np.sin(2 * j * conformal) for j, d in enumerate(_DELTA, 1))
        longitude = np.degrees(np.arctan2(np.sinh(eta_sphere), np.cos(xi_sphere))) + self.longitude_deg
        return np.degrees(latitude), (longitude + 180) % 360 - 180


def _forward(latitude_deg: np.ndarray, longitude_deg: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """East and north in km of a point, from the equator and the central meridian."""
    sine, offset = np.sin(np.radians(latitude_deg)), np.radians(longitude_deg)
    bend = 2 * np.sqrt(_N) / (1 + _N)
    t = np.sinh(np.arctanh(sine) - bend * np.arctanh(bend * sine))
    xi, eta = np.arctan2(t, np.cos(offset)), np.arctanh(np.sin(offset) / np.sqrt(1 + t**2))
    east = eta + sum(a * np.cos(2 * j * xi) * np.sinh(2 * j * eta) for j, a in enumerate(_ALPHA, 1))
    north = xi + sum(a * np.sin(2 * j * xi) * np.cosh(2 * j * eta) for j, a in enumerate(_ALPHA, 1))
    return _RADIUS_KM * east, _RADIUS_KM * north
