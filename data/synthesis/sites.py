"""The ground below a station: what its last kilometres absorb, and what they amplify."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from ..loading.window_random import WindowRandom
from .attenuation import minimum_phase_rad
from .draws import Range, check_ranges, log_uniform, uniform

NUM_KNOTS = 40
KNOTS_HZ = (0.2, 51.2)
"""The lowest and the highest knot of a transfer function, 8 octaves apart; it is flat outside."""


@dataclass(frozen=True, kw_only=True)
class SiteConfig:
    """The sites of a region.

    kappa_s: near-surface attenuation, log-uniform. resonance_hz: peak of soft ground, log-uniform;
    resonance_gain: what it adds to 1; resonance_width: in natural-log frequency.
    roughness: standard deviation of the logarithm of each component's own transfer function, which thin
    layers and topography fill with small peaks; (0, 0) leaves it away. Each record's is uniform in the range.
    """

    kappa_s: Range = (0.003, 0.05)
    resonance_hz: Range = (1.5, 20.0)
    resonance_gain: Range = (0.0, 5.0)
    resonance_width: Range = (0.1, 0.4)
    roughness: Range = (0.25, 0.45)

    def __post_init__(self) -> None:
        check_ranges(self, "kappa_s", lowest=1e-5)
        check_ranges(self, "resonance_hz", "resonance_width", lowest=0.01)
        check_ranges(self, "resonance_gain", "roughness", lowest=0.0)


@dataclass(frozen=True, kw_only=True)
class Site:
    """The ground of each record's station, all `(record,)`; see `SiteConfig`.

    log_gain: of each component at the knots of its transfer function, natural logarithm,
    `(record, component, knot)`.
    """

    kappa_s: Tensor
    resonance_hz: Tensor
    resonance_gain: Tensor
    resonance_width: Tensor
    log_gain: Tensor

    def log_resonance(self, frequency_hz: Tensor) -> Tensor:
        """The logarithm of soft ground's amplification, `(record, frequency)`; 0 far from the peak."""
        log_f = frequency_hz.clamp(min=1e-3).log()
        away = (log_f - self.resonance_hz.log()[:, None]).div_(self.resonance_width[:, None])
        peak = away.square_().mul_(-0.5).clamp_(min=-80.0).exp_()
        return peak.mul_(self.resonance_gain[:, None]).log1p_()

    def transfer(self, length: int, rate_hz: float) -> Tensor:
        """What the ground does to each component, complex64 `(record, component, frequency)`.

        On the frequencies of an rfft over `length` samples. It has minimum phase: nothing comes sooner, and
        what comes first keeps its sign.
        """
        log_amplitude, phase_rad = _knot_responses(length, rate_hz, self.log_gain.device)
        return torch.polar((self.log_gain @ log_amplitude).exp_(), self.log_gain @ phase_rad)


def draw_site(station: WindowRandom, config: SiteConfig) -> Site:
    """The site of each record's station."""
    roughness = uniform(station, "site/roughness", config.roughness)
    return Site(
        kappa_s=log_uniform(station, "site/kappa", config.kappa_s),
        resonance_hz=log_uniform(station, "site/resonance", config.resonance_hz),
        resonance_gain=uniform(station, "site/resonance_gain", config.resonance_gain),
        resonance_width=uniform(station, "site/resonance_width", config.resonance_width),
        log_gain=station.normal("site/gain", 3, NUM_KNOTS) * roughness[:, None, None],
    )


@lru_cache(maxsize=8)
def _knot_responses(length: int, rate_hz: float, device: torch.device) -> tuple[Tensor, Tensor]:
    """Logarithm of the amplitude and phase (rad) that each knot adds, both `(knot, frequency)`.

    A minimum phase is linear in the logarithm of the amplitude, so that one transform for each knot serves
    all records. Between knots, which are evenly spaced in the logarithm of frequency, weights are cosine
    bells that sum to 1.
    """
    lowest_hz, highest_hz = KNOTS_HZ
    frequency_hz = torch.arange(length // 2 + 1, dtype=torch.float64) * (rate_hz / length)
    octaves = (frequency_hz.clamp(lowest_hz, highest_hz) / lowest_hz).log2()
    place = octaves * ((NUM_KNOTS - 1) / math.log2(highest_hz / lowest_hz))
    away = (place - torch.arange(NUM_KNOTS)[:, None]).abs().clamp(max=1.0)
    weight = 0.5 + 0.5 * (math.pi * away).cos()
    return weight.to(device, torch.float32), minimum_phase_rad(weight).to(device, torch.float32)
