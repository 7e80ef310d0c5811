"""What a station records when nothing happens: coloured noise between the global models, and disturbances."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from obspy.signal.spectral_estimation import get_nhnm, get_nlnm
from scipy import fft

FloatArray = NDArray[np.float64]

LEVEL_RANGE = (0.03, 0.97)
DISTURBANCES = ("footsteps", "vehicle", "spike", "step", "thump")


@dataclass(frozen=True, kw_only=True)
class NoiseSpectrum:
    """A station's noise as a level between Peterson's models: 0 is the low one, 1 the high one.

    microseism, mid, high: the levels below 0.5 Hz, at 1–3 Hz and above 15 Hz. bump_hz, bump_level: a cultural
    peak and what it adds. horizontal_db: how much louder the horizontals are. modulation: slow rise and fall
    of the amplitude as a fraction.
    """

    microseism: float
    mid: float
    high: float
    bump_hz: float
    bump_level: float
    horizontal_db: float
    modulation: float

    def level(self, frequency_hz: FloatArray) -> FloatArray:
        """The level at some frequencies, kept inside the models."""
        log_f = np.log10(np.maximum(frequency_hz, 1e-3))
        base = np.interp(
            log_f, np.log10([0.5, 1.0, 3.0, 15.0]), [self.microseism, self.mid, self.mid, self.high]
        )
        bump = self.bump_level * np.exp(-0.5 * ((log_f - np.log10(self.bump_hz)) / 0.08) ** 2)
        return np.clip(base + bump, *LEVEL_RANGE)

    def velocity_psd(self, frequency_hz: FloatArray) -> FloatArray:
        """One-sided power spectral density of ground velocity in (m/s)²/Hz; 0 at zero frequency."""
        low_db, high_db = noise_models_db(frequency_hz)
        acceleration_db = low_db + self.level(frequency_hz) * (high_db - low_db)
        omega = 2.0 * np.pi * np.maximum(frequency_hz, 1e-3)
        return np.where(frequency_hz > 0, 10.0 ** (acceleration_db / 10.0) / omega**2, 0.0)


def random_noise_spectrum(generator: np.random.Generator) -> NoiseSpectrum:
    """From a quiet vault to a roadside: levels drawn over most of the range between the models."""
    mid = generator.uniform(0.1, 0.65)
    return NoiseSpectrum(
        microseism=float(generator.uniform(0.2, 0.9)),
        mid=float(mid),
        high=float(np.clip(mid + generator.uniform(-0.15, 0.55), 0.05, 0.95)),
        bump_hz=float(np.exp(generator.uniform(np.log(1.5), np.log(30.0)))),
        bump_level=float(generator.uniform(0.0, 0.2)),
        horizontal_db=float(generator.uniform(-1.0, 5.0)),
        modulation=float(generator.uniform(0.0, 0.4)),
    )


@lru_cache(maxsize=1)
def _peterson_tables() -> tuple[FloatArray, FloatArray, FloatArray]:
    periods_s, low_db = get_nlnm()
    high_periods_s, high_db = get_nhnm()
    order = np.argsort(periods_s)
    log_period = np.log10(periods_s[order])
    high_order = np.argsort(high_periods_s)
    high_on_low = np.interp(log_period, np.log10(high_periods_s[high_order]), high_db[high_order])
    return log_period, low_db[order], high_on_low


def noise_models_db(frequency_hz: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Peterson's (1993) low and high noise models, acceleration in dB of (m/s²)²/Hz.

    They end at 10 Hz; beyond, their last value is held.
    """
    log_period, low_db, high_db = _peterson_tables()
    wanted = -np.log10(np.maximum(frequency_hz, 1e-5))
    return np.interp(wanted, log_period, low_db), np.interp(wanted, log_period, high_db)


def noise_spectrum(
    spectrum: NoiseSpectrum, generator: np.random.Generator, num_samples: int, sampling_rate_hz: float
) -> NDArray[np.complex64]:
    """A realization of ground velocity as rfft coefficients `(component Z N E, frequency)`."""
    frequency_hz = fft.rfftfreq(num_samples, 1.0 / sampling_rate_hz)
    # E|X|² = PSD · rate · n / 2, half of it in the real and half in the imaginary part.
    scale = np.sqrt(spectrum.velocity_psd(frequency_hz) * sampling_rate_hz * num_samples / 4.0)
    shape = (3, len(frequency_hz))
    white = generator.standard_normal((2, *shape), dtype=np.float32)
    horizontal = 10.0 ** (spectrum.horizontal_db / 20.0)
    gain = np.array([[1.0], [horizontal], [horizontal]]) * scale
    return ((white[0] + 1j * white[1]) * gain).astype(np.complex64)


def slow_modulation(
    spectrum: NoiseSpectrum, generator: np.random.Generator, num_samples: int, sampling_rate_hz: float
) -> NDArray[np.float32]:
    """A factor around 1 that lets the noise swell and fade over some seconds."""
    knots = max(int(num_samples / sampling_rate_hz / 7.0), 2) + 1
    values = np.exp(generator.normal(0.0, spectrum.modulation, knots))
    grid = np.linspace(0.0, knots - 1.0, num_samples)
    return np.interp(grid, np.arange(knots), values / np.sqrt(np.mean(values**2))).astype(np.float32)


def disturbance(
    kind: str, generator: np.random.Generator, num_samples: int, sampling_rate_hz: float
) -> NDArray[np.float32]:
    """Something that is not an earthquake, `(3, num_samples)` with a peak of about 1.

    kind: footsteps (a train of short thuds), vehicle (a swelling rumble), thump (one short local blow on all
    components at once, without S), spike (a few samples), step (an offset of one component).
    """
    start = int(generator.integers(0, num_samples))
    time_s = (np.arange(num_samples) - start) / sampling_rate_hz
    if kind in ("footsteps", "thump"):
        shape = _thuds(generator, time_s, int(generator.integers(5, 30)) if kind == "footsteps" else 1)
    elif kind == "vehicle":
        shape = _rumble(generator, time_s, sampling_rate_hz)
    elif kind == "spike":
        shape = (np.abs(time_s) < generator.integers(1, 4) / sampling_rate_hz).astype(float)
    elif kind == "step":
        shape = (time_s >= 0).astype(float)
    else:
        raise ValueError(f"disturbance must be one of {DISTURBANCES}, found {kind!r}")
    direction = generator.normal(0.0, 1.0, 3) if kind != "step" else np.eye(3)[generator.integers(3)]
    traces = direction[:, None] / np.abs(direction).max() * shape
    return (traces / max(float(np.abs(traces).max()), 1e-12)).astype(np.float32)


def _thuds(generator: np.random.Generator, time_s: FloatArray, count: int) -> FloatArray:
    interval_s, frequency_hz = generator.uniform(0.4, 0.8), generator.uniform(5.0, 35.0)
    damping_s = generator.uniform(1.0, 4.0) / frequency_hz
    shape = np.zeros_like(time_s)
    for thud in range(count):
        since = time_s - thud * interval_s * generator.uniform(0.95, 1.05)
        rising = np.maximum(since, 0.0) * np.exp(-np.maximum(since, 0.0) / damping_s)
        shape += generator.uniform(0.5, 1.0) * rising * np.sin(2 * np.pi * frequency_hz * since)
    return shape


def _rumble(generator: np.random.Generator, time_s: FloatArray, sampling_rate_hz: float) -> FloatArray:
    low_hz, width_s = generator.uniform(3.0, 15.0), generator.uniform(2.0, 10.0)
    spectrum = fft.rfft(generator.standard_normal(len(time_s)))
    frequency_hz = fft.rfftfreq(len(time_s), 1.0 / sampling_rate_hz)
    spectrum *= np.exp(-0.5 * ((frequency_hz - 1.5 * low_hz) / (0.4 * low_hz)) ** 2)
    return fft.irfft(spectrum, n=len(time_s)) * np.exp(-0.5 * (time_s / width_s) ** 2)
