"""Every head of a model, and every classical reference, on one fixed set of held-out windows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from ..data.event_types import EVENT_TYPES
from ..data.instruments.harmonization import HarmonizationConfig
from ..data.synthesis import SynthesisConfig, synthesize_records
from ..heads.task_model import SeismicTaskModel
from .arm_differences import no_errors, window_errors
from .baselines import PositionalDummy, StaLtaPicker, WindowPicker
from .bootstrap import bootstrap_interval, sums_by_event
from .detection_scores import Detections, detection_scores, find_detections, join_detections
from .leakage import leakage_report
from .model_picker import ModelPicker, evaluation_mode, run_picker
from .picking_scores import PickedWindows, ScoreSettings, make_scores
from .references.ar_picker import ArPicker
from .scored_windows import ScoredWindows
from .source_predictors import QUANTITIES, ModelPredictor, SourceDummy
from .source_protocol import SourceAnswers, SourceScoreConfig, answer_windows, score_answers
from .source_references import BLIND, fitted_references
from .source_tables import score_frame
from .source_windows import SourceWindows, SourceWindowsConfig, source_windows
from .thresholds import choose_thresholds

HEAD_OF: Mapping[str, str] = {
    "magnitude": "magnitude",
    "distance_km": "distance",
    "back_azimuth_deg": "back_azimuth",
    "depth_km": "depth",
    "event_type": "event_type",
    "polarity": "polarity",
}
"""The head that tells a label."""

ALL, REFERENCE = "all", "where the reference answers"
"""Which windows a score is made of."""


@dataclass(frozen=True, kw_only=True)
class HeadScoresConfig:
    """Held-out synthetic events, and how they are scored.

    num_events, seed: those that are scored. fit_events, fit_seed: others, which fit the references and the
        dummies and choose the thresholds of picks; neither are for training.
    synthesis: of both. windows: how they are cut. harmonization: what a model is given.
    classes: of event types that the P/S ratio tells apart, each among the fitting events.
    tolerances_s: of picks; `selection_tolerance_s` chooses their thresholds.
    """

    num_events: int = 300
    seed: int = 202
    fit_events: int = 200
    fit_seed: int = 101
    synthesis: SynthesisConfig = field(default_factory=SynthesisConfig)
    windows: SourceWindowsConfig = field(
        default_factory=lambda: SourceWindowsConfig(window_s=30.0, p_position_s=(5.0, 15.0))
    )
    harmonization: HarmonizationConfig = field(default_factory=HarmonizationConfig)
    classes: tuple[str, ...] = ("earthquake", "quarry_blast")
    sources: SourceScoreConfig = field(default_factory=SourceScoreConfig)
    tolerances_s: tuple[float, ...] = (0.1, 0.2, 0.5)
    selection_tolerance_s: float = 0.5

    def __post_init__(self) -> None:
        if self.seed == self.fit_seed:
            raise ValueError(f"seed and fit_seed must differ, found {self.seed}: thresholds would be chosen "
                             "on what is scored")  # fmt: skip


class HeldOutWindows:
    """The windows of a `HeadScoresConfig`, with references and dummies fitted on the fitting events.

    Everything is given as one line a predictor, head, label, metric and set of windows: `value` with its
    interval over events, and what the dummy scores on the same windows. `where` says which: all, or those
    that the label's reference of `BLIND` answered.
    """

    def __init__(self, config: HeadScoresConfig) -> None:
        self.config = config
        self.fit, self.test = (
            source_windows(synthesize_records(config.synthesis, seed, number), config.windows)
            for seed, number in ((config.fit_seed, config.fit_events), (config.seed, config.num_events))
        )

    def score_model(self, model: SeismicTaskModel, name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The scores of the heads that a model has, and their errors by window (`window_errors`)."""
        heads, parts, errors = set(model.heads), [], no_errors()
        if heads & set(HEAD_OF.values()):
            answers = self._ask(ModelPredictor(model, name, self.config.harmonization))
            parts.append(self._source_lines(answers))
            errors = window_errors(answers, self.test).assign(predictor=name)
        if "picking" in heads:
            picker = ModelPicker(model, {"P": 0.3, "S": 0.3}, 0.5)
            picker.name = name
            parts.append(self._pick_lines(picker))
        if "detection" in heads:
            parts.append(self._detection_lines(model, name))
        return pd.concat(parts, ignore_index=True), errors

    def score_references(self) -> pd.DataFrame:
        """The scores of the references and the dummies."""
        dummy = PositionalDummy.fit(self.fit.batches)
        parts = [self._pick_lines(picker) for picker in (StaLtaPicker(), ArPicker(), dummy)]
        return pd.concat(
            [*(self._source_lines(answers) for answers in (*self._references, self._dummy)), *parts],
            ignore_index=True,
        )

    @cached_property
    def _dummy(self) -> SourceAnswers:
        return self._ask(SourceDummy.fit(self.fit))

    @cached_property
    def _references(self) -> list[SourceAnswers]:
        return [self._ask(one) for one in fitted_references(self.fit, self.config.classes)]

    @cached_property
    def _answered(self) -> dict[str, np.ndarray]:
        """By label, the windows that its reference answered."""
        of_name = {answers.predictor: answers.plain for answers in self._references}
        told = {
            label: of_name[name][label if label in QUANTITIES else f"{label}_probability"]
            for label, name in BLIND.items()
        }
        return {
            label: np.isfinite(said).reshape(len(self.test), -1).all(axis=1) for label, said in told.items()
        }

    def _ask(self, predictor: Any) -> SourceAnswers:
        return answer_windows(predictor, self.test, self.config.sources.jitters_s)

    def _source_lines(self, answers: SourceAnswers) -> pd.DataFrame:
        everything = score_answers(answers, self._dummy, self.test, self.config.sources)
        lines = [score_frame(everything).assign(where=ALL)]
        compared = score_answers(answers, self._dummy, self.test, self.config.sources, self._answered)
        if shared := [row for row in compared if row.label in self._answered]:
            lines.append(score_frame(shared).assign(where=REFERENCE))
        table = pd.concat(lines, ignore_index=True)
        return table.assign(head=table.label.map(HEAD_OF))

    @cached_property
    def _pick_windows(self) -> dict[str, ScoredWindows]:
        parts = {"fit": self.fit, "test": self.test}
        return {name: as_scored(windows, self.config.harmonization) for name, windows in parts.items()}

    def _pick_lines(self, picker: WindowPicker) -> pd.DataFrame:
        """F1 of P and S, with the thresholds that are best on the fitting events."""
        fit, test = self._pick_windows["fit"], self._pick_windows["test"]
        thresholds, source = choose_thresholds(picker, fit, self.config.selection_tolerance_s)
        found = PickedWindows(
            name=picker.name, picks=run_picker(picker, test)[0], thresholds=thresholds, source=source
        )
        scores = self.config.sources
        settings = ScoreSettings(
            tolerances_s=self.config.tolerances_s, num_resamples=scores.num_resamples, seed=scores.seed
        )
        table = make_scores([found], test, settings, leakage_report((), ())).table
        return pick_frame(table).assign(predictor=picker.name, where=ALL, jitter_s=0.0)

    def _detection_lines(self, model: SeismicTaskModel, name: str) -> pd.DataFrame:
        """F1 by overlap at a probability of one half, and the AUC of windows with a P against noise."""
        windows = self._pick_windows["test"]
        scores = detection_scores(_detections(model, windows), windows, self._interval)
        number = int(scores["num_judged_windows"])
        about = {"head": "detection", "label": "detection", "labelled": number, "answered": number}
        lines = [
            {"metric": "f1", "value": scores["f1"], "low": scores["f1_low"], "high": scores["f1_high"]},
            {"metric": "auc", "value": scores["auc"]},
        ]
        return pd.DataFrame([about | line for line in lines]).assign(predictor=name, where=ALL, jitter_s=0.0)

    def _interval(
        self, values: np.ndarray, event: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        settings = self.config.sources
        sums = sums_by_event(values, event.tolist())
        return bootstrap_interval(sums, statistic, settings.seed, settings.num_resamples)


def _detections(model: SeismicTaskModel, windows: ScoredWindows) -> Detections:
    device = next(model.parameters()).device
    found = []
    with evaluation_mode(model):
        for batch in windows.batches:
            probability = model(batch.to(device))["detection"]["probability"]
            found.append(find_detections(probability, float(batch.sampling_rate_hz[0]), 0.5))
    return join_detections(found)


def as_scored(windows: SourceWindows, harmonization: HarmonizationConfig) -> ScoredWindows:
    """The same windows for pickers: those of noise are what false picks are counted in."""
    noise = EVENT_TYPES.index("noise")
    return ScoredWindows(
        batches=tuple(windows.harmonized(harmonization)),
        event=windows.event,
        station=windows.station,
        is_noise=windows.truth("event_type") == noise,
    )


def pick_frame(table: pd.DataFrame) -> pd.DataFrame:
    """F1 of `PickingScores.table` as lines like those of source parameters."""
    number = table.true_positives + table.misses
    return pd.DataFrame(
        {
            "head": "picking",
            "label": table.phase,
            "metric": [f"f1@{tolerance_s:g}s" for tolerance_s in table.tolerance_s],
            "value": table.f1,
            "low": table.f1_low,
            "high": table.f1_high,
            "labelled": number,
            "answered": number,
        }
    )
