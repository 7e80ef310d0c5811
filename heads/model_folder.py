"""A saved model on disk or on the hub: found, read without unpickling, refused in one line if broken."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ..data.splitting.fingerprints import FINGERPRINTS

WEIGHTS = "model.safetensors"
ADAPTER_SETTINGS = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"

BUNDLED_FOLDER = Path(__file__).parent.parent / "bundled"
"""Where models lie that come with seisfm, each in a folder of its name."""

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_FILES = ["*.json", "*.safetensors", "*.yaml", "*.md", FINGERPRINTS]


class ModelError(ValueError):
    """A saved model that is broken, incomplete, or of another kind than was asked for."""


@dataclass(frozen=True)
class ModelFolder:
    """The files of one model.

    source: what the user called it, for messages. revision: of a hub id, where one was asked for.
    """

    path: Path
    source: str
    revision: str | None = None

    @classmethod
    def find(cls, name_or_path: str | Path, revision: str | None = None) -> ModelFolder:
        """The folder of that path, else the bundled model of that name, else the local copy of that hub id.

        A hub's model is downloaded if need be.

        Raises FileNotFoundError where there is none of them, ValueError for the revision of a folder or of a
        bundled model.
        """
        name, path = str(name_or_path), Path(name_or_path).expanduser()
        if not path.is_dir() and name in bundled_models():
            path = BUNDLED_FOLDER / name
        if path.is_dir():
            if revision is not None:
                raise ValueError(
                    f"revision {revision!r} pins a hub id, but {name} is a folder or comes with seisfm: "
                    "leave it out"
                )
            return cls(path, name)
        if path.exists() or not _HUB_ID.fullmatch(name) or name.startswith("."):
            raise FileNotFoundError(
                f"no model at {name}: expected a folder with config.json and {WEIGHTS}, a bundled model "
                f"({', '.join(bundled_models())}), or a hub id like owner/model"
            )
        try:
            downloaded = snapshot_download(name, revision=revision, allow_patterns=_FILES)
        except (HfHubHTTPError, LocalEntryNotFoundError, HFValidationError, OSError) as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise FileNotFoundError(
                f"no folder {name}, and the hub does not give it at revision {revision or 'main'} "
                f"({reason}): check the name and the connection"
            ) from error
        return cls(Path(downloaded), name, revision)

    @property
    def is_adapter(self) -> bool:
        """Whether this is an adapter, to be put on a base model."""
        return (self.path / ADAPTER_SETTINGS).is_file()

    def settings(self, file: str = "config.json") -> dict[str, Any]:
        """What a JSON file of the folder says.

        Raises FileNotFoundError without the file, ModelError where it is not a JSON object.
        """
        path = self.path / file
        if not path.is_file():
            raise FileNotFoundError(
                f"{self.source} has no {file}: expected a folder that seisfm saved; is the download complete?"
            )
        try:
            settings = json.loads(path.read_text())
        except ValueError as error:
            raise ModelError(f"{path} is not JSON ({error}): fetch it again") from error
        if not isinstance(settings, dict):
            raise ModelError(f"{path} must hold a JSON object, found {type(settings).__name__}")
        return settings

    def weights(self, file: str = WEIGHTS) -> dict[str, Tensor]:
        """The tensors of a safetensors file by name.

        Raises FileNotFoundError without the file, ModelError where it is corrupt.
        """
        path = self.path / file
        if not path.is_file():
            others = sorted(p.name for p in self.path.glob("*.bin")) + sorted(
                p.name for p in self.path.glob("*.pt*")
            )
            hint = f"; {others} are pickles, which are never opened" if others else ""
            raise FileNotFoundError(f"{self.source} has no {file}{hint}: is the download complete?")
        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise ModelError(f"{path} is corrupt ({error}): fetch or save it again") from error

    def sha256(self) -> str:
        """The fingerprint of the folder's weights."""
        path = self.path / WEIGHTS
        if not path.is_file():
            raise FileNotFoundError(f"{self.source} has no {WEIGHTS}: is the download complete?")
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def bundled_models() -> list[str]:
    """Names of the models that come with seisfm."""
    return sorted(path.parent.name for path in BUNDLED_FOLDER.glob(f"*/{WEIGHTS}"))


def check_weights(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], source: str) -> None:
    """Raise ModelError unless the weights are exactly those that the model has."""
    missing, unknown = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
    shapes = [
        f"{name} {tuple(found[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in found and found[name].shape != tensor.shape
    ]
    problems = [
        f"{len(names)} {what} ({', '.join(names[:3])}{' …' if len(names) > 3 else ''})"
        for what, names in (("missing", missing), ("unknown", unknown), ("of another shape", shapes))
        if names
    ]
    if problems:
        raise ModelError(
            f"the weights in {source} do not fit its config.json: {'; '.join(problems)}. Nothing is filled "
            "in at random: save the model again, or use the config.json that belongs to it"
        )
