import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from seisfm.eval.regression_metrics import (
    bias_by_bin,
    circular_difference_deg,
    interval_coverage,
    mean_absolute_error,
    r_squared,
    regression_scores,
    share_within,
)

EVENTS = np.array([f"e{i // 2}" for i in range(400)])


@given(st.floats(-720, 720), st.floats(-720, 720))
def test_a_turn_is_never_more_than_half_a_circle(predicted, truth):
    turn = circular_difference_deg(predicted, truth)
    assert -180.0 <= turn <= 180.0
    assert np.cos(np.radians(truth + turn)) == pytest.approx(np.cos(np.radians(predicted)), abs=1e-9)


def test_directions_wrap():
    assert circular_difference_deg(np.array([359.0, 1.0, 180.0]), np.array([1.0, 359.0, 0.0])).tolist() == [
        -2.0,
        2.0,
        -180.0,
    ]


def test_known_answers_and_nan_left_out():
    error = np.array([1.0, -3.0, np.nan, 2.0])
    assert mean_absolute_error(error) == 2.0
    assert share_within(error, 2.0) == pytest.approx(2 / 3)
    assert np.isnan(mean_absolute_error(np.array([np.nan])))


def test_r_squared_of_truth_mean_and_worse():
    truth = np.random.default_rng(0).normal(size=500)
    assert r_squared(truth, truth) == 1.0
    assert r_squared(np.full(500, truth.mean()), truth) == pytest.approx(0.0, abs=1e-9)
    assert r_squared(-truth, truth) < -1.0
    assert np.isnan(r_squared(np.ones(3), np.ones(3)))


def test_drawing_to_the_mean_shows_in_bins():
    truth = np.linspace(0.0, 4.0, 401)
    bins = bias_by_bin(0.5 * truth + 1.0, truth, [0.0, 2.0, 4.0])
    assert [one.n for one in bins] == [200, 201]
    assert bins[0].bias == pytest.approx(0.5, abs=0.01) and bins[1].bias == pytest.approx(-0.5, abs=0.01)
    assert np.isnan(bias_by_bin(truth[:1], truth[:1], [2.0, 4.0])[0].bias)


def test_honest_intervals_cover_what_they_say_and_bold_ones_less():
    rng = np.random.default_rng(1)
    sigma = rng.uniform(0.5, 2.0, 20000)
    error = sigma * rng.normal(size=20000)
    for level, share in interval_coverage(error, sigma).items():
        assert share == pytest.approx(level, abs=0.015)
    assert interval_coverage(error, 0.5 * sigma)[0.9] < 0.65


def test_scores_have_intervals_that_hold_them():
    rng = np.random.default_rng(2)
    truth = rng.normal(3.0, 1.0, 400)
    predicted = truth + 0.2 + 0.3 * rng.normal(size=400)
    scores = regression_scores(predicted, truth, EVENTS, seed=0, tolerance=0.3, num_resamples=300)
    assert set(scores) == {"mae", "bias", "within", "r2"}
    assert all(score.low < score.value < score.high and score.n == 400 for score in scores.values())
    assert scores["bias"].value == pytest.approx(0.2, abs=0.05)


def test_unanswered_windows_are_counted_out():
    truth = np.arange(10.0)
    predicted = np.where(truth < 4, np.nan, truth + 1)
    scores = regression_scores(predicted, truth, EVENTS[:10], seed=0, tolerance=0.5, num_resamples=50)
    assert scores["mae"].value == pytest.approx(1.0) and scores["mae"].n == 6


def test_directions_are_scored_round_the_circle():
    truth = np.array([359.0, 1.0, 90.0, 270.0])
    scores = regression_scores(
        (truth + 4.0) % 360,
        truth,
        EVENTS[:4],
        seed=0,
        tolerance=30.0,
        circular=True,
        num_resamples=50,
    )
    assert scores["mae"].value == pytest.approx(4.0) and scores["within"].value == 1.0
    assert "r2" not in scores


def test_nothing_to_score_is_nan_not_an_error():
    nothing = np.array([np.nan, np.nan])
    scores = regression_scores(nothing, np.ones(2), EVENTS[:2], seed=0, tolerance=1.0, num_resamples=20)
    assert np.isnan(scores["mae"].value) and scores["mae"].n == 0
