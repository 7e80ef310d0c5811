import numpy as np
import pytest
import torch
from seisfm.data.batch import WaveformBatch
from seisfm.eval.baselines import PositionalDummy, StaLtaPicker

RATE_HZ = 100.0


def shaken(p_s, s_s, seed=0, duration_s=30.0, amplitude=30.0):
    """Noise of size 1, and wave trains that begin at P (mostly vertical) and S (mostly horizontal)."""
    rng = np.random.default_rng(seed)
    count = round(duration_s * RATE_HZ)
    time_s = np.arange(count) / RATE_HZ
    waveform = rng.normal(size=(3, count))
    for onset_s, sizes in ((p_s, (1.0, 0.2, 0.2)), (s_s, (0.6, 3.0, 3.0))):
        after = np.maximum(time_s - onset_s, 0.0)
        envelope = np.where(time_s >= onset_s, np.exp(-after / 2.0), 0.0)
        waveform += amplitude * np.array(sizes)[:, None] * envelope * rng.normal(size=(3, count))
    return waveform.astype(np.float32)


def batch_of(*waveforms, names=("Z", "N", "E"), labels=None):
    return WaveformBatch(
        waveform=torch.from_numpy(np.stack(waveforms)),
        sampling_rate_hz=torch.full((len(waveforms),), RATE_HZ),
        component_names=names,
        unit=("counts",) * len(waveforms),
        labels=labels or {},
    )


def best(picks, phase, window):
    chosen = picks.of_phase(phase).select(picks.of_phase(phase).window == window)
    return chosen.time_s[chosen.probability.argmax()] if len(chosen) else np.nan


def test_sta_lta_finds_impulsive_onsets():
    picker = StaLtaPicker()
    onsets = [(8.0, 11.0), (12.34, 18.2), (20.0, 21.5)]
    picks = picker(batch_of(*(shaken(p, s, seed) for seed, (p, s) in enumerate(onsets))))
    strong = picks.above(picker.default_thresholds)
    for window, (p_s, s_s) in enumerate(onsets):
        assert best(strong, "P", window) == pytest.approx(p_s, abs=0.05)
        assert best(strong, "S", window) == pytest.approx(s_s, abs=0.15)


def test_sta_lta_is_silent_in_noise_at_its_threshold():
    picker = StaLtaPicker()
    noise = np.random.default_rng(7).normal(size=(8, 3, 3000)).astype(np.float32)
    assert len(picker(batch_of(*noise)).above(picker.default_thresholds).of_phase("P")) <= 1


def test_sta_lta_does_not_pick_where_data_begin_or_end():
    waveform = shaken(40.0, 45.0)
    waveform[:, :900] = np.nan
    waveform[:, 2000:2300] = np.nan
    picker = StaLtaPicker()
    assert len(picker(batch_of(waveform)).above(picker.default_thresholds)) == 0


def test_sta_lta_does_not_depend_on_the_units():
    waveform = shaken(12.0, 15.0)
    counts, metres = (
        StaLtaPicker()(batch_of(waveform)),
        StaLtaPicker()(batch_of(waveform * np.float32(2.0**-30))),
    )
    assert np.array_equal(counts.time_s, metres.time_s)


def test_sta_lta_without_horizontals_picks_p_alone_and_without_a_vertical_nothing():
    waveform = shaken(12.0, 15.0)
    only_z = waveform.copy()
    only_z[1:] = np.nan
    assert set(StaLtaPicker()(batch_of(only_z)).phase) == {"P"}
    assert set(StaLtaPicker()(batch_of(waveform[:1], names=("Z",))).phase) == {"P"}
    assert len(StaLtaPicker()(batch_of(waveform[1:], names=("N", "E")))) == 0
    assert len(StaLtaPicker()(batch_of(np.full_like(waveform, np.nan)))) == 0


def labelled_batch(p_s, s_s):
    labels = {"p_arrival_s": torch.tensor(p_s)[:, None], "s_arrival_s": torch.tensor(s_s)[:, None]}
    return batch_of(*np.zeros((len(p_s), 3, 3000), dtype=np.float32), labels=labels)


def test_the_dummy_picks_the_mean_position_of_arrivals_inside_the_windows():
    batch = labelled_batch([4.0, 6.0, float("nan"), -3.0], [9.0, 31.0, float("nan"), 11.0])
    picks = PositionalDummy.fit([batch])(batch)
    assert set(picks.of_phase("P").time_s) == {5.0} and set(picks.of_phase("S").time_s) == {10.0}
    assert list(picks.of_phase("P").window) == [0, 1, 2, 3]


def test_the_dummy_without_labels_is_refused():
    with pytest.raises(ValueError, match="found none"):
        PositionalDummy.fit([labelled_batch([float("nan")], [float("nan")])])
