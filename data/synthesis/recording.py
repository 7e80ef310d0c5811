"""What a station writes down besides the event: its noise, and how far an arrival stands out of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from ..records import Arrival
from .network import Medium, Site, Source, distance_and_azimuths
from .noise import DISTURBANCES, disturbance, noise_spectrum, slow_modulation
from .seismogram import padded_length, pulse_spectrum

SNR_HIGHPASS_HZ = 1.0
P_SPAN_S = 2.0
MAGNITUDE_GRID = np.arange(-1.5, 7.6, 0.75)
DISTURBANCE_SIZE = (2.0, 60.0)


def magnitude_for_snr(source: Source, site: Site, medium: Medium, snr: float, rate_hz: float) -> float:
    """The magnitude whose P pulse has about this amplitude ratio to a site's noise above 1 Hz, over 2 s.

    It is for unit radiation and without scattering: the ratio of a whole seismogram differs by some dB.
    """
    distance_km, _, _ = distance_and_azimuths(source, site)
    travel_time_s = float(medium.model.travel_time_s(distance_km, source.depth_km, "P", site.elevation_m))
    num_samples = 512
    frequency_hz = fft.rfftfreq(num_samples, 1.0 / rate_hz)
    heard = frequency_hz >= SNR_HIGHPASS_HZ
    rms = []
    for magnitude in MAGNITUDE_GRID:
        sized = replace(source, magnitude=float(magnitude))
        pulse = pulse_spectrum(sized, site, medium, "P", travel_time_s, num_samples, rate_hz)
        energy = 2.0 * np.sum(np.abs(pulse[heard]) ** 2) / num_samples
        rms.append(np.sqrt(energy / (P_SPAN_S * rate_hz)))
    noise_rms = np.sqrt(np.sum(site.noise.velocity_psd(frequency_hz[heard])) * frequency_hz[1])
    return float(np.interp(np.log(snr * noise_rms), np.log(rms), MAGNITUDE_GRID))


def station_noise(
    site: Site, generator: np.random.Generator, num_samples: int, rate_hz: float, disturbance_share: float
) -> NDArray[np.float32]:
    """A station's noise `(Z N E, sample)` in m/s in the instrument's pass band.

    disturbance_share: the probability that there is one disturbance that is no earthquake.
    """
    padded = padded_length(num_samples, rate_hz)
    frequency_hz = fft.rfftfreq(padded, 1.0 / rate_hz)
    response = site.instrument.response(frequency_hz, rate_hz) * site.instrument.alias_amplitude(frequency_hz)
    spectrum = noise_spectrum(site.noise, generator, padded, rate_hz) * response.astype(np.complex64)
    noise = fft.irfft(spectrum, n=padded, axis=-1)[:, :num_samples]
    noise = noise * slow_modulation(site.noise, generator, num_samples, rate_hz)
    if generator.random() < disturbance_share:
        kind = DISTURBANCES[generator.integers(len(DISTURBANCES))]
        size = np.std(noise, axis=1).max() * np.exp(generator.uniform(*np.log(DISTURBANCE_SIZE)))
        noise = noise + size * disturbance(kind, generator, num_samples, rate_hz)
    return noise.astype(np.float32)


def p_snr_db(
    signal: NDArray[np.float32], noise: NDArray[np.float32], arrivals: tuple[Arrival, ...], rate_hz: float
) -> float:
    """20 log10 of the rms of P over that of the noise, vertical, above 1 Hz; NaN without an arrival.

    P lasts until S, at most 2 s.
    """
    times = {label.phase: label.time_s for label in arrivals if label.event == 0}
    if "P" not in times:
        return float("nan")
    spectrum = fft.rfft(np.stack([signal, noise]), axis=-1)
    spectrum[:, : int(SNR_HIGHPASS_HZ * len(signal) / rate_hz)] = 0
    filtered = fft.irfft(spectrum, n=len(signal), axis=-1)
    begin = round(times["P"] * rate_hz)
    span_s = min(max(times.get("S", np.inf) - times["P"], 0.1), P_SPAN_S)
    p_rms = np.sqrt(np.mean(filtered[0, begin : begin + round(span_s * rate_hz)] ** 2))
    return float(20.0 * np.log10(p_rms / np.sqrt(np.mean(filtered[1] ** 2))))
