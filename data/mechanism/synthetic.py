"""Observations of random double couples by random networks, with the errors that real ones have."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .double_couple import couple_tensors, frame_vectors, random_frames
from .observations import EventObservations
from .radiation import FAINTEST, log10_sp_ratio, p_radiation, ray_products, rays_of


@dataclass(frozen=True, kw_only=True)
class ObservationConfig:
    """How many stations see an event, and how well.

    stations: fewest and most. flipped: largest share of wrong polarities; each event draws its own.
    faint: noise, as a share of the strongest P: a P this weak often has the wrong sign besides.
    faint_log10: standard deviation of the noise's log10 between stations. snr: share of events whose SNR is
    told.
    unseen: largest share of stations without a polarity. ratios: largest share with an S/P ratio.
    waveform_samples: of the motion about each P at 100 Hz, 0 for none.
    sp_noise_log10: standard deviation of log10 S/P, 0.3 being a factor of 2. direction_error_deg: largest
    standard deviation of azimuths and take-off angles. gap_deg: largest empty range of azimuth.
    """

    stations: tuple[int, int] = (6, 60)
    flipped: float = 0.2
    faint: float = 0.05
    faint_log10: float = 0.3
    snr: float = 0.5
    unseen: float = 0.2
    ratios: float = 0.6
    sp_noise_log10: float = 0.3
    direction_error_deg: float = 12.0
    gap_deg: float = 180.0
    waveform_samples: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.stations[0] <= self.stations[1]:
            raise ValueError(f"stations are fewest and most, at least one, found {self.stations}")


def draw_observations(
    count: int, config: ObservationConfig, generator: torch.Generator
) -> tuple[EventObservations, Tensor]:
    """Observations of `count` events, and their true axes `(event, 3, 3)` as `frames_of` gives them."""
    frames = random_frames(count, generator)
    fewest, most = config.stations
    number = torch.randint(fewest, most + 1, (count, 1), generator=generator)
    observed = torch.arange(int(number.max())) < number
    chance = _Chance(observed.shape, generator)
    azimuth_deg, takeoff_deg = _directions(config, chance)
    products = ray_products(rays_of(azimuth_deg, takeoff_deg))
    tensors = couple_tensors(*frame_vectors(frames))[:, None]
    p = p_radiation(products, tensors)[..., 0]
    ratio = log10_sp_ratio(products, tensors)[..., 0]
    error_deg = config.direction_error_deg * chance.by_event()
    noise = config.faint * 10.0 ** (config.faint_log10 * chance.normal())
    observations = EventObservations(
        polarity=_polarities(p, noise, config, chance).float(),
        log10_sp_ratio=_ratios(ratio, config, chance).float(),
        azimuth_deg=(azimuth_deg + error_deg * chance.normal()).float(),
        takeoff_deg=(takeoff_deg + error_deg * chance.normal()).clamp(0.0, 180.0).float(),
        observed=observed,
        log10_snr=_snr(p, noise, config, chance).float(),
        waveform=_waveforms(p, noise, config, chance) if config.waveform_samples else None,
    )
    return observations, frames.float()


@dataclass(frozen=True)
class _Chance:
    shape: torch.Size
    generator: torch.Generator

    def uniform(self) -> Tensor:
        return torch.rand(self.shape, generator=self.generator, dtype=torch.float64)

    def by_event(self) -> Tensor:
        return torch.rand(self.shape[0], 1, generator=self.generator, dtype=torch.float64)

    def normal(self) -> Tensor:
        return torch.randn(self.shape, generator=self.generator, dtype=torch.float64)


def _directions(config: ObservationConfig, chance: _Chance) -> tuple[Tensor, Tensor]:
    """Azimuths with a gap, and take-off angles of direct rays with some refracted ones.

    Distances are from a tenth of the depth to eight times; every event has its own depth against its network.
    """
    span_deg = 360.0 - config.gap_deg * chance.by_event()
    azimuth_deg = 360.0 * chance.by_event() + span_deg * chance.uniform()
    distance_over_depth = 10.0 ** (-1.0 + 1.2 * chance.uniform() + 0.7 * chance.by_event())
    upwards_deg = 180.0 - distance_over_depth.atan().rad2deg()
    refracted = (chance.uniform() < 0.4 * chance.by_event()) & (distance_over_depth > 1.5)
    return azimuth_deg, torch.where(refracted, 50.0 + 40.0 * chance.uniform(), upwards_deg)


def _polarities(p: Tensor, noise: Tensor, config: ObservationConfig, chance: _Chance) -> Tensor:
    seen = (p + noise * chance.normal()).sign()
    wrong = chance.uniform() < config.flipped * chance.by_event()
    unseen = chance.uniform() < config.unseen * chance.by_event()
    return torch.where(wrong, -seen, seen).masked_fill(unseen, torch.nan)


def _ratios(ratio: Tensor, config: ObservationConfig, chance: _Chance) -> Tensor:
    measured = chance.uniform() < config.ratios * chance.by_event()
    return (ratio + config.sp_noise_log10 * chance.normal()).masked_fill(~measured, torch.nan)


def _snr(p: Tensor, noise: Tensor, config: ObservationConfig, chance: _Chance) -> Tensor:
    """log10 of P over noise, both measured with scatter, told for some events."""
    measured = (p.abs().clamp(min=FAINTEST) / noise).log10() + 0.1 * chance.normal()
    return measured.masked_fill(chance.by_event() >= config.snr, torch.nan)


def _waveforms(p: Tensor, noise: Tensor, config: ObservationConfig, chance: _Chance) -> Tensor:
    """One-sided pulses of P with a coda and noise `(event, station, sample)`, the pick off by some samples.

    Enough to learn from what a first motion is; what real ones look like is left to real records.
    """
    sample = torch.arange(config.waveform_samples, dtype=torch.float64)
    onset = config.waveform_samples / 2.0 + 2.0 * chance.normal()[..., None]
    since_s = (sample - onset).clamp(min=0.0) / 100.0
    rise_s = 10.0 ** (-1.6 + 0.3 * chance.normal())[..., None]
    # A derivative of (t/τ)² e^(−t/τ): ground velocity of a one-sided far-field displacement.
    pulse = since_s / rise_s * (2.0 - since_s / rise_s) * (-since_s / rise_s).exp()
    rough = torch.randn(*p.shape, len(sample), generator=chance.generator, dtype=torch.float64)
    coda = 0.3 * (1.0 - (-since_s / (4.0 * rise_s)).exp()) * rough
    still = torch.randn(*p.shape, len(sample), generator=chance.generator, dtype=torch.float64)
    return (
        p[..., None] * pulse + p.abs().clamp(min=0.1)[..., None] * coda + noise[..., None] * still
    ).float()
