"""A running average of the weights: smoother than the last step's, at the price of one copy in memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn


def ema_decay_at(step: int, decay: float) -> float:
    """The decay to use at a step (from 0): short at first, so that the random start is soon forgotten.

    min(decay, (1 + t) / (10 + t)), as in TensorFlow's ExponentialMovingAverage with `num_updates`.
    """
    return min(decay, (1 + step) / (10 + step))


class WeightAverage:
    """The exponential moving average of a module's trainable parameters.

    average ← d · average + (1 − d) · weight, with d from `ema_decay_at`.
    """

    def __init__(self, module: nn.Module, decay: float):
        if not 0.0 <= decay < 1.0:
            raise ValueError(f"ema_decay must be at least 0 and below 1, found {decay}")
        self.decay = decay
        self.weights = {name: p.detach().clone() for name, p in module.named_parameters() if p.requires_grad}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Move the average towards the module's weights after the update of `step` (from 0)."""
        parameters = dict(module.named_parameters())
        current = [parameters[name].detach() for name in self.weights]
        torch._foreach_lerp_(list(self.weights.values()), current, 1.0 - ema_decay_at(step, self.decay))

    def load(self, weights: dict[str, Tensor]) -> None:
        """Take over the average that a checkpoint holds."""
        if weights.keys() != self.weights.keys():
            strange = sorted(weights.keys() ^ self.weights.keys())
            raise ValueError(
                f"the averaged weights must be those of the trainable parameters; differing: {strange}"
            )
        for name, weight in weights.items():
            self.weights[name].copy_(weight)

    @torch.no_grad()
    def copy_to(self, module: nn.Module) -> None:
        """Give the averaged weights to a module, for good."""
        parameters = dict(module.named_parameters())
        for name, weight in self.weights.items():
            parameters[name].copy_(weight)

    @contextlib.contextmanager
    def lent_to(self, module: nn.Module) -> Iterator[None]:
        """The module with the averaged weights inside of the `with`, and with its own again after it."""
        parameters = dict(module.named_parameters())
        own = {name: parameters[name].detach().clone() for name in self.weights}
        self.copy_to(module)
        try:
            yield
        finally:
            with torch.no_grad():
                for name, weight in own.items():
                    parameters[name].copy_(weight)
