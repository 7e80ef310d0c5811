"""Guess what a teacher, who sees everything, makes of the hidden places: latent targets instead of samples.

After Baevski et al. 2022 (data2vec, arXiv 2202.03555): the teacher is a running average of the model itself.
What differs from the paper: the target is the teacher's last layer alone, not the mean of its last ones, so
that every backbone can be taught; and the hidden *samples* are taken out of the input, so that no convolution
around them tells of them.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...data.batch import WaveformBatch
from ...foundation.backbones.base import Backbone
from ...foundation.contract import PreparedInput
from .base import init_objective, mean_over_all
from .masked import MaskedObjective
from .masking import MaskConfig
from .standardizing import standardize_over_time


@dataclass(frozen=True, kw_only=True)
class Data2VecConfig:
    """The objective of data2vec.

    first_decay, last_decay: of the teacher's running average at each update; it rises linearly within
        `decay_updates` updates.
    beta: errors below it count quadratically, above linearly.
    """

    mask: MaskConfig = field(default_factory=lambda: MaskConfig(kind="span", ratio=0.49, span_s=1.0))
    first_decay: float = 0.999
    last_decay: float = 0.9999
    decay_updates: int = 30_000
    beta: float = 0.25

    def __post_init__(self) -> None:
        if not 0 <= self.first_decay <= self.last_decay < 1 or self.decay_updates < 1:
            raise ValueError(
                "the teacher's decay must rise from first_decay to a last_decay below 1 within decay_updates "
                f"of 1 or more, found {self.first_decay}, {self.last_decay} and {self.decay_updates}"
            )
        if not self.beta > 0:
            raise ValueError(f"beta must be positive, found {self.beta}")


class Data2Vec(MaskedObjective):
    """The student sees a part and guesses what the teacher makes of the whole.

    The teacher is in the state dict, so that a run resumes exactly, is never trained, and is left behind with
    the objective. It works in evaluation mode: without dropout, and with the running statistics of the model.

    updates: int64, of the weights so far; the decay follows from it.
    """

    config_class = Data2VecConfig
    draws_name = "data2vec"
    updates: Tensor

    def __init__(self, model: Backbone, config: Data2VecConfig) -> None:
        super().__init__(model, config, config.mask)
        self.config = config
        self.predict = nn.Linear(model.feature_spec.dim, model.feature_spec.dim)
        init_objective(self, model.config.initializer_range)
        self.teacher = copy.deepcopy(model).requires_grad_(False).eval()
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    def train(self, mode: bool = True) -> Data2Vec:
        """Training or evaluation, for the student's side; the teacher stays in evaluation."""
        super().train(mode)
        self.teacher.eval()
        return self

    def score(
        self, model: Backbone, batch: WaveformBatch, hidden: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss for a given mask, with its parts."""
        visible, whole = model.prepare(model.hide(batch, hidden)), model.prepare(batch)
        tokens = self.look(model, visible, hidden).tokens
        assert tokens is not None
        guess = self.predict(tokens)
        target, observed, spread = self.targets(whole)
        # A window that shows nothing can only be guessed at.
        judged = hidden & observed & visible.observed.flatten(1).any(dim=1, keepdim=True)
        return self.compare(guess.float(), target, judged), {"target_std": spread}

    @torch.no_grad()
    def targets(self, whole: PreparedInput) -> tuple[Tensor, Tensor, Tensor]:
        """What the teacher makes of the whole: `(window, token, dim)`; where it has data; and its spread.

        Each token is scaled to zero mean and unit variance over its features, and then each feature over the
        window's tokens with data: what is the same all over a window is no target (the paper's way with
        speech, whose neighbours are alike too). The spread is the standard deviation between the two: near 0
        where all tokens of a window have become the same, the collapse that all self-taught models risk.
        """
        features = self.teacher.encode(whole)
        observed = features.token_observed
        tokens = F.layer_norm(features.tokens.float(), features.tokens.shape[-1:])
        tokens, variance = standardize_over_time(tokens, observed)
        windows = observed.any(dim=1)
        spread = mean_over_all((variance.mean(dim=(1, 2)).sqrt() * windows).sum(), windows.sum())
        return tokens, observed, spread

    def compare(self, guess: Tensor, target: Tensor, judged: Tensor) -> Tensor:
        """The smooth L1 distance of guesses and targets `(window, token, dim)` over the judged tokens."""
        with torch.autocast(device_type=guess.device.type, enabled=False):
            error = F.smooth_l1_loss(guess, target, reduction="none", beta=self.config.beta).mean(dim=-1)
            return mean_over_all(error.where(judged, 0.0).sum(), judged.sum())

    def trivial_loss(self, model: Backbone, batch: WaveformBatch) -> Tensor:
        """The loss of guessing each feature's mean."""
        hidden = self.draw_mask(model, batch)
        target, observed, _ = self.targets(model.prepare(batch))
        visible = model.prepare(model.hide(batch, hidden)).observed.flatten(1).any(dim=1, keepdim=True)
        return self.compare(torch.zeros_like(target), target, hidden & observed & visible)

    def decay(self) -> float:
        """How much of the teacher the next update keeps."""
        config = self.config
        progress = min(1.0, int(self.updates) / config.decay_updates)
        return config.first_decay + progress * (config.last_decay - config.first_decay)

    @torch.no_grad()
    def after_update(self, model: Backbone) -> None:
        """The teacher moves a little towards the model, and takes over its running statistics as they are."""
        mine: list[Tensor] = list(self.teacher.parameters())
        torch._foreach_lerp_(mine, list(model.parameters()), 1.0 - self.decay())
        for buffer, other in zip(self.teacher.buffers(), model.buffers(), strict=True):
            buffer.copy_(other)
        self.updates += 1
