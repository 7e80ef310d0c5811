"""Unbroken runs in a sequence of yes and no, and traces too coarse for equal neighbours to mean anything."""

from __future__ import annotations

import numpy as np

MIN_LEVELS = 64
"""Below so many distinct values equal neighbours and flat tops are the digitizer's steps."""


def runs(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where unbroken runs of True begin and end, `(run,)` each."""
    edges = np.flatnonzero(np.diff(np.pad(mask, 1).astype(np.int8)))
    return edges[::2], edges[1::2]


def repeated(trace: np.ndarray, seen: np.ndarray, least: int) -> np.ndarray:
    """Which samples belong to a run of at least so many equal ones, bool `(sample,)`."""
    same = (trace[1:] == trace[:-1]) & seen[1:] & seen[:-1]
    begins, ends = runs(same)
    long = ends - begins + 1 >= least
    found = np.zeros(len(trace), dtype=bool)
    for begin, end in zip(begins[long], ends[long], strict=True):
        found[begin : end + 1] = True
    return found


def is_coarse(values: np.ndarray) -> bool:
    """Whether a trace has so few levels that equal neighbours mean nothing."""
    if len(values) < 2:
        return True
    return float(np.mean(values[1:] == values[:-1])) > 0.3 or len(np.unique(values)) < MIN_LEVELS
