"""What makes a head's answers as sure as they are right: fitted after training, on windows held out.

Each calibration turns a head's raw outputs (`Head.forward`) into calibrated ones before they become an
answer. With its defaults it is the identity: a model that nobody calibrated answers as it was trained. No
training ever sees a calibration.
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

LEAST_PROBABILITY = 1e-30
"""Of noise where P and S leave nothing for it, so that its logarithm stays finite."""


@dataclass(frozen=True, kw_only=True)
class Calibration(ABC):
    """The numbers that make one head honest.

    Raises ValueError for those that are not positive and finite.
    """

    def __post_init__(self) -> None:
        given = {name: value for name, value in dataclasses.asdict(self).items() if value is not None}
        wrong = {name: value for name, value in given.items() if not (value > 0 and math.isfinite(value))}
        if wrong:
            raise ValueError(f"a calibration needs positive, finite numbers, found {wrong}")

    @abstractmethod
    def __call__(self, output: dict[str, Tensor]) -> dict[str, Tensor]:
        """Raw outputs of the head, calibrated; everything else in them stays as it is."""


@dataclass(frozen=True, kw_only=True)
class Uncalibrated(Calibration):
    """Of a head whose answers are taken as they are: it has no settings."""

    def __call__(self, output: dict[str, Tensor]) -> dict[str, Tensor]:
        """The raw outputs themselves."""
        return output


@dataclass(frozen=True, kw_only=True)
class ClassTemperature(Calibration):
    """One temperature for all logits (Guo et al. 2017, ICML, section 4.2).

    temperature: what logits are divided by. Above 1 answers become less sure; which class is the most
        probable one never changes.
    """

    temperature: float = 1.0

    def __call__(self, output: dict[str, Tensor]) -> dict[str, Tensor]:
        """The logits over the temperature."""
        return {**output, "logits": output["logits"] / self.temperature}


@dataclass(frozen=True, kw_only=True)
class StdFactor(Calibration):
    """One factor for the standard deviations of a head that answers with Gaussians.

    std_factor: above 1 for a head that was too sure of itself. The mean stays.
    """

    std_factor: float = 1.0

    def __call__(self, output: dict[str, Tensor]) -> dict[str, Tensor]:
        """The standard deviation times the factor."""
        return {**output, "std": output["std"] * self.std_factor}


@dataclass(frozen=True, kw_only=True)
class KappaFactor(Calibration):
    """One factor for the concentrations of a head that answers with von Mises distributions.

    kappa_factor: below 1 for a head that was too sure of itself. The direction stays.
    """

    kappa_factor: float = 1.0

    def __call__(self, output: dict[str, Tensor]) -> dict[str, Tensor]:
        """The vector, whose length is κ, times the factor."""
        return {**output, "vector": output["vector"] * self.kappa_factor}


@dataclass(frozen=True, kw_only=True)
class PickCalibration(Calibration):
    """One temperature for the odds of P and of S, each against all else; and what a pick's time is worth.

    The odds o = p / (1 − p) of a phase become o^(1/T) times a factor (Platt 1999, whose two numbers are the
    slope and the intercept of the log odds). That keeps the order of samples by their probability of P, so
    that a peak stays at its sample. (A softmax with a temperature keeps the order of the classes at a sample,
    which is something else.) Noise takes what is left.

    temperature: T. p_odds, s_odds: the factors. A picker learns how well an arrival fits *this* sample; asked
        is whether there is one within the tolerance. Their product is at most 1: then P and S together never
        exceed 1, whatever they were.
    time_floor_s, time_spread_s: a pick of probability p is off by √(floor² + (spread (1 − p))²), one standard
        deviation. None: a pick's uncertainty is the width of its peak, which nobody compared with residuals.
    p_threshold, s_threshold: the least calibrated probability that makes a pick, where a user asks for none;
        such as those that give so many false picks in an hour of noise.
    """

    temperature: float = 1.0
    p_odds: float = 1.0
    s_odds: float = 1.0
    time_floor_s: float | None = None
    time_spread_s: float | None = None
    p_threshold: float | None = None
    s_threshold: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if max(self.p_threshold or 0.0, self.s_threshold or 0.0) > 1.0:
            raise ValueError(
                f"thresholds must be at most 1, found {self.p_threshold} for P and {self.s_threshold} for S"
            )
        if self.p_odds * self.s_odds > 1.0 + 1e-9:
            raise ValueError(
                "p_odds times s_odds must not exceed 1, or P and S could exceed it together, "
                f"found {self.p_odds} and {self.s_odds}"
            )
        if (self.time_floor_s is None) != (self.time_spread_s is None):
            raise ValueError(
                "time_floor_s and time_spread_s are given together or not at all, "
                f"found {self.time_floor_s} and {self.time_spread_s}"
            )

    def __call__(self, output: dict[str, Tensor]) -> dict[str, Tensor]:
        """Logits `(window, P S noise, sample)` whose softmax are the calibrated probabilities."""
        if self.temperature == self.p_odds == self.s_odds == 1.0:
            return output
        p, s, noise = output["logits"].unbind(dim=1)
        p_log_odds = self._log_odds(p - torch.logaddexp(s, noise), self.p_odds)
        s_log_odds = self._log_odds(s - torch.logaddexp(p, noise), self.s_odds)
        rest = (p_log_odds.neg().sigmoid() - s_log_odds.sigmoid()).clamp(min=LEAST_PROBABILITY)
        logits = torch.stack([F.logsigmoid(p_log_odds), F.logsigmoid(s_log_odds), rest.log()], dim=1)
        return {**output, "logits": logits}

    def _log_odds(self, log_odds: Tensor, factor: float) -> Tensor:
        return log_odds / self.temperature + math.log(factor)

    def calibrated(self, phase: str, probability: float) -> float:
        """What becomes of an uncalibrated probability of P or S, such as of a threshold that was in use.

        Raises ValueError for another phase, or a probability that is not between 0 and 1.
        """
        odds = _odds(phase, probability) ** (1.0 / self.temperature) * self._factor(phase)
        return odds / (1.0 + odds)

    def uncalibrated(self, phase: str, probability: float) -> float:
        """The other way: what the network itself says where this calibration makes `probability` of it."""
        odds = (_odds(phase, probability) / self._factor(phase)) ** self.temperature
        return odds / (1.0 + odds)

    def _factor(self, phase: str) -> float:
        return self.p_odds if phase == "P" else self.s_odds

    def time_std_s(self, probability: np.ndarray, width_s: np.ndarray) -> np.ndarray:
        """The standard deviation of picks' times in seconds.

        probability: calibrated, of each pick. width_s: of its peak, which is the answer where this
        calibration knows nothing of times.
        """
        if self.time_floor_s is None or self.time_spread_s is None:
            return width_s
        return np.hypot(self.time_floor_s, self.time_spread_s * (1.0 - probability))


def _odds(phase: str, probability: float) -> float:
    if phase not in ("P", "S") or not 0.0 < probability < 1.0:
        raise ValueError(f"expected P or S and a probability between 0 and 1, found {phase}: {probability}")
    return probability / (1.0 - probability)
