"""From rays, sources and sites to ground motion: waves, their pulses, and what scattering adds to them."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..event_types import EVENT_TYPES
from ..loading.window_random import WindowRandom
from .coda import coda_amplitude, coda_shape, reflectivity_spectrum, waxing, white_noise
from .draws import uniform
from .plan import BRANCHES
from .pulses import PulseConfig, log_pulse_shape, pulse_corner_hz, pulse_level_m_s, recorded_spectrum
from .scatterers import converted_motion, follower_arrivals, packet_arrivals
from .scene import Scene
from .source_trains import SourceTrains, source_trains
from .surface_waves import SurfaceWaveConfig, add_surface_waves

PAD_S = 15.0
ON_SAMPLE = 1e-4
FOLLOWER_SPAN_S = (0.3, 4.0)
LATEST_CONVERSION = 0.4
"""Converted waves keep within this share of S minus P from their parent."""

KINDS = {"P": slice(0, 4), "S": slice(4, 8)}
"""The columns of `BRANCHES` that are P and S, the first arrival first."""


@dataclass(frozen=True, kw_only=True)
class MotionConfig:
    """How ground motion is made of waves: pulses and surface waves."""

    pulses: PulseConfig = field(default_factory=PulseConfig)
    surface_waves: SurfaceWaveConfig = field(default_factory=SurfaceWaveConfig)


@dataclass(frozen=True, kw_only=True)
class _Arrivals:
    """The waves of P or S of each record, `(record, branch …)`.

    onset_sample: float64 `(record,)`, of the first arrival. delay_s: of each branch after it. separation_s: S
    minus P. alive: bool `(record,)`.
    """

    kind: str
    onset_sample: Tensor
    delay_s: Tensor
    motion: Tensor
    travel_time_s: Tensor
    separation_s: Tensor
    alive: Tensor


def ground_motion(
    scene: Scene,
    origin_s: Tensor,
    num_samples: int,
    event: WindowRandom,
    station: WindowRandom,
    config: MotionConfig,
) -> Tensor:
    """Noise-free motion as the instruments see it in m/s (accelerometers: m/s²), `(record, 3, sample)`.

    origin_s: float64 `(record,)`, the origin time after the first sample, which may be negative. Components
    are Z (up), N, E, float32. Nothing comes before the first arrival, and records of noise hold zeros.
    """
    rate_hz = scene.instrument.rate_hz
    length = transform_length(num_samples, rate_hz)
    trains = source_trains(scene.sources, event, length // 2 + 1, rate_hz)
    total = torch.zeros(len(event), 3, length // 2 + 1, dtype=torch.complex64, device=event.device)
    for kind in KINDS:
        arrivals = _arrivals(kind, scene, origin_s)
        pulse = _pulse(arrivals, scene, length, trains, event, config.pulses)
        total.addcmul_(_reflectivity(arrivals, scene, pulse, length, station), pulse[:, None])
    total *= scene.site.transfer(length, rate_hz)
    motion = torch.fft.irfft(total, n=length)[..., :num_samples]
    add_surface_waves(motion, scene, origin_s, length, trains, event, config.surface_waves)
    silent = torch.arange(num_samples, device=motion.device) < _first_sample(scene, origin_s)[:, None]
    return motion * (~silent).float()[:, None]


def transform_length(num_samples: int, rate_hz: float) -> int:
    """An even length with room for what would wrap around the end, fast to transform: 1, 3, 5 or 15 · 2^k."""
    wanted = num_samples + round(PAD_S * rate_hz)
    lengths = [factor << max((wanted - 1) // factor, 1).bit_length() for factor in (1, 3, 5, 15)]
    return min(lengths)


def _first_sample(scene: Scene, origin_s: Tensor) -> Tensor:
    """Where each record's motion begins: at P."""
    p_s = origin_s + scene.waves.travel_time_s[:, BRANCHES.index("P")].nan_to_num(0.0)
    return first_sample_after(p_s * scene.instrument.rate_hz)


def _arrivals(kind: str, scene: Scene, origin_s: Tensor) -> _Arrivals:
    time_s, columns = scene.waves.travel_time_s, KINDS[kind]
    first = {name: time_s[:, BRANCHES.index(name)] for name in KINDS}
    heard = scene.sources.kind != EVENT_TYPES.index("noise")
    alive = first[kind].isfinite() & heard
    onset_s = first[kind].nan_to_num(0.0)
    return _Arrivals(
        kind=kind,
        onset_sample=(origin_s + onset_s) * scene.instrument.rate_hz,
        delay_s=(time_s[:, columns] - onset_s[:, None]).nan_to_num(0.0).float(),
        motion=scene.waves.motion[:, columns],
        travel_time_s=onset_s.float(),
        separation_s=(first["S"] - first["P"]).nan_to_num(0.0).float(),
        alive=alive,
    )


def _pulse(
    arrivals: _Arrivals,
    scene: Scene,
    length: int,
    trains: SourceTrains,
    event: WindowRandom,
    config: PulseConfig,
) -> Tensor:
    """Spectrum `(record, frequency)` of what one impulse of the reflectivity becomes in the record."""
    rate_hz = scene.instrument.rate_hz
    frequency_hz = torch.arange(length // 2 + 1, device=event.device) * (rate_hz / length)
    ratio = uniform(event, "source/p_corner_ratio", config.p_corner_ratio)
    log_shape = log_pulse_shape(
        arrivals.kind,
        frequency_hz,
        pulse_corner_hz(arrivals.kind, scene.media, scene.sources, ratio),
        arrivals.travel_time_s,
        scene.media,
        scene.site,
        scene.instrument,
    )
    level_m_s = pulse_level_m_s(arrivals.kind, scene.media, scene.sources, scene.geometry)
    level_m_s = torch.where(arrivals.alive, level_m_s, 0.0)
    return trains.shape(recorded_spectrum(log_shape, level_m_s, scene.instrument, config.minimum_phase))


def _reflectivity(
    arrivals: _Arrivals, scene: Scene, pulse: Tensor, length: int, station: WindowRandom
) -> Tensor:
    """Spectrum of the impulses that arrive from the first onset on: branches, followers, coda."""
    rate_hz, kind = scene.instrument.rate_hz, arrivals.kind
    series = torch.zeros(len(pulse), 3, length, device=pulse.device)
    for delay_s, motion in _impulses(arrivals, scene, station):
        place_impulses(series, arrivals.onset_sample[:, None] + delay_s * rate_hz, motion)
    amplitude = coda_amplitude(kind, scene.scattering, torch.fft.irfft(pulse, n=length), station)
    lapse_s = arrivals.separation_s if kind == "P" else arrivals.travel_time_s
    shape = coda_shape(kind, scene.scattering, lapse_s)
    white = white_noise(kind, length, station)
    white *= waxing(kind, scene.scattering.coda_waxing, length, rate_hz, station)
    onset = first_sample_after(arrivals.onset_sample).float()
    return reflectivity_spectrum(series, onset, amplitude, shape, white, rate_hz)


def _impulses(arrivals: _Arrivals, scene: Scene, station: WindowRandom) -> list[tuple[Tensor, Tensor]]:
    """Delays (s, after the first onset) `(record, arrival)` and motions `(record, arrival, 3)`."""
    span_s = arrivals.separation_s.clamp(*FOLLOWER_SPAN_S)
    followers_s, followers = follower_arrivals(
        scene.scattering, station, arrivals.kind, arrivals.motion, span_s
    )
    direct = _packets(arrivals, scene, station)
    converted_s = scene.scattering.conversion_delay_s.minimum(LATEST_CONVERSION * arrivals.separation_s)
    converted_s = converted_s if arrivals.kind == "P" else -converted_s
    converted = converted_motion(scene.scattering, arrivals.motion[:, 0], arrivals.kind)
    followers_s = followers_s + arrivals.delay_s[:, :, None]
    return [
        *direct,
        (converted_s[:, None], converted[:, None]),
        (followers_s.flatten(1), followers.flatten(1, 2)),
    ]


def _packets(arrivals: _Arrivals, scene: Scene, station: WindowRandom) -> list[tuple[Tensor, Tensor]]:
    """P or S as packets of waves.

    Each wave of S is two: the faster with the vertical, and what is horizontally across, which comes later.
    """
    packet_s, size = packet_arrivals(scene.scattering, station, arrivals.kind, arrivals.motion.shape[1])
    delay_s = (arrivals.delay_s[:, :, None] + packet_s).flatten(1)
    parts = [(delay_s, arrivals.motion)]
    if arrivals.kind == "S":
        azimuth = scene.splitting.fast_azimuth_deg.deg2rad()
        across = torch.stack([torch.zeros_like(azimuth), -azimuth.sin(), azimuth.cos()], dim=1).float()
        slow = (arrivals.motion * across[:, None]).sum(dim=-1, keepdim=True) * across[:, None]
        later_s = delay_s + scene.splitting.delay_s[:, None].float()
        parts = [(delay_s, arrivals.motion - slow), (later_s, slow)]
    return [(part_s, (motion[:, :, None] * size[..., None]).flatten(1, 2)) for part_s, motion in parts]


def place_impulses(series: Tensor, place: Tensor, motion: Tensor) -> None:
    """Add impulses to `(record, 3, sample)`, each at the first sample that is not before it.

    A causal pulse that begins between two samples is first seen in the later one.

    place: float `(record, arrival)`, in samples; those before the first sample go to the end, from where the
        convolution brings them back. motion: `(record, arrival, 3)`. Places further out are left away.
    """
    length = series.shape[-1]
    room = length // 8
    index = first_sample_after(place).long()
    inside = (index >= -room) & (index < length - room)
    index = torch.remainder(index, length)[:, None].expand(-1, 3, -1)
    series.scatter_add_(2, index, (motion * inside[..., None]).transpose(1, 2))


def first_sample_after(place: Tensor) -> Tensor:
    """The first whole sample not before a place; one that lies on a sample but for rounding is there."""
    return (place - ON_SAMPLE).ceil()
