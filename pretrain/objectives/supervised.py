"""Learning from whatever labels there are: the heads that a model will have, all at once.

After PRIME-DP and PhaseNet+ (arXiv 2506.06939), which train one network on several tasks, of which a window
may know some. PRIME-DP's reconstruction is the objective `mae` beside this one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ...data.batch import WaveformBatch
from ...foundation.backbones.base import Backbone
from ...heads.base import Head
from ...heads.registry import head_config, make_head
from .base import Objective, init_objective


def _default_heads() -> dict[str, dict[str, Any]]:
    return {"picking": {}, "detection": {}}


@dataclass(frozen=True, kw_only=True)
class SupervisedConfig:
    """What is asked.

    heads: settings by head (`HEADS`), `{}` for its defaults. loss_weights: of each in the sum, 1 where not
        named.

    Raises ValueError for a head or a setting that does not exist, for no head, and for a weight of none.
    """

    heads: dict[str, dict[str, Any]] = field(default_factory=_default_heads)
    loss_weights: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.heads:
            raise ValueError(
                "supervised pretraining needs one head or more, found none: name some in `heads`"
            )
        for name, settings in self.heads.items():
            head_config(name, settings)
        strange = sorted(set(self.loss_weights) - set(self.heads))
        if strange:
            raise ValueError(f"loss_weights name {strange}, the heads are {sorted(self.heads)}")


class Supervised(Objective):
    """The weighted sum of the heads' losses, each a mean over what is labelled in all processes.

    A head without a label in a batch adds nothing, and has a gradient of exactly zero. The heads are thrown
    away after pretraining, as all parts of objectives are: a run that is to keep them is fine-tuning, which
    also chooses its best weights by what they answer.
    """

    config_class = SupervisedConfig

    def __init__(self, model: Backbone, config: SupervisedConfig) -> None:
        super().__init__(model, config)
        spec = model.feature_spec
        self.heads = nn.ModuleDict(
            {name: make_head(name, settings, spec) for name, settings in config.heads.items()}
        )
        self.weights = {name: config.loss_weights.get(name, 1.0) for name in config.heads}
        init_objective(self, model.config.initializer_range)
        for head in self._each_head().values():
            head.init_prior()

    def forward(self, model: Backbone, batch: WaveformBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """The sum of the heads' losses, and their figures as `{head}_{figure}`."""
        features = model(batch)
        losses: list[Tensor] = []
        logs: dict[str, Tensor] = {}
        for name, head in self._each_head().items():
            loss, figures = head.loss(head(features), batch, features)
            losses.append(self.weights[name] * loss)
            logs |= {f"{name}_{figure}": value for figure, value in figures.items()}
        return torch.stack(losses).sum(), logs

    def _each_head(self) -> dict[str, Head]:
        return dict(self.heads.items())  # type: ignore[arg-type]  # a ModuleDict forgets of what it is
