"""The best weights so far, by validation loss: kept apart from the checkpoints, which only serve resuming."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import nn


@dataclass
class BestWeights:
    """Where the weights with the lowest validation loss lie, with their step and scores."""

    folder: Path
    step: int = 0
    scores: dict[str, float] = field(default_factory=dict)

    @classmethod
    def open(cls, folder: Path, progress: Mapping[str, Any]) -> BestWeights:
        """The best so far of a run that resumes, as its checkpoint remembers it."""
        return cls(folder, **progress.get("best", {}))

    def as_progress(self) -> dict[str, Any]:
        """As plain values, for a checkpoint."""
        return {"step": self.step, "scores": self.scores}

    def offer(self, step: int, scores: dict[str, float], module: nn.Module) -> bool:
        """Keep the module's weights if their `loss` is the lowest yet; says whether it did.

        Raises ValueError where the scores have no finite `loss`.
        """
        loss = scores.get("loss", math.nan)
        if not math.isfinite(loss):
            raise ValueError(f"a validation must give a finite 'loss' to choose weights by, found {scores}")
        if self.scores and loss >= self.scores["loss"]:
            return False
        self.folder.mkdir(parents=True, exist_ok=True)
        unfinished = self.folder / ".unfinished"
        save_file({k: v.contiguous() for k, v in module.state_dict().items()}, unfinished)
        unfinished.replace(self.folder / "objective.safetensors")
        (self.folder / "scores.json").write_text(json.dumps({"step": step, **scores}, indent=1))
        self.step, self.scores = step, scores
        return True

    def copy_to(self, module: nn.Module) -> None:
        """Give the best weights to a module of the same make."""
        module.load_state_dict(load_file(self.folder / "objective.safetensors"))
