"""Means over seeds with their intervals, and differences between arms of the same seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

LEVEL = 0.95


@dataclass(frozen=True)
class MeanOverSeeds:
    """A mean with half of the width of its interval; that is NaN for a single seed. count: of the seeds."""

    mean: float
    half_width: float
    count: int

    def __str__(self) -> str:
        if not self.count:
            return "–"
        spread = "" if math.isnan(self.half_width) else f" ± {self.half_width:.3f}"
        return f"{self.mean:.3f}{spread}"

    @property
    def excludes_zero(self) -> bool:
        """Whether 0 lies outside of the interval."""
        return abs(self.mean) > self.half_width


def over_seeds(values: Sequence[float] | np.ndarray | pd.Series) -> MeanOverSeeds:
    """Mean and 95 % interval of Student's t for a few independent runs; unknown values (NaN) are left out."""
    known = np.asarray(values, dtype=float)
    known = known[np.isfinite(known)]
    count = len(known)
    if count < 2:
        return MeanOverSeeds(float(known.mean()) if count else math.nan, math.nan, count)
    quantile = float(stats.t.ppf(0.5 + LEVEL / 2, count - 1))
    return MeanOverSeeds(float(known.mean()), quantile * float(known.std(ddof=1)) / math.sqrt(count), count)


def paired(values: pd.Series, reference: pd.Series) -> MeanOverSeeds:
    """The mean difference of two arms, both indexed by seed, over the seeds that both have."""
    return over_seeds((values - reference).dropna())
