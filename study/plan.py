"""Which runs a study has, each with its folder and its whole configuration."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..configs.loader import as_plain, build_config
from ..data.sources import SourceConfig
from ..finetune.run import FinetuneConfig
from ..foundation.training_config import TrainingConfig
from ..pretrain.run import PretrainConfig
from .config import Arm, StudyConfig, StudySet

OWN_IN_PRETRAINING = ("output_dir", "seed", "objectives", "objective_weights")
OWN_IN_FINETUNING = (
    *("output_dir", "seed", "train", "valid", "base", "revision"),
    *("backbone", "size", "architecture", "contract"),
)
"""What the study itself decides."""

FREE = ("output_dir", "seed", "objectives", "objective_weights", "training")
"""In what the arms' pretrainings may differ; of the training, all but its length."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training of a study.

    one, num_events: the set and the number of labelled events of a fine-tuning; None for a pretraining.
    """

    arm: Arm
    seed: int
    one: StudySet | None = None
    num_events: int | None = None

    @property
    def stage(self) -> str:
        """What is done."""
        return "pretraining" if self.one is None else "fine-tuning"

    @property
    def kind(self) -> str:
        """Runs of one kind take about as long."""
        return f"{self.stage} {self.arm.name}" if self.one is None else f"{self.stage} {self.one.name}"

    def __str__(self) -> str:
        name = f"{self.arm.name}, seed {self.seed}, {self.stage}"
        return name if self.one is None else f"{name} on {self.num_events} events of {self.one.name}"


def runs_of(study: StudyConfig) -> Iterator[Run]:
    """All runs in the order in which they are done: seed by seed, so that what is there is complete early."""
    for seed in study.seeds:
        for arm in study.arms:
            yield Run(arm=arm, seed=seed)
            for one in study.sets_here:
                for num_events in study.budgets_of(one):
                    yield Run(arm=arm, seed=seed, one=one, num_events=num_events)


def folder_of(study: StudyConfig, run: Run) -> Path:
    """Where a run writes, by arm, seed, set and budget."""
    base = Path(study.output_dir) / "runs" / run.arm.name / f"seed-{run.seed}"
    return base / "pretrained" if run.one is None else base / run.one.name / f"events-{run.num_events}"


def pretrain_config(study: StudyConfig, arm: Arm, seed: int) -> PretrainConfig:
    """The pretraining of an arm, from the sources as they are written."""
    _refuse("pretraining", study.pretraining, OWN_IN_PRETRAINING)
    settings = study.pretraining | {
        "objectives": arm.objectives,
        "objective_weights": arm.objective_weights,
        "seed": seed,
        "output_dir": str(folder_of(study, Run(arm=arm, seed=seed))),
    }
    return build_config(PretrainConfig, settings, arm.overrides, source=f"pretraining of arm {arm.name}")


def finetune_config(study: StudyConfig, run: Run, train: SourceConfig, valid: SourceConfig) -> FinetuneConfig:
    """The fine-tuning of an arm's encoder on some labelled events."""
    _refuse("finetuning", study.finetuning, OWN_IN_FINETUNING)
    settings: dict[str, Any] = study.finetuning | {
        "train": [as_plain(asdict(train))],
        "valid": [as_plain(asdict(valid))],
        "base": str(folder_of(study, Run(arm=run.arm, seed=run.seed))),
        "seed": run.seed,
        "output_dir": str(folder_of(study, run)),
    }
    return build_config(FinetuneConfig, settings, source="finetuning")


def check_equal_budgets(study: StudyConfig) -> None:
    """Raise ValueError where an arm would see other data, or more of them, or be another network.

    Builds every kind of run, so that a typing error shows before records are made.
    """
    any_source = SourceConfig(kind="corpus", path="any")
    finetune_config(study, Run(arm=study.arms[0], seed=0, one=study.sets[0]), any_source, any_source)
    first = pretrain_config(study, study.arms[0], study.seeds[0])
    for arm in study.arms:
        config = pretrain_config(study, arm, study.seeds[0])
        unequal = [
            name
            for name in (f.name for f in dataclasses.fields(PretrainConfig))
            if name not in FREE and getattr(config, name) != getattr(first, name)
        ]
        if _length(config.training) != _length(first.training):
            unequal.append("the number of windows (max_steps × batch_size)")
        if unequal:
            raise ValueError(
                f"arms are compared under one budget, and {arm.name} differs from {study.arms[0].name} in "
                f"{', '.join(unequal)}: change it for all, in `pretraining`"
            )


def windows_seen(training: TrainingConfig) -> int:
    """Windows that a run learns from, repeated ones included."""
    return training.max_steps * training.batch_size * training.gradient_accumulation_steps


def _length(training: TrainingConfig) -> tuple[int, int]:
    return training.max_steps, windows_seen(training)


def _refuse(part: str, settings: dict[str, Any], own: tuple[str, ...]) -> None:
    given = sorted(set(own) & set(settings))
    if given:
        raise ValueError(f"{part}: the study itself decides on {given}: leave them out")
