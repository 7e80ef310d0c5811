"""What the way through the Earth does to a pulse: spreading, and attenuation that respects causality."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]

CROSSOVER_KM = 70.0
FLAT_Q_BELOW_HZ = 0.3
AMPLITUDE_FLOOR = 1e-7


def geometric_spreading(distance_km: float) -> float:
    """Spreading relative to 1/R: 1 up to 70 km, then growing so that amplitudes fall only as R^-0.5."""
    return float(np.sqrt(max(distance_km, CROSSOVER_KM) / CROSSOVER_KM))


def attenuation_amplitude(
    frequency_hz: FloatArray, travel_time_s: float, quality_1hz: float, exponent: float, kappa_s: float
) -> FloatArray:
    """The amplitude spectrum exp(−π f t / Q(f)) exp(−π κ f) with Q = Q0 max(f, 0.3 Hz)^η.

    The κ is that of the near-surface site (Anderson & Hough, 1984).
    """
    quality = quality_1hz * np.maximum(frequency_hz, FLAT_Q_BELOW_HZ) ** exponent
    return np.exp(-np.pi * frequency_hz * (travel_time_s / quality + kappa_s))


def resonance_amplitude(frequency_hz: FloatArray, peak_hz: float, gain: float, width: float) -> FloatArray:
    """Soft ground's amplification, 1 + gain at its peak; width in natural-log frequency."""
    away = np.log(np.maximum(frequency_hz, 1e-3) / peak_hz) / width
    return 1.0 + gain * np.exp(-0.5 * away**2)


def minimum_phase(amplitude: FloatArray, num_samples: int) -> ComplexArray:
    """The causal spectrum that has this amplitude and the earliest energy.

    amplitude: `(…, num_samples // 2 + 1)`, real and not negative, as of an rfft over an even `num_samples`.
    Zero-phase attenuation would put energy before the onset and blur its time and polarity. The phase comes
    from folding the real cepstrum (Oppenheim & Schafer, 2010, section 13.5).
    """
    ceiling = amplitude.max(axis=-1, keepdims=True)
    cepstrum = fft.irfft(np.log(np.maximum(amplitude, ceiling * AMPLITUDE_FLOOR)), n=num_samples, axis=-1)
    cepstrum[..., 1 : num_samples // 2] *= 2.0
    cepstrum[..., num_samples // 2 + 1 :] = 0.0
    return np.exp(fft.rfft(cepstrum, axis=-1))
