"""Adapters in PEFT's layout: found with their base, and put on it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from peft import PeftModel
from peft.utils import get_peft_model_state_dict
from transformers import PreTrainedModel

from .model_folder import ADAPTER_SETTINGS, ADAPTER_WEIGHTS, ModelError, ModelFolder, check_weights


@contextmanager
def quiet_peft() -> Iterator[None]:
    """Without three of PEFT's warnings.

    Of missing weights, which `put_adapter` refuses by itself; of an old name in transformers; and of layers
    whose weights lie the other way round, as GPT-2's do, which PEFT then turns by itself.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Found missing adapter keys")
        warnings.filterwarnings("ignore", message="fan_in_fan_out is set to")
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated")
        yield


def find_base(folder: ModelFolder) -> ModelFolder:
    """The model that an adapter was trained on top of.

    A relative path counts from the adapter's folder, so that base and adapter can move together.

    Raises FileNotFoundError where it is not there.
    """
    settings = folder.settings(ADAPTER_SETTINGS)
    base = settings.get("base_model_name_or_path")
    if not base:
        raise ModelError(f"{folder.source}: {ADAPTER_SETTINGS} names no base_model_name_or_path")
    beside = (folder.path / base).resolve()
    if beside.is_dir():
        return ModelFolder(beside, str(beside))
    try:
        return ModelFolder.find(base, settings.get("revision"))
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"the adapter {folder.source} needs its base model {base}, which is not there: put it back, or "
            f"name it, as in load_model(BASE, adapter={folder.source!r})"
        ) from error


def check_base(folder: ModelFolder, base: ModelFolder, expected_sha256: str | None) -> None:
    """Raise ModelError where the base's weights are others than the adapter was trained with."""
    if not folder.is_adapter:
        raise FileNotFoundError(f"{folder.source} has no {ADAPTER_SETTINGS}: it is no adapter")
    if base.is_adapter:
        raise ModelError(f"the base {base.source} is an adapter itself: merge it into a model first")
    found = base.sha256()
    if expected_sha256 is not None and found != expected_sha256:
        raise ModelError(
            f"the adapter {folder.source} was trained on weights with SHA-256 {expected_sha256[:12]}…, but "
            f"{base.source} has {found[:12]}…: find the base that it belongs to, or train it anew"
        )


def put_adapter(model: PreTrainedModel, folder: ModelFolder) -> PeftModel:
    """Put an adapter on a model, in place, ready to use; the answer serves to save or merge it.

    Raises ModelError unless every weight of the adapter finds its place and every place its weight.
    """
    weights = folder.weights(ADAPTER_WEIGHTS)
    with quiet_peft():
        try:
            adapted = PeftModel.from_pretrained(model, str(folder.path))
        except KeyError as error:
            raise ModelError(
                f"the adapter {folder.source} lacks the weights {error}: save it again"
            ) from error
        except (RuntimeError, ValueError, TypeError) as error:
            reason = str(error).splitlines()[0]
            raise ModelError(f"the adapter {folder.source} does not fit its model ({reason})") from error
    expected = get_peft_model_state_dict(adapted, save_embedding_layers=False)
    check_weights(weights, expected, f"{folder.source}/{ADAPTER_WEIGHTS}")
    return adapted.eval()
