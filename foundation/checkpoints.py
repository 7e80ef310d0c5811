"""Checkpoints of a training run: whole or absent, never unpickled, and only for the run that wrote them."""

from __future__ import annotations

import json
import re
import shutil
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from .sharding import joined

_NAME = re.compile(r"step-(\d{6,})")
_PART = re.compile(r"(?P<group>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})")
_UNFINISHED = ".unfinished-"


class CheckpointError(ValueError):
    """A checkpoint that is broken or belongs to another run."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Everything from which a run goes on as if it had never stopped.

    step: updates done. windows_seen: by all processes together, the place in the data for whoever goes on.
    tensors: by file (objective, optimizer, ema) and then by name.
    """

    step: int
    windows_seen: int
    tensors: Mapping[str, dict[str, Tensor]]


@dataclass(frozen=True, kw_only=True)
class Part:
    """Which part of a checkpoint a process writes, where each one has only its rows of the tensors.

    wait: returns when all of the processes have called it. They need a file system in common.
    """

    number: int
    count: int
    wait: Callable[[], None]

    def of(self, group: str) -> str:
        """The name of this part's file, numbered from 1 as in the hub's sharded models."""
        return f"{group}-{self.number + 1:05d}-of-{self.count:05d}"


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

    def save(self, checkpoint: Checkpoint, part: Part | None = None) -> Path:
        """Write a checkpoint beside the others, then drop the oldest ones beyond `keep`.

        part: given where every process calls this with its own rows; None where one calls it with everything.
        """
        final = self.path(checkpoint.step)
        if final.exists():
            return final
        unfinished = self.folder / f"{_UNFINISHED}{final.name}"
        is_first = part is None or part.number == 0
        if is_first:
            _make_anew(unfinished)
        if part is not None:
            part.wait()
        write_tensors(
            unfinished, {part.of(group) if part else group: t for group, t in checkpoint.tensors.items()}
        )
        if part is not None:
            part.wait()
        if is_first:
            self._finish(checkpoint, unfinished, final)
        return final

    def _finish(self, checkpoint: Checkpoint, unfinished: Path, final: Path) -> None:
        """Give a checkpoint its name once all of it is there, and drop the oldest ones."""
        state = {
            "step": checkpoint.step,
            "windows_seen": checkpoint.windows_seen,
            "settings": self.settings,
        }
        (unfinished / "state.json").write_text(json.dumps(state, indent=1))
        unfinished.rename(final)
        for step in self.steps()[: -self.keep]:
            self._remove(step)

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
            step, windows_seen, settings = state["step"], state["windows_seen"], state["settings"]
            tensors = _read_tensors(path)
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise CheckpointError(
                f"checkpoint {path} cannot be read ({error!r}): delete it to go on from the one before"
            ) from error
        self._check_settings(path, settings)
        return Checkpoint(step=step, windows_seen=windows_seen, tensors=tensors)

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


def _make_anew(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)


def write_tensors(folder: Path, tensors: Mapping[str, dict[str, Tensor]]) -> None:
    """One safetensors file in the folder for each group of named tensors."""
    for file, named in tensors.items():
        save_file(
            {name: tensor.contiguous() for name, tensor in named.items()}, folder / f"{file}.safetensors"
        )


def _read_tensors(folder: Path) -> dict[str, dict[str, Tensor]]:
    """All of a checkpoint's tensors, by group and name, put together from however many parts there are."""
    parts: dict[str, dict[int, dict[str, Tensor]]] = defaultdict(dict)
    counts: dict[str, int] = {}
    for file in sorted(folder.glob("*.safetensors")):
        named = _PART.fullmatch(file.stem)
        group = named["group"] if named else file.stem
        counts[group] = int(named["count"]) if named else 1
        parts[group][int(named["number"]) if named else 1] = load_file(file)
    for group, found in parts.items():
        if sorted(found) != list(range(1, counts[group] + 1)):
            raise ValueError(f"{group} has the parts {sorted(found)} of {counts[group]}")
    return {group: joined([found[number] for number in sorted(found)]) for group, found in parts.items()}


def _differences(wanted: Any, found: Any, name: str = "") -> list[str]:
    if isinstance(wanted, dict) and isinstance(found, dict):
        keys = sorted(wanted.keys() | found.keys())
        return [
            d
            for key in keys
            for d in _differences(wanted.get(key), found.get(key), f"{name}.{key}".strip("."))
        ]
    return [] if wanted == found else [f"{name} was {found!r}, is {wanted!r}"]
