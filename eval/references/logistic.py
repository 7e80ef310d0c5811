"""Multinomial logistic regression, small enough to be read: for classical discriminants on a few features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax


@dataclass(frozen=True, kw_only=True)
class LogisticRegression:
    """Class probabilities from standardized features.

    weight: `(feature, class)`. bias: `(class,)`. mean, scale: `(feature,)`, of the training features.
    """

    weight: np.ndarray
    bias: np.ndarray
    mean: np.ndarray
    scale: np.ndarray

    def probability(self, features: np.ndarray) -> np.ndarray:
        """`(item, class)`; a feature that is NaN takes the training mean, which by itself says nothing."""
        return softmax(self._standard(features) @ self.weight + self.bias, axis=1)

    def _standard(self, features: np.ndarray) -> np.ndarray:
        return np.nan_to_num((features - self.mean) / self.scale, nan=0.0)


def fit_logistic(
    features: np.ndarray, label: np.ndarray, num_classes: int, penalty: float = 1e-2
) -> LogisticRegression:
    """Class-balanced maximum likelihood with an L2 penalty on weights, by L-BFGS.

    features: `(item, feature)`, NaN where unknown. label: int `(item,)`, 0 to `num_classes` − 1. Each
    class has the same weight in all, so that rare classes are not given up.

    Raises ValueError where a class has no item, or a feature is always NaN.
    """
    counts = np.bincount(label, minlength=num_classes)
    if len(counts) != num_classes or counts.min() == 0:
        raise ValueError(
            f"each of {num_classes} classes needs an item, found {counts.tolist()}: "
            "leave the empty classes out, or give more records"
        )
    empty = np.isnan(features).all(axis=0)
    if empty.any():
        raise ValueError(f"features {np.flatnonzero(empty).tolist()} are NaN everywhere: leave them out")
    mean = np.nanmean(features, axis=0)
    spread = np.nanstd(features, axis=0)
    model = LogisticRegression(
        weight=np.zeros((features.shape[1], num_classes)),
        bias=np.zeros(num_classes),
        mean=mean,
        scale=np.where(spread > 0, spread, 1.0),
    )
    standard = model._standard(features)
    importance = 1.0 / (num_classes * counts[label])
    truth = np.eye(num_classes)[label]

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weight, bias = flat[:-num_classes].reshape(-1, num_classes), flat[-num_classes:]
        logits = standard @ weight + bias
        loss = -(importance[:, None] * truth * log_softmax(logits, axis=1)).sum()
        error = importance[:, None] * (softmax(logits, axis=1) - truth)
        gradient = np.concatenate([(standard.T @ error + 2 * penalty * weight).ravel(), error.sum(axis=0)])
        return float(loss + penalty * np.square(weight).sum()), gradient

    start = np.zeros(standard.shape[1] * num_classes + num_classes)
    found = minimize(objective, start, jac=True, method="L-BFGS-B").x
    return LogisticRegression(
        weight=found[:-num_classes].reshape(-1, num_classes),
        bias=found[-num_classes:],
        mean=model.mean,
        scale=model.scale,
    )
