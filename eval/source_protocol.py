"""Who tells magnitude, distance, direction, depth, type and polarity best: models and classical methods.

The rules: the same seeded windows for all, with P at a place that tells nothing; a dummy that always says
the mean (or the shares) beside every score, also on the very windows that a predictor chose to answer; how
many it answered, and why not the others; intervals over events; and coverage, where a predictor says how sure
it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..data.batch import WaveformBatch
from ..data.loading.window_random import WindowRandom
from .classification_metrics import classification_scores, confusion_matrix, recall_by_class
from .regression_metrics import (
    BinBias,
    Score,
    bias_by_bin,
    interval_coverage,
    regression_scores,
)
from .source_predictors import CLASSES, QUANTITIES, SourceDummy, SourcePredictor
from .source_windows import SourceWindows


@dataclass(frozen=True, kw_only=True)
class SourceScoreConfig:
    """What is computed.

    jitters_s: for polarity the labelled P is moved by up to this, either way, with equal chance.
    num_resamples: of the bootstrap over events.
    """

    jitters_s: tuple[float, ...] = (0.0, 0.1, 0.2, 0.5)
    num_resamples: int = 1000
    seed: int = 42


@dataclass(frozen=True, kw_only=True)
class SourceRow:
    """One predictor's scores for one label.

    jitter_s: of the P that it was told, for polarity. labelled: windows with a truth. answered: of these.
    scores: by name, see `regression_scores` and `classification_scores`. dummy: the dummy's scores on the
    windows that were answered. coverage: by level. bias: by bin. recall: by class. reasons: of no answer.
    """

    predictor: str
    label: str
    labelled: int
    answered: int
    scores: Mapping[str, Score]
    dummy: Mapping[str, Score]
    jitter_s: float = 0.0
    coverage: Mapping[float, float] = field(default_factory=dict)
    bias: tuple[BinBias, ...] = ()
    recall: Mapping[str, float] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SourceAnswers:
    """What a predictor says of all windows: its answers, and by jitter those with P moved by so much."""

    predictor: str
    plain: Mapping[str, np.ndarray]
    moved: Mapping[float, Mapping[str, np.ndarray]]


def answer_windows(
    predictor: SourcePredictor, windows: SourceWindows, jitters_s: Sequence[float]
) -> SourceAnswers:
    """A predictor's answers, asked again with P moved where it tells polarity."""
    plain = predict_windows(predictor, windows)
    asked = jitters_s if "polarity_probability" in plain else ()
    moved = {
        jitter_s: predict_windows(predictor, windows, jitter_s) if jitter_s else plain for jitter_s in asked
    }
    return SourceAnswers(predictor=predictor.name, plain=plain, moved=moved)


def score_sources(
    predictors: Sequence[SourcePredictor],
    windows: SourceWindows,
    dummy: SourceDummy,
    config: SourceScoreConfig | None = None,
) -> list[SourceRow]:
    """The scores of each predictor for each label that it tells, the dummy among them.

    Labels that no window has are left out.
    """
    settings = config or SourceScoreConfig()
    said = answer_windows(dummy, windows, settings.jitters_s)
    answers = [answer_windows(predictor, windows, settings.jitters_s) for predictor in predictors]
    return [row for one in (*answers, said) for row in score_answers(one, said, windows, settings)]


def score_answers(
    answers: SourceAnswers,
    said_by_dummy: SourceAnswers,
    windows: SourceWindows,
    config: SourceScoreConfig,
    where: Mapping[str, np.ndarray] | None = None,
) -> list[SourceRow]:
    """The scores of one predictor's answers for each label that they tell and some window has.

    where: by label, bool `(window,)`: the windows that count, such as those which another one answered; all
    of them for a label that is not named.
    """
    chosen, said, rows = where or {}, said_by_dummy.plain, []
    for label in QUANTITIES:
        truth = _counted(windows.truth(label), chosen.get(label), np.nan)
        if label in answers.plain and np.isfinite(truth).any():
            rows.append(_regression_row(answers, label, truth, said, windows, config))
    for label in CLASSES:
        truth = _counted(windows.truth(label), chosen.get(label), -1)
        if f"{label}_probability" not in answers.plain or not (truth >= 0).any():
            continue
        versions = answers.moved if label == "polarity" else {0.0: answers.plain}
        rows += [
            _class_row(answers.predictor, label, version, truth, said, windows, config, jitter_s)
            for jitter_s, version in versions.items()
        ]
    return rows


def _counted(truth: np.ndarray, where: np.ndarray | None, unknown: float) -> np.ndarray:
    """A truth that is unknown where a window does not count."""
    return truth if where is None else np.where(where, truth, unknown).astype(truth.dtype)


def predict_windows(
    predictor: SourcePredictor, windows: SourceWindows, jitter_s: float = 0.0
) -> dict[str, np.ndarray]:
    """A predictor's answers for all windows; with a jitter the labelled P is moved in what it is given.

    Raises ValueError for an answer that has not one entry a window.
    """
    parts = []
    for batch in windows.harmonized(predictor.harmonization):
        answers = dict(predictor.predict(_jittered(batch, jitter_s)))
        wrong = {name: np.shape(value) for name, value in answers.items() if len(value) != len(batch)}
        if wrong:
            raise ValueError(f"{predictor.name} must answer for each of {len(batch)} windows, found {wrong}")
        parts.append(answers)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _jittered(batch: WaveformBatch, jitter_s: float) -> WaveformBatch:
    if jitter_s == 0.0 or batch.window_key is None:
        return batch
    draw = WindowRandom(batch.window_key).uniform("P jitter")
    moved = batch.labels["p_arrival_s"] + jitter_s * (2.0 * draw.reshape(-1, 1) - 1.0)
    labels = {**batch.labels, "p_arrival_s": moved}
    return batch.replace(waveform=batch.waveform, observed=batch.observed, labels=labels)


def _regression_row(
    said: SourceAnswers,
    label: str,
    truth: np.ndarray,
    said_by_dummy: Mapping[str, np.ndarray],
    windows: SourceWindows,
    config: SourceScoreConfig,
) -> SourceRow:
    quantity, answers = QUANTITIES[label], said.plain
    predicted = answers[label]
    answered = np.isfinite(predicted) & np.isfinite(truth)

    def scores(values: np.ndarray) -> dict[str, Score]:
        return regression_scores(
            np.where(answered, values, np.nan),
            truth,
            windows.event,
            seed=config.seed,
            tolerance=quantity.tolerance,
            circular=quantity.circular,
            num_resamples=config.num_resamples,
        )

    error = quantity.error(predicted, truth)
    return SourceRow(
        predictor=said.predictor,
        label=label,
        labelled=int(np.isfinite(truth).sum()),
        answered=int(answered.sum()),
        scores=scores(predicted),
        dummy=scores(said_by_dummy[label]) if label in said_by_dummy else {},
        coverage=interval_coverage(error, answers[quantity.std]) if quantity.std in answers else {},
        bias=tuple(bias_by_bin(predicted, truth, quantity.edges)) if quantity.edges else (),
        reasons=_reasons(answers, np.isfinite(truth) & ~answered),
    )


def _class_row(
    name: str,
    label: str,
    answers: Mapping[str, np.ndarray],
    truth: np.ndarray,
    said_by_dummy: Mapping[str, np.ndarray],
    windows: SourceWindows,
    config: SourceScoreConfig,
    jitter_s: float,
) -> SourceRow:
    probability = answers[f"{label}_probability"]
    answered = np.isfinite(probability).all(axis=1) & (truth >= 0)
    known = np.where(answered, truth, -1)

    def scores(said: np.ndarray) -> dict[str, Score]:
        return classification_scores(
            said, known, windows.event, seed=config.seed, num_resamples=config.num_resamples
        )

    said = said_by_dummy.get(f"{label}_probability")
    predicted = np.where(answered, np.nan_to_num(probability).argmax(axis=1), -1)
    recall = recall_by_class(confusion_matrix(known, predicted, len(CLASSES[label])))
    return SourceRow(
        predictor=name,
        label=label,
        jitter_s=jitter_s,
        labelled=int((truth >= 0).sum()),
        answered=int(answered.sum()),
        scores=scores(probability),
        dummy=scores(said) if said is not None else {},
        recall={
            kind: float(share)
            for kind, share in zip(CLASSES[label], recall, strict=True)
            if np.isfinite(share)
        },
        reasons=_reasons(answers, (truth >= 0) & ~answered),
    )


def _reasons(answers: Mapping[str, np.ndarray], unanswered: np.ndarray) -> dict[str, int]:
    """Why there is no answer, by how often; numbers in a reason are left out, so that like ones add up."""
    if "reason" not in answers:
        return {}
    counts = Counter(_without_numbers(str(reason)) for reason in answers["reason"][unanswered])
    return dict(counts.most_common())


def _without_numbers(reason: str) -> str:
    return " ".join("…" if any(c.isdigit() for c in word) else word for word in reason.split())
