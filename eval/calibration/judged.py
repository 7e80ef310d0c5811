"""Answers beside the truth: what calibrations are fitted to, and what they are measured by."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TypeVar

import numpy as np
from scipy.special import erf, i0e
from scipy.stats import vonmises

from ..classification_metrics import Reliability, most_probable, reliability

LEVELS = tuple(np.round([*np.arange(0.1, 0.95, 0.1), 0.95], 2).tolist())
"""Of the central intervals whose coverage is measured."""

_LEAST = 1e-12


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Answers of one kind, each with the event that it belongs to, which intervals and splits go by.

    Raises ValueError for columns of different lengths.
    """

    event: np.ndarray

    def __post_init__(self) -> None:
        lengths = {f.name: len(getattr(self, f.name)) for f in fields(self)}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"answers need columns of one length, found {lengths}")

    def __len__(self) -> int:
        return len(self.event)


JudgedT = TypeVar("JudgedT", bound=Judged)


def chosen(judged: JudgedT, mask: np.ndarray) -> JudgedT:
    """The answers where the mask is true."""
    return replace(judged, **{f.name: getattr(judged, f.name)[mask] for f in fields(judged)})


@dataclass(frozen=True, kw_only=True)
class JudgedClasses(Judged):
    """Probabilities of classes, and which one is true.

    probability: `(item, class)`. truth: int `(item,)`. weight: `(item,)`, how much each counts: a head that
    was taught with all classes alike is judged so too. Of two classes the second one is the one asked about.
    """

    probability: np.ndarray
    truth: np.ndarray
    weight: np.ndarray

    def nlls(self) -> np.ndarray:
        """−log of the probability of what was true, in nats, `(item,)`."""
        said = self.probability[np.arange(len(self)), self.truth]
        return -np.log(np.maximum(said, _LEAST))

    def nll(self) -> float:
        """Their mean by weight."""
        return _mean(self.nlls(), self.weight)

    def reliability(self, num_bins: int = 10) -> Reliability:
        """What was said against what came true: of the second class of two, else of the most probable one."""
        if self.probability.shape[1] == 2:
            return reliability(self.probability[:, 1], self.truth == 1, num_bins, self.weight)
        predicted, confidence = most_probable(self.probability)
        return reliability(confidence, predicted == self.truth, num_bins, self.weight)


@dataclass(frozen=True, kw_only=True)
class JudgedNumbers(Judged):
    """Errors `(item,)`, answer − truth, and the standard deviations that were claimed for them."""

    error: np.ndarray
    std: np.ndarray

    def nlls(self) -> np.ndarray:
        """−log of the Gaussian density at the truth, `(item,)`."""
        z = self.error / self.std
        return 0.5 * z**2 + np.log(self.std) + 0.5 * np.log(2 * np.pi)

    def nll(self) -> float:
        """Their mean."""
        return _mean(self.nlls())

    def central_rank(self) -> np.ndarray:
        """The share of the claimed distribution that lies nearer to its middle than the truth, `(item,)`."""
        return erf(np.abs(self.error) / (self.std * np.sqrt(2.0)))


@dataclass(frozen=True, kw_only=True)
class JudgedAngles(Judged):
    """Errors `(item,)` in degrees, −180 to 180, and the concentrations κ that were claimed for them."""

    error_deg: np.ndarray
    kappa: np.ndarray

    def nlls(self) -> np.ndarray:
        """−log of the von Mises density at the truth, per radian, `(item,)`."""
        away = 1.0 - np.cos(np.radians(self.error_deg))
        return self.kappa * away + np.log(2 * np.pi * i0e(self.kappa))

    def nll(self) -> float:
        """Their mean."""
        return _mean(self.nlls())

    def central_rank(self) -> np.ndarray:
        """The share of the claimed distribution that lies nearer to its middle than the truth, `(item,)`."""
        return 2.0 * vonmises.cdf(np.abs(np.radians(self.error_deg)), self.kappa) - 1.0


def coverage(central_rank: np.ndarray, levels: tuple[float, ...] = LEVELS) -> np.ndarray:
    """The share of truths inside of the central interval of each level, which ought to be that level."""
    return np.array([_mean((central_rank <= level).astype(float)) for level in levels])


def coverage_error(central_rank: np.ndarray) -> float:
    """Mean distance of the coverage from the level, over `LEVELS`."""
    return float(np.abs(coverage(central_rank) - np.array(LEVELS)).mean())


def _mean(values: np.ndarray, weight: np.ndarray | None = None) -> float:
    return float(np.average(values, weights=weight)) if len(values) else np.nan
