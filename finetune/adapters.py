"""Adapters as files: saved in PEFT's layout beside their heads, opened again, merged into plain models."""

from __future__ import annotations

import copy
import os
import re
from pathlib import Path

from peft.tuners.tuners_utils import BaseTunerLayer

from ..foundation.run_folder import replacing_folder
from ..heads.model_folder import ModelError, ModelFolder
from ..heads.task_model import SeismicTaskConfig, SeismicTaskModel, load_model
from .methods import TunableModel

_OWN_HEAD = ".modules_to_save.default."
_ADAPTER_ONLY = re.compile(r"\.(?:lora_\w+|ia3_\w+|original_module)\.")


def save_adapter(tunable: TunableModel, folder: str | Path, base: ModelFolder) -> None:
    """Save an adapter with its heads: `adapter_model.safetensors`, `adapter_config.json`, `config.json`.

    base: the model that it was trained on top of. A base on disk is named relative to the adapter's folder,
    so that both can move together, one of the hub with its revision; `config.json` keeps its fingerprint.
    """
    if tunable.peft is None:
        raise ValueError(f"method {tunable.method.kind} makes no adapter: use model.save_pretrained")
    folder = Path(folder)
    is_local = Path(base.source).is_dir()
    name = os.path.relpath(base.path.resolve(), folder.resolve()) if is_local else base.source
    settings = tunable.peft.peft_config["default"]
    settings.base_model_name_or_path, settings.revision = name, base.revision
    tunable.model.config.base_sha256 = base.sha256()
    with replacing_folder(folder) as unfinished:
        tunable.peft.save_pretrained(str(unfinished), save_embedding_layers=False)
        tunable.model.config.save_pretrained(unfinished)
        # PEFT's own card is a form that nobody has filled in.
        (unfinished / "README.md").unlink(missing_ok=True)


def save_model(model: SeismicTaskModel, folder: str | Path) -> None:
    """Save a whole model: `model.safetensors` and `config.json`."""
    with replacing_folder(Path(folder)) as unfinished:
        model.save_pretrained(unfinished)


def merge_adapter(adapter: str | Path, folder: str | Path) -> SeismicTaskModel:
    """Merge an adapter and its base into one plain model, saved in `folder`, that needs neither.

    Raises FileExistsError where `folder` already holds a model, ModelError where `adapter` is none.
    """
    if (Path(folder) / "config.json").exists():
        raise FileExistsError(f"{folder} already holds a model: choose another folder for the merged one")
    if not ModelFolder.find(adapter).is_adapter:
        raise ModelError(f"{adapter} is not an adapter: there is nothing to merge")
    merged = merged_model(load_model(adapter))
    save_model(merged, folder)
    return merged


def merged_model(model: SeismicTaskModel) -> SeismicTaskModel:
    """A plain model that answers as one with an adapter does, to rounding; the latter stays as it is.

    Done by hand, layer by layer: PEFT's own `merge_and_unload` fails for (IA)³ beside saved heads.
    """
    folded = copy.deepcopy(model)
    for layer in folded.modules():
        if isinstance(layer, BaseTunerLayer):
            layer.merge()
    weights = {
        name.replace(".base_layer.", ".").replace(_OWN_HEAD, "."): tensor
        for name, tensor in folded.state_dict().items()
        if not _ADAPTER_ONLY.search(name)
    }
    config = SeismicTaskConfig(**model.config.to_dict() | {"base_sha256": None})
    return SeismicTaskModel.with_weights(config, weights, "the merged model")
