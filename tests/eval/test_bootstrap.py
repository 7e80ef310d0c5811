import numpy as np
import pytest
from seisfm.eval.bootstrap import CHUNK_CELLS, bootstrap_interval, sums_by_event


def mean(sums):
    return sums[:, 0] / sums[:, 1]


def traces(rng, num_events, traces_per_event):
    """Values whose spread lies between events alone: traces of one event agree."""
    event = np.repeat([f"e{i}" for i in range(num_events)], traces_per_event)
    values = np.repeat(rng.normal(size=num_events), traces_per_event)
    return np.stack([values, np.ones(len(values))], axis=1), event


def test_sums_by_event():
    sums = sums_by_event(np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), np.array(["b", "a", "b"]))
    assert sums.tolist() == [[3.0, 4.0], [6.0, 8.0]]


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    covered = 0
    for repeat in range(200):
        low, high = bootstrap_interval(
            sums_by_event(*traces(rng, 40, 5)), mean, seed=repeat, num_resamples=400
        )
        covered += low <= 0.0 <= high
    assert 0.89 <= covered / 200 <= 0.985


def test_resampling_traces_would_be_too_sure():
    values, event = traces(np.random.default_rng(2), 40, 10)
    low, high = bootstrap_interval(sums_by_event(values, event), mean, seed=0)
    narrow_low, narrow_high = bootstrap_interval(values, mean, seed=0)
    assert high - low > 2.0 * (narrow_high - narrow_low)


def test_it_is_seeded():
    values = sums_by_event(*traces(np.random.default_rng(3), 30, 2))
    whole = bootstrap_interval(values, mean, seed=5, num_resamples=100)
    assert whole == bootstrap_interval(values, mean, seed=5, num_resamples=100)
    assert whole != bootstrap_interval(values, mean, seed=6, num_resamples=100)


def test_many_events_are_resampled_in_blocks():
    values = sums_by_event(*traces(np.random.default_rng(4), 5000, 1))
    assert 1000 * len(values) > CHUNK_CELLS
    low, high = bootstrap_interval(values, mean, seed=0, num_resamples=1000)
    assert high - low == pytest.approx(2 * 1.96 / np.sqrt(5000), rel=0.15)


def test_one_event_has_no_interval_and_undefined_resamples_are_left_out():
    low, high = bootstrap_interval(np.array([[1.0, 2.0]]), mean, seed=0)
    assert np.isnan(low) and np.isnan(high)
    low, high = bootstrap_interval(np.zeros((0, 2)), lambda sums: np.full(len(sums), np.nan), seed=0)
    assert np.isnan(low) and np.isnan(high)


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match="level must lie"):
        bootstrap_interval(np.ones((2, 2)), mean, seed=0, level=95.0)
