"""Scores of a fine-tuned picker on a set's test events, with thresholds from its validation events."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..data.corpus.corpus import Corpus
from ..data.record_facts import RecordFacts, record_facts
from ..data.splitting.fingerprints import Fingerprints, read_fingerprints
from ..eval.baselines import StaLtaPicker, WindowPicker
from ..eval.leakage import leakage_report
from ..eval.model_picker import ModelPicker, run_picker
from ..eval.picking_protocol import PickingProtocolConfig
from ..eval.picking_scores import PickedWindows, PickingScores, make_scores
from ..eval.scored_windows import ScoredWindows
from ..eval.thresholds import choose_thresholds
from ..heads.task_model import load_model
from .config import StudySet
from .records import StudyData

Row = dict[str, Any]


@dataclass(frozen=True)
class ScoredSet:
    """The windows of a set that are scored, and those that choose the thresholds; cut once."""

    test: ScoredWindows
    validation: ScoredWindows
    facts: RecordFacts
    protocol: PickingProtocolConfig

    @classmethod
    def of(cls, one: StudySet, data: StudyData, protocol: PickingProtocolConfig) -> ScoredSet:
        """The windows of a set under a protocol."""
        test, validation = (Corpus(data.side(one, side).folder()) for side in ("test", "validation"))
        facts = record_facts(test, hashes=True)
        return cls(protocol.cut(test), protocol.cut(validation), facts, protocol)

    def score_model(self, folder: Path) -> list[Row]:
        """The scores of a saved model.

        Raises ValueError where its fingerprints, its encoder's included, know anything of what is scored.
        """
        protocol = self.protocol
        picker = ModelPicker(
            load_model(folder), protocol.thresholds, protocol.min_separation_s, protocol.detection_threshold
        )
        return self._score(picker, read_fingerprints(folder, str(folder)))

    def score_sta_lta(self) -> list[Row]:
        """The scores of a picker that learned nothing."""
        nothing = Fingerprints(facts=RecordFacts.concatenate([]), stage=self.facts.record_id[:0])
        return self._score(StaLtaPicker(), nothing)

    def _score(self, picker: WindowPicker, learned: Fingerprints) -> list[Row]:
        leakage = leakage_report(self.facts, learned)
        if leakage.leaks:
            raise ValueError(f"a picker has learned from what it is scored on: {leakage.summary()}")
        thresholds, source = choose_thresholds(picker, self.validation, self.protocol.selection_tolerance_s)
        picks, detection = run_picker(picker, self.test)
        found = PickedWindows(
            name=picker.name, picks=picks, thresholds=thresholds, source=source, detection=detection
        )
        scores = make_scores([found], self.test, self.protocol.score_settings(), leakage)
        return score_rows(scores, max(self.protocol.tolerances_s))


def score_rows(scores: PickingScores, within_s: float) -> list[Row]:
    """One row a phase and metric; `f1@0.5s` is F1 at a tolerance of 0.5 s. Errors are those of the hits."""
    rows: list[Row] = []
    for found in scores.table.to_dict("records"):
        for metric in ("precision", "recall", "f1"):
            name = f"{metric}@{found['tolerance_s']:g}s"
            rows.append({"phase": found["phase"], "metric": name, "value": found[metric]})
    for phase, found in scores.table.groupby("phase"):
        rows.append({"phase": phase, "metric": "threshold", "value": found.threshold.iloc[0]})
    hits = scores.residuals[scores.residuals.within_s == within_s]
    rows += [
        {"phase": row["phase"], "metric": "mae_s", "value": row["mae_s"]} for row in hits.to_dict("records")
    ]
    return rows
