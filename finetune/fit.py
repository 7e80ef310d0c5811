"""Training a task model on labelled records, and keeping what does best on others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

import torch
from torch import nn

from ..data.batch import WaveformBatch
from ..data.loading.augmentation import AugmentationConfig
from ..data.loading.loader import WindowLoader
from ..data.loading.window_source import validation_windows
from ..data.loading.windows import WindowConfig
from ..data.records import Record
from ..foundation.processes import this_process, this_process_alone
from ..foundation.training import BatchSource, TrainingConfig, train
from ..heads.multitask import MultiTaskConfig, MultiTaskObjective
from .methods import TunableModel


@dataclass(frozen=True, kw_only=True)
class LabelledRecords:
    """The records of a run: those that are learned from, those that choose the best weights, and noise.

    noise: records without arrivals whose waveforms are mixed into the training windows.
    """

    train: Sequence[Record]
    validation: Sequence[Record]
    noise: Sequence[Record] = ()
    counted: ClassVar[str] = "windows"

    @property
    def num_train(self) -> int:
        """Records that are learned from."""
        return len(self.train)

    def loader(self, config: FitConfig) -> BatchSource:
        """This process's share of the training windows."""
        process = this_process()
        return WindowLoader(
            self.train,
            config.windows,
            config.augmentation,
            config.training.batch_size,
            config.seed,
            rank=process.process_index,
            world_size=process.num_processes,
            noise_records=self.noise,
            device=process.device,
        )

    def validation_batches(self, config: FitConfig) -> list[WaveformBatch]:
        """Fixed windows that choose the best weights."""
        return validation_windows(
            self.validation,
            config.windows,
            config.seed,
            config.validation_windows,
            config.training.batch_size,
        )


class LabelledData(Protocol):
    """What a run learns from, such as `LabelledRecords`.

    counted: what `training.batch_size` counts, windows or networks.
    """

    counted: ClassVar[str]

    @property
    def num_train(self) -> int:
        """Records that are learned from."""
        ...

    def loader(self, config: FitConfig) -> BatchSource:
        """This process's share of the training batches."""
        ...

    def validation_batches(self, config: FitConfig) -> list[WaveformBatch]:
        """Fixed batches that choose the best weights."""
        ...


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """How labelled records become windows and windows train a model.

    validation_windows: fixed windows that are scored at every checkpoint.
    multitask: how the losses of several heads become one.
    """

    windows: WindowConfig
    augmentation: AugmentationConfig | None
    training: TrainingConfig
    validation_windows: int
    seed: int
    multitask: MultiTaskConfig = field(default_factory=MultiTaskConfig)


class Validation:
    """The losses of a model on fixed windows that it does not learn from."""

    def __init__(self, batches: Sequence[WaveformBatch]) -> None:
        self.batches = batches

    @property
    def num_windows(self) -> int:
        """Windows that are scored."""
        return sum(len(batch) for batch in self.batches)

    @torch.no_grad()
    def score(self, objective: nn.Module) -> dict[str, float]:
        """The mean over all windows of the loss and of the heads' figures."""
        device = next(objective.parameters()).device
        was_training = objective.training
        objective.eval()
        sums: dict[str, float] = defaultdict(float)
        with this_process_alone():
            for batch in self.batches:
                loss, logs = objective(batch.to(device))
                for name, value in {"loss": loss, **logs}.items():
                    sums[name] += float(value) * len(batch) / self.num_windows
        objective.train(was_training)
        return dict(sums)


def fit(
    tunable: TunableModel,
    records: LabelledData,
    config: FitConfig,
    output_dir: Path,
    *,
    settings: Mapping[str, Any],
    resume: bool = True,
) -> dict[str, Any]:
    """Train a model; it ends with the weights of its best validation. Returns the run's figures.

    settings: the whole run's; a checkpoint of a run with other settings is refused.

    Raises ValueError where no validation window has a label, and what `train` raises.
    """
    process = this_process()
    objective = MultiTaskObjective(tunable.model, config.multitask)
    validation = Validation(records.validation_batches(config))
    at_start = validation.score(objective)
    if not any(value for name, value in at_start.items() if name.endswith("labelled_share")):
        raise ValueError(
            f"none of the {validation.num_windows} validation windows has a label of "
            f"{list(tunable.model.heads)}: no weights could be called the best; give labelled records"
        )
    result = train(
        objective,
        records.loader(config),
        config.training,
        output_dir,
        validate=validation.score,
        resume=resume,
        settings=settings,
    )
    best = result.best
    best.copy_to(objective)  # type: ignore[union-attr]  # there is one wherever there is a validation
    tunable.model.eval()
    training = config.training
    per_step = training.batch_size * training.gradient_accumulation_steps * process.num_processes
    return {
        "validation": best.scores,  # type: ignore[union-attr]
        "validation_at_start": at_start,
        "num_validation_windows": validation.num_windows,
        "num_train_records": records.num_train,
        "num_trainable": tunable.num_trainable,
        "num_parameters": tunable.num_parameters,
        "method": tunable.method.kind,
        "steps": result.steps,
        f"{records.counted}_seen": result.steps * per_step,
        "windows_per_s": result.windows_per_s,
        "wall_time_s": result.wall_time_s,
        "device": str(process.device),
        "num_processes": process.num_processes,
    }
