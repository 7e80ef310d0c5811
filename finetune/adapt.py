"""A model adapted to a region from the user's own files, compared with the original on held-out events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from ..configs.loader import as_plain
from ..data.batch import COMPONENT_SLOTS
from ..data.continuous.archive import Archive
from ..data.formats.seisbench_format import write_seisbench
from ..data.formats.tables import read_events, read_picks, read_stations
from ..data.loading.augmentation import AugmentationConfig
from ..data.loading.windows import WindowConfig
from ..data.records import Record, Skipped
from ..data.region.noise import NoiseConfig, noise_records
from ..data.region.records import RegionConfig, make_region_records
from ..data.splitting.fingerprints import Fingerprints, read_fingerprints
from ..eval.picking_protocol import PickingProtocolConfig, evaluate_picking
from ..eval.picking_scores import PickingScores
from ..eval.report import write_atomically
from ..foundation.processes import this_process
from ..foundation.training import TrainingConfig
from ..heads.model_folder import ModelFolder
from ..heads.task_model import load_model, task_config
from .fit import FitConfig, LabelledRecords, fit
from .methods import MethodConfig, apply_method
from .region_split import RegionSplit, split_region
from .run import learned_records, save_run
from .start import model_on_base

COMPARED = ("picker", "phase", "tolerance_s", "precision", "recall", "f1", "f1_low", "f1_high", "threshold")


@dataclass(frozen=True, kw_only=True)
class RegionFiles:
    """How a region's own files become records (see `make_region_records` and `noise_records`).

    unit: of the archive's samples. window_before_s, window_after_s: around the picks of an event.
    noise_per_station: windows without picks, `noise_duration_s` long.
    """

    unit: str = "counts"
    window_before_s: float = 30.0
    window_after_s: float = 60.0
    noise_per_station: int = 10
    noise_duration_s: float = 60.0


@dataclass(frozen=True, kw_only=True)
class AdaptConfig:
    """All of an adaptation.

    archive: continuous waveforms, an SDS tree or a folder.
    stations: StationXML or CSV. picks: QuakeML or CSV.
    events: origins, QuakeML or CSV; None reads them from `picks` where that is QuakeML, and does without
        otherwise.
    base, revision: the task model to adapt, a folder or a hub id. It stays as it is.
    num_training_events: at most so many are learned from, `validation_fraction` of them to choose weights and
        thresholds; all others are held out for the comparison.
    """

    archive: str
    stations: str
    picks: str
    base: str
    output_dir: str
    events: str | None = None
    revision: str | None = None
    files: RegionFiles = field(default_factory=RegionFiles)
    num_training_events: int = 50
    validation_fraction: float = 0.2
    method: MethodConfig = field(default_factory=lambda: MethodConfig(kind="lora"))
    windows: WindowConfig = field(default_factory=WindowConfig)
    augmentation: AugmentationConfig | None = field(default_factory=AugmentationConfig)
    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(
            max_steps=300, learning_rate=5e-4, warmup_steps=30, weight_decay=0.0, checkpoint_every=25
        )
    )
    validation_windows: int = 128
    protocol: PickingProtocolConfig = field(default_factory=PickingProtocolConfig)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.num_training_events < 2:
            raise ValueError(
                f"num_training_events must be at least 2, one of them for validation, "
                f"found {self.num_training_events}"
            )
        if not 0.0 < self.validation_fraction < 1.0:
            raise ValueError(
                f"validation_fraction must lie between 0 and 1, found {self.validation_fraction}"
            )


@dataclass(frozen=True, kw_only=True)
class AdaptResult:
    """Where all was saved, the run's figures, and base and adapted model side by side on held-out events."""

    output_dir: Path
    metrics: dict[str, Any]
    comparison: pd.DataFrame
    skipped: list[Skipped]


def adapt(config: AdaptConfig, *, resume: bool = True) -> AdaptResult:
    """Make an adapter for a region from its archive and picks, and measure what it gains on held-out events.

    Writes into `output_dir`: the adapter with its heads, `training_set/` in SeisBench's format,
    `comparison.csv`, the scores of the adapted model (`scores.json`, `picking.csv`, …) and of the base in
    `base_scores/`, `training.yaml`, `metrics.json`, `skipped.csv`,
    `training_data.parquet`, and what `train` writes. A run that was stopped goes on where it was; one with
    other settings in the same folder is refused.

    Raises ValueError where there are too few events, and what `load_model` and the readers raise.
    """
    process, folder = this_process(), Path(config.output_dir)
    base = ModelFolder.find(config.base, config.revision)
    heads = task_config(base).heads or {}
    settings = _claim(folder, config, resume)
    split, skipped = region_split(config)
    if process.is_main_process and not (folder / "training_set").exists():
        write_seisbench([*split.train, *split.validation, *split.train_noise], folder / "training_set")
    started = model_on_base(config.base, heads, {}, config.seed, config.revision)
    tunable = apply_method(started.model, config.method)
    records = LabelledRecords(
        train=[*split.train, *split.train_noise],
        validation=split.validation,
        noise=split.train_noise if config.augmentation else (),
    )
    fit_config = FitConfig(
        windows=config.windows,
        augmentation=config.augmentation,
        training=config.training,
        validation_windows=config.validation_windows,
        seed=config.seed,
    )
    settings["base_sha256"] = started.base_sha256
    metrics = fit(tunable, records, fit_config, folder, settings=settings, resume=resume)
    before = read_fingerprints(base.path, f"the base model {base.source}")
    scores = {
        "base": _scores(load_model(config.base, config.revision), split, config.protocol, before),
        "adapted": _scores(tunable.model, split, config.protocol, before),
    }
    comparison = compare(scores)
    metrics |= {
        "num_events": split.num_events(),
        "num_held_out_records": len(split.test),
        "num_skipped": len(skipped),
        "leakage": scores["adapted"].leakage.summary(),
        "comparison": as_plain(comparison.to_dict(orient="records")),
    }
    if process.is_main_process:
        scores["base"].write(folder / "base_scores")
        scores["adapted"].write(folder)
        write_atomically(folder / "comparison.csv", comparison.to_csv(index=False))
        save_run(tunable, base, folder, config, metrics, skipped, learned_records(records, base))
    process.wait_for_everyone()
    return AdaptResult(output_dir=folder, metrics=metrics, comparison=comparison, skipped=skipped)


def region_split(config: AdaptConfig) -> tuple[RegionSplit, list[Skipped]]:
    """The region's records by purpose, and what of its files could not be used."""
    archive = Archive.open(config.archive)
    stations, picks, events = read_stations(config.stations), read_picks(config.picks), _events(config)
    files = config.files
    region = RegionConfig(
        window_before_s=files.window_before_s, window_after_s=files.window_after_s, unit=files.unit
    )
    records, skipped = make_region_records(archive, stations, picks, events, config=region)
    noise, more = noise_records(
        archive,
        stations,
        picks,
        np.random.default_rng(config.seed),
        events,
        noise=NoiseConfig(num_per_station=files.noise_per_station, duration_s=files.noise_duration_s),
        config=region,
    )
    usable, unusable = _with_components(records + noise, config)
    noise_ids = {record.record_id for record in noise}
    split = split_region(
        [record for record in usable if record.record_id not in noise_ids],
        [record for record in usable if record.record_id in noise_ids],
        config.num_training_events,
        config.validation_fraction,
        config.seed,
    )
    return split, [*archive.skipped, *skipped, *more, *unusable]


def compare(scores: Mapping[str, PickingScores]) -> pd.DataFrame:
    """Each model's rows of its score table under its own name, and the baselines once, for comparison."""
    parts = [s.table[s.table.picker == "model"].assign(picker=name) for name, s in scores.items()]
    last = list(scores.values())[-1]
    baselines = last.table[last.table.picker != "model"]
    columns = [name for name in COMPARED if name in last.table]
    return pd.concat([*parts, baselines], ignore_index=True)[columns]


def _scores(
    model: Any, split: RegionSplit, protocol: PickingProtocolConfig, before: Fingerprints
) -> PickingScores:
    return evaluate_picking(
        model,
        split.test,
        protocol,
        validation_records=split.validation,
        noise_records=split.test_noise,
        train_records=[*split.train, *split.validation, *split.train_noise],
        fingerprints=before,
    )


def _events(config: AdaptConfig) -> pd.DataFrame | None:
    if config.events is not None:
        return read_events(config.events)
    is_quakeml = Path(config.picks).suffix.lower() in (".xml", ".qml", ".quakeml")
    return read_events(config.picks) if is_quakeml else None


def _claim(folder: Path, config: AdaptConfig, resume: bool) -> dict[str, Any]:
    """Make the folder this run's own. Returns the settings that a resumed run must share.

    Raises ValueError where a run with other settings has begun there, FileExistsError without `resume`.
    """
    settings = {k: v for k, v in as_plain(asdict(config)).items() if k != "output_dir"}
    path = folder / "adapt.yaml"
    if path.exists():
        found = yaml.safe_load(path.read_text())
        differing = sorted(k for k in settings.keys() | found.keys() if settings.get(k) != found.get(k))
        if differing:
            raise ValueError(
                f"{folder} holds an adaptation with other settings ({', '.join(differing)}): choose another "
                "output_dir, or delete that folder to begin anew"
            )
        if not resume:
            raise FileExistsError(f"{folder} holds an adaptation: resume it, or choose another output_dir")
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(path, yaml.safe_dump(settings, sort_keys=False))
    return {k: v for k, v in settings.items() if k != "training"}


def _with_components(records: list[Record], config: AdaptConfig) -> tuple[list[Record], list[Skipped]]:
    """The records that have one of the components that the windows are cut with."""
    usable, skipped = [], []
    for record in records:
        if {COMPONENT_SLOTS[name] for name in record.component_names} & set(config.windows.components):
            usable.append(record)
        else:
            reason = f"components {record.component_names}, none of {config.windows.components}"
            skipped.append(Skipped(record.record_id, reason))
    return usable, skipped
