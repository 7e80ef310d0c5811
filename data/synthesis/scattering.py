"""What heterogeneity adds after each onset: secondary arrivals, conversions and a noise-like coda.

Everything here is a *reflectivity*: impulses that are convolved with the wave's pulse afterwards. So each
scattered wave is causal, and its spectrum is that of the wave that was scattered.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex64]

BAND_CENTRES_HZ = (1.5, 4.0, 10.0, 25.0)
"""The coda decays faster at high frequencies: one envelope for each of these overlapping bands."""


@dataclass(frozen=True, kw_only=True)
class Scattering:
    """How strongly the way to one station scatters.

    p_coda, s_coda: early coda amplitude as a fraction of the direct wave's mean amplitude.
    rise_s: time in which scattered energy builds up; long ones make emergent onsets.
    p_decay, s_decay: exponents of the fall with lapse time; see `coda_envelope`.
    quality_1hz, exponent: coda Qc = quality f^exponent.
    secondary_per_s: rate of distinct secondary arrivals soon after an onset.
    sediment_delay_s: S minus P time through the layer that converts waves below the station.
    conversion: amplitude of converted waves, as a fraction of the parent.
    """

    p_coda: float
    s_coda: float
    rise_s: float
    p_decay: float
    s_decay: float
    quality_1hz: float
    exponent: float
    secondary_per_s: float
    sediment_delay_s: float
    conversion: float


def random_scattering(generator: np.random.Generator) -> Scattering:
    """A draw over what is found in the crust (Sato, Fehler & Maeda, 2012, ch. 3) and fits local records."""
    return Scattering(
        p_coda=float(np.exp(generator.normal(np.log(1.0), 0.45))),
        s_coda=float(np.exp(generator.normal(np.log(0.4), 0.45))),
        rise_s=float(np.exp(generator.uniform(np.log(0.03), np.log(0.8)))),
        p_decay=float(generator.uniform(0.4, 1.6)),
        s_decay=float(generator.uniform(1.5, 3.8)),
        quality_1hz=float(generator.uniform(40.0, 200.0)),
        exponent=float(generator.uniform(0.5, 1.0)),
        secondary_per_s=float(generator.uniform(1.0, 12.0)),
        sediment_delay_s=float(np.exp(generator.uniform(np.log(0.05), np.log(0.9)))),
        conversion=float(generator.choice([0.0, 1.0], p=[0.4, 0.6]) * generator.uniform(0.05, 0.35)),
    )


def coda_envelope(
    scattering: Scattering, kind: str, centre_hz: float, time_s: FloatArray, lapse_s: float
) -> FloatArray:
    """The coda's amplitude after an onset, (1 − e^(−t/τ)) (1 + t/T)^(−p) e^(−π f t/Qc) with T = lapse_s.

    The power of the lapse time is single scattering's spreading (Aki & Chouet, 1975). For S it counts
    from the source; P coda, which ends in the S wave, has S minus P for its T.
    """
    quality = scattering.quality_1hz * centre_hz**scattering.exponent
    decay = scattering.p_decay if kind == "P" else scattering.s_decay
    rise = 1.0 - np.exp(-time_s / scattering.rise_s)
    return rise * (1.0 + time_s / lapse_s) ** -decay * np.exp(-np.pi * centre_hz * time_s / quality)


def coda_spectrum(
    scattering: Scattering,
    kind: str,
    generator: np.random.Generator,
    component_amplitude: FloatArray,
    lapse_s: float,
    num_samples: int,
    sampling_rate_hz: float,
) -> ComplexArray:
    """Spectrum `(component, frequency)` of the coda's reflectivity, its onset at the first sample.

    component_amplitude: standard deviation of the early coda of Z, N, E, as impulses per sample.
    """
    time_s = np.arange(num_samples) / sampling_rate_hz
    shape = (len(component_amplitude), num_samples)
    weights = band_weights(fft.rfftfreq(num_samples, 1.0 / sampling_rate_hz))
    total = np.zeros((shape[0], num_samples // 2 + 1), dtype=np.complex64)
    white = generator.standard_normal(shape, dtype=np.float32) * component_amplitude[:, None].astype(
        np.float32
    )
    for centre_hz, weight in zip(BAND_CENTRES_HZ, weights, strict=True):
        envelope = coda_envelope(scattering, kind, centre_hz, time_s, lapse_s).astype(np.float32)
        total += fft.rfft(white * envelope, axis=-1) * weight
    return total


def band_weights(frequency_hz: FloatArray) -> NDArray[np.float32]:
    """Weights `(band, frequency)` that sum to 1: triangles between the band centres in log frequency."""
    position = np.interp(
        np.log(np.maximum(frequency_hz, 1e-3)), np.log(BAND_CENTRES_HZ), np.arange(len(BAND_CENTRES_HZ))
    )
    distance = np.abs(position[None] - np.arange(len(BAND_CENTRES_HZ))[:, None])
    return np.maximum(1.0 - distance, 0.0).astype(np.float32)


def secondary_arrivals(
    scattering: Scattering, generator: np.random.Generator, motion: FloatArray, span_s: float
) -> tuple[FloatArray, FloatArray]:
    """Delays (s, after the onset) and motions `(arrival, component)` of distinct scattered waves.

    Three and a Poisson number of weaker copies of the parent whose directions of motion are turned at random.
    """
    count = 3 + int(generator.poisson(scattering.secondary_per_s * span_s))
    # Most follow closely and make a packet of the pulse, but never within 40 ms: the first motion is direct.
    delays_s = 0.04 + generator.uniform(0.0, 1.0, count) ** 3 * span_s
    size = (
        np.linalg.norm(motion) * np.exp(generator.normal(-0.9, 0.5, count)) * np.exp(-2.0 * delays_s / span_s)
    )
    direction = motion / max(float(np.linalg.norm(motion)), 1e-30) + generator.normal(0.0, 0.5, (count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    sign = generator.choice([-1.0, 1.0], count)
    return delays_s, (sign * size)[:, None] * direction
