"""How large an event must be to be seen: the magnitude that stands so far out of a station's noise."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .attenuation import geometric_spreading
from .media import velocity_at
from .plan import Geometry, Media, Sources
from .pulses import (
    corner_frequency_hz,
    far_field_displacement_m_s,
    hypocentral_km,
    log_brune,
    log_pulse_shape,
    seismic_moment_n_m,
)
from .seismometers import Instrument
from .sites import Site
from .snr import SNR_HIGHPASS_HZ, SPAN_S, expected_noise_rms
from .station_noise import NoiseLevels

MAGNITUDES = (-1.5, 7.5, 13)
"""Lowest, highest and number of those between which the answer is interpolated."""

NUM_FREQUENCIES = 40
P_CORNER_RATIO = 1.5
NOISE_SAMPLES = 512
"""Of the FFT whose frequencies stand for the noise: enough for a size."""


def magnitude_for_snr(
    snr: Tensor,
    media: Media,
    sources: Sources,
    geometry: Geometry,
    site: Site,
    instrument: Instrument,
    noise: NoiseLevels,
) -> Tensor:
    """The magnitude whose P pulse has about this amplitude ratio to a site's noise above 1 Hz, over 2 s.

    It is for unit radiation and without scattering: the ratio of a whole seismogram differs by some dB. All
    `(record,)`.
    """
    grid = torch.linspace(*MAGNITUDES[:2], MAGNITUDES[2], device=snr.device)
    log_rms = p_rms(grid, media, sources, geometry, site, instrument).clamp(min=1e-30).log()
    noise_rms = expected_noise_rms(noise, instrument.rate_hz, instrument.response, NOISE_SAMPLES)
    return _interpolated((snr * noise_rms).log(), log_rms, grid)


def p_rms(
    magnitudes: Tensor,
    media: Media,
    sources: Sources,
    geometry: Geometry,
    site: Site,
    instrument: Instrument,
) -> Tensor:
    """Root mean square over 2 s of the P pulse above 1 Hz, `(record, magnitude)`, as the instrument has it.

    By Parseval's theorem, 2 ∫ |V(f)|² df / 2 s, from frequencies spaced evenly in their logarithm.
    The way is taken for a straight one at the velocity about the source.
    """
    highest_hz = 0.45 * instrument.rate_hz
    ends = math.log10(SNR_HIGHPASS_HZ), math.log10(highest_hz)
    frequency_hz = torch.logspace(*ends, NUM_FREQUENCIES, device=magnitudes.device)
    distance_km, vp_km_s = hypocentral_km(sources, geometry), velocity_at(media, sources.depth_km, "P")
    travel_s = (distance_km / vp_km_s).float()
    flat = torch.full_like(travel_s, 1e9)
    shape = log_pulse_shape("P", frequency_hz, flat, travel_s, media, site, instrument)
    # The response holds the anti-alias filter as the shape does.
    seen = instrument.response(frequency_hz).abs().log() - instrument.log_alias(frequency_hz)
    shape = shape + seen + (2.0 * torch.pi * frequency_hz).log()
    moment = seismic_moment_n_m(magnitudes)
    vs_m_s = 1000.0 * velocity_at(media, sources.depth_km, "S")
    spreading = geometric_spreading(distance_km)
    columns = []
    for one in moment:
        corner_hz = P_CORNER_RATIO * corner_frequency_hz(one, sources.stress_drop_pa, vs_m_s)
        level = far_field_displacement_m_s(one, distance_km, vp_km_s) * spreading
        velocity = (shape + log_brune(frequency_hz, corner_hz)).exp() * level[:, None]
        columns.append((torch.trapezoid(velocity.square(), frequency_hz) * 2.0 / SPAN_S).sqrt())
    return torch.stack(columns, dim=1)


def _interpolated(wanted: Tensor, rising: Tensor, grid: Tensor) -> Tensor:
    """Where columns that rise from left to right `(record, grid)` reach a value `(record,)`."""
    right = torch.searchsorted(rising.contiguous(), wanted[:, None]).clamp(1, len(grid) - 1)
    low, high = rising.gather(1, right - 1)[:, 0], rising.gather(1, right)[:, 0]
    share = ((wanted - low) / (high - low)).clamp(0.0, 1.0)
    left = grid[right[:, 0] - 1]
    return left + share * (grid[right[:, 0]] - left)
