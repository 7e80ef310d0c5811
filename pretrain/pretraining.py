"""A model with all that it is pretrained on: what `train` is given."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..data.batch import WaveformBatch
from ..foundation.backbones.base import Backbone
from .objectives.base import Objective


class Pretraining(nn.Module):
    """The weighted sum of a model's objectives.

    `model` is kept, the objectives are thrown away. weights: of each objective in the sum, 1 where not named.
    Figures are logged as they are for a single objective, and as `{objective}_{figure}` for several.

    Raises ValueError for no objective, or a weight of one that is not there.
    """

    def __init__(self, model: Backbone, objectives: Mapping[str, Objective], weights: Mapping[str, float]):
        super().__init__()
        if not objectives:
            raise ValueError("pretraining needs one objective or more, found none: name some in `objectives`")
        strange = sorted(set(weights) - set(objectives))
        if strange:
            raise ValueError(f"objective_weights name {strange}, the objectives are {sorted(objectives)}")
        self.model = model
        self.objectives = nn.ModuleDict(objectives)
        self.weights = {name: float(weights.get(name, 1.0)) for name in objectives}

    def forward(self, batch: WaveformBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a batch, with each objective's figures."""
        total: Tensor | None = None
        logs: dict[str, Tensor] = {}
        for name, objective in self.objectives.items():
            loss, figures = objective(self.model, batch)
            total = self.weights[name] * loss if total is None else total + self.weights[name] * loss
            if len(self.objectives) > 1:
                figures = {"loss": loss.detach(), **figures}
            logs |= {self._name(name, figure): value for figure, value in figures.items()}
        assert total is not None
        return total, logs

    def trivial_losses(self, batch: WaveformBatch) -> dict[str, Tensor]:
        """What it costs to answer without knowledge, for the objectives that can say so."""
        losses = {
            name: objective.trivial_loss(self.model, batch)  # type: ignore[operator]
            for name, objective in self.objectives.items()
        }
        return {self._name(name, "trivial_loss"): loss for name, loss in losses.items() if loss is not None}

    @torch.no_grad()
    def after_update(self) -> None:
        """Tell the objectives that the weights were updated."""
        for objective in self.objectives.values():
            objective.after_update(self.model)  # type: ignore[operator]

    def _name(self, objective: str, figure: str) -> str:
        return f"{objective}_{figure}" if len(self.objectives) > 1 else figure
