"""What a study will do, and how long that takes, before it does it."""

from __future__ import annotations

import statistics
import time
from dataclasses import asdict, dataclass, replace
from typing import Any

from ..data.loading.loader import WindowLoader
from ..data.sources import SourceConfig, load_all
from ..foundation.training_config import TrainingConfig
from ..pretrain.run import PretrainConfig, make_pretraining
from .config import Arm, StudyConfig
from .plan import Run, check_equal_budgets, finetune_config, pretrain_config, runs_of, windows_seen
from .run import skipped_sets
from .runs import is_done

STEPS = 3
EVENTS_TO_MEASURE = 12
WITHOUT_GRADIENT = 1 / 3
"""Of the time of a window that is learned from."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """The runs of a study with the seconds that each will take; 0 for those that are done.

    skipped: one line each. Not in it: making the records, and scoring, a few seconds for each fine-tuning.
    """

    runs: dict[str, float]
    skipped: tuple[str, ...]

    @property
    def total_s(self) -> float:
        """Seconds of all that is left."""
        return sum(self.runs.values())

    def to_dict(self) -> dict[str, Any]:
        """For machines."""
        return asdict(self) | {"total_s": self.total_s}

    def lines(self) -> tuple[str, ...]:
        """For people."""
        runs = (f"{name}: {f'{seconds:.0f} s' if seconds else 'done'}" for name, seconds in self.runs.items())
        left = sum(seconds > 0 for seconds in self.runs.values())
        total = (
            f"{left} of {len(self.runs)} runs to do, about {self.total_s / 60:.0f} min on this machine now"
        )
        return (*runs, *self.skipped, total)


def estimate_study(study: StudyConfig) -> Estimate:
    """The runs, and their time by a few steps of each arm on this machine as it is now. Trains nothing.

    Raises ValueError for arms that are not comparable.
    """
    check_equal_budgets(study)
    waiting = [run for run in runs_of(study) if not is_done(study, run)]
    window_s = {run.arm.name: _pretraining_window_s(study, run.arm) for run in waiting if run.one is None}
    tuning_s = _finetuning_s(study) if any(run.one for run in waiting) else 0.0
    runs = dict.fromkeys(map(str, runs_of(study)), 0.0)
    for run in waiting:
        runs[str(run)] = tuning_s if run.one else _pretraining_s(study, run.arm, window_s[run.arm.name])
    skipped = tuple(f"skipped {item.item}: {item.reason}" for item in skipped_sets(study))
    return Estimate(runs=runs, skipped=skipped)


def _pretraining_s(study: StudyConfig, arm: Arm, window_s: float) -> float:
    config = pretrain_config(study, arm, study.seeds[0])
    return window_s * _windows(config.training, config.validation_windows)


def _windows(training: TrainingConfig, validation_windows: int) -> float:
    """How many windows' time a run takes, in those that are learned from."""
    validations = training.max_steps / training.checkpoint_every + 2
    return windows_seen(training) + WITHOUT_GRADIENT * validations * validation_windows


def _pretraining_window_s(study: StudyConfig, arm: Arm) -> float:
    """Seconds of a window in an arm's pretraining; an encoder that is not trained takes next to none."""
    config = pretrain_config(study, arm, study.seeds[0])
    return measured_window_s(config) if config.objectives else 1e-6


def _finetuning_s(study: StudyConfig) -> float:
    """Seconds of a fine-tuning: by the heads' own loss on the windows of the pretraining."""
    base = pretrain_config(study, study.arms[0], study.seeds[0])
    some = SourceConfig(kind="corpus", path="any")
    run = Run(arm=study.arms[0], seed=study.seeds[0], one=study.sets[0], num_events=1)
    tuning = finetune_config(study, run, some, some)
    heads = {"heads": tuning.heads, "loss_weights": tuning.loss_weights}
    like = replace(
        base,
        objectives={"supervised": heads},
        objective_weights={},
        windows=tuning.windows,
        augmentation=tuning.augmentation,
        training=tuning.training,
    )
    return measured_window_s(like) * _windows(tuning.training, tuning.validation_windows)


def measured_window_s(config: PretrainConfig) -> float:
    """Seconds of a window in a pretraining, loading and both passes, by the median of a few steps."""
    pretraining = make_pretraining(config)
    records, _ = load_all([_fewer(source) for source in config.sources])
    loader = WindowLoader(
        records, config.windows, config.augmentation, config.training.batch_size, config.seed, prefetch=0
    )
    took_s = []
    for index in range(STEPS):
        began_s = time.perf_counter()
        loss, _ = pretraining(loader.batch(index))
        loss.backward()
        took_s.append(time.perf_counter() - began_s)
    return statistics.median(took_s) / config.training.batch_size


def _fewer(source: SourceConfig) -> SourceConfig:
    if source.kind != "synthetic":
        return source
    return replace(source, num_events=min(source.num_events, EVENTS_TO_MEASURE))
