"""Machines near a station: narrow-band bursts that begin at once, ring or beat, and fade.

They were what a picker that had learned on synthetic records took most often for P in real noise: lines of
4 to 40 Hz that are switched on for seconds, knocks that ring, pumps. All components hear them, each with its
own strength and phase. Shapes are as in `disturbance_shapes`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..loading.window_random import WindowRandom
from .draws import Range, log_uniform, uniform
from .envelopes import decay

MACHINE_HZ = (4.0, 40.0)
HIGHEST_SHARE = 0.42
"""Of the sampling rate: what its anti-alias filter leaves."""

QUALITY = (5.0, 50.0)
RUN_S = (0.7, 30.0)
BEAT_HZ = (0.2, 2.0)
RISE_CYCLES = (0.1, 0.7)
"""Time constant of the beginning, so that two cycles later it is over."""

_MODES = 3
_MOST_RUNS = 12


def ring(random: WindowRandom, time_s: Tensor, rate_hz: float) -> Tensor:
    """A knock on something that rings: one mode of Q 5 to 50, and two weaker ones beside it."""
    frequency_hz = _frequency(random, rate_hz, _MODES)
    quality = log_uniform(random, "ring/quality", QUALITY, _MODES)
    weight = uniform(random, "ring/weight", (0.0, 0.6), _MODES)
    weight[:, 0] = 1.0
    since_s = time_s.clamp(min=0.0)
    motion = torch.zeros(len(random), 3, time_s.shape[1], device=time_s.device)
    for mode in range(_MODES):
        hz, own = frequency_hz[:, mode, None], random.derive(f"mode {mode}")
        envelope = decay((math.pi / quality[:, mode, None]) * hz * since_s) * _begin(own, since_s, hz)
        motion += _heard(own, _line(time_s, hz) * (weight[:, mode, None] * envelope)[:, None])
    return motion


def beats(random: WindowRandom, time_s: Tensor, rate_hz: float) -> Tensor:
    """A machine runs for a while with two lines that beat 0.2 to 2 times a second."""
    hz = _frequency(random, rate_hz)
    return _heard(random, _beating(random, time_s, hz) * _run(random, time_s, hz)[:, None])


def burst(random: WindowRandom, time_s: Tensor, rate_hz: float) -> Tensor:
    """A machine runs for a while and rattles: noise in a band of Q 5 to 50."""
    hz = _frequency(random, rate_hz)
    band = _band(random, time_s, hz, rate_hz)
    return _heard(random, band * _run(random, time_s, hz)[:, None])


def pump(random: WindowRandom, time_s: Tensor, rate_hz: float) -> Tensor:
    """A pump or a compressor that switches on and off 2 to 12 times, humming or rattling."""
    hz = _frequency(random, rate_hz)
    count = uniform(random, "pump/count", (2.0, 1.0 + _MOST_RUNS)).floor()[:, None]
    period_s = log_uniform(random, "pump/period_s", (1.5, 15.0))[:, None]
    on_s = uniform(random, "pump/on", (0.2, 0.7))[:, None] * period_s
    number = (time_s / period_s).floor().clamp(min=0.0).minimum(count - 1.0)
    since_s = time_s - number * period_s
    # What is left of one run when the next begins is too little to be heard stop.
    fade_s = uniform(random, "pump/fade", (0.05, 0.2))[:, None] * (period_s - on_s)
    rattles = (random.uniform("pump/rattles") < 0.5)[:, None, None]
    sound = torch.where(rattles, _band(random, time_s, hz, rate_hz), _beating(random, time_s, hz))
    return _heard(random, sound * _envelope(random, since_s, hz, on_s, fade_s)[:, None])


def _frequency(random: WindowRandom, rate_hz: float, *shape: int) -> Tensor:
    """Frequencies in Hz, `(record, 1)` or as asked."""
    limits: Range = (MACHINE_HZ[0], min(MACHINE_HZ[1], HIGHEST_SHARE * rate_hz))
    return log_uniform(random, "machine/frequency_hz", limits, *(shape or (1,)))


def _run(random: WindowRandom, time_s: Tensor, hz: Tensor) -> Tensor:
    """The envelope of one run of 0.7 to 30 s, of which the last part fades."""
    run_s = log_uniform(random, "machine/run_s", RUN_S)[:, None]
    fade_s = uniform(random, "machine/fade", (0.03, 0.3))[:, None] * run_s
    return _envelope(random, time_s, hz, run_s, fade_s)


def _envelope(random: WindowRandom, since_s: Tensor, hz: Tensor, on_s: Tensor, fade_s: Tensor) -> Tensor:
    """`(record, sample)` of something that is on for a time and then dies away."""
    return _begin(random, since_s, hz) * decay((since_s - on_s).clamp_(min=0.0) / fade_s)


def _begin(random: WindowRandom, since_s: Tensor, hz: Tensor) -> Tensor:
    """From 0 to 1 within two cycles."""
    rise_s = uniform(random, "machine/rise_cycles", RISE_CYCLES)[:, None] / hz
    return 1.0 - decay(since_s.clamp(min=0.0) / rise_s)


def _line(time_s: Tensor, hz: Tensor) -> Tensor:
    """Cosine and sine of one frequency, `(record, 2, sample)`."""
    phase = (2.0 * math.pi) * hz * time_s
    return torch.stack([phase.cos(), phase.sin()], dim=1)


def _beating(random: WindowRandom, time_s: Tensor, hz: Tensor) -> Tensor:
    """A line and a weaker one close to it. They are in step at the beginning."""
    away_hz = log_uniform(random, "machine/beat_hz", BEAT_HZ)[:, None]
    weight = uniform(random, "machine/second_line", (0.2, 1.0))[:, None, None]
    return _line(time_s, hz) + weight * _line(time_s, hz - away_hz)


def _band(random: WindowRandom, time_s: Tensor, hz: Tensor, rate_hz: float) -> Tensor:
    """Noise around a frequency, and the same a quarter of a cycle later, `(record, 2, sample)`."""
    quality = log_uniform(random, "machine/quality", QUALITY)[:, None]
    length = time_s.shape[1] + time_s.shape[1] % 2
    grid_hz = torch.arange(length // 2 + 1, device=time_s.device) * (rate_hz / length)
    # Half the power lies within hz / Q.
    colour = decay((math.sqrt(2.0 * math.log(2.0)) * (grid_hz / hz - 1.0) * quality).square_())
    white = torch.view_as_complex(random.normal("machine/white", length // 2 + 1, 2)) * colour
    both = torch.stack([white, -1j * white], dim=1)
    band = torch.fft.irfft(both, n=length)[..., : time_s.shape[1]]
    return band / band.square().mean(dim=(1, 2), keepdim=True).sqrt().clamp_(min=1e-20)


def _heard(random: WindowRandom, sound: Tensor) -> Tensor:
    """What Z, N and E make of cosine and sine `(record, 2, sample)`: strengths and phases of the station."""
    strength = (0.6 * random.normal("machine/strength", 3)).exp()
    phase = (2.0 * math.pi) * random.uniform("machine/phase", 3)
    return torch.stack([strength * phase.cos(), strength * phase.sin()], dim=-1) @ sound
