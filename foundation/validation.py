"""The best weights so far, by validation loss, in a file of their own: checkpoints only serve resuming."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn


@dataclass(frozen=True)
class BestWeights:
    """The weights with the lowest validation loss, in one file that says how they scored."""

    file: Path

    @property
    def scores(self) -> dict[str, float]:
        """The scores of these weights, with the `step` that they are from; empty where there are none yet."""
        if not self.file.exists():
            return {}
        with safe_open(self.file, framework="pt") as file:
            return json.loads(file.metadata()["scores"])

    def offer(self, step: int, scores: Mapping[str, float], module: nn.Module) -> bool:
        """Keep the module's weights if their `loss` is the lowest yet; says whether it did.

        Raises ValueError where the scores have no finite `loss`.
        """
        loss = scores.get("loss", math.nan)
        if not math.isfinite(loss):
            raise ValueError(
                f"a validation must give a finite 'loss' to choose weights by, found {dict(scores)}"
            )
        if loss >= self.scores.get("loss", math.inf):
            return False
        self.file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.file.with_suffix(".unfinished")
        tensors = {name: tensor.contiguous() for name, tensor in module.state_dict().items()}
        # Weights and scores in one file, so that a kill between the two cannot part them.
        save_file(tensors, unfinished, metadata={"scores": json.dumps({"step": step, **scores})})
        unfinished.replace(self.file)
        return True

    def copy_to(self, module: nn.Module) -> None:
        """Give the best weights to a module of the same make."""
        module.load_state_dict(load_file(self.file))
