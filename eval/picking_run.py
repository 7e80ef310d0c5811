"""A whole evaluation as one configuration: which model, on which records, by which protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..configs.loader import save_config
from ..data.records import Record, Skipped
from ..data.sources import SourceConfig, load_all
from ..data.splitting.fingerprints import read_fingerprints
from ..heads.model_folder import ModelFolder
from ..heads.task_model import load_model
from .picking_protocol import PickingProtocolConfig, evaluate_picking
from .picking_scores import PickingScores


@dataclass(frozen=True, kw_only=True)
class PickingRunConfig:
    """All of an evaluation of picks.

    model, revision: folder or hub id. output_dir: where the scores go.
    test: what is scored. validation: chooses the thresholds. noise: records without arrivals.
    train: what the model has seen, for the positional dummy and, with what the model's folder tells of its
        training data, for the leakage report.
    """

    model: str
    test: tuple[SourceConfig, ...]
    output_dir: str
    validation: tuple[SourceConfig, ...] = ()
    train: tuple[SourceConfig, ...] = ()
    noise: tuple[SourceConfig, ...] = ()
    revision: str | None = None
    protocol: PickingProtocolConfig = field(default_factory=PickingProtocolConfig)


def run_picking_evaluation(config: PickingRunConfig) -> tuple[PickingScores, list[Skipped]]:
    """Score a model's picks and write the scores; also returns what of the sources could not be read.

    Writes what `PickingScores.write` writes, and the configuration as `evaluation.yaml`.
    """
    skipped: list[Skipped] = []

    def load(sources: tuple[SourceConfig, ...]) -> Sequence[Record]:
        if not sources:
            return ()
        records, reasons = load_all(sources)
        skipped.extend(reasons)
        return records

    scores = evaluate_picking(
        load_model(config.model, config.revision),
        load(config.test),
        config.protocol,
        validation_records=load(config.validation),
        noise_records=load(config.noise),
        train_records=load(config.train),
        fingerprints=read_fingerprints(ModelFolder.find(config.model, config.revision).path, config.model),
    )
    folder = scores.write(config.output_dir)
    save_config(config, folder / "evaluation.yaml")
    return scores, skipped
