"""One source seen by one station: waves, their pulses, scattered followers, and exact arrival times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from ..records import Arrival
from . import path, radiation
from .instrument import to_velocity
from .network import Medium, Site, Source, distance_and_azimuths
from .polarization import surface_motion
from .scattering import Scattering, coda_spectrum, secondary_arrivals
from .source import (
    P_CORNER_RATIO,
    brune_amplitude,
    corner_frequency_hz,
    far_field_displacement_m_s,
    seismic_moment_n_m,
)

FloatArray = NDArray[np.float64]

PAD_S = 15.0
MEAN_RADIATION = {"P": 0.52, "S": 0.63}
"""Mean amplitude of a double couple over the sphere (Boore & Boatwright, 1984): what scattering sees."""

WATER_LEVEL = 0.15
PRECRITICAL = 0.12


@dataclass(frozen=True, kw_only=True)
class Wave:
    """One ray's arrival: phase name, travel time, and motion of Z, N, E per unit of far-field level."""

    phase: str
    travel_time_s: float
    motion: FloatArray


def waves_at_station(
    source: Source, site: Site, medium: Medium, generator: np.random.Generator
) -> dict[str, list[Wave]]:
    """The direct, refracted and reflected waves of P and S, each list in order of arrival."""
    distance_km, azimuth_deg, back_azimuth_deg = distance_and_azimuths(source, site)
    waves: dict[str, list[Wave]] = {"P": [], "S": []}
    isotropic_shear = generator.normal(0.0, 0.25, 2)
    for phase, strength in _branch_weights(generator).items():
        rays = medium.model.rays(distance_km, source.depth_km, phase, site.elevation_m)
        if np.isnan(rays.time_s):
            continue
        sent = _radiated(source, azimuth_deg, float(rays.takeoff_deg), isotropic_shear)
        motion = _arriving(sent, phase[0], float(rays.incidence_deg), back_azimuth_deg, site, medium)
        time_s = float(rays.time_s)
        first_s = waves[phase[0]][0].travel_time_s if waves[phase[0]] else time_s
        weight = strength * _later_weight(first_s / time_s, phase, float(rays.ray_parameter_s_km), medium)
        waves[phase[0]].append(Wave(phase=phase, travel_time_s=time_s, motion=weight * motion))
    return {kind: _distinct(branch) for kind, branch in waves.items()}


def _branch_weights(generator: np.random.Generator) -> dict[str, float]:
    """Relative strength of the branches: waves diving in the crust are strong, along the Moho weak."""
    reflection = generator.uniform(0.1, 0.8)
    refraction = generator.uniform(0.4, 1.0)
    return {
        "P": refraction,
        "Pg": 1.0,
        "Pn": 0.5 * refraction,
        "PmP": reflection,
        "S": refraction,
        "Sg": 1.0,
        "Sn": 0.5 * refraction,
        "SmS": reflection,
    }


def _later_weight(time_ratio: float, phase: str, ray_parameter_s_km: float, medium: Medium) -> float:
    """How much of a later branch arrives.

    Its longer way spreads more and, along soft ground, is attenuated more: the cube stands in for both.
    Moho reflections are weak before the critical angle.
    """
    mantle_km_s = float(medium.model.velocity_km_s(medium.model.depth_km[-1], phase))
    steep = phase.endswith(("mP", "mS")) and ray_parameter_s_km * mantle_km_s < 1.0
    return time_ratio**3 * (PRECRITICAL if steep else 1.0)


def _distinct(branch: list[Wave]) -> list[Wave]:
    """Waves in order of time, one where two names mean the same ray; the generic first arrival gives way."""
    named = [wave for wave in branch if len(wave.phase) > 1]
    first = next(wave for wave in branch if len(wave.phase) == 1)
    if all(abs(wave.travel_time_s - first.travel_time_s) > 1e-4 for wave in named):
        named.append(first)
    return sorted(named, key=lambda wave: wave.travel_time_s)


def _radiated(
    source: Source, azimuth_deg: float, takeoff_deg: float, isotropic_shear: FloatArray
) -> tuple[float, float, float]:
    if source.mechanism is None:
        sign = -1.0 if source.source_type == "collapse" else 1.0
        return sign, float(isotropic_shear[0]), float(isotropic_shear[1])
    sent = radiation.double_couple(*source.mechanism, azimuth_deg, takeoff_deg)
    p, sv, sh = (float(radiation.with_water_level(amplitude, WATER_LEVEL)) for amplitude in sent)
    return p, sv, sh


def _arriving(
    sent: tuple[float, float, float],
    kind: str,
    incidence_deg: float,
    back_azimuth_deg: float,
    site: Site,
    medium: Medium,
) -> FloatArray:
    """Ground motion (Z, N, E) for the radiated amplitudes of P, SV, SH."""
    surface_depth_km = -site.elevation_m / 1000.0
    vp = float(medium.model.velocity_km_s(surface_depth_km, "P"))
    vs = float(medium.model.velocity_km_s(surface_depth_km, "S"))
    if kind == "P":
        return sent[0] * surface_motion("P", incidence_deg, back_azimuth_deg, vp, vs)
    sv = surface_motion("SV", incidence_deg, back_azimuth_deg, vp, vs)
    return sent[1] * sv + sent[2] * surface_motion("SH", incidence_deg, back_azimuth_deg, vp, vs)


def pulse_spectrum(
    source: Source,
    site: Site,
    medium: Medium,
    kind: str,
    travel_time_s: float,
    num_samples: int,
    rate_hz: float,
) -> NDArray[np.complex128]:
    """What the instrument makes of the far-field pulse of P or S: the spectrum of m/s in its pass band."""
    frequency_hz = fft.rfftfreq(num_samples, 1.0 / rate_hz)
    source_velocity_km_s = float(medium.model.velocity_km_s(source.depth_km, kind))
    vs_m_s = 1000.0 * float(medium.model.velocity_km_s(source.depth_km, "S"))
    moment = seismic_moment_n_m(source.magnitude)
    corner_hz = corner_frequency_hz(moment, source.stress_drop_pa, vs_m_s) * (
        P_CORNER_RATIO if kind == "P" else 1.0
    )
    quality = medium.s_quality_1hz * (medium.quality_ratio if kind == "P" else 1.0)
    distance_km, _, _ = distance_and_azimuths(source, site)
    hypocentral_km = float(np.hypot(distance_km, source.depth_km + site.elevation_m / 1000.0))
    hypocentral_km = max(hypocentral_km, 0.2)
    level = far_field_displacement_m_s(moment, hypocentral_km, source_velocity_km_s)
    amplitude = brune_amplitude(frequency_hz, corner_hz) * site.instrument.alias_amplitude(frequency_hz)
    amplitude *= path.attenuation_amplitude(
        frequency_hz, travel_time_s, quality, medium.exponent, site.kappa_s
    )
    amplitude *= path.resonance_amplitude(frequency_hz, *site.resonance)
    shots = np.exp(-2j * np.pi * frequency_hz[:, None] * np.array(source.delays_s)) @ np.array(source.weights)
    shaped = path.minimum_phase(amplitude, num_samples) * shots * to_velocity(frequency_hz, rate_hz)
    response = site.instrument.response(frequency_hz, rate_hz)
    return level * path.geometric_spreading(hypocentral_km) * rate_hz * shaped * response


def event_seismogram(
    source: Source,
    site: Site,
    medium: Medium,
    scattering: Scattering,
    generator: np.random.Generator,
    *,
    origin_s: float,
    num_samples: int,
    rate_hz: float,
) -> tuple[NDArray[np.float32], list[Arrival]]:
    """Noise-free motion `(Z N E, sample)` in m/s as the instrument sees it, and all arrivals.

    origin_s: the origin time after the first sample. Arrivals are P and S (the first of each), and every
    direct, refracted or reflected phase under its own name.
    """
    padded = padded_length(num_samples, rate_hz)
    frequency_hz = fft.rfftfreq(padded, 1.0 / rate_hz)
    total = np.zeros((3, len(frequency_hz)), dtype=np.complex64)
    arrivals: list[Arrival] = []
    waves = waves_at_station(source, site, medium, generator)
    for kind, branch in waves.items():
        onset_s = branch[0].travel_time_s
        pulse = pulse_spectrum(source, site, medium, kind, onset_s, padded, rate_hz)
        reflected = _reflectivity(kind, branch, waves, scattering, generator, pulse, padded, rate_hz)
        shift = np.exp(-2j * np.pi * frequency_hz * (origin_s + onset_s))
        total += (reflected * (pulse * shift)).astype(np.complex64)
        arrivals += _labels(kind, branch, origin_s, rate_hz)
    motion = fft.irfft(total, n=padded, axis=-1)[:, :num_samples].astype(np.float32)
    return motion, arrivals


def padded_length(num_samples: int, rate_hz: float) -> int:
    """An even, fast length with room for what would wrap around the end."""
    return 2 * fft.next_fast_len((num_samples + int(PAD_S * rate_hz)) // 2, real=True)


def _reflectivity(
    kind: str,
    branch: list[Wave],
    waves: dict[str, list[Wave]],
    scattering: Scattering,
    generator: np.random.Generator,
    pulse: NDArray[np.complex128],
    num_samples: int,
    rate_hz: float,
) -> NDArray[np.complex64]:
    """Spectrum of the impulses that follow the first onset of P or S: branches, followers, coda."""
    series = np.zeros((3, num_samples), dtype=np.float32)
    separation_s = waves["S"][0].travel_time_s - waves["P"][0].travel_time_s
    for wave in branch:
        offset_s = wave.travel_time_s - branch[0].travel_time_s
        span_s = min(max(separation_s, 0.3), 4.0)
        delays_s, motions = secondary_arrivals(scattering, generator, wave.motion, span_s)
        delays_s, motions = np.append(delays_s, 0.0), np.vstack([motions, wave.motion])
        _place(series, delays_s + offset_s, motions, rate_hz)
    if kind == "P":
        _place(series, *_conversions(scattering, waves, separation_s), rate_hz)
    early = _coda_amplitude(kind, scattering, generator, pulse, num_samples)
    lapse_s = separation_s if kind == "P" else branch[0].travel_time_s
    coda = coda_spectrum(scattering, kind, generator, early, lapse_s, num_samples, rate_hz)
    return fft.rfft(series, axis=-1) + coda


def _conversions(
    scattering: Scattering, waves: dict[str, list[Wave]], separation_s: float
) -> tuple[FloatArray, FloatArray]:
    """Ps on the horizontals soon after P, and Sp on the vertical shortly before S, from the ground below."""
    p_motion, s_motion = waves["P"][0].motion, waves["S"][0].motion
    delay_s = min(scattering.sediment_delay_s, 0.4 * separation_s)
    across = np.array([0.0, 1.0, 1.0]) * np.linalg.norm(p_motion) * np.sign(p_motion)
    upward = np.array([np.linalg.norm(s_motion) * np.sign(s_motion[0]), 0.0, 0.0])
    motions = scattering.conversion * np.stack([across, upward])
    return np.array([delay_s, separation_s - delay_s]), motions


def _coda_amplitude(
    kind: str,
    scattering: Scattering,
    generator: np.random.Generator,
    pulse: NDArray[np.complex128],
    num_samples: int,
) -> FloatArray:
    """Standard deviation of the coda's impulses for Z, N, E, so that it is a fraction of the direct peak."""
    response = fft.irfft(pulse, n=num_samples)
    peak_to_norm = np.abs(response).max() / max(float(np.sqrt(np.sum(response**2))), 1e-300)
    fraction = scattering.p_coda if kind == "P" else scattering.s_coda
    shares = np.array([0.75, 0.45, 0.45] if kind == "P" else [0.42, 0.75, 0.75])
    shares = shares * np.exp(generator.normal(0.0, 0.15, 3))
    return 2.0 * MEAN_RADIATION[kind] * fraction * peak_to_norm * shares


def _place(series: NDArray[np.float32], delays_s: FloatArray, motions: FloatArray, rate_hz: float) -> None:
    """Add impulses at the nearest samples."""
    index = np.rint(np.asarray(delays_s) * rate_hz).astype(int)
    inside = (index >= 0) & (index < series.shape[1])
    np.add.at(series.T, index[inside], motions[inside].astype(np.float32))


def _labels(kind: str, branch: list[Wave], origin_s: float, rate_hz: float) -> list[Arrival]:
    onset_s = origin_s + branch[0].travel_time_s
    polarity = None
    if kind == "P":
        polarity = "positive" if branch[0].motion[0] > 0 else "negative"
    labels = [Arrival(phase=kind, time_s=onset_s, polarity=polarity, evaluation="synthetic")]
    for wave in branch:
        if wave.phase != kind:
            # Later branches lie on the sample grid relative to the first onset.
            lag_s = np.rint((wave.travel_time_s - branch[0].travel_time_s) * rate_hz) / rate_hz
            labels.append(Arrival(phase=wave.phase, time_s=float(onset_s + lag_s), evaluation="synthetic"))
    return labels
