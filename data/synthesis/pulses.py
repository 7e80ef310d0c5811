"""What a source sends and a station's instrument makes of it: the pulse of P or S as a causal spectrum."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .attenuation import floored, geometric_spreading, log_attenuation, minimum_phase_rad
from .draws import Range, check_ranges
from .media import velocity_at
from .plan import Geometry, Media, Sources
from .seismometers import Instrument
from .sites import Site

DENSITY_KG_M3 = 2700.0
NEAREST_KM = 0.2
"""Far-field amplitudes are not continued closer to the source than this."""


@dataclass(frozen=True, kw_only=True)
class PulseConfig:
    """How pulses are shaped.

    p_corner_ratio: corner of P over that of S, 1.3 to 1.7 for circular cracks (Madariaga, 1976).
    minimum_phase: false leaves attenuation with no phase at all, which smears onsets: for comparison only.
    """

    p_corner_ratio: Range = (1.3, 1.7)
    minimum_phase: bool = True

    def __post_init__(self) -> None:
        check_ranges(self, "p_corner_ratio", lowest=0.1)


def seismic_moment_n_m(magnitude: Tensor) -> Tensor:
    """The moment of a moment magnitude, log10 M0 = 1.5 Mw + 9.1 (Hanks & Kanamori, 1979; IASPEI)."""
    return torch.pow(10.0, 1.5 * magnitude + 9.1)


def corner_frequency_hz(moment_n_m: Tensor, stress_drop_pa: Tensor, vs_m_s: Tensor) -> Tensor:
    """The corner of the S spectrum, 0.37 β (16 Δσ / 7 M0)^(1/3) (Brune, 1970, 1971)."""
    return 0.37 * vs_m_s * (16.0 * stress_drop_pa / (7.0 * moment_n_m)).pow(1.0 / 3.0)


def log_brune(frequency_hz: Tensor, corner_hz: Tensor) -> Tensor:
    """Logarithm of the displacement spectrum's shape 1 / (1 + (f/fc)²) (Brune, 1970)."""
    return (frequency_hz / corner_hz[:, None]).square_().log1p_().neg_()


def far_field_displacement_m_s(moment_n_m: Tensor, distance_km: Tensor, velocity_km_s: Tensor) -> Tensor:
    """The low-frequency level of the displacement spectrum, M0 / (4π ρ v³ R), for unit radiation, in m·s.

    Aki & Richards (2002), eq. 4.32. It holds 1/R; beyond 70 km see `geometric_spreading`.
    """
    velocity_m_s = 1000.0 * velocity_km_s
    return moment_n_m / (4.0 * math.pi * DENSITY_KG_M3 * velocity_m_s.pow(3) * 1000.0 * distance_km)


def hypocentral_km(sources: Sources, geometry: Geometry) -> Tensor:
    """The straight way from source to station, at least `NEAREST_KM`."""
    height_km = sources.depth_km + geometry.station_elevation_m / 1000.0
    return torch.hypot(geometry.distance_km.float(), height_km).clamp(min=NEAREST_KM)


def pulse_level_m_s(kind: str, media: Media, sources: Sources, geometry: Geometry) -> Tensor:
    """Displacement spectrum at low frequencies of P or S for unit motion, spreading included, in m·s."""
    distance_km = hypocentral_km(sources, geometry)
    velocity_km_s = velocity_at(media, sources.depth_km, kind)
    moment = seismic_moment_n_m(sources.magnitude)
    return far_field_displacement_m_s(moment, distance_km, velocity_km_s) * geometric_spreading(distance_km)


def pulse_corner_hz(kind: str, media: Media, sources: Sources, p_corner_ratio: Tensor) -> Tensor:
    """The corner frequency of P or S."""
    vs_m_s = 1000.0 * velocity_at(media, sources.depth_km, "S")
    corner_hz = corner_frequency_hz(seismic_moment_n_m(sources.magnitude), sources.stress_drop_pa, vs_m_s)
    return corner_hz * p_corner_ratio if kind == "P" else corner_hz


def log_pulse_shape(
    kind: str,
    frequency_hz: Tensor,
    corner_hz: Tensor,
    travel_time_s: Tensor,
    media: Media,
    site: Site,
    instrument: Instrument,
) -> Tensor:
    """Logarithm of a displacement pulse's amplitude spectrum, 0 at low frequencies, `(record, frequency)`."""
    quality = media.s_quality_1hz * (media.quality_ratio if kind == "P" else 1.0)
    shape = log_attenuation(frequency_hz, travel_time_s, quality, media.quality_exponent, site.kappa_s)
    shape += log_brune(frequency_hz, corner_hz)
    shape += site.log_resonance(frequency_hz)
    return floored(shape.add_(instrument.log_alias(frequency_hz)))


def recorded_spectrum(
    log_shape: Tensor,
    level_m_s: Tensor,
    instrument: Instrument,
    minimum_phase: bool = True,
) -> Tensor:
    """The spectrum of what the instrument records of a displacement pulse, complex64 `(record, frequency)`.

    log_shape: of `log_pulse_shape`, on the frequencies of an rfft from 0 to half the rate. level_m_s:
        displacement spectrum at low frequencies. The onset is at the first sample.

    Displacement becomes velocity (acceleration where the sensor gives that) by causal first differences.
    Their amplitude, 2 sin(θ/2) instead of the derivative's θ, is made good in the minimum phase.
    """
    half = log_shape.shape[-1] - 1
    theta = torch.linspace(0.0, math.pi, half + 1, device=log_shape.device)
    order = 1.0 + instrument.accelerometer.float()[:, None]
    phase = (math.pi / 2 - 0.5 * theta) * order
    if minimum_phase:
        made_good = (0.5 * theta[1:] / (0.5 * theta[1:]).sin()).log()
        shape = torch.addcmul(log_shape, torch.nn.functional.pad(made_good, (1, 0)), order)
        phase += minimum_phase_rad(shape)
    derivative = theta * instrument.rate_hz
    size = log_shape.exp().mul_(derivative).mul_((level_m_s * instrument.rate_hz)[:, None])
    size = torch.where(instrument.accelerometer[:, None], size * derivative, size)
    pulse = torch.complex(phase.cos() * size, phase.sin_() * size)
    frequency_hz = theta * (instrument.rate_hz / (2.0 * math.pi))
    return pulse.mul_(torch.complex(*instrument.velocity_response(frequency_hz)))
