import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from seisfm.eval.pick_metrics import (
    PhaseTruth,
    count_picks,
    false_picks_per_station_hour,
    match_picks,
    precision_recall_f1,
    residual_statistics,
    scored_residuals,
)

WINDOWS = 4
times = st.lists(st.tuples(st.integers(0, WINDOWS - 1), st.floats(0, 30)), max_size=12)


def truth_of(arrivals, labelled=None, scored=None, num_windows=WINDOWS):
    labelled = np.ones(num_windows, dtype=bool) if labelled is None else np.asarray(labelled)
    return PhaseTruth(
        window=np.array([w for w, _ in arrivals], dtype=np.int64),
        time_s=np.array([t for _, t in arrivals], dtype=float),
        scored=np.ones(len(arrivals), dtype=bool) if scored is None else np.asarray(scored),
        labelled=labelled,
        observed_s=np.full(num_windows, 30.0),
    )


def count(arrivals, picks, tolerance_s=0.5, within_s=5.0, **truth):
    """(true positives, false positives, misses) over all windows."""
    known = truth_of(arrivals, **truth)
    window = np.array([w for w, _ in picks], dtype=np.int64)
    time_s = np.array([t for _, t in picks], dtype=float)
    counts = count_picks(known, window, match_picks(known, window, time_s, within_s), tolerance_s)
    return tuple(counts.table.sum(axis=0).tolist())


def test_by_hand():
    arrivals = [(0, 10.0), (1, 5.0), (2, 20.0)]
    picks = [(0, 10.1), (0, 10.3), (1, 5.6), (3, 2.0)]
    assert count(arrivals, picks, 0.5) == (1, 3, 2)
    assert count(arrivals, picks, 0.7) == (2, 2, 1)
    precision, recall, f1 = precision_recall_f1(np.array([2, 2, 1]))
    assert (precision, recall, f1) == pytest.approx((0.5, 2 / 3, 4 / 7))


def test_a_label_is_found_once_and_a_pick_serves_once():
    assert count([(0, 10.0)], [(0, 10.0)] * 3) == (1, 2, 0)
    assert count([(0, 10.0), (0, 10.2)], [(0, 10.1)]) == (1, 0, 1)


def test_the_closest_pair_goes_first():
    # 10.4 belongs to the pick at 10.3, although another pairing would find both.
    assert count([(0, 10.0), (0, 10.4)], [(0, 10.3), (0, 10.95)]) == (1, 1, 1)


def test_other_windows_are_other_places():
    assert count([(0, 10.0)], [(1, 10.0)]) == (0, 1, 1)


def test_an_unlabelled_phase_counts_neither_for_nor_against():
    labelled = [False, True, True, True]
    assert count([], [(0, 3.0), (0, 9.0)], labelled=labelled) == (0, 0, 0)
    assert count([(0, 3.0)], [(0, 3.0)], labelled=labelled) == (0, 0, 0)
    assert count([(0, 3.0)], [], labelled=labelled) == (0, 0, 0)
    assert count([(0, 3.0)], [(1, 3.0)], labelled=labelled) == (0, 1, 0)


def test_an_arrival_outside_of_the_window_is_no_miss_and_its_pick_no_false_one():
    arrivals, scored = [(0, -0.1), (0, 12.0)], [False, True]
    assert count(arrivals, [(0, 0.05), (0, 12.0)], scored=scored) == (1, 0, 0)
    assert count(arrivals, [(0, 12.0)], scored=scored) == (1, 0, 0)
    assert count(arrivals, [(0, 0.9)], scored=scored) == (0, 1, 1)


@given(times)
def test_perfect_picks_are_perfect(arrivals):
    arrivals = sorted({(w, round(t)) for w, t in arrivals})
    assert count(arrivals, arrivals, 0.1) == (len(arrivals), 0, 0)


@given(times, times, st.floats(-1000, 1000))
def test_adding_a_constant_to_picks_and_labels_changes_nothing(arrivals, picks, shift_s):
    def rounded(items, by_s=0.0):
        # On a grid of 2**-6 s sums are exact.
        return [(w, round(t * 64) / 64 + round(by_s * 64) / 64) for w, t in items]

    assert count(rounded(arrivals), rounded(picks)) == count(
        rounded(arrivals, shift_s), rounded(picks, shift_s)
    )


@given(times, times, st.randoms(use_true_random=False))
def test_the_order_of_picks_does_not_matter(arrivals, picks, random):
    shuffled = random.sample(picks, len(picks))
    assert count(arrivals, picks) == count(arrivals, shuffled)


@given(times, times)
def test_counts_add_up_and_recall_never_falls_with_the_tolerance(arrivals, picks):
    hits = [count(arrivals, picks, tolerance_s) for tolerance_s in (0.1, 0.2, 0.5, 5.0)]
    assert all(tp + fp == len(picks) and tp + miss == len(arrivals) for tp, fp, miss in hits)
    assert [tp for tp, _, _ in hits] == sorted(tp for tp, _, _ in hits)


@given(times, times, st.sampled_from([0.1, 0.5]))
def test_matching_wider_first_gives_the_counts_of_matching_at_the_tolerance(arrivals, picks, tolerance_s):
    wide = count(arrivals, picks, tolerance_s, within_s=5.0)
    assert wide == count(arrivals, picks, tolerance_s, within_s=tolerance_s)


def test_more_noise_picks_lower_precision_and_leave_recall():
    few = precision_recall_f1(np.array(count([(0, 10.0)], [(0, 10.0)])))
    many = precision_recall_f1(np.array(count([(0, 10.0)], [(0, 10.0), (1, 3.0), (2, 3.0), (3, 3.0)])))
    assert many[0] == few[0] / 4 and many[1] == few[1] == 1.0


def test_nothing_to_judge_is_unknown_and_not_perfect():
    assert np.isnan(precision_recall_f1(np.array([0, 0, 0]))).all()
    assert precision_recall_f1(np.array([0, 0, 3]))[2] == 0.0
    assert precision_recall_f1(np.array([0, 3, 0]))[2] == 0.0


def test_residuals_by_hand_with_misses_apart():
    statistics = residual_statistics(np.array([0.1, -0.1, 0.3, 2.0, np.nan]), outlier_s=1.0)
    assert (statistics["arrivals"], statistics["found"], statistics["missed"]) == (5, 4, 1)
    assert statistics["found_share"] == 0.8
    assert statistics["mean_s"] == pytest.approx(0.575)
    assert statistics["mae_s"] == pytest.approx(0.625)
    assert statistics["std_s"] == pytest.approx(np.std([0.1, -0.1, 0.3, 2.0], ddof=1))
    assert statistics["mad_s"] == pytest.approx(0.2)
    assert statistics["outlier_share"] == 0.25


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=20), st.integers(0, 20))
def test_misses_never_make_the_error_smaller(known, misses):
    with_misses = residual_statistics(np.array([*known, *[np.nan] * misses]))
    without = residual_statistics(np.array(known))
    assert with_misses["mae_s"] == without["mae_s"]
    assert with_misses["found_share"] <= without["found_share"]


def test_residuals_of_nothing_are_unknown():
    assert np.isnan(residual_statistics(np.array([np.nan]))["mae_s"])
    assert residual_statistics(np.array([np.nan]))["missed"] == 1
    assert residual_statistics(np.array([]))["arrivals"] == 0


def test_residuals_are_limited_to_what_is_asked():
    truth = truth_of([(0, 10.0), (1, 10.0), (2, 10.0)], labelled=[True, True, True, True])
    window, time_s = np.array([0, 1]), np.array([10.25, 13.0])
    matching = match_picks(truth, window, time_s, 5.0)
    assert scored_residuals(truth, matching, 5.0)[:2] == pytest.approx([0.25, 3.0])
    assert np.isnan(scored_residuals(truth, matching, 0.5)[1:]).all()


def test_false_picks_are_counted_against_labelled_hours_only():
    truth = truth_of([], labelled=[True, True, False, False])
    window = np.array([0, 0, 2])
    counts = count_picks(truth, window, match_picks(truth, window, np.array([1.0, 5.0, 9.0]), 5.0), 0.5)
    assert false_picks_per_station_hour(truth, counts) == pytest.approx(2 / (60 / 3600))
    silent = truth_of([], labelled=[False] * 4)
    assert np.isnan(false_picks_per_station_hour(silent, counts))
