"""The ground below a station: what its last kilometres absorb, and what they amplify."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..loading.window_random import WindowRandom
from .draws import Range, check_ranges, log_uniform, uniform


@dataclass(frozen=True, kw_only=True)
class SiteConfig:
    """The sites of a region.

    kappa_s: near-surface attenuation, log-uniform. resonance_hz: peak of soft ground, log-uniform;
    resonance_gain: what it adds to 1; resonance_width: in natural-log frequency.
    """

    kappa_s: Range = (0.003, 0.05)
    resonance_hz: Range = (1.5, 20.0)
    resonance_gain: Range = (0.0, 5.0)
    resonance_width: Range = (0.1, 0.4)

    def __post_init__(self) -> None:
        check_ranges(self, "kappa_s", lowest=1e-5)
        check_ranges(self, "resonance_hz", "resonance_width", lowest=0.01)
        check_ranges(self, "resonance_gain", lowest=0.0)


@dataclass(frozen=True, kw_only=True)
class Site:
    """The ground of each record's station, all `(record,)`; see `SiteConfig`."""

    kappa_s: Tensor
    resonance_hz: Tensor
    resonance_gain: Tensor
    resonance_width: Tensor

    def log_resonance(self, frequency_hz: Tensor) -> Tensor:
        """The logarithm of soft ground's amplification, `(record, frequency)`; 0 far from the peak."""
        log_f = frequency_hz.clamp(min=1e-3).log()
        away = (log_f - self.resonance_hz.log()[:, None]).div_(self.resonance_width[:, None])
        peak = away.square_().mul_(-0.5).clamp_(min=-80.0).exp_()
        return peak.mul_(self.resonance_gain[:, None]).log1p_()


def draw_site(station: WindowRandom, config: SiteConfig) -> Site:
    """The site of each record's station."""
    return Site(
        kappa_s=log_uniform(station, "site/kappa", config.kappa_s),
        resonance_hz=log_uniform(station, "site/resonance", config.resonance_hz),
        resonance_gain=uniform(station, "site/resonance_gain", config.resonance_gain),
        resonance_width=uniform(station, "site/resonance_width", config.resonance_width),
    )
