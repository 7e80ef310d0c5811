"""How good a mechanism is, in the letters that catalogs of mechanisms use."""

from __future__ import annotations

from torch import Tensor

from .first_motions import FirstMotions

LIMITS = {"A": (0.8, 25.0, 0.15, 0.5), "B": (0.6, 35.0, 0.20, 0.4), "C": (0.5, 45.0, 0.30, 0.3)}
"""Probability above, mean plane error (degrees) and misfit at most, station ratio at least, for each letter.

Hardebeck & Shearer (2002), table 1, with the station ratio of the HASH manual.
"""


def quality_letter(probability: float, error_deg: float, misfit: float, station_ratio: float) -> str:
    """The best letter of which all four limits hold, D where none."""
    for letter, (least, most_deg, most_misfit, least_ratio) in LIMITS.items():
        if (
            probability > least
            and error_deg <= most_deg
            and misfit <= most_misfit
            and station_ratio >= least_ratio
        ):
            return letter
    return "D"


def onset_weights(motions: FirstMotions) -> Tensor:
    """How much each first motion counts `(station,)`: 1, half where its onset is emergent, 0 for none."""
    return (0.5 + 0.5 * motions.impulsive.double()).where(motions.polarity != 0, 0.0)


def weighted_misfit(motions: FirstMotions, p_amplitude: Tensor) -> tuple[float, float]:
    """The share of wrong polarities and the station distribution ratio, from P amplitudes `(station,)`.

    Both after FPFIT (Reasenberg & Oppenheimer, 1985, USGS Open-File Report 85-739): a reading weighs by the
    root of its P amplitude, little near a nodal plane, and half where its onset is emergent. The ratio is the
    mean weight: 1 for stations all at the P and T axes, small where all are near nodal planes.
    """
    known = motions.polarity != 0
    quality = onset_weights(motions)[known].to(p_amplitude)
    weight = quality * p_amplitude[known].abs().sqrt()
    wrong = p_amplitude[known].sign() != motions.polarity[known].to(p_amplitude)
    return float((weight * wrong).sum() / weight.sum()), float(weight.sum() / quality.sum())
