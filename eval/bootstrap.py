"""How far a score may be off by chance: percentile intervals from resampled earthquakes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

CHUNK_CELLS = 4_000_000
"""Resamples are drawn in blocks of at most so many (resample, event) cells, to bound the memory."""


def sums_by_event(values: np.ndarray, event: Sequence[str]) -> np.ndarray:
    """Add up rows `(window, column)` that belong to one event: `(event, column)`."""
    _, index = np.unique(np.asarray(event, dtype=np.str_), return_inverse=True)
    sums = np.zeros((int(index.max(initial=-1)) + 1, values.shape[1]))
    np.add.at(sums, index, values)
    return sums


def bootstrap_interval(
    event_sums: np.ndarray,
    statistic: Callable[[np.ndarray], np.ndarray],
    seed: int,
    num_resamples: int = 1000,
    level: float = 0.95,
) -> tuple[np.ndarray, np.ndarray]:
    """The ends of a percentile interval of a score, from events drawn with replacement.

    Whole events are drawn, because the traces of one earthquake are not independent: resampling traces would
    make the interval too narrow (Efron & Tibshirani 1993, ch. 8 and 13).

    event_sums: `(event, column)`, what the score is made of, added up within each event. statistic: from sums
    `(resample, column)` to scores `(resample, …)`, NaN where undefined. Returns low and high `(…)`; NaN with
    fewer than two events. Raises ValueError for a wrong level or number.
    """
    if not 0.0 < level < 1.0 or num_resamples < 1:
        raise ValueError(
            f"level must lie in 0 to 1 and num_resamples be 1 or more, found {level}, {num_resamples}"
        )
    scores = _resampled(event_sums, statistic, seed, num_resamples)
    if len(event_sums) < 2:
        scores = np.full_like(scores, np.nan)
    tail = 50.0 * (1.0 - level)
    return _percentile(scores, tail), _percentile(scores, 100.0 - tail)


def _resampled(
    event_sums: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray], seed: int, num_resamples: int
) -> np.ndarray:
    """The score of each resample: how often an event is drawn is multinomial, so a product sums up."""
    num_events = max(len(event_sums), 1)
    rng = np.random.default_rng(seed)
    block = max(1, CHUNK_CELLS // num_events)
    scores = []
    for first in range(0, num_resamples, block):
        size = min(block, num_resamples - first)
        draws = rng.multinomial(len(event_sums), np.full(num_events, 1.0 / num_events), size=size)
        scores.append(statistic(draws[:, : len(event_sums)].astype(float) @ event_sums))
    return np.concatenate(scores)


def _percentile(scores: np.ndarray, percent: float) -> np.ndarray:
    """Percentile over resamples of each score; resamples without a score are left out."""
    flat = scores.reshape(len(scores), -1)
    ends = [
        np.percentile(known, percent) if len(known := column[~np.isnan(column)]) else np.nan
        for column in flat.T
    ]
    return np.asarray(ends).reshape(scores.shape[1:])
