"""The trace that a Wood–Anderson seismograph would have drawn, and its amplitude."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft, rfftfreq
from scipy.signal.windows import tukey


@dataclass(frozen=True, kw_only=True)
class WoodAndersonConfig:
    """The torsion seismograph that defines local magnitude.

    gain: static magnification. 2080 with damping 0.7 is what Uhrhammer & Collins (1990, BSSA 80) measured;
        the nominal values of the maker, on which older constants rest, are 2800 and 0.8.
    highpass_hz: zero-phase high-pass of four poles against microseisms, 0 for none.
    taper_s: faded at each end of an excerpt.
    """

    gain: float = 2080.0
    damping: float = 0.7
    period_s: float = 0.8
    highpass_hz: float = 0.5
    taper_s: float = 1.0

    def __post_init__(self) -> None:
        if not (self.gain > 0 and self.damping > 0 and self.period_s > 0):
            raise ValueError(
                "gain, damping and period_s must be positive, "
                f"found {self.gain}, {self.damping} and {self.period_s}"
            )
        if self.highpass_hz < 0 or self.taper_s < 0:
            raise ValueError(
                f"highpass_hz and taper_s must not be negative, found {self.highpass_hz} and {self.taper_s}"
            )


def wood_anderson_mm(
    motion: np.ndarray, sampling_rate_hz: float, unit: str, config: WoodAndersonConfig
) -> np.ndarray:
    """The seismograph's trace in millimetres, `(…, sample)`, from ground motion of m/s or m/s**2.

    With s = iω and ω₀ = 2π / period, displacement is magnified by gain · s² / (s² + 2 h ω₀ s + ω₀²);
    velocity and acceleration need one and two powers of s less, so that nothing is integrated.

    Raises ValueError for another unit.
    """
    powers = {"m/s": 1, "m/s**2": 0}
    if unit not in powers:
        raise ValueError(
            f"a Wood–Anderson trace needs ground motion in {tuple(powers)}, found {unit!r}: "
            "remove the response"
        )
    num_samples = motion.shape[-1]
    share = min(2.0 * config.taper_s * sampling_rate_hz / num_samples, 1.0)
    level = motion - motion.mean(axis=-1, keepdims=True)
    length = next_fast_len(2 * num_samples, real=True)
    spectrum = rfft(level * tukey(num_samples, share), length)
    frequency_hz = rfftfreq(length, 1.0 / sampling_rate_hz)
    s, natural = 2j * math.pi * frequency_hz, 2.0 * math.pi / config.period_s
    response = config.gain * s ** powers[unit] / (s * s + 2.0 * config.damping * natural * s + natural**2)
    return (
        1000.0
        * irfft(spectrum * response * _highpass(frequency_hz, config.highpass_hz), length)[..., :num_samples]
    )


def half_peak_to_peak(trace: np.ndarray) -> float:
    """Half of the largest swing from one turning point of a trace `(sample,)` to the next."""
    steps = np.sign(np.diff(trace))
    turns = np.flatnonzero(steps[1:] * steps[:-1] < 0) + 1
    extremes = trace[np.concatenate([[0], turns, [len(trace) - 1]])]
    return float(0.5 * np.abs(np.diff(extremes)).max())


def _highpass(frequency_hz: np.ndarray, corner_hz: float) -> np.ndarray:
    if corner_hz == 0.0:
        return np.ones_like(frequency_hz)
    return 1.0 / np.sqrt(1.0 + (corner_hz / np.maximum(frequency_hz, 1e-9)) ** 8)
