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
    said = predict_windows(dummy, windows)
    rows = []
    for predictor in [*predictors, dummy]:
        answers = said if predictor is dummy else predict_windows(predictor, windows)
        rows += [
            _regression_row(predictor.name, label, answers, said, windows, settings)
            for label in QUANTITIES
            if label in answers and np.isfinite(windows.truth(label)).any()
        ]
        if "event_type_probability" in answers and (windows.truth("event_type") >= 0).any():
            rows.append(_class_row(predictor.name, "event_type", answers, said, windows, settings))
        if "polarity_probability" in answers and (windows.truth("polarity") >= 0).any():
            for jitter_s in settings.jitters_s:
                moved = predict_windows(predictor, windows, jitter_s)
                rows.append(_class_row(predictor.name, "polarity", moved, said, windows, settings, jitter_s))
    return rows


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
    name: str,
    label: str,
    answers: Mapping[str, np.ndarray],
    said_by_dummy: Mapping[str, np.ndarray],
    windows: SourceWindows,
    config: SourceScoreConfig,
) -> SourceRow:
    quantity, truth, predicted = QUANTITIES[label], windows.truth(label), answers[label]
    answered = np.isfinite(predicted) & np.isfinite(truth)

    def scores(said: np.ndarray) -> dict[str, Score]:
        return regression_scores(
            np.where(answered, said, np.nan),
            truth,
            windows.event,
            seed=config.seed,
            tolerance=quantity.tolerance,
            circular=quantity.circular,
            num_resamples=config.num_resamples,
        )

    error = quantity.error(predicted, truth)
    return SourceRow(
        predictor=name,
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
    said_by_dummy: Mapping[str, np.ndarray],
    windows: SourceWindows,
    config: SourceScoreConfig,
    jitter_s: float = 0.0,
) -> SourceRow:
    truth, probability = windows.truth(label), answers[f"{label}_probability"]
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
