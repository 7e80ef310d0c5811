"""What else shakes or upsets a station: people, vehicles, blows, electronics, waves of far earthquakes.

Each function gives shapes `(record, 3, sample)` of Z, N and E, not yet scaled, for records whose disturbance
begins `time_s` `(record, sample)` ago; every number comes from the record's own source.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..loading.window_random import WindowRandom
from .draws import log_uniform, uniform
from .envelopes import bell, decay
from .machines import beats, burst, pump, ring

Shape = Callable[[WindowRandom, Tensor, float], Tensor]

_MOST_STEPS = 30
_MOST_GLITCHES = 8


def footsteps(random: WindowRandom, time_s: Tensor, rate_hz: float) -> Tensor:
    """A train of 5 to 30 short thuds, 0.4 to 0.8 s apart: somebody walks by."""
    count = uniform(random, "thuds/count", (5.0, 1.0 + _MOST_STEPS)).floor()
    return _direction(random) * _thuds(random, time_s, rate_hz, count)


def thump(random: WindowRandom, time_s: Tensor, rate_hz: float) -> Tensor:
    """One short local blow on all components at once, without S: a door, a dropped stone."""
    return _direction(random) * _thuds(random, time_s, rate_hz, torch.ones(len(random), device=random.device))


def vehicle(random: WindowRandom, time_s: Tensor, rate_hz: float) -> Tensor:
    """A rumble of 4 to 22 Hz that swells and dies over some seconds."""
    centre_hz = uniform(random, "vehicle/centre_hz", (4.5, 22.5))[:, None]
    width_s = uniform(random, "vehicle/width_s", (2.0, 10.0))[:, None]
    num_samples = time_s.shape[1]
    length = num_samples + num_samples % 2
    frequency_hz = torch.arange(length // 2 + 1, device=random.device) * (rate_hz / length)
    colour = bell((frequency_hz - centre_hz) / (0.27 * centre_hz))
    white = torch.view_as_complex(random.normal("vehicle/white", 3, length // 2 + 1, 2))
    rumble = torch.fft.irfft(white * colour[:, None], n=length)[..., :num_samples]
    return rumble * bell(time_s / width_s)[:, None]


def spike(random: WindowRandom, time_s: Tensor, rate_hz: float) -> Tensor:
    """One to three samples that are off, on one component."""
    length = uniform(random, "spike/length", (1.0, 4.0)).floor()[:, None]
    return _one_component(random) * ((time_s > -0.5 / rate_hz) & (time_s < (length - 0.5) / rate_hz))[:, None]


def glitches(random: WindowRandom, time_s: Tensor, rate_hz: float) -> Tensor:
    """Two to eight single samples off at one spacing, one sign or both: a digitizer upset by itself."""
    count = uniform(random, "glitches/count", (2.0, 1.0 + _MOST_GLITCHES)).floor()[:, None]
    spacing_s = log_uniform(random, "glitches/spacing_s", (0.1, 5.0))[:, None]
    number = (time_s / spacing_s).round()
    near = (time_s - number * spacing_s).abs() <= 0.5 / rate_hz
    sign = 1.0 - 2.0 * (number.remainder(2.0) * (random.uniform("glitches/sign") < 0.5)[:, None])
    pulses = near * (number >= 0) * (number < count) * sign
    return _one_component(random) * pulses[:, None]


def step(random: WindowRandom, time_s: Tensor, rate_hz: float) -> Tensor:
    """An offset of one component that stays."""
    return _one_component(random) * (time_s >= 0)[:, None]


def mass_jump(random: WindowRandom, time_s: Tensor, rate_hz: float) -> Tensor:
    """The one-sided long pulse of a seismometer whose mass slipped or tilted a little.

    A step of acceleration as the instrument of corner ω, damped critically, sees it: t exp(−ω t).
    """
    omega = (2.0 * math.pi / log_uniform(random, "mass_jump/period_s", (5.0, 120.0)))[:, None]
    since = time_s.clamp(min=0.0) * omega
    return _direction(random) * (since * decay(since))[:, None]


def calibration(random: WindowRandom, time_s: Tensor, rate_hz: float) -> Tensor:
    """Steps of a calibration coil's current, on and off, on all components alike.

    Each is a step of acceleration, to which a seismometer of corner ω and damping h answers with
    exp(−h ω t) sin(√(1−h²) ω t) in velocity.
    """
    omega = 2.0 * math.pi * log_uniform(random, "calibration/corner_hz", (0.05, 4.5))[:, None]
    damping = uniform(random, "calibration/damping", (0.6, 0.75))[:, None]
    duration_s = uniform(random, "calibration/duration_s", (2.0, 20.0))[:, None]
    pulses = torch.zeros_like(time_s)
    for since, sign in ((time_s, 1.0), (time_s - duration_s, -1.0)):
        phase = since.clamp(min=0.0) * omega
        pulses += sign * decay(damping * phase) * ((1.0 - damping.square()).sqrt() * phase).sin()
    return pulses[:, None].expand(-1, 3, -1)


def teleseism(random: WindowRandom, time_s: Tensor, rate_hz: float) -> Tensor:
    """Surface waves of a far earthquake: a packet of 8 to 30 s period, elliptical, its period falling.

    Rayleigh's vertical runs a quarter of a period away from the horizontal; Love's waves are left out.
    """
    period_s = log_uniform(random, "teleseism/period_s", (8.0, 30.0))[:, None]
    width_s = uniform(random, "teleseism/width_s", (15.0, 60.0))[:, None]
    sweep = uniform(random, "teleseism/sweep_per_s", (0.0, 0.004))[:, None]
    start = 2.0 * math.pi * random.uniform("teleseism/phase")[:, None]
    phase = 2.0 * math.pi / period_s * time_s * (1.0 + 0.5 * sweep * time_s) + start
    packet = bell(time_s / width_s)
    azimuth = 2.0 * math.pi * random.uniform("teleseism/azimuth")[:, None]
    flatness = uniform(random, "teleseism/ellipticity", (0.5, 0.9))[:, None]
    radial = flatness * packet * phase.cos()
    return torch.stack([packet * phase.sin(), radial * azimuth.cos(), radial * azimuth.sin()], dim=1)


def _thuds(random: WindowRandom, time_s: Tensor, rate_hz: float, count: Tensor) -> Tensor:
    """Some blows `(record, 1, sample)`: each t exp(−t/τ) sin 2πft, f of 5 to 35 Hz, on the same ground."""
    interval_s = uniform(random, "thuds/interval_s", (0.4, 0.8))[:, None]
    frequency_hz = uniform(random, "thuds/frequency_hz", (5.0, 35.0))[:, None]
    decay_s = uniform(random, "thuds/periods", (1.0, 4.0))[:, None] / frequency_hz
    number = torch.arange(_MOST_STEPS, device=random.device)
    falls_s = number * interval_s * uniform(random, "thuds/limp", (0.95, 1.05), _MOST_STEPS)
    weight = uniform(random, "thuds/weight", (0.5, 1.0), _MOST_STEPS) * (number < count[:, None])
    num_samples = time_s.shape[1]
    length = 2 * num_samples
    sample = torch.arange(num_samples, device=random.device) / rate_hz
    blow = sample * decay(sample / decay_s) * (2.0 * math.pi * frequency_hz * sample).sin()
    # One blow for each impulse of the train: a convolution costs the same for one and for thirty.
    train = torch.zeros(len(random), num_samples + 1, device=random.device)
    place = ((falls_s - time_s[:, :1]) * rate_hz).round().clamp_(0, num_samples).long()
    train.scatter_add_(1, place, weight)
    spectrum = torch.fft.rfft(train[:, :-1], n=length) * torch.fft.rfft(blow, n=length)
    return torch.fft.irfft(spectrum, n=length)[:, None, :num_samples]


def _direction(random: WindowRandom) -> Tensor:
    """A random direction of motion, `(record, 3, 1)`."""
    return random.normal("disturbance/direction", 3)[:, :, None]


def _one_component(random: WindowRandom) -> Tensor:
    """1 for one of the components and 0 for the others, `(record, 3, 1)`."""
    which = (3.0 * random.uniform("disturbance/component")).floor()
    return (torch.arange(3, device=random.device) == which[:, None]).float()[:, :, None]


SHAPES: dict[str, Shape] = {
    "footsteps": footsteps,
    "vehicle": vehicle,
    "thump": thump,
    "spike": spike,
    "glitches": glitches,
    "step": step,
    "mass_jump": mass_jump,
    "calibration": calibration,
    "teleseism": teleseism,
    "ring": ring,
    "beats": beats,
    "burst": burst,
    "pump": pump,
}

ON_THE_GROUND = ("footsteps", "vehicle", "thump", "ring", "beats", "burst", "pump")
"""What shakes the ground itself, all of it above 1 Hz; the others upset the sensor or come from far away."""
