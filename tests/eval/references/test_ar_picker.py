import numpy as np
import pytest
import torch
from seisfm.eval.references.ar_picker import ArPicker, ArPickerConfig
from seisfm.eval.references.phase_times import PickedTimes, labelled_times

RATE_HZ = 100.0


def shaken(p_s, s_s, seed=0, duration_s=40.0):
    """Noise of size 1, and wave trains that begin at P (mostly vertical) and S (mostly horizontal)."""
    rng = np.random.default_rng(seed)
    count = round(duration_s * RATE_HZ)
    time_s = np.arange(count) / RATE_HZ
    waveform = rng.normal(size=(3, count))
    for onset_s, sizes in ((p_s, (1.0, 0.2, 0.2)), (s_s, (0.6, 3.0, 3.0))):
        after_s = np.maximum(time_s - onset_s, 0.0)
        envelope = np.where(time_s >= onset_s, np.exp(-after_s / 2.0), 0.0)
        waveform += 30.0 * np.array(sizes)[:, None] * envelope * rng.normal(size=(3, count))
    return waveform


ONSETS = [(8.0, 11.0), (12.34, 18.2), (20.0, 24.5)]


def test_it_picks_impulsive_onsets(windows_of):
    batch = windows_of([shaken(p, s, seed) for seed, (p, s) in enumerate(ONSETS)])
    times = PickedTimes(ArPicker())(batch)
    assert times.p_s == pytest.approx([p for p, _ in ONSETS], abs=0.1)
    assert times.s_s == pytest.approx([s for _, s in ONSETS], abs=0.2)


def test_scaling_the_counts_moves_no_pick(windows_of):
    waveforms = np.stack([shaken(p, s, seed) for seed, (p, s) in enumerate(ONSETS)])
    times = [PickedTimes(ArPicker())(windows_of(waveforms * gain)) for gain in (1.0, 1e-7, 3e4)]
    for other in times[1:]:
        assert other.p_s == pytest.approx(times[0].p_s, abs=0.02)
        assert other.s_s == pytest.approx(times[0].s_s, abs=0.05)


def test_a_vertical_alone_gives_p_alone(windows_of):
    waveform = shaken(12.0, 18.0)
    waveform[1:] = np.nan
    picks = ArPicker()(windows_of([waveform])).above({"P": 0.8, "S": 0.0})
    assert set(picks.phase) == {"P"}
    assert picks.time_s[picks.probability.argmax()] == pytest.approx(12.0, abs=0.05)


def test_nothing_is_picked_beside_a_gap_or_without_a_vertical(windows_of):
    beside_gap, horizontal = shaken(12.0, 18.0), shaken(12.0, 18.0)
    beside_gap[:, 1400:1420] = np.nan
    horizontal[0] = np.nan
    picks = ArPicker()(windows_of([beside_gap, horizontal]))
    assert not np.any((picks.time_s > 11.0) & (picks.time_s < 14.0))
    assert not np.any(picks.window == 1)


def test_soon_after_the_start_p_alone_is_picked(windows_of):
    windows = windows_of([shaken(3.0, 6.0), shaken(4.6, 7.6)])
    picks = ArPicker()(windows).above({"P": 0.8, "S": 0.8})
    for window, p_s in enumerate((3.0, 4.6)):
        p = picks.of_phase("P")
        assert abs(p.time_s[p.window == window] - p_s).min() < 0.1
    assert set(picks.of_phase("S").window) == {1}


def test_noise_has_no_strong_pick(windows_of):
    noise = np.random.default_rng(7).normal(size=(4, 3, 4000))
    times = PickedTimes(ArPicker())(windows_of(noise))
    assert np.isnan(times.p_s).sum() >= 3


def test_a_rate_too_low_for_its_models_is_told(windows_of):
    batch = windows_of([shaken(12.0, 18.0)])
    slow = batch.replace(waveform=batch.waveform, sampling_rate_hz=torch.full((1,), 20.0))
    with pytest.raises(ValueError, match="need 50 Hz or more, found 20 Hz"):
        ArPicker()(slow)


def test_impossible_averages_are_refused():
    with pytest.raises(ValueError, match="short averages"):
        ArPickerConfig(p_sta_s=2.0)


def test_labelled_times_are_those_of_the_first_event_in_the_window(windows_of):
    batch = windows_of([np.zeros((3, 2000))] * 2)
    nan = float("nan")
    labels = {
        "p_arrival_s": torch.tensor([[-3.0, 12.0, 5.0], [nan, 25.0, -1.0]]),
        "s_arrival_s": torch.tensor([[1.0, 15.0, 9.0], [2.0, 28.0, 3.0]]),
    }
    times = labelled_times(batch.replace(waveform=batch.waveform, labels=labels))
    assert times.p_s[0] == 5.0 and times.s_s[0] == 9.0
    assert np.isnan(times.p_s[1]) and np.isnan(times.s_s[1])
    assert np.isnan(labelled_times(batch.replace(waveform=batch.waveform, labels={})).p_s).all()
