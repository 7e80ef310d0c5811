"""What stations record when nothing happens: coloured, swelling noise between Peterson's models."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from scipy.fft import next_fast_len
from torch import Tensor

from ..loading.window_random import WindowRandom
from .draws import check_ranges, check_shares, log_uniform, uniform
from .noise_models import noise_models_db

LEVEL_RANGE = (0.03, 0.97)
KNOT_S = 7.0
"""Time between the knots of the slow modulation."""

LOUDEST_HOUR = 14.0
_HOUR_S = 3600.0
_BUMP_DECADES, _PEAK_DECADES = 0.08, 0.1
_LINES = 4
_HEARD_HZ = (4.0, 15.0)
"""Where the sensor's own noise is compared with the ground's."""

Response = Callable[[Tensor], Tensor]
"""An instrument's complex response to ground velocity, `(frequency,)` in Hz to `(record, frequency)`."""


@dataclass(frozen=True, kw_only=True)
class StationNoiseConfig:
    """How loud stations are, from a quiet vault to a roadside, as ranges from which each record draws.

    Levels lie between Peterson's models: 0 is the low one, 1 the high one.

    microseism, mid: levels below 0.5 Hz and at 1–3 Hz. high_above_mid: what is added above 15 Hz.
    peak_hz, peak_level: a microseism peak of one's own sea or lake. bump_hz, bump_level: a cultural peak.
    line_share: records with machines near; num_lines: harmonics of one, up to 4; line_level, line_width_hz:
        their height and width. mains_hz: of the grid, 50 or 60, one of them a record.
    horizontal_db: how much louder the horizontals are, N and E alike; horizontal_spread_db: by how much at
        most each of them differs from that; component_spread: standard deviation of the logarithm by which
        the amplitudes of Z, N and E differ besides.
    self_noise_db: of sensor and digitizer, which no response shapes, relative to the ground's noise as
        recorded at 4–15 Hz, −200 for none; self_noise_slope: its amplitudes go with f^−slope.
    modulation: slow rise and fall of the amplitude (standard deviation of its logarithm).
    daily_level: the range of the level above 1 Hz, from night to the early afternoon.
    """

    microseism: tuple[float, float] = (0.2, 0.9)
    mid: tuple[float, float] = (0.1, 0.65)
    high_above_mid: tuple[float, float] = (-0.2, 0.45)
    peak_hz: tuple[float, float] = (0.12, 0.5)
    peak_level: tuple[float, float] = (0.0, 0.12)
    bump_hz: tuple[float, float] = (1.5, 30.0)
    bump_level: tuple[float, float] = (0.0, 0.2)
    line_share: float = 0.45
    num_lines: tuple[int, int] = (1, 4)
    line_level: tuple[float, float] = (0.05, 0.45)
    line_width_hz: tuple[float, float] = (0.01, 0.2)
    mains_hz: tuple[float, float] = (50.0, 60.0)
    horizontal_db: tuple[float, float] = (-4.0, 4.0)
    horizontal_spread_db: float = 1.5
    component_spread: float = 0.15
    self_noise_db: tuple[float, float] = (-25.0, 0.0)
    self_noise_slope: tuple[float, float] = (0.0, 0.6)
    modulation: tuple[float, float] = (0.0, 0.4)
    daily_level: tuple[float, float] = (0.0, 0.15)

    def __post_init__(self) -> None:
        check_ranges(self, "peak_hz", "bump_hz", "line_width_hz", "mains_hz", lowest=1e-3)
        check_ranges(self, "peak_level", "bump_level", "line_level", "modulation", "daily_level", lowest=0.0)
        check_ranges(self, "self_noise_slope", lowest=0.0)
        check_ranges(self, "microseism", "mid", "high_above_mid", "horizontal_db", "self_noise_db")
        check_shares(self, "line_share")
        for name in ("horizontal_spread_db", "component_spread"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, found {getattr(self, name)}")
        if not 1 <= self.num_lines[0] <= self.num_lines[1] <= _LINES:
            raise ValueError(f"num_lines must lie in 1 to {_LINES}, found {self.num_lines}")


@dataclass(frozen=True, kw_only=True)
class NoiseLevels:
    """The noise of each record's station, all `(record,)` but for the lines' `(record, line)`.

    See `StationNoiseConfig`. horizontal_db: of N and E, `(record, 2)`. component_log: natural logarithm of a
    further factor of Z, N and E, `(record, 3)`. line_level is 0 for lines that are not
    there. daily_level: what is added to the levels above 1 Hz in the loudest hour and taken off twelve hours
    away from it.
    """

    microseism: Tensor
    mid: Tensor
    high: Tensor
    peak_hz: Tensor
    peak_level: Tensor
    bump_hz: Tensor
    bump_level: Tensor
    line_hz: Tensor
    line_level: Tensor
    line_width_hz: Tensor
    horizontal_db: Tensor
    component_log: Tensor
    self_noise_db: Tensor
    self_noise_slope: Tensor
    modulation: Tensor
    daily_level: Tensor

    def at_hour(self, local_hour: Tensor | float) -> NoiseLevels:
        """The levels at an hour of local time, 0 to 24: people and wind make the noise above 1 Hz."""
        hour = torch.as_tensor(local_hour, device=self.mid.device, dtype=torch.float32)
        shift = self.daily_level * ((hour - LOUDEST_HOUR) * (math.pi / 12.0)).cos()
        return replace(self, mid=self.mid + shift, high=self.high + shift)

    def level(self, frequency_hz: Tensor) -> Tensor:
        """Height between the models, kept inside of them: `(record, frequency)` for `(frequency,)` in Hz."""
        log_f = frequency_hz.clamp(min=1e-3).log10()
        to_mid, to_high = _ramp(log_f, 0.5, 1.0), _ramp(log_f, 3.0, 15.0)
        level = torch.outer(self.microseism, 1.0 - to_mid) + torch.outer(self.mid, to_mid - to_high)
        level.addcmul_(self.high[:, None], to_high)
        for centre_hz, height, decades in (
            (self.peak_hz, self.peak_level, _PEAK_DECADES),
            (self.bump_hz, self.bump_level, _BUMP_DECADES),
        ):
            level.addcmul_(height[:, None], _bell((log_f - centre_hz.log10()[:, None]) / decades))
        rows = (self.line_level > 0).any(dim=1).nonzero().flatten()
        if len(rows):
            level.index_add_(0, rows, self._lines(rows, frequency_hz))
        return level.clamp_(*LEVEL_RANGE)

    def _lines(self, rows: Tensor, frequency_hz: Tensor) -> Tensor:
        """What machines add at some records, `(row, frequency)`."""
        lines = zip(self.line_hz.T, self.line_level.T, self.line_width_hz.T, strict=True)
        return sum(
            height[rows, None] * _bell((frequency_hz - line_hz[rows, None]) / width_hz[rows, None])
            for line_hz, height, width_hz in lines
        )

    def velocity_psd(self, frequency_hz: Tensor) -> Tensor:
        """One-sided power spectral density of the vertical's velocity in (m/s)²/Hz, 0 at zero frequency.

        float64 `(record, frequency)`, because float32 ends at 1e-38.
        """
        return self.velocity_amplitude(frequency_hz).double().square_()

    def component_gain(self, num_components: int = 3) -> Tensor:
        """By how much components are louder than the spectrum of `velocity_psd`, `(record, component)`.

        Z, N and E; 1 for any further one.
        """
        gain = self.component_log.exp()
        gain[:, 1:] *= torch.pow(10.0, self.horizontal_db / 20.0)
        return torch.nn.functional.pad(gain, (0, num_components - 3), value=1.0)

    def recorded_amplitude(
        self, frequency_hz: Tensor, response: Response | None = None, num_components: int = 3
    ) -> Tensor:
        """The root of the spectral density of what is recorded, `(record, component, frequency)`.

        response: what the instrument, which has noise of its own, makes of the ground's; None for the ground
        alone. Both are normal and independent, so that their powers add.
        """
        ground, gain = self.velocity_amplitude(frequency_hz), self.component_gain(num_components)
        if response is None:
            return gain[:, :, None] * ground[:, None]
        recorded = ground * response(frequency_hz).abs()
        own = self.self_noise(recorded, frequency_hz)
        power = recorded.square_()[:, None] * gain.square_()[:, :, None]
        return power.add_(own.square_()[:, None]).sqrt_()

    def self_noise(self, recorded: Tensor, frequency_hz: Tensor) -> Tensor:
        """Amplitudes of what sensor and digitizer add, in the unit of `recorded`, `(record, frequency)`.

        recorded: amplitudes of the ground's noise after the response. The two are equally loud at 4–15 Hz for
        0 dB.
        """
        low_hz, high_hz = _HEARD_HZ
        heard = (frequency_hz >= low_hz) & (frequency_hz <= high_hz)
        heard[-1] |= ~heard.any()
        shape = frequency_hz.clamp(min=0.1) / math.sqrt(low_hz * high_hz)
        shape = (-self.self_noise_slope[:, None] * shape.log()).exp_()
        ratio = _rms(recorded[:, heard]) / _rms(shape[:, heard])
        return shape.mul_((ratio * torch.pow(10.0, self.self_noise_db / 20.0))[:, None])

    def velocity_amplitude(self, frequency_hz: Tensor) -> Tensor:
        """The root of `velocity_psd`, float32, in m/s/√Hz."""
        low_db, high_db = noise_models_db(frequency_hz)
        amplitude = self.level(frequency_hz).mul_(high_db - low_db).add_(low_db).mul_(math.log(10.0) / 20.0)
        per_omega = (frequency_hz > 0) / (2.0 * math.pi * frequency_hz.clamp(min=1e-3))
        return amplitude.exp_().mul_(per_omega.float())


def draw_noise(
    station: WindowRandom, config: StationNoiseConfig | None = None, local_hour: Tensor | None = None
) -> NoiseLevels:
    """The noise of each record's station at an hour of the day.

    local_hour: `(record,)`, 0 to 24; a random hour where it is None.
    """
    config = config or StationNoiseConfig()

    def draw(name: str) -> Tensor:
        return uniform(station, f"noise/{name}", getattr(config, name))

    mid, spread = draw("mid"), config.horizontal_spread_db
    line_hz, line_level, line_width_hz = _draw_lines(station, config)
    levels = NoiseLevels(
        microseism=draw("microseism"),
        mid=mid,
        high=(mid + draw("high_above_mid")).clamp_(0.05, 0.95),
        peak_hz=log_uniform(station, "noise/peak_hz", config.peak_hz),
        peak_level=draw("peak_level"),
        bump_hz=log_uniform(station, "noise/bump_hz", config.bump_hz),
        bump_level=draw("bump_level"),
        line_hz=line_hz,
        line_level=line_level,
        line_width_hz=line_width_hz,
        horizontal_db=draw("horizontal_db")[:, None] + uniform(station, "noise/spread", (-spread, spread), 2),
        component_log=config.component_spread * station.normal("noise/component", 3),
        self_noise_db=draw("self_noise_db"),
        self_noise_slope=draw("self_noise_slope"),
        modulation=draw("modulation"),
        daily_level=0.5 * draw("daily_level"),
    )
    return levels.at_hour(24.0 * station.uniform("noise/hour") if local_hour is None else local_hour)


def _draw_lines(station: WindowRandom, config: StationNoiseConfig) -> tuple[Tensor, Tensor, Tensor]:
    """Frequency, level and width of machines' lines `(record, line)`.

    An induction motor of 2 to 16 poles turns at the grid's frequency over half of its poles, less some slip,
    and shakes the ground at that frequency and its harmonics.
    """
    choice = station.uniform("noise/lines", 5)
    mains_hz = torch.where(choice[:, 0] < 0.5, *config.mains_hz)
    pole_pairs = 1.0 + (8.0 * choice[:, 1]).floor()
    turning_hz = mains_hz / pole_pairs * (1.0 - 0.05 * choice[:, 2])
    order = torch.arange(1, _LINES + 1, device=station.device)
    low, high = config.num_lines
    count = low + (choice[:, 3] * (high - low + 1)).floor()
    there = (choice[:, 4] < config.line_share)[:, None] & (order <= count[:, None])
    height = uniform(station, "noise/line_level", config.line_level, _LINES)
    width_hz = log_uniform(station, "noise/line_width", config.line_width_hz, _LINES)
    return turning_hz[:, None] * order, torch.where(there, height, 0.0), width_hz


def noise_motion(
    levels: NoiseLevels,
    station: WindowRandom,
    num_samples: int,
    rate_hz: float,
    response: Response | None = None,
    num_components: int = 3,
) -> Tensor:
    """Ground velocity in m/s when nothing happens, float32 `(record, component, sample)`.

    response: what the instrument makes of it, with noise of its own; None for the ground alone.
    num_components: Z, N and E; of a fourth, the water's above an ocean bottom
        seismometer, only the vertical motion is given here (see `recorder`).
    """
    length = next_fast_len(num_samples + num_samples % 2, real=True)
    length += length % 2
    frequency_hz = torch.arange(length // 2 + 1, device=station.device) * (rate_hz / length)
    # E|X|² = PSD · rate · n / 2, half of it in the real and half in the imaginary part.
    shape = levels.recorded_amplitude(frequency_hz, response, num_components)
    shape *= math.sqrt(rate_hz * length / 4.0)
    white = station.normal("noise/white", num_components, length // 2 + 1, 2)
    spectrum = torch.view_as_complex(white.mul_(shape[..., None]))
    motion = torch.fft.irfft(spectrum, n=length)[..., :num_samples]
    return motion * slow_modulation(levels, station, num_samples, rate_hz)[:, None]


def slow_modulation(levels: NoiseLevels, station: WindowRandom, num_samples: int, rate_hz: float) -> Tensor:
    """A factor `(record, sample)` that lets the noise swell and fade, of mean square 1 at its knots."""
    knots = max(int(num_samples / rate_hz / KNOT_S), 2) + 1
    swing = station.normal("noise/modulation", knots) * levels.modulation[:, None]
    values = swing.exp_()
    values /= values.square().mean(dim=1, keepdim=True).sqrt_()
    grown = torch.nn.functional.interpolate(values[:, None], num_samples, mode="linear", align_corners=True)
    return grown[:, 0]


def continuous_noise(
    levels: NoiseLevels,
    station: WindowRandom,
    num_samples: int,
    rate_hz: float,
    start_hour: float,
    response: Response | None = None,
    first_hour: int = 0,
) -> Tensor:
    """Hours or days of a station's noise with the cycle of the day, `(record, 3, sample)` in m/s.

    levels: without an hour's share, as `draw_noise` gives them for the hour 20. start_hour: local time at the
    first sample. Each hour has noise of its own, cross-faded so that the power stays. first_hour: so
    many hours went before, so that a long time made in pieces of whole hours is seamless.
    """
    hour = round(_HOUR_S * rate_hz)
    fade = torch.arange(hour, device=station.device) * (0.5 * math.pi / hour)
    rise, fall = fade.sin(), fade.cos()
    motion = torch.zeros(len(station), 3, num_samples, device=station.device)
    for number in range(-1, math.ceil(num_samples / hour)):
        own = station.derive(f"noise/hour {first_hour + number}")
        louder = levels.at_hour((start_hour + number + 1.0) % 24.0)
        piece = noise_motion(louder, own, 2 * hour, rate_hz, response)
        piece *= torch.cat([rise, fall])
        first = number * hour
        begin, end = max(first, 0), min(first + 2 * hour, num_samples)
        motion[..., begin:end] += piece[..., begin - first : end - first]
    return motion


def _rms(amplitude: Tensor) -> Tensor:
    return amplitude.double().square().mean(dim=1).sqrt().float()


def _ramp(log_f: Tensor, low_hz: float, high_hz: float) -> Tensor:
    """From 0 at a frequency to 1 at another, linear in the logarithm."""
    low, high = math.log10(low_hz), math.log10(high_hz)
    return ((log_f - low) / (high - low)).clamp_(0.0, 1.0)


def _bell(distance: Tensor) -> Tensor:
    """exp(−x²/2), kept from underflow into denormal numbers, which are slow."""
    return distance.square().mul_(-0.5).clamp_(min=-80.0).exp_()
