"""Whether an event shakes the ground: the detection head."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..data.batch import WaveformBatch
from ..foundation.features import FeatureSpec, SeismicFeatures
from .base import Head
from .calibration import ClassTemperature
from .groups import mean_of_groups
from .targets import detection_targets
from .time_axis import TimeGrid


@dataclass(frozen=True, kw_only=True)
class DetectionConfig:
    """How events are detected. hidden: width of the layer between tokens and answer."""

    hidden: int = 64

    def __post_init__(self) -> None:
        if self.hidden < 1:
            raise ValueError(f"hidden must be at least 1, found {self.hidden}")


class DetectionHead(Head):
    """Probability that an event is there, from its P to S + 1.4 (S − P).

    One answer a token (6.25 a second with 16 samples at 100 Hz). `predict` gives `probability`
    `(window, sample)`. The loss weighs event and noise alike, so the probability is that of a world
    where half of the time is event: where events are rarer it overstates them.
    """

    config_class = DetectionConfig
    calibration_class = ClassTemperature

    def __init__(self, spec: FeatureSpec, config: DetectionConfig) -> None:
        super().__init__(spec, config)
        # A token's answer belongs to the middle of its samples.
        self.grid: TimeGrid = TimeGrid(spec.rate_hz, spec.token_samples / 2, spec.token_samples)
        self.hidden = nn.Linear(spec.dim, config.hidden)
        self.answer = nn.Linear(config.hidden, 1)

    def forward(self, features: SeismicFeatures) -> dict[str, Tensor]:
        """Logits `(window, token)`."""
        return {"logits": self.answer(F.gelu(self.hidden(features.tokens))).squeeze(-1).float()}

    def predict(self, output: dict[str, Tensor], observed: Tensor | None) -> dict[str, Tensor]:
        """Probabilities; 0 where nothing was observed."""
        probability = output["logits"].sigmoid()
        return {"probability": probability if observed is None else probability * observed}

    def loss(
        self, output: dict[str, Tensor], batch: WaveformBatch, features: SeismicFeatures
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Binary cross entropy; all processes' event and noise weigh the same, however long either lasts."""
        logits = output["logits"]
        target, known = detection_targets(batch, self.grid.time_s(batch, logits.shape[-1]))
        entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
        counts = known & features["token_observed"]
        loss = mean_of_groups(entropy, torch.stack([counts & (target == value) for value in (0.0, 1.0)]))
        return loss, {"loss": loss.detach(), "labelled_share": counts.float().mean()}
