"""From a model and labelled records to a model whose answers are as sure as they are right."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

import numpy as np
import torch
import yaml

from ...configs.loader import build_config
from ...data.loading.windows import WindowConfig
from ...data.records import Record, Skipped
from ...data.sources import SourceConfig, load_records
from ...heads.calibration import Calibration, KappaFactor, PickCalibration, StdFactor
from ...heads.model_folder import ModelFolder
from ...heads.registry import head_class
from ...heads.task_model import SeismicTaskModel, pick_calibration
from ..scored_windows import ScoredWindows, scored_windows
from .collect import JudgedAnswers, judge_answers
from .config import CalibrationConfig
from .fit import (
    fit_kappa_factor,
    fit_pick_odds,
    fit_std_factor,
    fit_temperature,
    fit_time_spread,
    gains,
    is_uneven,
)
from .judged import Judged, JudgedAngles, JudgedClasses, JudgedNumbers, chosen

PICK_TIME = "pick_time"
"""Among the judged answers: residuals of true picks with the standard deviation that each was given."""

RECORDS_AT_ONCE = 64

Settings = dict[str, dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Calibrated:
    """What a calibration did, told on the events that it was not fitted to.

    settings: of each head, as the model's configuration has them. before, after: what the model said of the
    same windows. skipped: heads that stay as they are, and why.
    """

    settings: Settings
    before: dict[str, Judged]
    after: dict[str, Judged]
    skipped: tuple[Skipped, ...]


def calibrate_model(model: SeismicTaskModel, windows: ScoredWindows, config: CalibrationConfig) -> Calibrated:
    """Fit all heads' calibrations and have the model answer with them from now on; its old ones are gone.

    Thresholds that the model recommended are carried over to the new scale: they stand for the same picks.
    The windows of `config.fit_share` of the events make the numbers, the others judge them.

    Raises ValueError where no head has enough labelled windows.
    """
    fits, old = for_fit(config), pick_calibration(model)
    model.config.calibrate({})
    raw = judge_answers(model, windows, config.tolerance_s)
    settings, skipped = _fit_heads(model, {n: _of(j, fits, True) for n, j in raw.heads.items()}, config)
    if not raw.heads or all(len(part) < config.min_items for part in raw.heads.values()):
        raise ValueError(f"no head can be calibrated with {len(windows)} windows: {skipped}")
    model.config.calibrate(settings)
    calibrated = judge_answers(model, windows, config.tolerance_s)
    if "picking" in settings:
        new = pick_calibration(model)
        settings["picking"] |= _fit_times(calibrated, fits, config, skipped) | _thresholds(old, new)
        model.config.calibrate(settings)
    return Calibrated(
        settings=settings,
        before=_held_out(raw, PickCalibration(), fits),
        after=_held_out(calibrated, pick_calibration(model), fits),
        skipped=tuple(skipped),
    )


def for_fit(config: CalibrationConfig) -> Callable[[np.ndarray], np.ndarray]:
    """Tells of events `(item,)` whether their windows make the calibration: by the event's name alone."""

    def is_for_fit(event: np.ndarray) -> np.ndarray:
        names, place = np.unique(event, return_inverse=True)
        digests = [hashlib.sha256(f"{config.seed}/{name}".encode()).digest()[:6] for name in names]
        draws = np.array([int.from_bytes(digest) / 2**48 for digest in digests])
        return (draws < config.fit_share)[place] if len(names) else np.zeros(0, dtype=bool)

    return is_for_fit


def calibration_windows(config: CalibrationConfig) -> tuple[ScoredWindows, list[Skipped]]:
    """The windows of a calibration, and what of the sources could not be read.

    Raises ValueError where neither the configuration nor the model's folder tells how windows are cut.
    """
    how = config.windows or _training_windows(ModelFolder.find(config.model, config.revision))
    records, skipped = _evenly(config.data, config.max_records)
    noise, more = _evenly(config.noise, config.max_records) if config.noise else ([], [])
    windows = scored_windows(
        records,
        noise,
        how,
        seed=config.seed,
        windows_per_record=config.windows_per_record,
        noise_windows=config.noise_windows,
        batch_size=config.batch_size,
    )
    return windows, [*skipped, *more, *windows.skipped]


def _training_windows(folder: ModelFolder) -> WindowConfig:
    path = folder.path / "training.yaml"
    told = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if "windows" not in told:
        raise ValueError(
            f"{folder.source} has no training.yaml that tells how its windows were cut: give `windows`"
        )
    return build_config(WindowConfig, told["windows"], source=str(path))


def _evenly(sources: tuple[SourceConfig, ...], count: int) -> tuple[list[Record], list[Skipped]]:
    """About `count` records, from each source as many as it has a share of all, evenly spaced in it."""
    loaded = [load_records(source) for source in sources]
    skipped = [item for _, items in loaded for item in items]
    total = sum(len(records) for records, _ in loaded)
    step = max(1, math.ceil(total / count))
    chosen = [record for records, _ in loaded for record in _every(records, step)]
    if not chosen:
        raise ValueError(f"no record in {[source.kind for source in sources]}; skipped were {skipped[:3]}")
    if step > 1:
        reason = f"one in {step} taken, {len(chosen)} of {total} records: max_records is {count}"
        skipped.append(Skipped("data", reason))
    return chosen, skipped


def _every(records: Sequence[Record], step: int) -> Iterator[Record]:
    """One record in `step`; in slices, since those that are made when asked for are made faster together."""
    for first in range(0, len(records), RECORDS_AT_ONCE * step):
        yield from records[first : first + RECORDS_AT_ONCE * step : step]


def _fit_heads(
    model: SeismicTaskModel, judged: Mapping[str, Judged], config: CalibrationConfig
) -> tuple[Settings, list[Skipped]]:
    settings: Settings = {}
    skipped: list[Skipped] = []
    for head in model.heads:
        parts = [part for name, part in judged.items() if name == head or name.startswith(f"{head}_")]
        reason = _unfit(parts, config.min_items)
        found = None if reason else _fit_head(head_class(head).calibration_class, parts)
        if found is not None:
            settings[head] = asdict(found)
        else:
            told = reason or f"as it is, honest within chance ({[len(part) for part in parts]} answers)"
            skipped.append(Skipped(f"calibration of {head}", told))
    return settings, skipped


def _unfit(parts: list[Judged], least: int) -> str | None:
    """Why a calibration cannot be fitted to these answers, or None."""
    if not parts:
        return "nothing says how to judge its answers"
    if min(map(len, parts)) < least:
        return f"needs {least} answers with a label to fit to, found {[len(part) for part in parts]}"
    if any(isinstance(part, JudgedClasses) and len(np.unique(part.truth)) < 2 for part in parts):
        return "all of its answers have the same truth"
    return None


def _fit_head(kind: type[Calibration], parts: list[Judged]) -> Calibration | None:
    """The calibration of a head; None for answers that cannot be told from honest ones as they are."""
    if issubclass(kind, PickCalibration):
        return _fit_picks(*(cast("JudgedClasses", part) for part in parts))
    (part,) = parts
    if isinstance(part, JudgedNumbers):
        return StdFactor(std_factor=fit_std_factor(part)) if is_uneven(part) else None
    if isinstance(part, JudgedAngles):
        return KappaFactor(kappa_factor=fit_kappa_factor(part)) if is_uneven(part) else None
    judged = cast("JudgedClasses", part)
    temperature = fit_temperature(judged)
    scaled = np.maximum(judged.probability, 1e-12) ** (1.0 / temperature)
    cooled = replace(judged, probability=scaled / scaled.sum(axis=1, keepdims=True))
    return kind(temperature=temperature) if gains([judged], [cooled], 1) else None  # type: ignore[call-arg]


def _fit_picks(p: JudgedClasses, s: JudgedClasses) -> PickCalibration:
    """Of picks, with the network's own odds where others are no likelier; times are fitted in any case."""
    found = PickCalibration(**fit_pick_odds(p, s))
    changed = [
        replace(part, probability=np.stack([1.0 - said, said], axis=1))
        for phase, part in (("P", p), ("S", s))
        for said in [
            np.array([found.calibrated(phase, x) for x in part.probability[:, 1].clip(1e-7, 1 - 1e-7)])
        ]
    ]
    return found if gains([p, s], changed, 3) else PickCalibration()


def _fit_times(
    answers: JudgedAnswers,
    fits: Callable[[np.ndarray], np.ndarray],
    config: CalibrationConfig,
    skipped: list[Skipped],
) -> dict[str, float]:
    mine = fits(answers.pick_event)
    if mine.sum() < config.min_items:
        reason = f"needs {config.min_items} true picks to fit to, found {int(mine.sum())}"
        skipped.append(Skipped("uncertainty of pick times", reason))
        return {}
    floor_s, spread_s = fit_time_spread(
        answers.residual_s[mine], answers.pick_probability[mine], config.tolerance_s
    )
    return {"time_floor_s": floor_s, "time_spread_s": spread_s}


def _thresholds(old: PickCalibration, new: PickCalibration) -> dict[str, float]:
    told = {"P": old.p_threshold, "S": old.s_threshold}
    return {
        f"{phase.lower()}_threshold": new.calibrated(phase, old.uncalibrated(phase, value))
        for phase, value in told.items()
        if value is not None
    }


def _held_out(
    answers: JudgedAnswers, calibration: PickCalibration, fits: Callable[[np.ndarray], np.ndarray]
) -> dict[str, Judged]:
    judged = {name: _of(part, fits, False) for name, part in answers.heads.items()}
    if len(answers.residual_s):
        times = JudgedNumbers(
            event=answers.pick_event,
            error=answers.residual_s,
            std=calibration.time_std_s(answers.pick_probability, answers.time_std_s),
        )
        judged[PICK_TIME] = _of(times, fits, False)
    return judged


def _of(judged: Judged, fits: Callable[[np.ndarray], np.ndarray], wanted: bool) -> Judged:
    return chosen(judged, fits(judged.event) == wanted)


def held_out_windows(windows: ScoredWindows, wanted: np.ndarray) -> ScoredWindows:
    """The windows where `wanted` `(window,)` is true, in their batches."""
    parts = np.split(wanted, np.cumsum([len(batch) for batch in windows.batches])[:-1])
    batches = [b.select(torch.from_numpy(part)) for b, part in zip(windows.batches, parts, strict=True)]
    return replace(
        windows,
        batches=tuple(batch for batch in batches if len(batch)),
        event=windows.event[wanted],
        station=windows.station[wanted] if len(windows.station) else windows.station,
        is_noise=windows.is_noise[wanted],
    )
