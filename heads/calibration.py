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
    """A temperature and a factor for the odds of P and of S, each against all else; a pick time's worth.

    The odds o = p / (1 − p) of a phase become o^(1/T) times a factor (Platt 1999, whose two numbers are the
    slope and the intercept of the log odds). That keeps the order of samples by their probability of P, so
    that a peak stays at its sample. (A softmax with a temperature keeps the order of the classes at a sample,
    which is something else.) Noise takes what is left.

    Where P and S are both likely at one sample, the two may exceed 1 together. There they share 1 in
    proportion, and noise has nothing: P is then between 1 − S and what it would be without S. Everywhere
    else, and wherever the other phase is absent, a phase is what its own two numbers make of it.

    temperature: T of both phases. p_temperature, s_temperature: T of one; None: `temperature`.
    p_odds, s_odds: the factors. A picker learns how well an arrival fits *this* sample; asked is whether
        there is one within the tolerance.
    time_floor_s, time_spread_s, time_power: a pick of probability p is off by
        √(floor² + (spread (1 − p)^power)²), one standard deviation. None: a pick's uncertainty is the width
        of its peak, which nobody compared with residuals. The power undoes what a temperature does to 1 − p.
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
    p_temperature: float | None = None
    s_temperature: float | None = None
    time_power: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if max(self.p_threshold or 0.0, self.s_threshold or 0.0) > 1.0:
            raise ValueError(
                f"thresholds must be at most 1, found {self.p_threshold} for P and {self.s_threshold} for S"
            )
        if (self.time_floor_s is None) != (self.time_spread_s is None):
            raise ValueError(
                "time_floor_s and time_spread_s are given together or not at all, "
                f"found {self.time_floor_s} and {self.time_spread_s}"
            )

    def of_phase(self, phase: str) -> tuple[float, float]:
        """The temperature and the factor of P or S. Raises ValueError for another phase."""
        numbers = {"P": (self.p_temperature, self.p_odds), "S": (self.s_temperature, self.s_odds)}
        if phase not in numbers:
            raise ValueError(f"expected P or S, found {phase}")
        temperature, factor = numbers[phase]
        return (self.temperature if temperature is None else temperature), factor

    def __call__(self, output: dict[str, Tensor]) -> dict[str, Tensor]:
        """Logits `(window, P S noise, sample)` whose softmax are the calibrated probabilities."""
        if self.of_phase("P") == self.of_phase("S") == (1.0, 1.0):
            return output
        p, s, noise = output["logits"].unbind(dim=1)
        p_log_odds = self._log_odds("P", p - torch.logaddexp(s, noise))
        s_log_odds = self._log_odds("S", s - torch.logaddexp(p, noise))
        rest = p_log_odds.neg().sigmoid() - s_log_odds.sigmoid()
        too_much = rest.neg().clamp(min=0.0).log1p()
        logits = [
            F.logsigmoid(p_log_odds) - too_much,
            F.logsigmoid(s_log_odds) - too_much,
            rest.clamp(min=LEAST_PROBABILITY).log(),
        ]
        return {**output, "logits": torch.stack(logits, dim=1)}

    def _log_odds(self, phase: str, log_odds: Tensor) -> Tensor:
        temperature, factor = self.of_phase(phase)
        return log_odds / temperature + math.log(factor)

    def calibrated(self, phase: str, probability: float) -> float:
        """What becomes of an uncalibrated probability of P or S, such as of a threshold that was in use.

        That is, where the two do not exceed 1 together.

        Raises ValueError for another phase, or a probability that is not between 0 and 1.
        """
        temperature, factor = self.of_phase(phase)
        odds = _odds(phase, probability) ** (1.0 / temperature) * factor
        return odds / (1.0 + odds)

    def uncalibrated(self, phase: str, probability: float) -> float:
        """The other way: what the network itself says where this calibration makes `probability` of it."""
        temperature, factor = self.of_phase(phase)
        odds = (_odds(phase, probability) / factor) ** temperature
        return odds / (1.0 + odds)

    def time_std_s(self, probability: np.ndarray, width_s: np.ndarray) -> np.ndarray:
        """The standard deviation of picks' times in seconds.

        probability: calibrated, of each pick. width_s: of its peak, which is the answer where this
        calibration knows nothing of times.
        """
        if self.time_floor_s is None or self.time_spread_s is None:
            return width_s
        return np.hypot(self.time_floor_s, self.time_spread_s * (1.0 - probability) ** self.time_power)


def _odds(phase: str, probability: float) -> float:
    if not 0.0 < probability < 1.0:
        raise ValueError(f"expected a probability of {phase} between 0 and 1, found {probability}")
    return probability / (1.0 - probability)
