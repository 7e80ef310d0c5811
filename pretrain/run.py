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
from ..foundation.contract import InputContract
from ..foundation.model import SeismicConfig, SeismicModel
from ..foundation.processes import this_process
from ..foundation.run_folder import replacing_folder, write_papers
from ..foundation.training import TrainingConfig, TrainingResult, train
from .held_out import HeldOut
from .mae import MaskedAutoencoder, MaskedAutoencoderConfig


@dataclass(frozen=True, kw_only=True)
class PretrainConfig:
    """All of a pretraining run.

    output_dir: where the encoder, its scores, logs and checkpoints go.
    size, architecture: a named size of `SeismicConfig`, and what is to differ from it.
    sources: the records; labels are not learned from. `validation_fraction` of the events is held out, and
        `validation_windows` fixed windows of those are scored at every checkpoint.
    noise: sources of records without arrivals, mixed into the training windows.
    seed: of the first weights, the split, the order of the data and the held-out windows and masks.
    """

    output_dir: str
    sources: tuple[SourceConfig, ...]
    noise: tuple[SourceConfig, ...] = ()
    size: str = "tiny"
    architecture: dict[str, Any] = field(default_factory=dict)
    contract: InputContract = field(default_factory=InputContract)
    windows: WindowConfig = field(default_factory=lambda: WindowConfig(arrival_fraction=0.5))
    augmentation: AugmentationConfig | None = field(default_factory=AugmentationConfig)
    objective: MaskedAutoencoderConfig = field(default_factory=MaskedAutoencoderConfig)
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


@dataclass(frozen=True, kw_only=True)
class PretrainResult:
    """Where the encoder was saved, how it scores on held-out windows, and what the training did."""

    output_dir: Path
    metrics: dict[str, Any]
    training: TrainingResult


def pretrain(config: PretrainConfig, *, resume: bool = True) -> PretrainResult:
    """Pretrain an encoder by guessing the hidden parts of seismograms, and save it.

    Writes into `output_dir`: `config.json` and `model.safetensors` (the encoder alone; the averaged weights
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
    objective = make_objective(config)
    held_out = _held_out(sides["validation"], config)
    at_start = held_out.score(objective)
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
        objective,
        loader,
        config.training,
        config.output_dir,
        validate=held_out.score,
        resume=resume,
        settings=_settings(config),
    )
    if result.average is not None:
        result.average.copy_to(objective)
    metrics = {
        "held_out": held_out.score(objective),
        "held_out_at_start": at_start,
        "held_out_of_silence": held_out.score_of_silence(objective),
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
        _save(objective.model, config, metrics, skipped, fingerprints_of({**sides, "noise": noise}))
    process.wait_for_everyone()
    return PretrainResult(output_dir=Path(config.output_dir), metrics=metrics, training=result)


def make_objective(config: PretrainConfig) -> MaskedAutoencoder:
    """The untrained model with its objective; the weights depend on the seed alone."""
    torch.manual_seed(config.seed)
    model = SeismicModel(SeismicConfig.of_size(config.size, config.contract, **config.architecture))
    return MaskedAutoencoder(model, config.objective)


def _held_out(records: Sequence[Record], config: PretrainConfig) -> HeldOut:
    batches = validation_windows(
        records, config.windows, config.seed, config.validation_windows, config.training.batch_size
    )
    return HeldOut(batches, config.seed)


def _settings(config: PretrainConfig) -> dict[str, Any]:
    """What must be the same for a run to be resumed; where it is written makes no difference."""
    return {k: v for k, v in as_plain(asdict(config)).items() if k not in ("output_dir", "training")}


def _windows_per_step(training: TrainingConfig, num_processes: int) -> int:
    return training.batch_size * training.gradient_accumulation_steps * num_processes


def _save(
    model: SeismicModel,
    config: PretrainConfig,
    metrics: dict[str, Any],
    skipped: Sequence[Skipped],
    learned: Fingerprints,
) -> None:
    with replacing_folder(Path(config.output_dir)) as unfinished:
        model.save_pretrained(unfinished)
        write_papers(unfinished, config, to_json(metrics), skipped, learned)
