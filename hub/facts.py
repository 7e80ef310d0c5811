"""What a model's folder says about itself: read from the run's own files, never asked or guessed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from safetensors import SafetensorError, safe_open

from ..eval.out_of_distribution import FILE as ORDINARY_WINDOWS
from ..foundation.contract import InputContract
from ..heads.model_folder import ADAPTER_SETTINGS, BUNDLED_FOLDER, ModelFolder

EVALUATED = ("table", "false_picks", "detection", "num_windows", "num_events", "num_stations")

ARCHITECTURE = (
    "model_type",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "stem_channels",
    "token_samples",
    "layout",
    "channels",
    "kernel_size",
)


@dataclass(frozen=True, kw_only=True)
class DataFact:
    """One source of training data.

    name, kind: what and of which kind; amount: how much, in words; licence: None where nobody stated it.
    stage: which run used it.
    """

    name: str
    kind: str
    amount: str
    licence: str | None
    stage: str


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """What `config.json`, `training.yaml`, `metrics.json` and the weights of a folder tell.

    heads: settings of each head by name; empty for an encoder alone.
    adapter: PEFT's settings, None for whole weights.
    """

    folder: Path
    architecture: dict[str, Any]
    heads: dict[str, Any]
    contract: InputContract
    adapter: dict[str, Any] | None
    training: dict[str, Any]
    metrics: dict[str, Any]
    num_parameters: int

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.resolve().name

    @property
    def base(self) -> str | None:
        """The model that this one was made from, None if it began from random weights."""
        of_adapter = (self.adapter or {}).get("base_model_name_or_path")
        return of_adapter or self.training.get("base") or None

    @property
    def base_folder(self) -> Path | None:
        """Where the base lies on this computer; a relative path may count from the model's own folder.

        A model that comes with seisfm lies where the others do.
        """
        places = [Path(self.base), self.folder / self.base, BUNDLED_FOLDER / self.base] if self.base else []
        return next((place for place in places if place.is_dir()), None)

    @property
    def base_name(self) -> str | None:
        """The base's hub id, or the last part of its path: where a folder lies is nobody else's business."""
        local = self.base_folder is not None or Path(self.base or "").is_absolute()
        return Path(self.base).resolve().name if self.base and local else self.base

    def data(self) -> list[DataFact]:
        """The training data of this run and, as far as they are at hand, of the runs that it builds upon."""
        facts = list(_sources(self.training, "adaptation" if self.adapter else "training"))
        earlier = _yaml(self.base_folder / "training.yaml") if self.base_folder else {}
        return facts + list(_sources(earlier, "training of the base model"))


def read_facts(folder: str | Path) -> ModelFacts:
    """The facts of a model's folder.

    Raises FileNotFoundError where there is no model, ContractError where it has no input contract, and
    ValueError where a file cannot be read.
    """
    folder = Path(folder)
    files = ModelFolder(folder, str(folder))
    config = files.settings()
    encoder = config.get("encoder") or config
    return ModelFacts(
        folder=folder,
        architecture={key: value for key, value in encoder.items() if key in ARCHITECTURE},
        heads=config.get("heads") or {},
        contract=InputContract.from_dict(encoder.get("input_contract"), source=str(folder / "config.json")),
        adapter=files.settings(ADAPTER_SETTINGS) if files.is_adapter else None,
        training=_yaml(folder / "training.yaml"),
        metrics=_metrics(files),
        num_parameters=sum(_num_parameters(f) for f in weight_files(folder) if f.name != ORDINARY_WINDOWS),
    )


def _metrics(files: ModelFolder) -> dict[str, Any]:
    """The run's own metrics, and the table of an evaluation that was written into the folder."""
    metrics = files.settings("metrics.json") if (files.path / "metrics.json").is_file() else {}
    if (files.path / "scores.json").is_file():
        scores = files.settings("scores.json")
        metrics["evaluation"] = {name: scores[name] for name in EVALUATED if name in scores}
    return metrics


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model's folder itself; those of checkpoints lie deeper."""
    return sorted(folder.glob("*.safetensors"))


def _yaml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is no YAML: {' '.join(str(error).split())}") from error


def _num_parameters(file: Path) -> int:
    try:
        with safe_open(file, framework="pt") as tensors:
            return sum(math.prod(tensors.get_slice(key).get_shape()) for key in tensors.keys())  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{file} is no readable safetensors file ({error}): save the model again") from error


def _sources(training: dict[str, Any], stage: str) -> Iterator[DataFact]:
    """The sources that a run's settings name, wherever they stand in them."""
    for source in _described(training):
        kind = source.get("kind", "archive")
        num_events, part = source.get("num_events"), source.get("part")
        amount = f"{num_events} events" if num_events else "all records"
        amount = "endless networks" if source.get("networks") else amount
        yield DataFact(
            name="seisfm.data.synthesis" if kind == "synthetic" else Path(str(source.get("path"))).name,
            kind=kind,
            amount=amount if part is None else f"{amount}, part {part}",
            licence="none needed: computed" if kind == "synthetic" else source.get("licence"),
            stage=stage,
        )


def _described(settings: Any) -> Iterator[dict[str, Any]]:
    if isinstance(settings, dict) and "kind" in settings and ("path" in settings or "synthesis" in settings):
        yield settings
    elif isinstance(settings, dict):
        if isinstance(settings.get("synthetic"), dict):
            yield {"kind": "synthetic", "networks": True}
        if isinstance(settings.get("archive"), str):
            yield {"kind": "archive", "path": settings["archive"], "licence": settings.get("licence")}
        for key, value in settings.items():
            if "valid" not in key and "test" not in key:
                yield from _described(value)
    elif isinstance(settings, list):
        for value in settings:
            yield from _described(value)
