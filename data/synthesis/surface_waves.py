"""Rg: the short-period Rayleigh wave that shallow sources send along the uppermost kilometres."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..event_types import EVENT_TYPES
from ..loading.window_random import WindowRandom
from .draws import Range, check_ranges, check_shares, log_uniform, uniform
from .media import velocity_at
from .plan import BRANCHES
from .pulses import far_field_displacement_m_s, log_brune, pulse_corner_hz, seismic_moment_n_m
from .scene import Scene
from .source_trains import SourceTrains

DEEPEST_KM = 5.0
HIGHEST_HZ = 6.0
REFERENCE_KM = 1.0
DISPERSION_HZ = 1.5
ELLIPTICITY = 0.7
"""Radial over vertical motion of Rayleigh waves on a half-space with Poisson's ratio 1/4: 0.68."""

DECAY = 0.8
"""Motion falls with depth about as exp(−0.8 k z), k being the wave number."""

ONSET_S = 0.4


@dataclass(frozen=True, kw_only=True)
class SurfaceWaveConfig:
    """The Rg of a region's shallow sources.

    share: of the events whose ground guides it. strength: log-uniform, its displacement at 1 km from a source
    at the surface relative to that of S. fast_km_s, slow_km_s: group velocities far below and above 1.5 Hz.
    band_hz: where it is strong. quality: Q of the way, log-uniform.
    """

    share: float = 0.8
    strength: Range = (0.03, 0.5)
    fast_km_s: Range = (2.2, 3.0)
    slow_km_s: Range = (1.5, 2.0)
    band_hz: Range = (0.5, 3.0)
    quality: Range = (30.0, 150.0)

    def __post_init__(self) -> None:
        check_shares(self, "share")
        check_ranges(self, "strength", "fast_km_s", "slow_km_s", "band_hz", "quality", lowest=1e-3)
        if self.slow_km_s[1] > self.fast_km_s[0]:
            raise ValueError(
                "slow_km_s must lie below fast_km_s, as velocity grows with depth and low frequencies reach "
                f"deeper, found {self.slow_km_s} and {self.fast_km_s}"
            )
        if not self.band_hz[0] < self.band_hz[1] <= HIGHEST_HZ / 2:
            raise ValueError(f"band_hz must rise and end below {HIGHEST_HZ / 2:g} Hz, found {self.band_hz}")


@dataclass(frozen=True, kw_only=True)
class _Guide:
    """The way of Rg, all `(record,)`."""

    strength: Tensor
    fast_km_s: Tensor
    slow_km_s: Tensor
    quality: Tensor

    def group_velocity_km_s(self, frequency_hz: Tensor) -> Tensor:
        """Falling with frequency, `(record, frequency)`."""
        share = torch.exp(-((frequency_hz / DISPERSION_HZ) ** 2)).to(self.fast_km_s.dtype)
        return self.slow_km_s[:, None] + (self.fast_km_s - self.slow_km_s)[:, None] * share


def add_surface_waves(
    motion: Tensor,
    scene: Scene,
    origin_s: Tensor,
    length: int,
    trains: SourceTrains,
    event: WindowRandom,
    config: SurfaceWaveConfig,
) -> None:
    """Add Rg to `(record, 3, sample)`, in place, where the source is shallow enough to excite it.

    length: of the transform, even, and longer than the records. Events deeper than 5 km excite none.
    """
    shallow = (scene.sources.depth_km < DEEPEST_KM) & (event.uniform("rg/share") < config.share)
    heard = scene.sources.kind != EVENT_TYPES.index("noise")
    rows = (shallow & heard).nonzero().flatten()
    if not len(rows):
        return
    rate_hz = scene.instrument.rate_hz
    count = int(min(HIGHEST_HZ, 0.5 * rate_hz) * length / rate_hz) + 1
    frequency_hz = torch.arange(count, device=motion.device) * (rate_hz / length)
    guide = _guide(event, config)
    size = _log_size(frequency_hz, guide, scene, config).clamp_(min=-80.0).exp_()
    size[:, 0] = 0.0
    spectrum = torch.polar(size, _phase_rad(frequency_hz, guide, scene, origin_s, event))
    spectrum *= torch.complex(*scene.instrument.velocity_response(frequency_hz))
    vertical = trains.shape(spectrum)[rows] * rate_hz
    # Retrograde: at the surface the ground moves towards the source while it is up.
    both = torch.stack([vertical, ELLIPTICITY * 1j * vertical], dim=1)
    train = torch.fft.irfft(both, n=length)[..., : motion.shape[-1]]
    train *= _onset(motion.shape[-1], guide, scene, origin_s)[rows][:, None]
    azimuth = scene.geometry.back_azimuth_deg.deg2rad().float()[rows, None]
    moved = torch.stack([train[:, 0], -azimuth.cos() * train[:, 1], -azimuth.sin() * train[:, 1]], dim=1)
    motion.index_add_(0, rows, moved)


def _guide(event: WindowRandom, config: SurfaceWaveConfig) -> _Guide:
    return _Guide(
        strength=log_uniform(event, "rg/strength", config.strength),
        fast_km_s=uniform(event, "rg/fast", config.fast_km_s),
        slow_km_s=uniform(event, "rg/slow", config.slow_km_s),
        quality=log_uniform(event, "rg/quality", config.quality),
    )


def _log_size(frequency_hz: Tensor, guide: _Guide, scene: Scene, config: SurfaceWaveConfig) -> Tensor:
    """Logarithm of the recorded amplitude spectrum of the vertical in m, `(record, frequency)`.

    M0 / (4π ρ β³ R) at 1 km, cylindrical spreading R^-0.5 from there, Brune's spectrum, and exp(−0.8 k z)
    for the source's depth (Aki & Richards, 2002, ch. 7).
    """
    sources = scene.sources
    vs_km_s = velocity_at(scene.media, sources.depth_km, "S")
    distance_km = scene.geometry.distance_km.float().clamp(min=0.1)
    level = far_field_displacement_m_s(
        seismic_moment_n_m(sources.magnitude), torch.full_like(vs_km_s, REFERENCE_KM), vs_km_s
    )
    level = level * guide.strength * (REFERENCE_KM / distance_km.clamp(min=REFERENCE_KM)).sqrt()
    velocity = guide.group_velocity_km_s(frequency_hz)
    wave_number = 2.0 * math.pi * frequency_hz / velocity
    lost = 0.5 * distance_km / guide.quality + DECAY * sources.depth_km.float()
    corner_hz = pulse_corner_hz("S", scene.media, sources, torch.ones_like(vs_km_s))
    size = log_brune(frequency_hz, corner_hz).addcmul_(wave_number, lost[:, None], value=-1.0)
    order = 1.0 + scene.instrument.accelerometer.float()[:, None]
    omega = (2.0 * math.pi * frequency_hz).clamp(min=1e-6)
    return size + level.log()[:, None] + order * omega.log() + _log_band(frequency_hz, config)


def _log_band(frequency_hz: Tensor, config: SurfaceWaveConfig) -> Tensor:
    """Logarithm of a taper: 1 within the band, falling over an octave on either side."""
    low_hz, high_hz = config.band_hz
    log_f = frequency_hz.clamp(min=1e-3).log2()
    outside = (math.log2(low_hz) - log_f).clamp(min=0.0) + (log_f - math.log2(high_hz)).clamp(min=0.0)
    return torch.cos(0.5 * math.pi * outside.clamp(max=1.0)).clamp(min=1e-12).log()


def _phase_rad(
    frequency_hz: Tensor, guide: _Guide, scene: Scene, origin_s: Tensor, event: WindowRandom
) -> Tensor:
    """The phase whose slope is the group delay: −2π ∫ (t0 + Δ / U(f)) df, and a random constant."""
    slowness = 1.0 / guide.group_velocity_km_s(frequency_hz).double()
    delay_s = origin_s.double()[:, None] + scene.geometry.distance_km.double()[:, None] * slowness
    cycles = delay_s.cumsum(dim=1) * float(frequency_hz[1]) - event.uniform("rg/phase")[:, None]
    return (-2.0 * math.pi * (cycles - cycles.round())).float()


def _onset(num_samples: int, guide: _Guide, scene: Scene, origin_s: Tensor) -> Tensor:
    """A rise `(record, sample)` from 0 where the fastest group, but not before S, arrives."""
    s_time_s = scene.waves.travel_time_s[:, BRANCHES.index("S")].nan_to_num(0.0)
    start_s = origin_s + torch.maximum(scene.geometry.distance_km.double() / guide.fast_km_s, s_time_s)
    sample = torch.arange(num_samples, device=start_s.device)
    since = (sample - (start_s * scene.instrument.rate_hz)[:, None]).float() / scene.instrument.rate_hz
    return -torch.expm1(-(since.clamp(0.0, 10.0 * ONSET_S) / ONSET_S).square())
