"""The first motion of each P pick, from what a polarity head says along the record."""

from __future__ import annotations

import numpy as np

from ..data.records import POLARITIES, Record


def first_motion(record: Record, polarity: np.ndarray, phase: str, time_s: float) -> dict[str, object]:
    """A pick's columns `polarity` and `polarity_probability`; none for S, without a head, and in a gap.

    polarity: probability of each of `POLARITIES` at each sample, `(class, sample)`; no row where the model
        has no such head.
    """
    sample = round(time_s * record.sampling_rate_hz)
    if phase != "P" or not len(polarity) or not 0 <= sample < polarity.shape[1]:
        return {}
    here = polarity[:, sample]
    if not np.isfinite(here).all():
        return {}
    best = int(here.argmax())
    return {"polarity": POLARITIES[best], "polarity_probability": min(float(here[best]), 1.0)}
