import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from seisfm.eval.peaks import PeakPicks, join_picks, make_picks, pick_peaks

RATE_HZ = 100.0
BOTH = {"P": 0.3, "S": 0.3}


def curves(p_times=(), s_times=(), duration_s=30.0, sigma_s=0.1, height=0.9):
    """Probabilities (class, sample) with a Gaussian at each time."""
    axis = np.arange(round(duration_s * RATE_HZ)) / RATE_HZ
    probability = np.zeros((3, len(axis)))
    for row, times in enumerate((p_times, s_times)):
        for t in times:
            probability[row] = np.maximum(
                probability[row], height * np.exp(-0.5 * ((axis - t) / sigma_s) ** 2)
            )
    probability[2] = 1 - probability[:2].sum(axis=0).clip(0, 1)
    return probability


@given(st.floats(1.0, 29.0), st.floats(0.05, 0.3))
def test_time_and_width_of_a_gaussian_are_exact_below_the_sample(time_s, sigma_s):
    picks = pick_peaks(curves([time_s], sigma_s=sigma_s), RATE_HZ, BOTH)
    assert list(picks.phase) == ["P"]
    assert picks.time_s[0] == pytest.approx(time_s, abs=1e-6)
    # Linear interpolation of the curve between samples costs a little of the width.
    assert picks.time_uncertainty_s[0] == pytest.approx(sigma_s, rel=0.05)


def test_thresholds_are_per_phase_and_reached_by_equality():
    probability = curves([5.0], [9.0], height=0.5)
    assert list(pick_peaks(probability, RATE_HZ, {"P": 0.5, "S": 0.51}).phase) == ["P"]


def test_of_two_close_peaks_the_higher_stays():
    probability = np.maximum(curves([10.0], height=0.6), curves([10.3], height=0.8))
    picks = pick_peaks(probability, RATE_HZ, {"P": 0.3}, min_separation_s=0.5)
    assert picks.time_s == pytest.approx([10.3], abs=1e-3)
    assert len(pick_peaks(probability, RATE_HZ, {"P": 0.3}, min_separation_s=0.2)) == 2


def test_windows_do_not_disturb_each_other():
    late, early = curves([29.9]), curves([0.1])
    together = pick_peaks(np.stack([late, early, late]), RATE_HZ, BOTH, min_separation_s=5.0)
    assert list(together.window) == [0, 1, 2]
    assert together.time_s == pytest.approx([29.9, 0.1, 29.9], abs=1e-4)


def test_a_curve_that_still_rises_at_the_end_or_at_a_gap_is_no_peak():
    assert len(pick_peaks(curves([30.2]), RATE_HZ, BOTH)) == 0
    assert len(pick_peaks(curves([-0.05]), RATE_HZ, BOTH)) == 0
    probability = curves([10.0])
    probability[:, 950:1050] = np.nan
    assert len(pick_peaks(probability, RATE_HZ, BOTH)) == 0


def test_a_saturated_top_is_picked_in_its_middle():
    probability = np.zeros((3, 1000))
    probability[0, 399:405] = [0.5, 1, 1, 1, 1, 0.5]
    assert pick_peaks(probability, RATE_HZ, BOTH).time_s == pytest.approx([4.01], abs=0.006)


@given(st.integers(0, 10_000), st.floats(0.1, 0.9))
@settings(max_examples=30)
def test_raising_the_threshold_afterwards_is_the_same_as_before(seed, threshold):
    probability = np.random.default_rng(seed).uniform(size=(2, 3, 400))
    later = pick_peaks(probability, RATE_HZ, {"P": 0.05, "S": 0.05}).above({"P": threshold, "S": 0.5})
    before = pick_peaks(probability, RATE_HZ, {"P": threshold, "S": 0.5})
    assert np.array_equal(later.time_s, before.time_s)
    assert np.array_equal(later.phase, before.phase)


def test_torch_and_numpy_agree():
    probability = curves([3.3], [7.7]).astype(np.float32)
    from_torch = pick_peaks(torch.from_numpy(probability), RATE_HZ, BOTH)
    assert np.array_equal(from_torch.time_s, pick_peaks(probability, RATE_HZ, BOTH).time_s)


def test_a_day_takes_seconds_at_most():
    rng = np.random.default_rng(0)
    day = rng.uniform(0, 0.29, size=(3, 8_640_000)).astype(np.float32)
    day[0, 50_000::10_000] = 0.9
    start = time.process_time()
    picks = pick_peaks(day, RATE_HZ, BOTH)
    assert len(picks) == 859
    assert time.process_time() - start < 6.0


def test_nothing_above_the_threshold_gives_no_picks():
    assert len(pick_peaks(np.zeros((4, 3, 100)), RATE_HZ, BOTH)) == 0
    assert len(join_picks([])) == 0


def test_wrong_input_is_refused():
    with pytest.raises(ValueError, match="found shape"):
        pick_peaks(np.zeros((2, 100)), RATE_HZ, BOTH)
    with pytest.raises(ValueError, match="logits"):
        pick_peaks(np.full((3, 100), 5.0), RATE_HZ, BOTH)
    with pytest.raises(ValueError, match="above 0"):
        pick_peaks(np.zeros((3, 100)), RATE_HZ, {"P": 0.0})
    with pytest.raises(ValueError, match="found Pn"):
        pick_peaks(np.zeros((3, 100)), RATE_HZ, {"Pn": 0.3})
    with pytest.raises(ValueError, match="one length"):
        PeakPicks(
            window=np.zeros(1),
            phase=np.zeros(2),
            time_s=np.zeros(1),
            probability=np.zeros(1),
            time_uncertainty_s=np.zeros(1),
        )


def test_shifting_moves_the_window_numbers_only():
    picks = make_picks([1, 0], ["S", "P"], [2.0, 1.0], [0.5, 0.6], [0.1, 0.1])
    assert list(picks.phase) == ["P", "S"]
    assert list(picks.shifted(10).window) == [10, 11]
