"""Rg of shallow sources."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from scipy import signal
from seisfm.data.event_types import EVENT_TYPES
from seisfm.data.synthesis.source_trains import SourceTrains
from seisfm.data.synthesis.surface_waves import SurfaceWaveConfig, add_surface_waves

RATE_HZ, NUM_SAMPLES, LENGTH = 100.0, 6000, 7680
CONFIG = SurfaceWaveConfig(share=1.0, fast_km_s=(3.0, 3.0), slow_km_s=(1.5, 1.5), quality=(1e4, 1e4))


def _rg(draw_scene, only_direct, distance_km, depth_km, config=CONFIG, kind="earthquake"):
    """Rg of one event's size at distances and depths (km), recorded to the south of it."""
    count = len(distance_km)
    scene, event, _ = draw_scene(torch.zeros(count, dtype=torch.int64), only_direct)
    ones = torch.ones(count)
    # Distances alone matter to Rg: S is let arrive with the fastest group.
    travel_s = torch.tensor(distance_km, dtype=torch.float64)[:, None].expand(-1, 8) / 3.5
    scene = dataclasses.replace(
        scene,
        sources=dataclasses.replace(
            scene.sources,
            kind=torch.full((count,), EVENT_TYPES.index(kind)),
            magnitude=2.0 * ones,
            depth_km=torch.tensor(depth_km),
        ),
        geometry=dataclasses.replace(
            scene.geometry,
            distance_km=torch.tensor(distance_km, dtype=torch.float64),
            back_azimuth_deg=0.0 * ones,
        ),
        waves=dataclasses.replace(scene.waves, travel_time_s=travel_s),
        instrument=dataclasses.replace(
            scene.instrument, sensor=torch.zeros(count, dtype=torch.int64), corner_hz=0.01 * ones
        ),
    )
    motion = torch.zeros(count, 3, NUM_SAMPLES)
    origin_s = torch.full((count,), 5.0, dtype=torch.float64)
    add_surface_waves(motion, scene, origin_s, LENGTH, SourceTrains(parts=()), event, config)
    return motion


@pytest.mark.parametrize("centre_hz", [0.6, 1.5, 2.5])
def test_low_frequencies_arrive_first_as_their_group_velocity_says(draw_scene, only_direct, centre_hz):
    """At 40 km the envelope of a narrow band peaks within 1.2 s of 40 km / U(f)."""
    motion = _rg(draw_scene, only_direct, [40.0], [0.1])[0, 0].numpy()
    band = signal.butter(2, (0.9 * centre_hz, 1.1 * centre_hz), "bandpass", fs=RATE_HZ, output="sos")
    envelope = abs(signal.hilbert(signal.sosfiltfilt(band, motion)))
    velocity = 1.5 + 1.5 * math.exp(-((centre_hz / 1.5) ** 2))
    assert envelope.argmax() / RATE_HZ - 5.0 == pytest.approx(40.0 / velocity, abs=1.2)


def test_it_falls_with_depth_and_is_gone_below_5_km(draw_scene, only_direct):
    size = _rg(draw_scene, only_direct, [20.0] * 4, [0.1, 1.0, 2.0, 6.0]).square().mean(dim=(1, 2)).sqrt()
    assert size[0] > 2 * size[1] > 4 * size[2] > 0 == size[3]


def test_it_spreads_over_a_circle(draw_scene, only_direct):
    """Without attenuation its energy falls as 1 / R: from 10 to 40 km to a quarter, within 5 %."""
    energy = _rg(draw_scene, only_direct, [10.0, 40.0], [0.1, 0.1]).square().sum(dim=(1, 2))
    assert float(energy[1] / energy[0]) == pytest.approx(0.25, rel=0.05)


def test_the_ground_moves_in_retrograde_ellipses(draw_scene, only_direct):
    """At the top of its ellipse the ground moves towards the source, with 0.7 of the vertical motion.

    So, with the source in the north, the rate of the northern motion is in phase with the upward motion.
    """
    vertical, north, east = _rg(draw_scene, only_direct, [30.0], [0.1])[0].double()
    assert not bool(east.abs().max() > 1e-4 * north.abs().max())
    north_rate = torch.gradient(north)[0]
    correlation = (north_rate * vertical).sum() / (north_rate.norm() * vertical.norm())
    assert float(correlation) > 0.7
    assert float(north.norm() / vertical.norm()) == pytest.approx(0.7, rel=0.03)


def test_nothing_comes_before_the_fastest_group(draw_scene, only_direct):
    motion = _rg(draw_scene, only_direct, [2.0, 30.0], [0.1, 0.1])
    for row, distance_km in zip(motion, (2.0, 30.0), strict=True):
        assert not bool(row[:, : int((5.0 + distance_km / 3.0) * RATE_HZ)].any())


def test_noise_has_none_and_a_share_of_zero_gives_none(draw_scene, only_direct):
    assert not bool(_rg(draw_scene, only_direct, [10.0], [0.1], kind="noise").any())
    none = dataclasses.replace(CONFIG, share=0.0)
    assert not bool(_rg(draw_scene, only_direct, [10.0], [0.1], config=none).any())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"slow_km_s": (1.5, 2.5)}, "slow_km_s must lie below fast_km_s"),
        ({"band_hz": (0.5, 10.0)}, "band_hz must rise and end below 3 Hz"),
        ({"strength": (0.0, 0.5)}, "strength must be a range"),
    ],
)
def test_surface_waves_that_cannot_be(settings, message):
    with pytest.raises(ValueError, match=message):
        SurfaceWaveConfig(**settings)
