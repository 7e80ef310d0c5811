"""What the way through the Earth does to a pulse: spreading, and attenuation that respects causality.

Amplitude spectra are handled as natural logarithms, `(record, frequency)`: they are sums, and nothing
underflows on the way.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

CROSSOVER_KM = 70.0
FLAT_Q_BELOW_HZ = 0.3
LOG_AMPLITUDE_FLOOR = math.log(1e-7)


def geometric_spreading(distance_km: Tensor) -> Tensor:
    """Spreading relative to 1/R: 1 up to 70 km, then growing so that amplitudes fall only as R^-0.5."""
    return (distance_km.clamp(min=CROSSOVER_KM) / CROSSOVER_KM).sqrt()


def log_attenuation(
    frequency_hz: Tensor, travel_time_s: Tensor, quality_1hz: Tensor, exponent: Tensor, kappa_s: Tensor
) -> Tensor:
    """The logarithm of exp(−π f t / Q(f)) exp(−π κ f) with Q = Q0 max(f, 0.3 Hz)^η, `(record, frequency)`.

    The κ is that of the near-surface site (Anderson & Hough, 1984). All but the frequencies are `(record,)`.
    """
    log_f = frequency_hz.clamp(min=FLAT_Q_BELOW_HZ).log()
    lost = torch.exp(-exponent[:, None] * log_f).mul_((travel_time_s / quality_1hz)[:, None])
    return lost.add_(kappa_s[:, None]).mul_(-math.pi * frequency_hz)


def minimum_phase_rad(log_amplitude: Tensor) -> Tensor:
    """The phase that makes a spectrum causal with the earliest energy, `(…, frequency)` like its argument.

    log_amplitude: natural logarithm, as of an rfft over an even number of samples.
    Zero-phase attenuation would put energy before the onset and blur its time and polarity. The phase comes
    from folding the real cepstrum (Oppenheim & Schafer, 2010, section 13.5). It is a sum over the factors of
    a spectrum, as the logarithm is.
    """
    half = log_amplitude.shape[-1] - 1
    cepstrum = torch.fft.irfft(log_amplitude, n=2 * half)
    cepstrum[..., 1:half] *= 2.0
    cepstrum[..., half + 1 :] = 0.0
    return torch.fft.rfft(cepstrum).imag


def floored(log_amplitude: Tensor) -> Tensor:
    """Not below 1e-7 of the largest: a minimum phase needs a logarithm that is finite and resolved."""
    return log_amplitude.maximum(log_amplitude.amax(dim=-1, keepdim=True) + LOG_AMPLITUDE_FLOOR)
