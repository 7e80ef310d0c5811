"""What the objectives share that hide tokens from a backbone and ask it about them."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from torch import Tensor

from ...data.batch import WaveformBatch
from ...foundation.backbones.base import Backbone
from ...foundation.contract import PreparedInput
from ...foundation.features import SeismicFeatures
from .base import Objective, draws
from .masking import MaskConfig, hidden_tokens


class MaskedObjective(Objective):
    """Hide tokens, let the model look at the rest, and score its guess.

    Hidden samples are gone from the input before the contract, so that no scaling, filter or convolution can
    tell of them.

    draws_name: of the random numbers, so that two objectives of a run hide different tokens.
    """

    draws_name: ClassVar[str]

    def __init__(self, model: Backbone, config: Any, mask: MaskConfig) -> None:
        super().__init__(model, config)
        spec = model.feature_spec
        self.mask_config = mask
        self.token_samples, self.rate_hz = spec.token_samples, spec.rate_hz

    def forward(self, model: Backbone, batch: WaveformBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss with its parts."""
        return self.score(model, batch, self.draw_mask(model, batch))

    def draw_mask(self, model: Backbone, batch: WaveformBatch) -> Tensor:
        """Hidden tokens, bool `(window, token)`, for a batch."""
        token_s = self.token_samples / self.rate_hz
        return hidden_tokens(
            self.mask_config, model.num_tokens(batch), token_s, draws(batch, self.draws_name)
        )

    def look(self, model: Backbone, visible: PreparedInput, hidden: Tensor) -> SeismicFeatures:
        """What the model makes of the visible part: all that any guess is made from.

        The hidden tokens stay in place, without data: they see the visible ones and come out as guesses.
        """
        return model.encode(visible)

    @abstractmethod
    def score(
        self, model: Backbone, batch: WaveformBatch, hidden: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss for a given mask, with its parts."""


def hidden_entries(values: Tensor, hidden: Tensor) -> Tensor:
    """The entries `(window, hidden token, …)` of values `(window, token, …)`; as many in each window."""
    return values[hidden].unflatten(0, (len(hidden), -1))
