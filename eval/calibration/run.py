"""From a model and labelled records to a model whose answers are as sure as they are right."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import yaml

from ...configs.loader import build_config
from ...data.loading.windows import WindowConfig
from ...data.records import Record, Skipped
from ...data.sources import SourceConfig, load_records
from ...heads.calibration import PickCalibration
from ...heads.model_folder import ModelFolder
from ...heads.task_model import SeismicTaskModel, pick_calibration
from ..scored_windows import ScoredWindows, scored_windows
from .collect import JudgedAnswers, judge_answers
from .config import CalibrationConfig
from .fit_heads import Settings, fit_heads, fit_times, keep_unlabelled
from .judged import Judged, JudgedNumbers, chosen

PICK_TIME = "pick_time"
"""Among the judged answers: residuals of true picks with the standard deviation that each was given."""

RECORDS_AT_ONCE = 64


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
    """Fit all heads' calibrations and have the model answer with them from now on.

    Old ones are gone, but for heads with too few labels among the windows, which keep theirs.

    Thresholds that the model recommended are carried over to the new scale: they stand for the same picks.
    The windows of `config.fit_share` of the events make the numbers, the others judge them.

    Raises ValueError where no head has enough labelled windows, or no event is left for one of the sides.
    """
    fits, old = for_fit(config), pick_calibration(model)
    if len(set(fits(windows.event).tolist())) < 2:
        raise ValueError(
            f"all {len(np.unique(windows.event))} events fall on one side, to fit to or to judge by: give "
            f"more events, or another seed than {config.seed}, by which the data may have been split already"
        )
    known = dict(model.config.calibration or {})
    model.config.calibrate({})
    raw = judge_answers(model, windows, config.tolerance_s)
    for_fitting = {name: _of(judged, fits, True) for name, judged in raw.heads.items()}
    settings, skipped = fit_heads(model.heads, for_fitting, config.min_items)
    if not raw.heads or all(len(part) < config.min_items for part in raw.heads.values()):
        raise ValueError(f"no head can be calibrated with {len(windows)} windows: {skipped}")
    refitted = "picking" in settings
    skipped += keep_unlabelled(settings, known, for_fitting, config.min_items)
    model.config.calibrate(settings)
    calibrated = judge_answers(model, windows, config.tolerance_s)
    if refitted:
        new = pick_calibration(model)
        mine = fits(calibrated.pick_event)
        settings["picking"] |= fit_times(calibrated, mine, config, skipped) | _thresholds(old, new)
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
        unpicked=True,
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
