"""Who shakes and who listens: random velocity models, sources, and stations around them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..earth.velocity import VelocityModel
from .instrument import Instrument, random_instrument
from .noise import NoiseSpectrum, random_noise_spectrum

KM_PER_DEGREE = 111.195
SOURCE_TYPES = ("earthquake", "quarry blast", "collapse")


@dataclass(frozen=True, kw_only=True)
class Source:
    """One seismic source.

    mechanism: strike, dip, rake in degrees, or None for an isotropic source.
    delays_s, weights: its sub-events, or the shots of a ripple-fired blast; the first is at 0 with weight 1.
    """

    source_type: str
    magnitude: float
    latitude_deg: float
    longitude_deg: float
    depth_km: float
    stress_drop_pa: float
    mechanism: tuple[float, float, float] | None
    delays_s: tuple[float, ...] = (0.0,)
    weights: tuple[float, ...] = (1.0,)


@dataclass(frozen=True, kw_only=True)
class Site:
    """One station with its ground and its instrument.

    kappa_s: near-surface attenuation. resonance: peak (Hz), gain and width of the ground's amplification.
    """

    station_id: str
    latitude_deg: float
    longitude_deg: float
    elevation_m: float
    kappa_s: float
    resonance: tuple[float, float, float]
    noise: NoiseSpectrum
    instrument: Instrument


@dataclass(frozen=True, kw_only=True)
class Medium:
    """The Earth between: velocities, and attenuation QS = s_quality_1hz f^exponent, QP = ratio QS."""

    model: VelocityModel
    s_quality_1hz: float
    exponent: float
    quality_ratio: float


def random_medium(generator: np.random.Generator) -> Medium:
    """A crust of 3 to 8 layers with vp 2 to 8 km/s and vp/vs 1.65 to 1.9, sometimes under soft ground."""
    num_layers = int(generator.integers(3, 9))
    moho_km = generator.uniform(24.0, 45.0)
    inner = np.sort(generator.uniform(0.0, 1.0, num_layers - 2) ** 2.0) * (moho_km - 3.0) + 1.0
    depth_km = np.concatenate([[0.0], inner + 0.05 * np.arange(len(inner)), [moho_km]])
    surface, base = generator.uniform(3.5, 5.6), generator.uniform(6.4, 7.0)
    share = np.sqrt(depth_km[:-1] / moho_km) + generator.normal(0.0, 0.03, num_layers - 1)
    vp = np.sort(surface + np.clip(share, 0.0, 1.0) * (base - surface))
    vp = np.append(vp, generator.uniform(7.7, 8.2))
    ratio = generator.uniform(1.65, 1.82) + generator.normal(0.0, 0.015, num_layers)
    if generator.random() < 0.3:
        depth_km = np.insert(depth_km[1:], 0, [0.0, generator.uniform(0.2, 0.8)])
        vp, ratio = (
            np.insert(vp, 0, generator.uniform(1.8, 3.2)),
            np.insert(ratio, 0, generator.uniform(1.75, 2.2)),
        )
    return Medium(
        model=VelocityModel(tuple(depth_km), tuple(vp), tuple(vp / ratio)),
        s_quality_1hz=float(np.exp(generator.uniform(np.log(40.0), np.log(500.0)))),
        exponent=float(generator.uniform(0.0, 0.6)),
        quality_ratio=float(generator.uniform(1.0, 2.25)),
    )


def random_source(
    generator: np.random.Generator,
    *,
    source_type: str,
    magnitude: float,
    depth_km: float,
    latitude_deg: float,
    longitude_deg: float,
) -> Source:
    """A source with a random double couple, or the isotropic one that its type asks for."""
    if source_type not in SOURCE_TYPES:
        raise ValueError(f"source_type must be one of {SOURCE_TYPES}, found {source_type!r}")
    mechanism = None
    if source_type == "earthquake":
        dip_deg = float(np.degrees(np.arccos(generator.uniform(0.0, 1.0))))
        mechanism = float(generator.uniform(0, 360)), dip_deg, float(generator.uniform(-180, 180))
    delays_s, weights = _subevents(generator, source_type, magnitude)
    return Source(
        source_type=source_type,
        magnitude=magnitude,
        latitude_deg=latitude_deg,
        longitude_deg=longitude_deg,
        depth_km=depth_km,
        stress_drop_pa=float(np.exp(generator.uniform(np.log(1e5), np.log(3e7)))),
        mechanism=mechanism,
        delays_s=delays_s,
        weights=weights,
    )


def _subevents(
    generator: np.random.Generator, source_type: str, magnitude: float
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Sub-events above magnitude 3; rows of shots 8 to 50 ms apart in a quarry (ripple fire)."""
    if source_type == "quarry blast":
        count = int(generator.integers(5, 41))
        delays = np.arange(count) * generator.uniform(0.008, 0.05)
        weights = generator.uniform(0.5, 1.0, count)
    elif magnitude > 3.0:
        count = 1 + int(generator.poisson(magnitude - 3.0))
        delays = np.sort(generator.uniform(0.0, 0.15 * 2.0 ** (magnitude - 3.0), count))
        weights = generator.uniform(0.3, 1.2, count)
    else:
        return (0.0,), (1.0,)
    delays[0], weights[0] = 0.0, 1.0
    return tuple(delays.tolist()), tuple((weights / weights.sum()).tolist())


def random_site(
    generator: np.random.Generator,
    *,
    station_id: str,
    source_latitude_deg: float,
    source_longitude_deg: float,
    distance_km: float,
    sampling_rate_hz: float,
) -> Site:
    """A station at a distance from a source, in a random direction."""
    azimuth = generator.uniform(0.0, 2.0 * np.pi)
    latitude = source_latitude_deg + distance_km * np.cos(azimuth) / KM_PER_DEGREE
    shrink = np.cos(np.radians(0.5 * (latitude + source_latitude_deg)))
    return Site(
        station_id=station_id,
        latitude_deg=float(latitude),
        longitude_deg=float(source_longitude_deg + distance_km * np.sin(azimuth) / (KM_PER_DEGREE * shrink)),
        elevation_m=float(generator.uniform(0.0, 1500.0)),
        kappa_s=float(np.exp(generator.uniform(np.log(0.003), np.log(0.05)))),
        resonance=(
            float(np.exp(generator.uniform(np.log(1.5), np.log(20.0)))),
            float(generator.uniform(0.0, 5.0)),
            float(generator.uniform(0.1, 0.4)),
        ),
        noise=random_noise_spectrum(generator),
        instrument=random_instrument(generator, sampling_rate_hz),
    )


def distance_and_azimuths(source: Source, site: Site) -> tuple[float, float, float]:
    """Epicentral distance (km), azimuth from source to station and back azimuth, on a locally flat Earth."""
    north_km = (site.latitude_deg - source.latitude_deg) * KM_PER_DEGREE
    shrink = np.cos(np.radians(0.5 * (site.latitude_deg + source.latitude_deg)))
    east_km = (site.longitude_deg - source.longitude_deg) * KM_PER_DEGREE * shrink
    azimuth_deg = float(np.degrees(np.arctan2(east_km, north_km)) % 360.0)
    return float(np.hypot(north_km, east_km)), azimuth_deg, (azimuth_deg + 180.0) % 360.0
