"""How good a detector is: does it tell an earthquake from noise, and where it begins and ends."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata


def roc_auc(event_score: np.ndarray, noise_score: np.ndarray) -> float:
    """Area under the ROC curve: the chance that an event window scores above a noise window, ties half.

    From ranks (Mann & Whitney 1947). NaN where one of the two kinds is absent.
    """
    num_events, num_noise = len(event_score), len(noise_score)
    if not num_events or not num_noise:
        return float("nan")
    ranks = rankdata(np.concatenate([event_score, noise_score]))
    return float((ranks[:num_events].sum() - num_events * (num_events + 1) / 2) / (num_events * num_noise))


def intervals_above(probability: np.ndarray, sampling_rate_hz: float, threshold: float) -> np.ndarray:
    """Where a probability `(sample,)` lies at or above a threshold: `(interval, 2)` start and end in seconds.

    NaN is below. An interval ends after its last sample.
    """
    above = np.concatenate([[False], probability >= threshold, [False]]).astype(np.int8)
    edges = np.flatnonzero(np.diff(above))
    return edges.reshape(-1, 2) / sampling_rate_hz


def match_intervals(
    found_s: np.ndarray, labelled_s: np.ndarray, min_overlap: float = 0.3
) -> tuple[int, int, int]:
    """True positives, false positives and misses of intervals `(interval, 2)` in one window.

    A pair counts where its common part is `min_overlap` of its joint extent or more; one to one, the largest
    overlap first.
    """
    overlap = _overlap(found_s, labelled_s)
    hits = 0
    while overlap.size and overlap.max() >= min_overlap:
        row, column = np.unravel_index(overlap.argmax(), overlap.shape)
        overlap[row, :] = overlap[:, column] = -1.0
        hits += 1
    return hits, len(found_s) - hits, len(labelled_s) - hits


def _overlap(found_s: np.ndarray, labelled_s: np.ndarray) -> np.ndarray:
    """Intersection over union of all pairs."""
    start = np.maximum(found_s[:, None, 0], labelled_s[None, :, 0])
    end = np.minimum(found_s[:, None, 1], labelled_s[None, :, 1])
    union = np.maximum(found_s[:, None, 1], labelled_s[None, :, 1]) - np.minimum(
        found_s[:, None, 0], labelled_s[None, :, 0]
    )
    return np.clip(end - start, 0.0, None) / np.maximum(union, 1e-12)
