"""Checkpoints of a training run: whole or absent, never unpickled, and only for the run that wrote them."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

_NAME = re.compile(r"step-(\d{6,})")
_UNFINISHED = ".unfinished-"


class CheckpointError(ValueError):
    """A checkpoint that is broken or belongs to another run."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Everything from which a run goes on as if it had never stopped.

    step: updates done. tensors: by file (objective, optimizer, ema) and then by name.
    """

    step: int
    tensors: Mapping[str, dict[str, Tensor]]


class CheckpointFolder:
    """The folder `checkpoints/` of a run, with `step-000123/` for each kept checkpoint.

    settings: the run's configuration as plain JSON values. It is written into every checkpoint, and a
    checkpoint with other settings is refused: it would go on with another learning rate or other data and
    still look like one run.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], keep: int):
        self.folder = folder
        self.settings = dict(settings)
        self.keep = keep

    def steps(self) -> list[int]:
        """The steps of the complete checkpoints, in order."""
        if not self.folder.is_dir():
            return []
        matches = [_NAME.fullmatch(path.name) for path in self.folder.iterdir()]
        return sorted(int(match.group(1)) for match in matches if match)

    def path(self, step: int) -> Path:
        """Where the checkpoint of a step lies."""
        return self.folder / f"step-{step:06d}"

    def save(self, checkpoint: Checkpoint) -> Path:
        """Write a checkpoint beside the others, then drop the oldest ones beyond `keep`."""
        final = self.path(checkpoint.step)
        if not final.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            unfinished = self.folder / f"{_UNFINISHED}{final.name}"
            write_tensors(unfinished, checkpoint.tensors)
            state = {"step": checkpoint.step, "settings": self.settings}
            (unfinished / "state.json").write_text(json.dumps(state, indent=1))
            unfinished.rename(final)
        for step in self.steps()[: -self.keep]:
            self._remove(step)
        return final

    def newest(self) -> Checkpoint | None:
        """The last complete checkpoint, or None where there is none.

        Raises CheckpointError where it cannot be read or was made by a run with other settings.
        """
        self._sweep()
        steps = self.steps()
        if not steps:
            return None
        path = self.path(steps[-1])
        try:
            state = json.loads((path / "state.json").read_text())
            step, settings = state["step"], state["settings"]
            tensors = {file.stem: load_file(file) for file in sorted(path.glob("*.safetensors"))}
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise CheckpointError(
                f"checkpoint {path} cannot be read ({error!r}): delete it to go on from the one before"
            ) from error
        self._check_settings(path, settings)
        return Checkpoint(step=step, tensors=tensors)

    def _check_settings(self, path: Path, found: dict[str, Any]) -> None:
        # What JSON reads back has no tuples, hence the comparison after a trip through it.
        wanted = json.loads(json.dumps(self.settings))
        differing = list(_differences(wanted, found))
        if differing:
            raise CheckpointError(
                f"checkpoint {path} belongs to another configuration ({'; '.join(differing)}): choose "
                "another output_dir, or delete its checkpoints to begin anew"
            )

    def _remove(self, step: int) -> None:
        # Renamed first, so that a removal that is interrupted leaves no half checkpoint under a good name.
        doomed = self.folder / f"{_UNFINISHED}removed-{step:06d}"
        self.path(step).rename(doomed)
        shutil.rmtree(doomed)

    def _sweep(self) -> None:
        for leftover in self.folder.glob(f"{_UNFINISHED}*"):
            shutil.rmtree(leftover)


def write_tensors(folder: Path, tensors: Mapping[str, dict[str, Tensor]]) -> None:
    """A fresh folder with one safetensors file for each group of named tensors."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    for file, named in tensors.items():
        save_file(
            {name: tensor.contiguous() for name, tensor in named.items()}, folder / f"{file}.safetensors"
        )


def _differences(wanted: Any, found: Any, name: str = "") -> list[str]:
    if isinstance(wanted, dict) and isinstance(found, dict):
        keys = sorted(wanted.keys() | found.keys())
        return [
            d
            for key in keys
            for d in _differences(wanted.get(key), found.get(key), f"{name}.{key}".strip("."))
        ]
    return [] if wanted == found else [f"{name} was {found!r}, is {wanted!r}"]
