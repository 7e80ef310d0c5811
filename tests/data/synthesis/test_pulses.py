"""Pulses: level, corner and slope as asked, causal, and in the unit of the sensor."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from seisfm.data.synthesis.pulses import (
    PulseConfig,
    corner_frequency_hz,
    far_field_displacement_m_s,
    hypocentral_km,
    log_brune,
    log_pulse_shape,
    pulse_corner_hz,
    pulse_level_m_s,
    recorded_spectrum,
    seismic_moment_n_m,
)

RATE_HZ, LENGTH = 100.0, 8192
FREQUENCY_HZ = torch.arange(LENGTH // 2 + 1) * (RATE_HZ / LENGTH)


def _recorded(scene, kind="S"):
    ratio = torch.full_like(scene.sources.magnitude, 1.5)
    corner_hz = pulse_corner_hz(kind, scene.media, scene.sources, ratio)
    travel_s = scene.waves.travel_time_s[:, 0 if kind == "P" else 4].float()
    shape = log_pulse_shape(
        kind, FREQUENCY_HZ, corner_hz, travel_s, scene.media, scene.site, scene.instrument
    )
    level = pulse_level_m_s(kind, scene.media, scene.sources, scene.geometry)
    return recorded_spectrum(shape, level, scene.instrument), shape, level, corner_hz


def test_a_magnitude_2_at_3_mpa_has_its_corner_at_8_hz_and_a_thousand_times_the_moment_a_tenth_of_it():
    moment = seismic_moment_n_m(torch.tensor([2.0, 4.0]))
    torch.testing.assert_close(moment, torch.tensor([10**12.1, 10**15.1]), rtol=1e-5, atol=0.0)
    corner_hz = corner_frequency_hz(moment, torch.tensor(3e6), torch.tensor(3500.0))
    assert float(corner_hz[0]) == pytest.approx(
        0.37 * 3500 * (16 * 3e6 / (7 * 10**12.1)) ** (1 / 3), rel=1e-4
    )
    assert float(corner_hz[0] / corner_hz[1]) == pytest.approx(10.0, rel=1e-4)


def test_displacement_halves_at_the_corner_and_falls_with_the_square_above():
    amplitude = log_brune(torch.tensor([0.0, 5.0, 100.0, 200.0]), torch.tensor([5.0])).exp()[0]
    assert amplitude[:2].tolist() == pytest.approx([1.0, 0.5])
    assert float(amplitude[2] / amplitude[3]) == pytest.approx(4.0, rel=0.01)


def test_level_is_that_of_aki_and_richards():
    """M0 = 1e15 N·m at 10 km in rock of 6 km/s: 1e15 / (4π · 2700 · 6000³ · 10⁴) m·s."""
    level = far_field_displacement_m_s(torch.tensor(1e15), torch.tensor(10.0), torch.tensor(6.0))
    assert float(level) == pytest.approx(1e15 / (4 * math.pi * 2700 * 6000**3 * 1e4), rel=1e-5)


@pytest.mark.parametrize("kind", ["P", "S"])
def test_recorded_velocity_has_the_spectrum_of_source_path_and_site_to_1_percent(
    draw_scene, only_direct, kind
):
    scene, _, _ = draw_scene(32, only_direct)
    spectrum, shape, level, _ = _recorded(scene, kind)
    omega = 2.0 * math.pi * FREQUENCY_HZ
    omega = omega * torch.where(scene.instrument.accelerometer[:, None], omega, 1.0)
    real, imaginary = scene.instrument.velocity_response(FREQUENCY_HZ)
    expected = shape.exp() * omega * level[:, None] * RATE_HZ * torch.hypot(real, imaginary)
    band = slice(40, 3600)
    torch.testing.assert_close(spectrum.abs()[:, band], expected[:, band], rtol=0.01, atol=0.0)


def test_the_corner_is_recovered_from_the_recorded_spectrum(draw_scene, only_direct):
    """Where velocity over ω, corrected for path and instrument, is half of its level: to 5 %."""
    scene, _, _ = draw_scene(64, only_direct)
    spectrum, shape, level, corner_hz = _recorded(scene)
    path = shape - log_brune(FREQUENCY_HZ, corner_hz)
    real, imaginary = scene.instrument.velocity_response(FREQUENCY_HZ)
    omega = 2.0 * math.pi * FREQUENCY_HZ
    omega = omega * torch.where(scene.instrument.accelerometer[:, None], omega, 1.0)
    source = spectrum.abs() / (path.exp() * torch.hypot(real, imaginary) * omega * RATE_HZ * level[:, None])
    measurable = (corner_hz > 0.5) & (corner_hz < 20.0)
    above = (source < 0.5) & (FREQUENCY_HZ > 0.1)
    found_hz = FREQUENCY_HZ[above.float().argmax(dim=1)]
    assert int(measurable.sum()) > 20
    torch.testing.assert_close(found_hz[measurable], corner_hz[measurable], rtol=0.05, atol=0.02)


@pytest.mark.parametrize("kind", ["P", "S"])
def test_nothing_precedes_the_onset(draw_scene, only_direct, kind):
    """Up to magnitude 4, at most 1e-4 of the peak in the 5 s before, at 256 stations."""
    config = dataclasses.replace(
        only_direct, sources=dataclasses.replace(only_direct.sources, magnitude=(-1.0, 4.0))
    )
    scene, _, _ = draw_scene(256, config)
    pulse = torch.fft.irfft(_recorded(scene, kind)[0], n=LENGTH)
    peak = pulse.abs().amax(dim=1)
    assert float((pulse[:, -500:].abs().amax(dim=1) / peak).max()) < 1e-4


def test_attenuation_without_phase_comes_early(draw_scene, only_direct):
    scene, _, _ = draw_scene(16, only_direct)
    _, shape, level, _ = _recorded(scene)
    pulse = torch.fft.irfft(recorded_spectrum(shape, level, scene.instrument, minimum_phase=False), n=LENGTH)
    early = pulse[:, -500:].abs().amax(dim=1) / pulse.abs().amax(dim=1)
    assert float(early.min()) > 0.1


def test_an_accelerometer_writes_the_derivative_of_velocity(draw_scene, only_direct):
    scene, _, _ = draw_scene(8, only_direct)
    _, shape, level, _ = _recorded(scene)
    flat = dataclasses.replace(scene.instrument, corner_hz=torch.zeros(8))
    velocity, acceleration = (
        recorded_spectrum(shape, level, dataclasses.replace(flat, sensor=torch.full((8,), kind)))
        for kind in (0, 3)
    )
    ratio = (acceleration / (velocity * (2j * math.pi * FREQUENCY_HZ)))[:, 10:3600]
    torch.testing.assert_close(ratio.abs(), torch.ones_like(ratio.abs()), rtol=0.01, atol=0.0)
    # Causal differences are late by less than half a sample.
    late_s = -ratio.angle() / (2.0 * math.pi * FREQUENCY_HZ[10:3600])
    assert float(late_s.min()) >= 0.0 and float(late_s.max()) < 0.5 / RATE_HZ


def test_nobody_is_nearer_than_200_m_and_stations_high_above_are_further(draw_scene, only_direct):
    scene, _, _ = draw_scene(4, only_direct)
    sources = dataclasses.replace(scene.sources, depth_km=torch.tensor([0.0, 3.0, 3.0, 3.0]))
    zero = torch.zeros(4)
    geometry = dataclasses.replace(
        scene.geometry,
        distance_km=torch.tensor([0.0, 4.0, 0.0, 0.0], dtype=torch.float64),
        station_elevation_m=zero + torch.tensor([0.0, 0.0, 1000.0, 0.0]),
    )
    assert hypocentral_km(sources, geometry).tolist() == pytest.approx([0.2, 5.0, 4.0, 3.0])


def test_unphysical_corner_ratio():
    with pytest.raises(ValueError, match="p_corner_ratio must be a range"):
        PulseConfig(p_corner_ratio=(1.7, 1.3))
