import numpy as np
import pytest
from seisfm.eval.classification_metrics import (
    accuracy,
    balanced_accuracy,
    classification_scores,
    confusion_matrix,
    expected_calibration_error,
    macro_f1,
    most_probable,
    recall_by_class,
    reliability,
)


def test_known_answers():
    truth = np.array([0, 0, 0, 1, 1, 2, -1])
    predicted = np.array([0, 0, 1, 1, 1, -1, 0])
    confusion = confusion_matrix(truth, predicted, 3)
    assert confusion.tolist() == [[2, 1, 0], [0, 2, 0], [0, 0, 0]]
    assert recall_by_class(confusion)[:2] == pytest.approx([2 / 3, 1.0])
    assert np.isnan(recall_by_class(confusion)[2])
    assert balanced_accuracy(confusion) == pytest.approx(5 / 6)
    assert accuracy(confusion) == pytest.approx(4 / 5)
    # F1 of 0: 2·2/(3 + 2); of 1: 2·2/(2 + 3).
    assert macro_f1(confusion) == pytest.approx(0.8)


def test_who_always_names_the_common_class_is_no_better_than_chance():
    truth = np.array([0] * 95 + [1] * 5)
    confusion = confusion_matrix(truth, np.zeros(100, dtype=int), 2)
    assert accuracy(confusion) == 0.95 and balanced_accuracy(confusion) == 0.5


def calibrated(count, seed=0):
    """Probabilities of two classes that come true as often as they say."""
    rng = np.random.default_rng(seed)
    share = rng.random(count)
    return np.stack([1 - share, share], axis=1), (rng.random(count) < share).astype(int)


def test_honest_probabilities_are_calibrated_and_bold_ones_not():
    probability, truth = calibrated(20000)
    assert expected_calibration_error(probability, truth) < 0.02
    bold = probability**4 / (probability**4).sum(axis=1, keepdims=True)
    assert expected_calibration_error(bold, truth) > 0.1


def test_reliability_puts_each_window_into_one_bin():
    table = reliability(np.array([0.0, 0.05, 0.95, 1.0, np.nan]), np.array([0, 1, 1, 1, 0], dtype=bool))
    assert table.n.tolist() == [2, 0, 0, 0, 0, 0, 0, 0, 0, 2]
    assert table.share_right[0] == 0.5 and np.isnan(table.share_right[1])
    assert table.expected_calibration_error == pytest.approx(0.5 * 0.475 + 0.5 * 0.025)


def test_logits_are_refused():
    with pytest.raises(ValueError, match="were logits given"):
        reliability(np.array([3.0]), np.array([True]))


def test_no_answer_is_no_class():
    predicted, confidence = most_probable(np.array([[0.2, 0.8], [np.nan, np.nan]]))
    assert predicted.tolist() == [1, -1]
    assert confidence[0] == 0.8 and np.isnan(confidence[1])
    assert np.isnan(expected_calibration_error(np.full((2, 2), np.nan), np.array([0, 1])))


def test_scores_leave_out_what_was_not_answered_and_hold_their_intervals():
    probability, truth = calibrated(600)
    probability[:100] = np.nan
    truth[100:150] = -1
    event = np.array([f"e{i // 3}" for i in range(600)])
    scores = classification_scores(probability, truth, event, seed=0, num_resamples=200)
    assert scores["accuracy"].n == 450
    for name in ("balanced_accuracy", "macro_f1", "accuracy"):
        assert scores[name].low < scores[name].value < scores[name].high
    assert scores["ece"].value < 0.1
