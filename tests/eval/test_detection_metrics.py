import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from seisfm.eval.detection_metrics import intervals_above, match_intervals, roc_auc

scores = st.lists(st.integers(0, 10), min_size=1, max_size=15)


@given(scores, scores)
def test_auc_is_the_share_of_pairs_in_order(event, noise):
    pairs = [1.0 if e > n else 0.5 if e == n else 0.0 for e in event for n in noise]
    assert roc_auc(np.array(event), np.array(noise)) == pytest.approx(np.mean(pairs))


def test_auc_without_one_kind_is_unknown():
    assert np.isnan(roc_auc(np.array([1.0]), np.array([])))


def test_intervals_above_a_threshold():
    probability = np.array([0.9, 0.9, 0.1, np.nan, 0.6, 0.7, 0.2, 0.8])
    assert intervals_above(probability, 2.0, 0.5).tolist() == [[0.0, 1.0], [2.0, 3.0], [3.5, 4.0]]
    assert intervals_above(np.zeros(5), 1.0, 0.5).shape == (0, 2)


def test_intervals_are_matched_once():
    labelled = np.array([[10.0, 20.0]])
    assert match_intervals(np.array([[11.0, 19.0], [12.0, 20.0]]), labelled) == (1, 1, 0)
    assert match_intervals(np.array([[19.0, 40.0]]), labelled) == (0, 1, 1)
    assert match_intervals(np.zeros((0, 2)), labelled) == (0, 0, 1)
    assert match_intervals(labelled, np.zeros((0, 2))) == (0, 1, 0)
