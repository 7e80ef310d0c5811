"""From ground motion to what a digitizer writes down: sensor, gain, and the anti-alias filter."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..loading.window_random import WindowRandom
from .draws import Range, check_ranges, log_uniform, uniform

SENSORS = ("broadband", "short_period", "geophone", "accelerometer")
"""Kinds of sensors, by position in `Instrument.sensor`."""

ALIAS_ORDER = 16


@dataclass(frozen=True, kw_only=True)
class InstrumentConfig:
    """Which sensors a region's networks run.

    share: of `SENSORS`, in their order. broadband_hz, short_period_hz, geophone_hz: corners, log-uniform.
    damping: fraction of critical. gain: counts for 1 m/s, of accelerometers for 1 m/s², log-uniform.
    alias_corner: of the digitizer's filter, as a fraction of the sampling rate.
    """

    share: tuple[float, float, float, float] = (0.42, 0.28, 0.23, 0.07)
    broadband_hz: Range = (0.008, 0.05)
    short_period_hz: Range = (0.7, 1.3)
    geophone_hz: Range = (4.3, 4.7)
    damping: Range = (0.6, 0.75)
    gain: Range = (1e8, 5e9)
    accelerometer_gain: Range = (2e5, 2e6)
    alias_corner: Range = (0.38, 0.45)

    def __post_init__(self) -> None:
        if min(self.share) < 0.0 or abs(sum(self.share) - 1.0) > 1e-6:
            raise ValueError(f"share must sum to 1 over {SENSORS}, found {self.share}")
        check_ranges(self, "broadband_hz", "short_period_hz", "geophone_hz", "damping", lowest=1e-4)
        check_ranges(self, "gain", "accelerometer_gain", lowest=1e-3)
        check_ranges(self, "alias_corner", lowest=0.1)
        if self.alias_corner[1] > 0.46:
            raise ValueError(
                "alias_corner must stay below 0.46 of the sampling rate for the filter to reach its floor "
                f"at half the rate, found {self.alias_corner}"
            )


@dataclass(frozen=True, kw_only=True)
class Instrument:
    """The sensor and digitizer of each record, all `(record,)` but the rate.

    rate_hz: sampling rate of the batch. sensor: int64, position in `SENSORS`. A velocity sensor is flat to
    ground velocity above corner_hz; an accelerometer is flat to acceleration (its corner_hz is 0) and its
    output is in m/s². damping: fraction of critical. gain: counts for one unit of the output.
    alias_corner_hz: half power of the digitizer's filter.
    """

    rate_hz: float
    sensor: Tensor
    corner_hz: Tensor
    damping: Tensor
    gain: Tensor
    alias_corner_hz: Tensor

    @property
    def accelerometer(self) -> Tensor:
        """Bool `(record,)`: the output is acceleration in m/s², not velocity in m/s."""
        return self.sensor == SENSORS.index("accelerometer")

    @property
    def unit(self) -> tuple[str, ...]:
        """The unit of each record's output before its gain."""
        return tuple("m/s**2" if yes else "m/s" for yes in self.accelerometer.tolist())

    def velocity_response(self, frequency_hz: Tensor) -> tuple[Tensor, Tensor]:
        """Real and imaginary part `(record, frequency)` of the sensor's high-pass, 1 in the pass band.

        s² / (s² + 2hω s + ω²) goes through the bilinear transform, iΩ = i tan(π f / rate) with the corner
        likewise, so that the digital filter is causal at any rate. Corner and pass band are exact; far below
        the corner of a geophone the level is 1 % too low at 100 Hz, and 30 % at 20 Hz. Accelerometers, whose
        ω is 0, have 1.
        """
        warped = torch.tan((math.pi / self.rate_hz) * frequency_hz).abs_().clamp_(min=1e-9, max=1e9)
        ratio = torch.tan((math.pi / self.rate_hz) * self.corner_hz)[:, None] / warped
        imaginary = ratio * (2.0 * self.damping[:, None])
        real = 1.0 - ratio.square_()
        size = real.square().addcmul_(imaginary, imaginary)
        return real.div_(size), imaginary.div_(size)

    def log_alias(self, frequency_hz: Tensor) -> Tensor:
        """Logarithm of the anti-alias filter's amplitude, `(record, frequency)`: it falls at its corner."""
        log_f = frequency_hz.clamp(min=1e-3).log()
        power = (log_f - self.alias_corner_hz.log()[:, None]).mul_(2.0 * ALIAS_ORDER).clamp_(min=-30.0)
        return power.exp_().log1p_().mul_(-0.5)

    def response(self, frequency_hz: Tensor) -> Tensor:
        """All of it in the phase of the sensor, complex64 `(record, frequency)`, per m/s of ground velocity.

        For noise, whose phase is random. Pulses take the anti-alias filter with its minimum phase.
        """
        real, imaginary = self.velocity_response(frequency_hz)
        size = self.log_alias(frequency_hz).clamp_(min=-80.0).exp_()
        omega = (2.0 * math.pi) * frequency_hz
        size *= torch.where(self.accelerometer[:, None], omega, 1.0)
        return torch.complex(real * size, imaginary * size)


def draw_instrument(station: WindowRandom, config: InstrumentConfig, rate_hz: float) -> Instrument:
    """One of the kinds that networks run, for each record."""
    bounds = torch.tensor(config.share, device=station.device).cumsum(0)[:-1]
    sensor = torch.searchsorted(bounds, station.uniform("instrument/sensor"), right=True)
    corners_hz = torch.stack(
        [
            log_uniform(station, "instrument/corner", config.broadband_hz),
            log_uniform(station, "instrument/corner", config.short_period_hz),
            log_uniform(station, "instrument/corner", config.geophone_hz),
            torch.zeros(len(station), device=station.device),
        ]
    )
    gain = torch.where(
        sensor == SENSORS.index("accelerometer"),
        log_uniform(station, "instrument/gain", config.accelerometer_gain),
        log_uniform(station, "instrument/gain", config.gain),
    )
    return Instrument(
        rate_hz=rate_hz,
        sensor=sensor,
        corner_hz=corners_hz.gather(0, sensor[None])[0],
        damping=uniform(station, "instrument/damping", config.damping),
        gain=gain,
        alias_corner_hz=rate_hz * uniform(station, "instrument/alias", config.alias_corner),
    )
