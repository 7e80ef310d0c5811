"""What a model says of windows whose truth is known, head by head, as things that can be judged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import cast

import numpy as np
import torch
from torch import Tensor

from ...data.batch import WaveformBatch
from ...data.event_types import EVENT_TYPES
from ...heads.event_type import EventTypeHead
from ...heads.polarity import at_picks
from ...heads.targets import detection_targets
from ...heads.task_model import SeismicTaskModel, pick_calibration
from ..model_picker import LOWEST_THRESHOLD, evaluation_mode
from ..peaks import PeakPicks, join_picks, pick_peaks
from ..pick_metrics import PhaseTruth, match_picks
from ..regression_metrics import circular_difference_deg
from ..scored_windows import ScoredWindows
from .judged import Judged, JudgedAngles, JudgedClasses, JudgedNumbers

DETECTION_EVERY_S = 0.5
"""Detection is judged at points so far apart: neighbours say the same."""

MIN_SEPARATION_S = 0.5

GAUSSIANS = {
    "magnitude": ("magnitude", "magnitude_std"),
    "distance": ("distance_km", "distance_log_std"),
    "depth": ("depth_km", "depth_std_km"),
}
"""Heads that answer with a Gaussian: the answer, which is also the label, and its standard deviation."""

Answers = Mapping[str, Mapping[str, Tensor]]


@dataclass(frozen=True, kw_only=True)
class JudgedAnswers:
    """All that a model said of some windows and that can be judged.

    heads: by head; picks as `picking_p` and `picking_s`, of the classes false and true within the tolerance.
    residual_s, time_std_s, pick_probability, pick_event: of the true picks of both phases, pick − label and
    what was claimed for it.
    """

    heads: dict[str, Judged]
    residual_s: np.ndarray
    time_std_s: np.ndarray
    pick_probability: np.ndarray
    pick_event: np.ndarray


def judge_answers(model: SeismicTaskModel, windows: ScoredWindows, tolerance_s: float) -> JudgedAnswers:
    """A model's answers for windows, beside the truth.

    tolerance_s: a pick is true with a labelled arrival of its phase within it.
    """
    parts: dict[str, list[Judged]] = defaultdict(list)
    picks, first = [], 0
    device = next(model.parameters()).device
    lowest = _lowest_thresholds(model)
    for batch in windows.batches:
        with evaluation_mode(model):
            answers: Answers = model(batch.replace(labels={}, event_id=None).to(device))
        answers = {head: {k: v.cpu() for k, v in values.items()} for head, values in answers.items()}
        event = windows.event[first : first + len(batch)]
        for name, part in _judged_heads(model, answers, batch, event):
            parts[name].append(part)
        if "picking" in answers:
            found = answers["picking"]["probability"]
            rate_hz = float(batch.sampling_rate_hz[0])
            picks.append(pick_peaks(found, rate_hz, lowest, MIN_SEPARATION_S).shifted(first))
        first += len(batch)
    heads = {name: _joined(part) for name, part in parts.items()}
    for name in ("detection", "event_type"):
        if name in heads:
            heads[name] = _classes_alike(cast("JudgedClasses", heads[name]))
    return _with_picks(heads, join_picks(picks), windows, tolerance_s, model)


def _judged_heads(
    model: SeismicTaskModel, answers: Answers, batch: WaveformBatch, event: np.ndarray
) -> Iterator[tuple[str, Judged]]:
    """One batch's answers of all heads but the picking head."""
    for name, (key, std) in GAUSSIANS.items():
        if name in answers:
            yield name, _gaussian(answers[name], batch, key, std, event)
    if "back_azimuth" in answers:
        yield "back_azimuth", _direction(answers["back_azimuth"], batch, event)
    if "event_type" in answers:
        classes = cast("EventTypeHead", model.heads["event_type"]).config.classes
        yield "event_type", _event_type(answers["event_type"], batch, classes, event)
    if "polarity" in answers:
        yield "polarity", _polarity(answers["polarity"], batch, event)
    if "detection" in answers:
        yield "detection", _detection(answers["detection"], batch, event)


def _gaussian(
    answer: Mapping[str, Tensor], batch: WaveformBatch, key: str, std: str, event: np.ndarray
) -> JudgedNumbers:
    truth, said = _label(batch, key), answer[key].double().numpy()
    if key == "distance_km":
        truth, said = np.log(np.maximum(truth, 0.5)), np.log(said)
    known = np.isfinite(truth)
    return JudgedNumbers(
        event=event[known], error=(said - truth)[known], std=answer[std].double().numpy()[known]
    )


def _direction(answer: Mapping[str, Tensor], batch: WaveformBatch, event: np.ndarray) -> JudgedAngles:
    truth = _label(batch, "back_azimuth_deg")
    known = np.isfinite(truth)
    return JudgedAngles(
        event=event[known],
        error_deg=circular_difference_deg(answer["back_azimuth_deg"].double().numpy(), truth)[known],
        kappa=answer["back_azimuth_kappa"].double().numpy()[known],
    )


def _event_type(
    answer: Mapping[str, Tensor], batch: WaveformBatch, classes: tuple[str, ...], event: np.ndarray
) -> JudgedClasses:
    places = np.array([classes.index(n) if n in classes else -1 for n in EVENT_TYPES] + [-1])
    truth = places[batch.labels["event_type"].long().numpy()]
    return _classes(answer["probability"].double().numpy(), truth, event)


def _polarity(answer: Mapping[str, Tensor], batch: WaveformBatch, event: np.ndarray) -> JudgedClasses:
    p_s = batch.labels["p_arrival_s"]
    said = at_picks(answer["probability"], batch.sampling_rate_hz, p_s).double().flatten(0, 1).numpy()
    truth = np.where(np.isfinite(said).all(axis=1), batch.labels["polarity"].flatten().numpy(), -1)
    return _classes(said, truth, np.repeat(event, p_s.shape[1]))


def _detection(answer: Mapping[str, Tensor], batch: WaveformBatch, event: np.ndarray) -> JudgedClasses:
    step = max(1, round(DETECTION_EVERY_S * float(batch.sampling_rate_hz[0])))
    sample = torch.arange(step // 2, batch.num_samples, step)
    time_s = sample / batch.sampling_rate_hz[:, None]
    target, known = detection_targets(batch, time_s.float())
    truth = torch.where(known & batch.observed.any(dim=1)[:, sample], target.long(), -1).flatten().numpy()
    yes = answer["probability"][:, sample].double().flatten().numpy()
    return _classes(np.stack([1.0 - yes, yes], axis=1), truth, np.repeat(event, len(sample)))


def _classes(probability: np.ndarray, truth: np.ndarray, event: np.ndarray) -> JudgedClasses:
    known = truth >= 0
    return JudgedClasses(
        event=event[known],
        probability=probability[known],
        truth=truth[known].astype(np.int64),
        weight=np.ones(int(known.sum())),
    )


def _classes_alike(judged: JudgedClasses) -> JudgedClasses:
    """Weights under which all classes that occur count the same, as the heads were taught."""
    counts = np.bincount(judged.truth)
    weight = len(judged) / (max((counts > 0).sum(), 1) * counts[judged.truth])
    return JudgedClasses(
        event=judged.event, probability=judged.probability, truth=judged.truth, weight=weight
    )


def _with_picks(
    heads: dict[str, Judged],
    picks: PeakPicks,
    windows: ScoredWindows,
    tolerance_s: float,
    model: SeismicTaskModel,
) -> JudgedAnswers:
    columns: dict[str, list[np.ndarray]] = defaultdict(list)
    for phase in ("P", "S") if "picking" in model.heads else ():
        found, truth = picks.of_phase(phase), windows.truth(phase)
        arrival = match_picks(truth, found.window, found.time_s, tolerance_s).arrival
        judged = _can_be_judged(truth, found, arrival)
        heads[f"picking_{phase.lower()}"] = JudgedClasses(
            event=windows.event[found.window][judged],
            probability=np.stack([1.0 - found.probability, found.probability], axis=1)[judged],
            truth=(arrival >= 0)[judged].astype(np.int64),
            weight=np.ones(int(judged.sum())),
        )
        hit = judged & (arrival >= 0)
        std_s = pick_calibration(model).time_std_s(found.probability, found.time_uncertainty_s)
        columns["residual_s"].append(found.time_s[hit] - truth.time_s[arrival[hit]])
        columns["time_std_s"].append(std_s[hit])
        columns["pick_probability"].append(found.probability[hit])
        columns["pick_event"].append(windows.event[found.window[hit]])
    names = ("residual_s", "time_std_s", "pick_probability", "pick_event")
    joined = {name: np.concatenate(columns[name] or [np.zeros(0)]) for name in names}
    return JudgedAnswers(heads=heads, **joined)


def _can_be_judged(truth: PhaseTruth, picks: PeakPicks, arrival: np.ndarray) -> np.ndarray:
    """Picks in windows that list all arrivals of the phase, without those of arrivals that do not count."""
    known = truth.labelled[picks.window]
    if not len(truth.scored):
        return known
    return known & ((arrival < 0) | truth.scored[np.maximum(arrival, 0)])


def _lowest_thresholds(model: SeismicTaskModel) -> dict[str, float]:
    """What `LOWEST_THRESHOLD` has become under the model's calibration: the same peaks are judged."""
    calibration = pick_calibration(model)
    return {phase: calibration.calibrated(phase, LOWEST_THRESHOLD) for phase in ("P", "S")}


def _label(batch: WaveformBatch, name: str) -> np.ndarray:
    return batch.labels[name].double().cpu().numpy()


def _joined(parts: list[Judged]) -> Judged:
    kind: Callable[..., Judged] = type(parts[0])
    return kind(**{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(parts[0])})
