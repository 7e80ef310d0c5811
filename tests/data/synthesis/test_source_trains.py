"""Sources that are not one pulse."""

from __future__ import annotations

import math

import torch
from seisfm.data.loading.window_random import WindowRandom, window_keys
from seisfm.data.synthesis.source_trains import emergent_spectrum, source_trains, train_spectrum

RATE_HZ, LENGTH = 100.0, 7680
NUM_FREQUENCIES = LENGTH // 2 + 1
FREQUENCY_HZ = torch.arange(NUM_FREQUENCIES) * (RATE_HZ / LENGTH)


def test_shots_have_the_spectrum_of_their_delays():
    """Σ w exp(−2πi f d), to 1 % of the whole below 20 Hz and 5 % below 45 Hz; 1 at zero frequency."""
    delays_s = torch.tensor([[0.0, 0.0173, 0.0391, 0.0], [0.0, 0.3333, 0.0, 0.0]])
    weights = torch.tensor([[0.5, 0.3, 0.2, 0.0], [0.4, 0.6, 0.0, 0.0]])
    found = train_spectrum(delays_s, weights, NUM_FREQUENCIES, RATE_HZ)
    phase = -2.0 * math.pi * delays_s[:, :, None] * FREQUENCY_HZ
    expected = torch.polar(weights[:, :, None].expand_as(phase).contiguous(), phase).sum(dim=1)
    error = (found - expected).abs()
    assert float(error[:, FREQUENCY_HZ < 20.0].max()) < 0.01
    assert float(error[:, FREQUENCY_HZ < 45.0].max()) < 0.05


def test_landslides_begin_without_an_onset_and_peak_after_their_rise():
    """The strength after 2 % of the rise is below 5 % of the peak, which lies at half to twice the rise."""
    random = WindowRandom(window_keys(torch.arange(8), "slide"))
    rise_s = torch.linspace(1.0, 8.0, 8)
    series = torch.fft.irfft(emergent_spectrum(rise_s, random, NUM_FREQUENCIES, RATE_HZ), n=LENGTH)
    torch.testing.assert_close(series.sum(dim=1), torch.ones(8), atol=1e-3, rtol=0)
    smooth = torch.nn.functional.avg_pool1d(series[:, None], 51, 1, padding=25)[:, 0]
    peak_s = smooth.argmax(dim=1) / RATE_HZ
    assert bool(((peak_s > 0.3 * rise_s) & (peak_s < 2.5 * rise_s)).all())
    first = [float(row[: int(0.02 * rise * 100)].max()) for row, rise in zip(series, rise_s, strict=True)]
    assert all(begin < 0.06 * float(row.max()) for begin, row in zip(first, series, strict=True))


def test_single_pulses_are_left_as_they_are(draw_scene, only_direct):
    scene, event, _ = draw_scene(64)
    trains = source_trains(scene.sources, event, NUM_FREQUENCIES, RATE_HZ)
    spectrum = trains.shape(torch.ones(64, NUM_FREQUENCIES, dtype=torch.complex64))
    alone = (scene.sources.weights[:, 1:] == 0).all(dim=1) & (scene.sources.emergence_s == 0)
    assert 20 < int(alone.sum()) < 64
    assert bool((spectrum[alone] == 1).all()) and bool((spectrum[~alone, 300:] != 1).any(dim=1).all())
    torch.testing.assert_close(spectrum[:, 0].real, torch.ones(64), atol=1e-3, rtol=0)
