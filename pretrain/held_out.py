"""Scores of a pretraining on windows that it never trains on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..data.batch import WaveformBatch
from ..foundation.processes import this_process_alone
from .pretraining import Pretraining


class HeldOut:
    """Held-out windows with fixed keys, and so fixed masks: the same questions to every state of a model."""

    def __init__(self, batches: Sequence[WaveformBatch]):
        if not batches:
            raise ValueError(
                "no held-out windows to score on: raise validation_fraction, or give more events"
            )
        self.batches = batches

    @property
    def num_windows(self) -> int:
        """How many windows are scored."""
        return sum(len(batch) for batch in self.batches)

    def score(self, pretraining: Pretraining) -> dict[str, float]:
        """The mean `loss` over the windows with its parts, in evaluation mode, which is left again after."""

        def figures(batch: WaveformBatch) -> dict[str, Tensor]:
            loss, parts = pretraining(batch)
            return {"loss": loss, **parts}

        was_training = pretraining.training
        pretraining.eval()
        try:
            return self._mean(pretraining, figures)
        finally:
            pretraining.train(was_training)

    def trivial_scores(self, pretraining: Pretraining) -> dict[str, float]:
        """The losses of answers that know nothing, for the objectives that have such an answer."""
        return self._mean(pretraining, pretraining.trivial_losses)

    @torch.no_grad()
    def _mean(
        self, pretraining: Pretraining, figures: Callable[[WaveformBatch], dict[str, Tensor]]
    ) -> dict[str, float]:
        device = pretraining.model.device
        sums: dict[str, float] = {}
        with this_process_alone():
            for batch in self.batches:
                for name, value in figures(batch.to(device)).items():
                    sums[name] = sums.get(name, 0.0) + float(value) * len(batch)
        return {name: total / self.num_windows for name, total in sums.items()}
