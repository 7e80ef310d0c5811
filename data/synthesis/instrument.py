"""From ground velocity to what a digitizer writes down: corner, gain, and the anti-alias filter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]


@dataclass(frozen=True, kw_only=True)
class Instrument:
    """A seismometer that is flat to ground velocity above its corner.

    corner_hz: 4.5 for geophones, 0.008 to 1 for seismometers. damping: fraction of critical.
    gain_counts_s_m: counts for 1 m/s. alias_corner_hz: where the digitizer's filter begins to cut.
    """

    corner_hz: float = 0.033
    damping: float = 0.707
    gain_counts_s_m: float = 6.0e8
    alias_corner_hz: float = 42.0

    def response(self, frequency_hz: FloatArray, sampling_rate_hz: float) -> ComplexArray:
        """The complex response to velocity, 1 in the pass band: a causal digital filter.

        s² / (s² + 2hω s + ω²) goes through the bilinear transform s = 2r (1 − z⁻¹)/(1 + z⁻¹) with the corner
        pre-warped, so that the filter stays causal at any rate.
        """
        delay = np.exp(-2j * np.pi * frequency_hz / sampling_rate_hz)
        derivative, average = 2.0 * sampling_rate_hz * (1.0 - delay), 1.0 + delay
        warped = 2.0 * sampling_rate_hz * np.tan(np.pi * self.corner_hz / sampling_rate_hz)
        damped = 2.0 * self.damping * warped * derivative * average
        return derivative**2 / (derivative**2 + damped + (warped * average) ** 2)

    def alias_amplitude(self, frequency_hz: FloatArray) -> FloatArray:
        """The amplitude of the anti-alias filter, a steep fall above its corner."""
        return 1.0 / np.sqrt(1.0 + (frequency_hz / self.alias_corner_hz) ** 32)


def random_instrument(generator: np.random.Generator, sampling_rate_hz: float) -> Instrument:
    """One of the kinds that networks run: broadband, short period, or geophone."""
    low, high = ((0.008, 0.05), (0.7, 1.3), (4.3, 4.7))[generator.choice(3, p=(0.45, 0.3, 0.25))]
    return Instrument(
        corner_hz=float(np.exp(generator.uniform(np.log(low), np.log(high)))),
        damping=float(generator.uniform(0.6, 0.75)),
        gain_counts_s_m=float(10.0 ** generator.uniform(8.0, 9.7)),
        alias_corner_hz=float(sampling_rate_hz * generator.uniform(0.38, 0.45)),
    )


def to_velocity(spectrum_frequency_hz: FloatArray, sampling_rate_hz: float) -> ComplexArray:
    """The causal first difference that turns displacement into velocity, 2πf at low frequencies."""
    step = np.exp(-2j * np.pi * spectrum_frequency_hz / sampling_rate_hz)
    return sampling_rate_hz * (1.0 - step)
