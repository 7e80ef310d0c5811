"""The numbers that make answers honest on windows held out: by likelihood, or by coverage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, logsumexp
from scipy.stats import chi2

from .judged import JudgedAngles, JudgedClasses, JudgedNumbers

LOG_RANGE = (-3.0, 3.0)
"""Where logarithms of temperatures and factors are looked for: 0.05 to 20."""

EVEN_LIMIT = 0.461

_LEAST = 1e-7
"""Probabilities are float32: whatever lies nearer to 0 or 1 counts as this."""


def fit_temperature(judged: JudgedClasses) -> float:
    """The temperature at which the classes that were true are most likely (Guo et al. 2017, section 4.2)."""
    log_p = np.log(np.clip(judged.probability, _LEAST, 1.0))
    rows = np.arange(len(judged))

    def nll(log_temperature: float) -> float:
        scaled = log_p * np.exp(-log_temperature)
        return float(
            np.average(logsumexp(scaled, axis=1) - scaled[rows, judged.truth], weights=judged.weight)
        )

    return _best(nll)


def fit_std_factor(judged: JudgedNumbers) -> float:
    """The factor of the standard deviations at which central intervals of all levels hold what they claim."""
    return _best(lambda x: _uneven(replace(judged, std=judged.std * np.exp(x)).central_rank()))


def fit_kappa_factor(judged: JudgedAngles) -> float:
    """The factor of the concentrations at which central intervals of all levels hold what they claim."""
    return _best(lambda x: _uneven(replace(judged, kappa=judged.kappa * np.exp(x)).central_rank()))


def is_uneven(judged: JudgedNumbers | JudgedAngles) -> bool:
    """Whether intervals hold another share than they claim by more than chance allows in one case of twenty.

    The test of Cramér and von Mises with a statistic above 0.461 (Stephens 1974, table 1). Answers of one
    event are not independent: the number of events counts.
    """
    return _statistic(judged) > EVEN_LIMIT


def evens(judged: JudgedNumbers | JudgedAngles, calibrated: JudgedNumbers | JudgedAngles) -> bool:
    """Whether a factor makes uneven intervals even, or nearer to it by more than chance would."""
    gain = _statistic(judged) - _statistic(calibrated)
    return is_uneven(judged) and (gain > EVEN_LIMIT or not is_uneven(calibrated))


def gains(judged: JudgedClasses, calibrated: JudgedClasses, num_parameters: int) -> bool:
    """Whether calibrated probabilities are likelier than chance allows in one case of twenty (Wilks 1938).

    By twice the gain of log likelihood beside χ² of so many degrees of freedom, events counting as above.
    """
    gain = len(np.unique(judged.event)) * (judged.nll() - calibrated.nll())
    return 2.0 * gain > chi2.ppf(0.95, num_parameters)


def _statistic(judged: JudgedNumbers | JudgedAngles) -> float:
    return len(np.unique(judged.event)) * _uneven(judged.central_rank())


def _uneven(central_rank: np.ndarray) -> float:
    """How far ranks are from even in 0 to 1: the mean square distance of Cramér and von Mises.

    The likelihood would be the other choice. Errors have longer tails than Gaussians, and the few largest
    would set its factor: the intervals of all others would then be too wide.
    """
    ranks = np.sort(central_rank)
    return float(np.mean((ranks - (np.arange(len(ranks)) + 0.5) / len(ranks)) ** 2))


def fit_odds(judged: JudgedClasses) -> tuple[float, float]:
    """The temperature and the factor of a phase's odds at which its true and false picks are most likely.

    judged: picks of one phase, of two classes: false, true. See `PickCalibration`. One more of each class
    is taken to be of the other (Platt 1999, section 2.2): few picks of which the true ones are all higher
    than the false ones would ask for a temperature of 0.
    """
    log_odds, true = _log_odds(judged), judged.truth == 1
    share_true = np.where(true, (true.sum() + 1) / (true.sum() + 2), 1 / ((~true).sum() + 2))

    def nll(x: np.ndarray) -> float:
        return _binary_nll(log_odds * np.exp(-x[0]) + x[1], share_true)

    found = minimize(nll, np.zeros(2), method="L-BFGS-B", bounds=[LOG_RANGE] * 2)
    log_temperature, log_factor = found.x
    return float(np.exp(log_temperature)), float(np.exp(log_factor))


def with_odds(judged: JudgedClasses, temperature: float, factor: float) -> JudgedClasses:
    """What a calibration makes of the probabilities of picks, away from the other phase."""
    yes = expit(_log_odds(judged) / temperature + np.log(factor))
    return replace(judged, probability=np.stack([1.0 - yes, yes], axis=1))


def fit_time_spread(
    residual_s: np.ndarray, probability: np.ndarray, tolerance_s: float
) -> tuple[float, float, float]:
    """`time_floor_s`, `time_spread_s` and `time_power` of a `PickCalibration` from picks − labels.

    probability: of each pick, calibrated. By the likelihood of Gaussians of
    √(floor² + (spread (1 − p)^power)²) beside a small share of picks that fall anywhere within `tolerance_s`,
    as wrong labels and other phases do: without it, those few would set the deviation of all.
    """
    away = 1.0 - probability

    def nll(x: np.ndarray) -> float:
        floor_s, spread_s, power = np.exp(np.clip(x[:3], -12.0, 3.0))
        return _nll_beside_strays(
            residual_s, np.hypot(floor_s, spread_s * away**power), expit(x[3]), tolerance_s
        )

    start = np.array([*np.log([max(np.median(np.abs(residual_s)), 1e-3), 0.2, 1.0]), np.log(0.02)])
    found = minimize(nll, start, method="Nelder-Mead", options={"maxiter": 4000, "xatol": 1e-4})
    floor_s, spread_s, power = np.exp(np.clip(found.x[:3], -12.0, 3.0))
    return float(floor_s), float(spread_s), float(power)


def nll_beside_strays(residual_s: np.ndarray, std_s: np.ndarray, tolerance_s: float) -> float:
    """Mean −log likelihood of residuals, with the share of strays that suits them (see `fit_time_spread`)."""
    found = minimize_scalar(
        lambda x: _nll_beside_strays(residual_s, std_s, expit(x), tolerance_s),
        bounds=(-9.0, 0.0),
        method="bounded",
    )
    return float(found.fun)


def _nll_beside_strays(residual_s: np.ndarray, std_s: np.ndarray, stray: float, tolerance_s: float) -> float:
    density = np.exp(-0.5 * (residual_s / std_s) ** 2) / (std_s * np.sqrt(2 * np.pi))
    return float(-np.log((1 - stray) * density + stray / (2 * tolerance_s)).mean())


def _best(loss: Callable[[float], float]) -> float:
    found = minimize_scalar(loss, bounds=LOG_RANGE, method="bounded", options={"xatol": 1e-4})
    return float(np.exp(found.x))


def _log_odds(judged: JudgedClasses) -> np.ndarray:
    inside = np.clip(judged.probability[:, 1], _LEAST, 1.0 - _LEAST)
    return np.log(inside) - np.log1p(-inside)


def _binary_nll(log_odds: np.ndarray, share_true: np.ndarray) -> float:
    return float(np.mean(np.logaddexp(0.0, log_odds) - log_odds * share_true))
