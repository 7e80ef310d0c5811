"""PAL finds what it should, keeps P and S together, and stays silent where nothing was recorded."""

import numpy as np
import pytest
import torch
from seisfm.data.batch import WaveformBatch
from seisfm.eval.pal import PalPicker, _energy_ratio, _kurtosis, _polarization, _turning_point

RATE_HZ = 100.0
ONSETS_S = [(10.0, 13.0), (12.34, 18.2), (15.0, 22.5)]


def shaken(p_s, s_s, seed, amplitude=30.0):
    """Noise of size 1, P along a slanted ray and S across it."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(4000) / RATE_HZ
    waveform = rng.normal(size=(3, 4000))
    for onset_s, direction, decay_s in ((p_s, (0.9, 0.3, 0.3), 0.5), (s_s, (0.4, 2.0, -2.0), 2.0)):
        envelope = np.where(time_s >= onset_s, np.exp(-np.maximum(time_s - onset_s, 0) / decay_s), 0.0)
        waveform += amplitude * np.array(direction)[:, None] * envelope * rng.normal(size=4000)
    return waveform.astype(np.float32)


def batch_of(*waveforms, names=("Z", "N", "E")):
    return WaveformBatch(
        waveform=torch.from_numpy(np.stack(waveforms)),
        sampling_rate_hz=torch.full((len(waveforms),), RATE_HZ),
        component_names=names,
        unit=("counts",) * len(waveforms),
    )


@pytest.fixture(scope="module")
def events():
    return [shaken(p_s, s_s, seed) for seed, (p_s, s_s) in enumerate(ONSETS_S)]


def test_p_within_100_ms_and_s_within_200_ms_of_impulsive_onsets(events):
    picker = PalPicker()
    picks = picker(batch_of(*events)).above(picker.default_thresholds)
    for window, (p_s, s_s) in enumerate(ONSETS_S):
        own = picks.select(picks.window == window)
        assert np.abs(own.of_phase("P").time_s - p_s).min() < 0.1
        assert np.abs(own.of_phase("S").time_s - s_s).min() < 0.2


def test_p_and_s_come_as_pairs_of_one_height(events):
    picks = PalPicker()(batch_of(*events))
    assert len(picks.of_phase("P")) >= len(picks.of_phase("S")) > 0
    assert set(picks.of_phase("S").probability) <= set(picks.of_phase("P").probability)


def test_the_vertical_alone_gives_p_alone(events):
    picks = PalPicker()(batch_of(*(event[:1] for event in events), names=("Z",)))
    assert set(picks.phase) == {"P"}


def test_horizontals_that_were_not_recorded_give_no_s(events):
    hollow = events[0].copy()
    hollow[1:] = np.nan
    assert set(PalPicker()(batch_of(hollow)).phase) == {"P"}


def test_silence_gives_nothing():
    missing = np.full((3, 4000), np.nan, dtype=np.float32)
    assert len(PalPicker()(batch_of(missing, np.zeros_like(missing)))) == 0
    assert len(PalPicker()(batch_of(missing[:2], names=("N", "E")))) == 0


def test_it_is_silent_in_noise_at_its_own_threshold():
    noise = np.random.default_rng(7).normal(size=(8, 3, 4000)).astype(np.float32)
    picker = PalPicker()
    assert len(picker(batch_of(*noise)).above(picker.default_thresholds)) == 0


def test_the_gain_moves_no_pick(events):
    plain, loud = (PalPicker()(batch_of(*(scale * event for event in events))) for scale in (1.0, 1e4))
    assert np.allclose(plain.time_s, loud.time_s)
    assert np.allclose(plain.probability, loud.probability, rtol=1e-3)


def test_the_energy_ratio_looks_ahead_and_back():
    energy = np.concatenate([np.ones(100), np.full(100, 9.0)])
    ratio = _energy_ratio(energy, (10 / RATE_HZ, 50 / RATE_HZ), RATE_HZ)
    assert ratio.argmax() == 100 and ratio[100] == pytest.approx(9.0)
    assert not ratio[:50].any() and not ratio[191:].any()
    assert not _energy_ratio(energy[:20], (0.1, 0.5), RATE_HZ).any()


def test_kurtosis_of_a_gaussian_is_3_and_of_an_onset_more():
    values = np.random.default_rng(0).normal(size=3000)
    assert _kurtosis(values, 500)[499:].mean() == pytest.approx(3.0, abs=0.1)
    values[2000:] *= 20
    assert _kurtosis(values, 500)[2005] > 20
    assert not _kurtosis(values, 500)[:499].any()


def test_turning_points_are_counted_backwards():
    wave = np.array([0, 1, 2, 1, 0, 1, 2, 3, 4], dtype=float)
    assert [_turning_point(wave, 8, number) for number in (1, 2, 3)] == [4, 2, 0]


def test_motion_along_one_line_is_rectilinear():
    direction = np.array([0.6, 0.0, 0.8])
    traces = direction[:, None] * np.random.default_rng(0).normal(size=300)
    straight, found = _polarization(traces, 0, 100, 100)
    assert np.allclose(straight, 1.0) and np.allclose(np.abs(found @ direction), 1.0)
