"""A pretraining run, from its configuration to a saved encoder with its scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from ..configs.loader import as_plain
from ..data.loading.augmentation import AugmentationConfig
from ..data.loading.loader import WindowLoader
from ..data.loading.window_source import validation_windows
from ..data.loading.windows import WindowConfig
from ..data.records import Record, Skipped
from ..data.sources import SourceConfig, load_all
from ..data.splitting.fingerprints import Fingerprints, fingerprints_of
from ..data.splitting.splits import split_validation
from ..eval.report import to_json
from ..foundation.backbones.base import Backbone
from ..foundation.backbones.registry import backbone_config, make_backbone
from ..foundation.contract import InputContract
from ..foundation.processes import this_process
from ..foundation.run_folder import replacing_folder, write_papers
from ..foundation.training import TrainingConfig, TrainingResult, train
from .held_out import HeldOut
from .objectives.registry import make_objective, objective_config
from .pretraining import Pretraining


@dataclass(frozen=True, kw_only=True)
class PretrainConfig:
    """All of a pretraining run.

    output_dir: where the encoder, its scores, logs and checkpoints go.
    backbone, size, architecture: one of `BACKBONES` in a named size, and what is to differ from that.
    objectives: settings by objective (`OBJECTIVES`), `{}` for its defaults. objective_weights: of each in the
        sum, 1 where not named.
    sources: the records; labels are learned from where an objective does. `validation_fraction` of the events
        is held out, and `validation_windows` fixed windows of those are scored at every checkpoint.
    noise: sources of records without arrivals, mixed into the training windows.
    seed: of the first weights, the split, the order of the data and the held-out windows and masks.
    """

    output_dir: str
    sources: tuple[SourceConfig, ...]
    noise: tuple[SourceConfig, ...] = ()
    backbone: str = "encoder"
    size: str = "tiny"
    architecture: dict[str, Any] = field(default_factory=dict)
    contract: InputContract = field(default_factory=InputContract)
    windows: WindowConfig = field(default_factory=lambda: WindowConfig(arrival_fraction=0.5))
    augmentation: AugmentationConfig | None = field(default_factory=AugmentationConfig)
    objectives: dict[str, dict[str, Any]] = field(default_factory=lambda: {"mae": {}})
    objective_weights: dict[str, float] = field(default_factory=dict)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    validation_fraction: float = 0.1
    validation_windows: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.0 < self.validation_fraction < 1.0:
            raise ValueError(
                f"validation_fraction must lie between 0 and 1, found {self.validation_fraction}"
            )
        if self.validation_windows < 1:
            raise ValueError(f"validation_windows must be at least 1, found {self.validation_windows}")
        # A typing error in an objective's settings shows before the data are read.
        for name, settings in self.objectives.items():
            objective_config(name, settings)


@dataclass(frozen=True, kw_only=True)
class PretrainResult:
    """Where the encoder was saved, how it scores on held-out windows, and what the training did."""

    output_dir: Path
    metrics: dict[str, Any]
    training: TrainingResult


def pretrain(config: PretrainConfig, *, resume: bool = True) -> PretrainResult:
    """Pretrain a backbone on its objectives, and save it.

    Writes into `output_dir`: `config.json` and `model.safetensors` (the backbone alone; the averaged weights
    where `ema_decay` is given), `training.yaml` (the whole configuration), `metrics.json`, `skipped.csv`,
    `training_data.parquet` (what it has seen, for leakage reports), and what `train` writes. A run that was
    stopped goes on from its newest checkpoint.

    Raises what `train` and `load_all` raise, and ValueError where the split leaves a side empty.
    """
    process = this_process()
    records, skipped = load_all(config.sources)
    noise, skipped_noise = load_all(config.noise) if config.noise else ([], [])
    skipped = [*skipped, *skipped_noise]
    sides = split_validation(records, config.validation_fraction, config.seed)
    pretraining = make_pretraining(config)
    held_out = _held_out(sides["validation"], config)
    at_start = held_out.score(pretraining)
    loader = WindowLoader(
        sides["train"],
        config.windows,
        config.augmentation,
        config.training.batch_size,
        config.seed,
        rank=process.process_index,
        world_size=process.num_processes,
        noise_records=noise,
        device=process.device,
    )
    result = train(
        pretraining,
        loader,
        config.training,
        config.output_dir,
        validate=held_out.score,
        resume=resume,
        settings=_settings(config),
    )
    if result.average is not None:
        result.average.copy_to(pretraining)
    metrics = {
        "held_out": held_out.score(pretraining),
        "held_out_at_start": at_start,
        "held_out_without_knowledge": held_out.trivial_scores(pretraining),
        "num_held_out_windows": held_out.num_windows,
        "num_records": {side: len(part) for side, part in sides.items()},
        "num_skipped": len(skipped),
        "steps": result.steps,
        "windows_seen": result.steps * _windows_per_step(config.training, process.num_processes),
        "windows_per_s": result.windows_per_s,
        "wall_time_s": result.wall_time_s,
        "device": str(process.device),
        "num_processes": process.num_processes,
    }
    if process.is_main_process:
        _save(pretraining.model, config, metrics, skipped, fingerprints_of({**sides, "noise": noise}))
    process.wait_for_everyone()
    return PretrainResult(output_dir=Path(config.output_dir), metrics=metrics, training=result)


def make_pretraining(config: PretrainConfig) -> Pretraining:
    """The untrained model with its objectives; the weights depend on the seed alone."""
    torch.manual_seed(config.seed)
    model = make_backbone(backbone_config(config.backbone, config.size, config.contract, config.architecture))
    objectives = {name: make_objective(name, settings, model) for name, settings in config.objectives.items()}
    return Pretraining(model, objectives, config.objective_weights)


def _held_out(records: Sequence[Record], config: PretrainConfig) -> HeldOut:
    batches = validation_windows(
        records, config.windows, config.seed, config.validation_windows, config.training.batch_size
    )
    return HeldOut(batches)


def _settings(config: PretrainConfig) -> dict[str, Any]:
    """What must be the same for a run to be resumed; where it is written makes no difference."""
    return {k: v for k, v in as_plain(asdict(config)).items() if k not in ("output_dir", "training")}


def _windows_per_step(training: TrainingConfig, num_processes: int) -> int:
    return training.batch_size * training.gradient_accumulation_steps * num_processes


def _save(
    model: Backbone,
    config: PretrainConfig,
    metrics: dict[str, Any],
    skipped: Sequence[Skipped],
    learned: Fingerprints,
) -> None:
    with replacing_folder(Path(config.output_dir)) as unfinished:
        model.save_pretrained(unfinished)
        write_papers(unfinished, config, to_json(metrics), skipped, learned)
