"""Several heads' losses as one: with weights that a run sets, or that it learns; and physics between them."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from ..data.batch import WaveformBatch
from ..foundation.processes import sum_over_all
from .physics import PhysicsConfig, PhysicsLosses
from .task_model import SeismicTaskModel

WEIGHTINGS = ("fixed", "uncertainty")
LEAST_LOG_VARIANCE = -6.0


@dataclass(frozen=True, kw_only=True)
class MultiTaskConfig:
    """How the losses of several heads become one.

    weighting: fixed (the sum with the model's `loss_weights`) or uncertainty (learned, see
        `UncertaintyWeights`; `loss_weights` then say what share of the attention each head is to have).
    physics: laws between the heads' answers.
    """

    weighting: str = "fixed"
    physics: PhysicsConfig = field(default_factory=PhysicsConfig)

    def __post_init__(self) -> None:
        if self.weighting not in WEIGHTINGS:
            raise ValueError(f"weighting must be one of {WEIGHTINGS}, found {self.weighting!r}")


class UncertaintyWeights(nn.Module):
    """Weights by each task's own noise (Kendall, Gal & Cipolla 2018, CVPR, equation 10).

    Each loss L becomes exp(−s) L + s / 2 with a learned s, the logarithm of the task's variance: the larger a
    loss stays, the less it weighs. At the best s the weight is 1 / (2 L). That needs losses of which none is
    below 0, which all heads' are. A head without a label in any process leaves its s as it is.
    """

    def __init__(self, num_heads: int) -> None:
        super().__init__()
        self.log_variance = nn.Parameter(torch.zeros(num_heads))

    def forward(self, losses: Tensor, labelled: Tensor) -> Tensor:
        """Each head's weighed loss `(head,)`. labelled: bool `(head,)`, whether any process has a label."""
        s = self.log_variance.clamp(min=LEAST_LOG_VARIANCE)
        return torch.where(labelled, (-s).exp() * losses + s / 2, losses)


class MultiTaskObjective(nn.Module):
    """A task model as the training loop wants it: a batch in, its loss out.

    What is learned of the weights and of physics belongs to the training: it is in its checkpoints and not
    in the saved model. In evaluation mode the loss is the heads' own, with fixed weights, so that scores of
    one run can be compared.

    Raises ValueError for a law of amplitudes in a model that is not told them.
    """

    def __init__(self, model: SeismicTaskModel, config: MultiTaskConfig) -> None:
        super().__init__()
        if config.physics.attenuation and not model.contract.normalization.gain_back:
            raise ValueError(
                "physics: attenuation needs amplitudes, and the contract's normalization has gain_back "
                "false: leave one of them out"
            )
        self.model = model
        names = tuple(model.heads)
        self.weights = UncertaintyWeights(len(names)) if config.weighting == "uncertainty" else None
        rate_hz = model.encoder.feature_spec.rate_hz
        self.physics = PhysicsLosses(config.physics, names, rate_hz) if config.physics.weights else None

    def forward(self, batch: WaveformBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, and the heads' figures."""
        if not self.training or (self.weights is None and self.physics is None):
            return self.model.compute_loss(batch)
        result = self.model.compute_losses(batch)
        logs = dict(result.logs)
        total = self._weighed(result.losses, logs).sum()
        if self.physics is not None:
            loss, figures = self.physics(result.answers(), batch, result.features)
            total = total + loss
            logs |= figures
        return total, logs

    def _weighed(self, losses: dict[str, Tensor], logs: dict[str, Tensor]) -> Tensor:
        """Each head's part of the loss `(head,)`; the learned weights join the figures."""
        fixed = self.model.config.loss_weights or {}
        stacked = torch.stack(list(losses.values()))
        if self.weights is not None:
            shares = torch.stack([logs[f"{name}_labelled_share"] for name in losses])
            stacked = self.weights(stacked, sum_over_all(shares) > 0)
            learned = (-self.weights.log_variance.detach()).exp()
            logs |= {f"{name}_weight": weight for name, weight in zip(losses, learned, strict=True)}
        return stacked * stacked.new_tensor([fixed.get(name, 1.0) for name in losses])
