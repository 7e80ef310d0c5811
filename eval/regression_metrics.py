"""How good numbers are: errors, bias, intervals and directions, with whole events resampled for confidence.

A window without an answer (NaN) never enters an error: how many were answered stands beside every score.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from .bootstrap import bootstrap_interval, sums_by_event

LEVELS = (0.5, 0.68, 0.9, 0.95)
"""Of intervals whose coverage is measured."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """A score with its interval from resampled events, and how many windows it is made of."""

    value: float
    low: float
    high: float
    n: int


def circular_difference_deg(predicted: ArrayLike, truth: ArrayLike) -> np.ndarray:
    """The turn from a true direction to a predicted one, −180 to 180 degrees."""
    return (np.asarray(predicted) - np.asarray(truth) + 180.0) % 360.0 - 180.0


def mean_absolute_error(error: np.ndarray) -> float:
    """The mean size of errors, NaN left out; of `circular_difference_deg` it is the circular MAE."""
    return _mean(np.abs(error[np.isfinite(error)]))


def share_within(error: np.ndarray, tolerance: float) -> float:
    """The part of errors that is no larger than a tolerance, NaN left out."""
    return _mean(np.abs(error[np.isfinite(error)]) <= tolerance)


def r_squared(predicted: np.ndarray, truth: np.ndarray) -> float:
    """1 − Σ(predicted − truth)² / Σ(truth − mean)²: 0 for who always says the mean, negative for worse."""
    known = np.isfinite(predicted) & np.isfinite(truth)
    return float(_r_squared(_sums(predicted[known], truth[known]).sum(axis=0)))


@dataclass(frozen=True, kw_only=True)
class BinBias:
    """Errors where the truth lies between two edges: their mean (bias), spread (n − 1) and number."""

    low: float
    high: float
    n: int
    bias: float
    std: float


def bias_by_bin(predicted: np.ndarray, truth: np.ndarray, edges: Sequence[float]) -> list[BinBias]:
    """Mean error by bins of the true value; a bin holds its lower edge, the last one its upper too.

    Predictors that are drawn to the mean show it here: small ones come out large, large ones small.
    """
    known = np.isfinite(predicted) & np.isfinite(truth)
    error, place = (predicted - truth)[known], np.searchsorted(edges, truth[known], side="right") - 1
    place[truth[known] == edges[-1]] = len(edges) - 2
    rows = []
    for i, (low, high) in enumerate(itertools.pairwise(edges)):
        here = error[place == i]
        spread = float(here.std(ddof=1)) if len(here) > 1 else np.nan
        rows.append(BinBias(low=low, high=high, n=len(here), bias=_mean(here), std=spread))
    return rows


def interval_coverage(
    error: np.ndarray, sigma: np.ndarray, levels: Sequence[float] = LEVELS
) -> dict[float, float]:
    """The share of truths inside of the central Gaussian interval of each level.

    error: predicted − truth. sigma: the standard deviation that was claimed. An honest one gives each level's
    own share; less is overconfident.
    """
    known = np.isfinite(error) & np.isfinite(sigma)
    size = np.abs(error[known])
    return {level: _mean(size <= float(ndtri(0.5 + level / 2)) * sigma[known]) for level in levels}


def regression_scores(
    predicted: np.ndarray,
    truth: np.ndarray,
    event: np.ndarray,
    *,
    seed: int,
    tolerance: float,
    circular: bool = False,
    num_resamples: int = 1000,
) -> dict[str, Score]:
    """`mae`, `bias`, `r2` and `within` (the tolerance) with 95 % intervals over events.

    predicted, truth: `(window,)`; windows where either is NaN are left out, and `n` tells how many are not.
    circular: directions in degrees: errors wrap, and `r2` has no meaning and is left out.
    """
    known = np.isfinite(predicted) & np.isfinite(truth)
    guess, answer = predicted[known], truth[known]
    error = circular_difference_deg(guess, answer) if circular else guess - answer
    columns = np.column_stack([_sums(answer + error, answer), np.abs(error) <= tolerance])
    names = ["mae", "bias", "within", *([] if circular else ["r2"])]
    statistics: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "mae": lambda sums: _ratio(sums[..., 1], sums[..., 0]),
        "bias": lambda sums: _ratio(sums[..., 2], sums[..., 0]),
        "within": lambda sums: _ratio(sums[..., 6], sums[..., 0]),
        "r2": _r_squared,
    }
    return {name: _score(columns, event[known], statistics[name], seed, num_resamples) for name in names}


def _score(
    columns: np.ndarray,
    event: np.ndarray,
    statistic: Callable[[np.ndarray], np.ndarray],
    seed: int,
    num_resamples: int,
) -> Score:
    by_event = sums_by_event(columns, event.tolist())
    low, high = bootstrap_interval(by_event, statistic, seed, num_resamples)
    value = float(statistic(columns.sum(axis=0)))
    return Score(value=value, low=float(low), high=float(high), n=len(columns))


def _sums(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """What the scores are made of, `(window, 6)`: 1, |error|, error, error², truth, truth²."""
    error = predicted - truth
    return np.column_stack([np.ones(len(error)), np.abs(error), error, error**2, truth, truth**2])


def _r_squared(sums: np.ndarray) -> np.ndarray:
    spread = sums[..., 5] - _ratio(sums[..., 4] ** 2, sums[..., 0])
    # A spread that is nothing but rounding is none.
    return 1.0 - _ratio(sums[..., 3], np.where(spread > 1e-9 * sums[..., 5], spread, 0.0))


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    numerator, denominator = np.asarray(numerator, dtype=float), np.asarray(denominator, dtype=float)
    return np.divide(numerator, denominator, out=np.full(denominator.shape, np.nan), where=denominator > 0)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else np.nan
