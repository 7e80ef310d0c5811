"""Which numbers each head gets, and which heads stay as they are: a calibration has to prove itself.

On the answers that it was fitted to, a calibration must make them more honest by more than chance does, and
must not make what was true less likely. What fails either stays as it was trained, and that is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any, cast

import numpy as np

from ...data.records import Skipped
from ...heads.calibration import Calibration, KappaFactor, PickCalibration, StdFactor
from ...heads.registry import head_class
from .collect import JudgedAnswers
from .config import CalibrationConfig
from .fit import (
    evens,
    fit_kappa_factor,
    fit_odds,
    fit_std_factor,
    fit_temperature,
    fit_time_spread,
    gains,
    is_uneven,
    nll_beside_strays,
    with_odds,
)
from .judged import Judged, JudgedAngles, JudgedClasses, JudgedNumbers

Settings = dict[str, dict[str, Any]]


def fit_heads(
    heads: Iterable[str], judged: Mapping[str, Judged], least: int
) -> tuple[Settings, list[Skipped]]:
    """The settings of each head that gets a calibration, and those that stay as they are, with the reason.

    judged: answers of the events to fit to, as in `JudgedAnswers.heads`. least: answers that a fit needs.
    A picking head is fitted phase by phase, and is there even if neither changes: its times come later.
    """
    settings: Settings = {}
    skipped: list[Skipped] = []
    for head in heads:
        parts = {name: part for name, part in judged.items() if name == head or name.startswith(f"{head}_")}
        if not parts:
            skipped.append(Skipped(f"calibration of {head}", "nothing says how to judge its answers"))
        for name, part in parts.items():
            found = _unfit(part, least) or _fit_part(head_class(head).calibration_class, name, part)
            if isinstance(found, str):
                skipped.append(Skipped(f"calibration of {name}", found))
            else:
                settings[head] = settings.get(head, {}) | found
        if head == "picking" and any(_unfit(part, least) is None for part in parts.values()):
            settings[head] = asdict(PickCalibration(**settings.get(head, {})))
    return settings, skipped


def keep_unlabelled(
    settings: Settings, old: Mapping[str, Mapping[str, Any]], judged: Mapping[str, Judged], least: int
) -> list[Skipped]:
    """Give heads, and phases, with too few labels to fit to the numbers that they had; tells which.

    settings: of the fit, changed in place. old: of the model until now, whose weights are the same.
    """
    kept = []
    for head, numbers in old.items():
        few = [n for n, part in judged.items() if n.startswith(head) and len(part) < least]
        if head == "picking" and head in settings:
            before = PickCalibration(**numbers)
            for name in few:
                temperature, factor = before.of_phase(name[-1].upper())
                settings[head] |= {f"{name[-1]}_temperature": temperature, f"{name[-1]}_odds": factor}
                kept.append(Skipped(f"calibration of {name}", "too few labels: keeps the one that it had"))
        elif few and head not in settings:
            settings[head] = dict(numbers)
            kept.append(Skipped(f"calibration of {head}", "too few labels: keeps the one that it had"))
    return kept


def fit_times(
    answers: JudgedAnswers, mine: np.ndarray, config: CalibrationConfig, skipped: list[Skipped]
) -> dict[str, float]:
    """What a `PickCalibration` says of times, by the picks of `mine` (bool); none, and why, where unfit."""
    item = "uncertainty of pick times"
    if mine.sum() < config.min_items:
        reason = f"needs {config.min_items} true picks to fit to, found {int(mine.sum())}"
        skipped.append(Skipped(item, reason))
        return {}
    residual_s, probability = answers.residual_s[mine], answers.pick_probability[mine]
    floor_s, spread_s, power = fit_time_spread(residual_s, probability, config.tolerance_s)
    fitted_s = np.hypot(floor_s, spread_s * (1.0 - probability) ** power)
    before, after = (
        nll_beside_strays(residual_s, std_s, config.tolerance_s)
        for std_s in (answers.time_std_s[mine], fitted_s)
    )
    if after > before:
        reason = f"the width of peaks says more (−log likelihood {before:.2f} beside {after:.2f})"
        skipped.append(Skipped(item, reason))
        return {}
    return {"time_floor_s": floor_s, "time_spread_s": spread_s, "time_power": power}


def _unfit(part: Judged, least: int) -> str | None:
    """Why a calibration cannot be fitted to these answers, or None."""
    if len(part) < least:
        return f"needs {least} answers with a label to fit to, found {len(part)}"
    if isinstance(part, JudgedClasses) and len(np.unique(part.truth)) < 2:
        return "all of its answers have the same truth"
    return None


def _fit_part(kind: type[Calibration], name: str, part: Judged) -> dict[str, float] | str:
    """The settings that these answers ask for, or why they stay as they are."""
    if issubclass(kind, PickCalibration):
        return _fit_phase(name.removeprefix("picking_"), cast("JudgedClasses", part))
    if isinstance(part, JudgedClasses):
        return _fit_classes(part)
    if isinstance(part, JudgedAngles):
        factor = fit_kappa_factor(part)
        reason = _refusal(part, replace(part, kappa=part.kappa * factor))
        return reason or asdict(KappaFactor(kappa_factor=factor))
    numbers = cast("JudgedNumbers", part)
    factor = fit_std_factor(numbers)
    reason = _refusal(numbers, replace(numbers, std=numbers.std * factor))
    return reason or asdict(StdFactor(std_factor=factor))


def _fit_classes(part: JudgedClasses) -> dict[str, float] | str:
    temperature = fit_temperature(part)
    scaled = np.maximum(part.probability, 1e-12) ** (1.0 / temperature)
    cooled = replace(part, probability=scaled / scaled.sum(axis=1, keepdims=True))
    return {"temperature": temperature} if gains(part, cooled, 1) else _useless("temperature makes", part)


def _fit_phase(phase: str, part: JudgedClasses) -> dict[str, float] | str:
    temperature, factor = fit_odds(part)
    if not gains(part, with_odds(part, temperature, factor), 2):
        return _useless("other odds make", part)
    return {f"{phase}_temperature": temperature, f"{phase}_odds": factor}


def _useless(what: str, part: JudgedClasses) -> str:
    return f"as it is: no {what} the truths likelier by more than chance ({len(part)} answers)"


def _refusal(before: JudgedNumbers | JudgedAngles, after: JudgedNumbers | JudgedAngles) -> str | None:
    """Why spreads are not to be changed, or None.

    Where errors have longer tails than a Gaussian, most of them ask for narrower intervals and the few
    largest for wider ones. No factor serves both, and the one that evens the coverage is refused.
    """
    if not is_uneven(before):
        return f"as it is, honest within chance ({len(before)} answers)"
    if not evens(before, after):
        return f"as it is: no factor makes its intervals more even ({len(before)} answers)"
    if after.nll() > before.nll():
        return (
            "as it is: the factor that evens its intervals makes the truths less likely "
            f"(−log likelihood {before.nll():.3f} to {after.nll():.3f}, {len(before)} answers): long tails"
        )
    return None
