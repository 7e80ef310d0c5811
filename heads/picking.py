"""When P and S arrive: the picking head."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import initialization as init

from ..data.batch import WaveformBatch
from ..foundation.features import FeatureSpec, SeismicFeatures
from ..foundation.processes import mean_over_all
from .base import Head
from .calibration import PickCalibration
from .decoder import DenseDecoder
from .network_attention import NetworkConfig, StationExchange
from .targets import PhaseTargets, phase_targets
from .time_axis import TimeGrid

CLASSES = ("P", "S", "noise")
"""Rows of `probability`."""

PRIOR_LOGIT = -4.0
"""Log odds of a phase against noise before training: some 25 of 3000 samples lie at an arrival."""


@dataclass(frozen=True, kw_only=True)
class PickingConfig:
    """How arrivals are learned.

    sigma_s: width of the Gaussian around an arrival in seconds, whatever the rate.
    class_weights: of P, S and noise in the loss.
    channels: of the decoder at full, half and quarter rate. Most of the cost lies at full rate.
    network: how stations of one network listen to each other, None where each is picked by itself.
    """

    sigma_s: float = 0.1
    class_weights: tuple[float, float, float] = (1.0, 1.0, 1.0)
    channels: tuple[int, int, int] = (16, 24, 32)
    network: NetworkConfig | None = None

    def __post_init__(self) -> None:
        if not self.sigma_s > 0:
            raise ValueError(f"sigma_s must be positive seconds, found {self.sigma_s}")
        if min(self.class_weights) < 0 or min(self.channels) < 1:
            raise ValueError(
                "class_weights must not be negative and channels at least 1, "
                f"found {self.class_weights} and {self.channels}"
            )


class PickingHead(Head):
    """Probability of P, S and noise at each sample.

    `predict` gives `probability` `(window, class, sample)` in the order of `CLASSES`, summing to 1. With
    `network`, windows of one network (`event_index`) are picked with an eye on each other: `StationExchange`.
    """

    config_class = PickingConfig
    calibration_class = PickCalibration

    def __init__(self, spec: FeatureSpec, config: PickingConfig) -> None:
        super().__init__(spec, config)
        self.config = config
        self.grid: TimeGrid = TimeGrid(spec.rate_hz)
        self.exchange = StationExchange(spec, config.network) if config.network else None
        self.decoder = DenseDecoder(spec, config.channels)
        self.classify = nn.Conv1d(config.channels[0], len(CLASSES), 1, bias=False)
        self.prior = nn.Parameter(torch.zeros(len(CLASSES)))

    def init_prior(self) -> None:
        """Begin with noise nearly everywhere: the decoder's features are several times larger than tokens."""
        init.normal_(self.classify.weight, std=0.02)
        init.copy_(self.prior, torch.tensor([PRIOR_LOGIT, PRIOR_LOGIT, 0.0]))
        if self.exchange is not None:
            self.exchange.init_prior()

    def forward(self, features: SeismicFeatures) -> dict[str, Tensor]:
        """Logits `(window, class, sample)` at the model's rate, padded to whole tokens."""
        if self.exchange is not None:
            features = SeismicFeatures(**{**features, "tokens": self.exchange(features)})
        return {"logits": self.classify(self.decoder(features)).float() + self.prior[:, None].float()}

    def predict(self, output: dict[str, Tensor], observed: Tensor | None) -> dict[str, Tensor]:
        """Probabilities; noise alone where nothing was observed."""
        probability = output["logits"].softmax(dim=1)
        if observed is not None:
            noise = probability.new_tensor([0.0, 0.0, 1.0])[None, :, None]
            probability = torch.where(observed[:, None], probability, noise)
        return {"probability": probability}

    def loss(
        self, output: dict[str, Tensor], batch: WaveformBatch, features: SeismicFeatures
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Soft cross entropy of the phases that are labelled, mean over all processes' samples with one."""
        logits = output["logits"]
        targets = phase_targets(batch, self.grid.time_s(batch, logits.shape[-1]), self.config.sigma_s)
        weights = logits.new_tensor(self.config.class_weights)
        entropy = marginal_cross_entropy(logits, targets, weights)
        counts = targets.known.any(dim=1) & features["sample_observed"]
        loss = mean_over_all(torch.where(counts, entropy, 0.0).sum(), counts.sum())
        return loss, {"loss": loss.detach(), "labelled_share": counts.float().mean()}


def marginal_cross_entropy(logits: Tensor, targets: PhaseTargets, weights: Tensor) -> Tensor:
    """Cross entropy `(window, sample)` that asks nothing about a phase which nobody labelled.

    With t the targets and p the probabilities: both phases known, −Σ t log p over P, S and noise; only P,
    −t_P log p_P − (1 − t_P) log(p_S + p_noise), the sum over what S may have been, and S likewise; none, 0.
    weights: of P, S and noise `(class,)`.
    """
    p_target, s_target = targets.target.unbind(dim=1)
    p_known, s_known = targets.known.unbind(dim=1)
    log_p, log_s, log_noise = logits.log_softmax(dim=1).unbind(dim=1)
    p_weight, s_weight, noise_weight = weights.unbind()
    p_term = p_weight * p_target * log_p
    s_term = s_weight * s_target * log_s
    both = p_term + s_term + noise_weight * (1 - p_target - s_target) * log_noise
    only_p = p_term + noise_weight * (1 - p_target) * torch.logaddexp(log_s, log_noise)
    only_s = s_term + noise_weight * (1 - s_target) * torch.logaddexp(log_p, log_noise)
    one = torch.where(p_known, only_p, torch.where(s_known, only_s, 0.0))
    return -torch.where(p_known & s_known, both, one)
