"""A fine-tuning run, from its configuration to a saved model with its scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..configs.loader import as_plain
from ..data.loading.augmentation import AugmentationConfig
from ..data.loading.windows import WindowConfig
from ..data.network_sources import NetworkSourceConfig, load_networks
from ..data.records import Record, Skipped, event_keys
from ..data.sources import SourceConfig, load_all
from ..data.splitting.fingerprints import Fingerprints, fingerprints_of
from ..data.splitting.splits import split_validation
from ..eval.report import to_json
from ..foundation.backbones.registry import BACKBONES, backbone_config
from ..foundation.contract import InputContract
from ..foundation.processes import this_process
from ..foundation.run_folder import replacing_folder, write_papers
from ..foundation.training import TrainingConfig
from ..heads.model_folder import ModelFolder
from ..heads.multitask import MultiTaskConfig
from .adapters import save_adapter, save_model
from .fit import FitConfig, LabelledRecords, fit
from .methods import MethodConfig, TunableModel, apply_method
from .networks import LabelledNetworks
from .start import StartingModel, model_on_base, new_model


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig:
    """All of a fine-tuning run.

    output_dir: where the model or adapter, its scores, logs and checkpoints go.
    train, valid: sources of labelled records. Without `valid`, `validation_fraction` of the events of `train`
        are held out. The best weights are those of the lowest validation loss.
    networks: sources of whole networks in place of `train`, for heads that listen to other stations. A batch
        then has `training.batch_size` networks, `validation_fraction` of the recorded events are held out,
        and nothing is augmented.
    noise: sources of records without arrivals, mixed into the training windows.
    base, revision: a pretrained encoder or a task model, folder or hub id. Without one the model starts from
        random weights, as `backbone` (encoder or unet), `size`, `architecture` and `contract` describe. A run
        on another base than its checkpoints' is refused, also where the base's files changed under the same
        name.
    heads: settings by head; `{}` for a head's defaults. One that the base has with the same settings goes on
        from there, also where it shall listen to other stations (`network`) and the base's does not yet.
    loss_weights: of each in the sum. multitask: whether these weights are learned, and which laws of physics
        hold between the answers.
    seed: of new weights, the split, the order of the data and the validation windows.
    """

    output_dir: str
    train: tuple[SourceConfig, ...] = ()
    networks: tuple[NetworkSourceConfig, ...] = ()
    valid: tuple[SourceConfig, ...] = ()
    noise: tuple[SourceConfig, ...] = ()
    base: str | None = None
    revision: str | None = None
    backbone: str = "encoder"
    size: str = "tiny"
    architecture: dict[str, Any] = field(default_factory=dict)
    contract: InputContract = field(default_factory=InputContract)
    heads: dict[str, dict[str, Any]] = field(default_factory=lambda: {"picking": {}, "detection": {}})
    loss_weights: dict[str, float] = field(default_factory=dict)
    multitask: MultiTaskConfig = field(default_factory=MultiTaskConfig)
    method: MethodConfig = field(default_factory=MethodConfig)
    windows: WindowConfig = field(default_factory=WindowConfig)
    augmentation: AugmentationConfig | None = field(default_factory=AugmentationConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    validation_fraction: float = 0.1
    validation_windows: int = 256
    seed: int = 0

    def __post_init__(self) -> None:
        if bool(self.train) == bool(self.networks):
            raise ValueError(
                "a run learns from windows of single stations (train) or of whole networks (networks): give "
                f"one of the two, found {len(self.train)} and {len(self.networks)} sources"
            )
        if self.networks and (self.valid or self.noise or self.augmentation is not None):
            raise ValueError(
                "networks are held out by validation_fraction and not augmented: leave out valid and noise, "
                "and set augmentation to null"
            )
        if not 0.0 < self.validation_fraction < 1.0:
            raise ValueError(
                f"validation_fraction must lie between 0 and 1, found {self.validation_fraction}"
            )
        if self.validation_windows < 1:
            raise ValueError(f"validation_windows must be at least 1, found {self.validation_windows}")
        if self.base is None and (self.method.is_adapter or self.method.kind == "head"):
            raise ValueError(
                f"method {self.method.kind} trains a part of a pretrained model: give it as base, or use full"
            )
        if self.backbone not in BACKBONES:
            raise ValueError(f"unknown backbone {self.backbone!r}: the backbones are {sorted(BACKBONES)}")
        if self.base is not None and (self.architecture or self.contract != InputContract()):
            raise ValueError(
                "architecture and contract describe a new encoder, but the base brings its own: "
                "leave them out, or leave base out"
            )

    def fit_config(self) -> FitConfig:
        """The part that says how records train a model."""
        return FitConfig(
            windows=self.windows,
            augmentation=self.augmentation,
            training=self.training,
            validation_windows=self.validation_windows,
            seed=self.seed,
            multitask=self.multitask,
        )


@dataclass(frozen=True, kw_only=True)
class FinetuneResult:
    """Where the model was saved, what the run says of it, and the model itself."""

    output_dir: Path
    metrics: dict[str, Any]
    tunable: TunableModel


def finetune(config: FinetuneConfig, *, resume: bool = True) -> FinetuneResult:
    """Teach a model to answer from labelled records, and save it.

    Writes into `output_dir`: the model (`config.json`, `model.safetensors`) or the adapter with its heads
    (`adapter_config.json`, `adapter_model.safetensors`, `config.json`), `training.yaml`, `metrics.json`,
    `skipped.csv`, `training_data.parquet`, and what `train` writes. A run that was stopped goes on from its
    newest checkpoint.
    """
    process = this_process()
    started = _start(config)
    records: LabelledRecords | LabelledNetworks
    records, skipped = _networks(config) if config.networks else _records(config)
    tunable = apply_method(started.model, config.method)
    settings = {k: v for k, v in as_plain(asdict(config)).items() if k not in ("output_dir", "training")}
    if not config.networks:
        # Checkpoints from before there were such sources are still good.
        del settings["networks"]
    settings["base_sha256"] = started.base_sha256
    output_dir = Path(config.output_dir)
    metrics = fit(tunable, records, config.fit_config(), output_dir, settings=settings, resume=resume)
    metrics |= {"inherited_heads": list(started.inherited_heads), "num_skipped": len(skipped)}
    if process.is_main_process:
        learned = learned_records(records, started.base)
        save_run(tunable, started.base, output_dir, config, metrics, skipped, learned)
    process.wait_for_everyone()
    return FinetuneResult(output_dir=output_dir, metrics=metrics, tunable=tunable)


def save_run(
    tunable: TunableModel,
    base: ModelFolder | None,
    folder: Path,
    config: object,
    metrics: dict[str, Any],
    skipped: Sequence[Skipped],
    learned: Fingerprints,
) -> None:
    """Write what a run has made: the model or adapter, and beside it how it came about."""
    if tunable.peft is not None and base is not None:
        save_adapter(tunable, folder, base)
    else:
        save_model(tunable.model, folder)
    with replacing_folder(folder) as unfinished:
        write_papers(unfinished, config, to_json(metrics), skipped, learned)


def learned_records(records: LabelledRecords | LabelledNetworks, base: ModelFolder | None) -> Fingerprints:
    """The fingerprints of all that the weights have seen, their base's included."""
    if isinstance(records, LabelledNetworks):
        stages = {"train": records.sides.train_records, "validation": records.sides.validation_records}
    else:
        stages = {"train": records.train, "validation": records.validation, "noise": records.noise}
    if base is None:
        return fingerprints_of(stages)
    return fingerprints_of(stages, base.path, f"the base model {base.source}")


def _start(config: FinetuneConfig) -> StartingModel:
    if config.base is not None:
        return model_on_base(config.base, config.heads, config.loss_weights, config.seed, config.revision)
    encoder = backbone_config(config.backbone, config.size, config.contract, config.architecture)
    return new_model(encoder, config.heads, config.loss_weights, config.seed)


def _records(config: FinetuneConfig) -> tuple[LabelledRecords, list[Skipped]]:
    train, skipped = load_all(config.train)
    noise, more = load_all(config.noise) if config.noise else ((), [])
    skipped = skipped + more
    if config.valid:
        validation, more = load_all(config.valid)
        _check_apart(train, validation)
        return LabelledRecords(train=train, validation=validation, noise=noise), skipped + more
    sides = split_validation(train, config.validation_fraction, config.seed)
    return LabelledRecords(train=sides["train"], validation=sides["validation"], noise=noise), skipped


def _networks(config: FinetuneConfig) -> tuple[LabelledNetworks, list[Skipped]]:
    sides, skipped = load_networks(config.networks, config.windows, config.validation_fraction, config.seed)
    return LabelledNetworks(sides=sides), skipped


def _check_apart(train: Sequence[Record], validation: Sequence[Record]) -> None:
    """Raise ValueError where an event is on both sides: weights chosen on what they learned look too good."""
    shared = sorted(set(event_keys(train)) & set(event_keys(validation)))
    if shared:
        raise ValueError(
            f"train and valid must share no event, found {len(shared)} in both ({', '.join(shared[:3])} …): "
            "give each source its `part` of one split, or leave `valid` out"
        )
