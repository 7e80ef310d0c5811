"""Turned horizontals: directions turn, and nothing else does."""

import math

import torch
from seisfm.data.batch import WaveformBatch
from seisfm.data.loading.rotation import HorizontalRotation
from seisfm.data.loading.window_random import WindowRandom, window_keys

NAN = float("nan")


def make_random(num_windows):
    return WindowRandom(window_keys(torch.arange(num_windows), "test"))


def radial_batch(num_windows=24):
    """Motion along the back azimuth alone, which is 30° in all windows, and on the vertical."""
    wave = torch.randn(num_windows, 400, generator=torch.Generator().manual_seed(0))
    angle = math.radians(30.0)
    return WaveformBatch(
        waveform=torch.stack([wave.roll(7, 1), math.cos(angle) * wave, math.sin(angle) * wave], dim=1),
        sampling_rate_hz=torch.full((num_windows,), 100.0),
        component_names=("Z", "N", "E"),
        unit=("m/s",) * num_windows,
        labels={
            "back_azimuth_deg": torch.full((num_windows,), 30.0),
            "mechanism_deg": torch.tensor([100.0, 45.0, -90.0]).expand(num_windows, 3),
            "magnitude": torch.full((num_windows,), 2.0),
        },
    )


def test_motion_stays_along_the_back_azimuth():
    batch = radial_batch()
    turned = HorizontalRotation(probability=1.0)(batch, make_random(len(batch)))
    azimuth = torch.deg2rad(turned.labels["back_azimuth_deg"])[:, None]
    vertical, north, east = turned.waveform.unbind(1)
    across = -azimuth.sin() * north + azimuth.cos() * east
    along = azimuth.cos() * north + azimuth.sin() * east
    expected = batch.waveform[:, 1] / math.cos(math.radians(30.0))
    assert float(across.abs().max()) < 1e-4
    assert torch.allclose(along, expected, atol=1e-4)
    assert torch.equal(vertical, batch.waveform[:, 0])
    quadrants = (turned.labels["back_azimuth_deg"] // 90).unique()
    assert quadrants.tolist() == [0, 1, 2, 3]


def test_the_strike_turns_with_the_back_azimuth_and_nothing_else_does():
    batch = radial_batch()
    turned = HorizontalRotation(probability=1.0)(batch, make_random(len(batch)))
    by_deg = (turned.labels["back_azimuth_deg"] - 30.0).remainder(360.0)
    strike = (turned.labels["mechanism_deg"][:, 0] - 100.0).remainder(360.0)
    assert torch.allclose(by_deg, strike, atol=1e-3)
    assert torch.equal(turned.labels["mechanism_deg"][:, 1:], batch.labels["mechanism_deg"][:, 1:])
    assert torch.equal(turned.labels["magnitude"], batch.labels["magnitude"])


def test_windows_without_both_horizontals_stay_as_they_are():
    batch = radial_batch(4)
    waveform = batch.waveform.clone()
    waveform[1, 2] = NAN
    waveform[2, 1] = NAN
    batch = batch.replace(waveform=waveform)
    turned = HorizontalRotation(probability=1.0)(batch, make_random(4))
    for row in (1, 2):
        assert torch.equal(turned.waveform[row].nan_to_num(9.0), waveform[row].nan_to_num(9.0))
    assert turned.labels["back_azimuth_deg"][1:3].tolist() == [30.0, 30.0]
    assert turned.labels["back_azimuth_deg"][0] != 30.0
    vertical = batch.replace(waveform=batch.waveform[:, :1], component_names=("Z",))
    assert HorizontalRotation(probability=1.0)(vertical, make_random(4)) is vertical


def test_an_unknown_direction_stays_unknown():
    batch = radial_batch(4)
    batch = batch.replace(labels={"back_azimuth_deg": torch.full((4,), NAN)})
    turned = HorizontalRotation(probability=1.0)(batch, make_random(4))
    assert bool(turned.labels["back_azimuth_deg"].isnan().all())
