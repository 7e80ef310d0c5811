"""How good classes and their probabilities are; whole events are resampled for confidence.

A window without an answer (NaN probabilities, or class −1) never enters a score: how many were answered
stands beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .bootstrap import bootstrap_interval, sums_by_event
from .regression_metrics import Score


def confusion_matrix(truth: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """How many of each true class (row) were called what (column), int64 `(class, class)`; −1 is left out."""
    known = (truth >= 0) & (predicted >= 0)
    flat = np.bincount(truth[known] * num_classes + predicted[known], minlength=num_classes**2)
    return flat.reshape(num_classes, num_classes)


def recall_by_class(confusion: np.ndarray) -> np.ndarray:
    """The share of each true class that was called so, `(…, class)`, NaN for a class that does not occur."""
    return _ratio(np.diagonal(confusion, axis1=-2, axis2=-1), confusion.sum(axis=-1))


def balanced_accuracy(confusion: np.ndarray) -> np.ndarray:
    """The mean recall of the classes that occur `(…,)`: a rare class counts as much as a common one."""
    return _mean_of_known(recall_by_class(confusion))


def macro_f1(confusion: np.ndarray) -> np.ndarray:
    """The mean F1 of the classes that occur or were named `(…,)`."""
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    return _mean_of_known(_ratio(2.0 * hits, confusion.sum(axis=-1) + confusion.sum(axis=-2)))


def accuracy(confusion: np.ndarray) -> np.ndarray:
    """The share of right answers `(…,)`."""
    hits = np.diagonal(confusion, axis1=-2, axis2=-1).sum(axis=-1)
    return _ratio(hits, confusion.sum(axis=(-2, -1)))


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """What was said against what came true, in bins of the probability said.

    edges: `(bin + 1,)`. n: windows `(bin,)`. weight: their sum of weights `(bin,)`, n where all count the
    same. confidence, share_right: means `(bin,)`, NaN where empty.
    """

    edges: np.ndarray
    n: np.ndarray
    weight: np.ndarray
    confidence: np.ndarray
    share_right: np.ndarray

    @property
    def expected_calibration_error(self) -> float:
        """Mean distance of what was said from what came true, weighted by windows (ECE; Guo et al. 2017)."""
        if not self.weight.sum():
            return np.nan
        gap = np.abs(self.confidence - self.share_right)
        return float(np.nansum(self.weight * gap) / self.weight.sum())


def reliability(
    confidence: np.ndarray, right: np.ndarray, num_bins: int = 10, weight: np.ndarray | None = None
) -> Reliability:
    """Bins of equal width for the probability of the answer given, and whether it was right.

    confidence: `(window,)`, 0 to 1, NaN without an answer. right: bool `(window,)`. weight: `(window,)`, how
    much each window counts; all the same without it.

    Raises ValueError for probabilities outside of 0 to 1.
    """
    known = np.isfinite(confidence)
    said, true = confidence[known], right[known].astype(float)
    if len(said) and (said.min() < -1e-6 or said.max() > 1 + 1e-6):
        raise ValueError(
            f"confidence must lie in 0 to 1, found {said.min():g} to {said.max():g}: were logits given?"
        )
    place = np.minimum((said.clip(0, 1) * num_bins).astype(int), num_bins - 1)
    counts = np.ones(len(said)) if weight is None else weight[known]
    total = np.bincount(place, counts, num_bins)
    return Reliability(
        edges=np.linspace(0.0, 1.0, num_bins + 1),
        n=np.bincount(place, minlength=num_bins),
        weight=total,
        confidence=_ratio(np.bincount(place, counts * said, num_bins), total),
        share_right=_ratio(np.bincount(place, counts * true, num_bins), total),
    )


def expected_calibration_error(probability: np.ndarray, truth: np.ndarray, num_bins: int = 10) -> float:
    """ECE of the most probable class; probability `(window, class)`, truth `(window,)` with −1 unknown."""
    predicted, confidence = most_probable(probability)
    known = truth >= 0
    return reliability(
        confidence[known], predicted[known] == truth[known], num_bins
    ).expected_calibration_error


def most_probable(probability: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The class with the largest probability, −1 where they are NaN, and that probability, `(window,)`."""
    known = np.isfinite(probability).all(axis=1)
    predicted = np.where(known, np.nan_to_num(probability).argmax(axis=1), -1)
    return predicted, np.where(known, np.nan_to_num(probability).max(axis=1), np.nan)


def classification_scores(
    probability: np.ndarray,
    truth: np.ndarray,
    event: np.ndarray,
    *,
    seed: int,
    num_resamples: int = 1000,
) -> dict[str, Score]:
    """`balanced_accuracy`, `macro_f1` and `accuracy` with 95 % intervals over events, and `ece` without.

    probability: `(window, class)`. truth: int `(window,)`, −1 where unknown. event: `(window,)`.
    """
    num_classes = probability.shape[1]
    predicted, _ = most_probable(probability)
    known = (truth >= 0) & (predicted >= 0)
    cells = np.zeros((int(known.sum()), num_classes**2))
    cells[np.arange(len(cells)), truth[known] * num_classes + predicted[known]] = 1.0
    by_event = sums_by_event(cells, event[known].tolist())
    parts: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "balanced_accuracy": balanced_accuracy,
        "macro_f1": macro_f1,
        "accuracy": accuracy,
    }
    scores = {}
    for name, score in parts.items():

        def statistic(sums: np.ndarray, score: Callable[[np.ndarray], np.ndarray] = score) -> np.ndarray:
            return score(sums.reshape(*sums.shape[:-1], num_classes, num_classes))

        low, high = bootstrap_interval(by_event, statistic, seed, num_resamples)
        scores[name] = Score(
            value=float(statistic(cells.sum(axis=0))), low=float(low), high=float(high), n=len(cells)
        )
    ece = expected_calibration_error(probability, truth)
    return {**scores, "ece": Score(value=ece, low=np.nan, high=np.nan, n=len(cells))}


def _mean_of_known(values: np.ndarray) -> np.ndarray:
    known = np.isfinite(values)
    return _ratio(np.where(known, values, 0.0).sum(axis=-1), known.sum(axis=-1))


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    numerator, denominator = np.asarray(numerator, dtype=float), np.asarray(denominator, dtype=float)
    return np.divide(numerator, denominator, out=np.full(denominator.shape, np.nan), where=denominator > 0)
