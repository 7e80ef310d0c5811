"""Scores of a masked autoencoder on windows that it never trains on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..data.batch import WaveformBatch
from .mae import MaskedAutoencoder


class HeldOut:
    """Held-out windows with fixed masks: the same questions to every state of a model.

    batches: of fixed windows. seed: of the masks, drawn anew for each scoring and so always the same.
    """

    def __init__(self, batches: Sequence[WaveformBatch], seed: int):
        if not batches:
            raise ValueError(
                "no held-out windows to score on: raise validation_fraction, or give more events"
            )
        self.batches = batches
        self.seed = seed

    @property
    def num_windows(self) -> int:
        """How many windows are scored."""
        return sum(len(batch) for batch in self.batches)

    def score(self, objective: MaskedAutoencoder) -> dict[str, float]:
        """The mean `loss` over the windows with its parts, in evaluation mode, which is left again after."""

        def figures(batch: WaveformBatch, hidden: Tensor) -> dict[str, Tensor]:
            loss, parts = objective.score(batch, hidden)
            return {"loss": loss, **parts}

        was_training = objective.training
        objective.eval()
        try:
            return self._mean(objective, figures)
        finally:
            objective.train(was_training)

    def score_of_silence(self, objective: MaskedAutoencoder) -> float:
        """The loss of predicting zeros."""
        return self._mean(objective, lambda *case: {"loss": objective.compare_with_silence(*case)})["loss"]

    @torch.no_grad()
    def _mean(
        self,
        objective: MaskedAutoencoder,
        figures: Callable[[WaveformBatch, Tensor], dict[str, Tensor]],
    ) -> dict[str, float]:
        generator = torch.Generator().manual_seed(self.seed)
        sums: dict[str, float] = {}
        for batch in self.batches:
            hidden = objective.draw_mask(batch, generator).to(objective.mask_token.device)
            for name, value in figures(batch.to(objective.mask_token.device), hidden).items():
                sums[name] = sums.get(name, 0.0) + float(value) * len(batch)
        return {name: total / self.num_windows for name, total in sums.items()}
