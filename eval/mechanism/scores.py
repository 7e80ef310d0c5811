"""How far mechanisms are from those of a reference, event by event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ...data.mechanism.double_couple import kagan_angles_deg


@dataclass(frozen=True, kw_only=True)
class MechanismScores:
    """Kagan angles to a reference: their number, median, mean, 90 % quantile, and the share within 20°."""

    count: int
    median_deg: float
    mean_deg: float
    p90_deg: float
    within_20_deg: float


def kagan_to_reference(
    answers_deg: Mapping[str, Sequence[float]], reference_deg: Mapping[str, Sequence[float]]
) -> dict[str, float]:
    """The Kagan angle in degrees of every event that both know, by event id.

    Raises ValueError where no event is in both.
    """
    both = [event for event in answers_deg if event in reference_deg]
    if not both:
        raise ValueError(
            f"no event is in both: answers have {sorted(answers_deg)[:3]}, "
            f"the reference {sorted(reference_deg)[:3]}"
        )
    first, second = (
        torch.tensor([list(table[event]) for event in both], dtype=torch.float64)
        for table in (answers_deg, reference_deg)
    )
    return dict(zip(both, kagan_angles_deg(first, second).tolist(), strict=True))


def score_mechanisms(kagan_deg: Sequence[float]) -> MechanismScores:
    """The scores of some Kagan angles. Raises ValueError for none."""
    angles = np.asarray(list(kagan_deg), dtype=float)
    if not angles.size:
        raise ValueError("there is no mechanism to score")
    return MechanismScores(
        count=len(angles),
        median_deg=float(np.median(angles)),
        mean_deg=float(angles.mean()),
        p90_deg=float(np.quantile(angles, 0.9)),
        within_20_deg=float((angles <= 20.0).mean()),
    )
