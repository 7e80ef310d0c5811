"""Recognize what was hidden among other motions: the contrastive objective of wav2vec 2.0.

After Baevski et al. 2020 (arXiv 2006.11477), as SeisLM took it to seismograms (Liu et al. 2024, arXiv
2410.15765). What differs, and why: the hidden *samples* are taken out of the input, not the tokens out of the
network, so that no convolution around them tells of them; and a share of the negatives comes from other
windows, so that a guess must know its own window's motion from that of another station too. Local tokens are
standardized over their window before they choose their codes (the group norm of wav2vec 2.0's first layer
does that there): those of an untrained stem are so much alike that one code would take them all. And where
negatives drop out because they have the right answer's code, the others count for them, or else codebooks
that have collapsed would have the lowest of all losses.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...data.batch import WaveformBatch
from ...data.loading.window_random import WindowRandom
from ...foundation.backbones.base import Backbone, TokenBackbone
from ...foundation.contract import PreparedInput
from ...foundation.token_grid import TokenGrid
from .base import draws, init_objective, mean_over_all
from .masked import MaskedObjective, hidden_entries
from .masking import MaskConfig
from .negatives import other_windows, own_window
from .quantizer import GumbelQuantizer, QuantizedTokens, QuantizerConfig, diversity
from .standardizing import standardize_over_time


@dataclass(frozen=True, kw_only=True)
class Wav2Vec2Config:
    """The objective of wav2vec 2.0 and SeisLM.

    mask: pieces of 0.4 s are ten of SeisLM's tokens. Pieces that begin at 6.5 % of the tokens and may overlap
        hide 49 % of them (a "mask probability" of 0.65 means nothing else).
    num_negatives: tokens that each guess is held against; `other_windows_share` of them from other windows,
        which are drawn once for a window and serve all of its tokens.
    temperature: of the similarities' softmax. diversity_weight: of the codebooks' use in the loss.
    """

    mask: MaskConfig = field(default_factory=lambda: MaskConfig(kind="span", ratio=0.49, span_s=0.4))
    num_negatives: int = 100
    other_windows_share: float = 0.25
    temperature: float = 0.1
    quantizer: QuantizerConfig = field(default_factory=QuantizerConfig)
    diversity_weight: float = 0.1

    def __post_init__(self) -> None:
        if self.num_negatives < 1 or not 0 <= self.other_windows_share <= 1:
            raise ValueError(
                "num_negatives must be 1 or more and other_windows_share lie in 0 to 1, "
                f"found {self.num_negatives} and {self.other_windows_share}"
            )
        if not self.temperature > 0 or self.diversity_weight < 0:
            raise ValueError(
                "temperature must be positive and diversity_weight not negative, "
                f"found {self.temperature} and {self.diversity_weight}"
            )

    @property
    def num_other(self) -> int:
        """Negatives from other windows."""
        return round(self.num_negatives * self.other_windows_share)


class Wav2Vec2(MaskedObjective):
    """Hide, let the context guess, and find the hidden token's code among others.

    For backbones that make local tokens first and let them see each other then. Two processes are one with
    twice the batch; micro-batches are not, since windows of different ones do not meet.
    """

    config_class = Wav2Vec2Config
    draws_name = "wav2vec2"

    def __init__(self, model: Backbone, config: Wav2Vec2Config) -> None:
        super().__init__(model, config, config.mask)
        if not isinstance(model, TokenBackbone):
            raise ValueError(
                "wav2vec2 contrasts local tokens with those that know their surroundings, which "
                f"{type(model).__name__} does not keep apart: take a token backbone such as `encoder`, or "
                "another objective (mae, data2vec)"
            )
        self.config = config
        dim, size = model.feature_spec.dim, config.quantizer.dim
        self.quantizer = GumbelQuantizer(dim, config.quantizer)
        self.project_context = nn.Linear(dim, size)
        self.project_target = nn.Linear(size, size)
        init_objective(self, model.config.initializer_range)
        self.quantizer.reset()

    def score(
        self, model: Backbone, batch: WaveformBatch, hidden: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss for a given mask, with its parts."""
        assert isinstance(model, TokenBackbone)
        visible, whole = model.prepare(model.hide(batch, hidden)), model.prepare(batch)
        context = self.look(model, visible, hidden).tokens
        local, judged = self.local_tokens(model, whole, hidden)
        # A window that shows nothing can only be guessed at.
        judged = judged & visible.observed.flatten(1).any(dim=1, keepdim=True)
        assert context is not None
        with torch.autocast(device_type=batch.device.type, enabled=False):
            random = draws(batch, "wav2vec2")
            targets = self.quantizer(local, random)
            contrast, accuracy = self.contrast(
                hidden_entries(context, hidden).float(), targets, judged, random
            )
            one_sided, perplexity = diversity(targets, judged)
            loss = contrast + self.config.diversity_weight * one_sided
        figures = {"contrast": contrast, "diversity": one_sided, "code_perplexity": perplexity}
        return loss, figures | {"accuracy": accuracy}

    def local_tokens(
        self, model: TokenBackbone, whole: PreparedInput, hidden: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The hidden tokens `(window, hidden token, dim)` by themselves, and which of them hold data."""
        grid = TokenGrid.of(whole, self.token_samples, self.rate_hz, model.dtype)
        local, _ = model.embed(grid)
        with torch.autocast(device_type=local.device.type, enabled=False):
            local, _ = standardize_over_time(local.float(), grid.token_observed)
        return hidden_entries(local, hidden), hidden_entries(grid.token_observed, hidden)

    def contrast(
        self, context: Tensor, targets: QuantizedTokens, judged: Tensor, random: WindowRandom
    ) -> tuple[Tensor, Tensor]:
        """InfoNCE of guesses `(window, token, dim)` for their targets, over the judged ones; and accuracy.

        A negative with the code of the right answer is none, and counts as the others do on average.
        """
        config = self.config
        guess = F.normalize(self.project_context(context), dim=-1) / config.temperature
        truth = F.normalize(self.project_target(targets.vectors), dim=-1)
        similarity = guess @ truth.transpose(1, 2)
        negatives = [
            own_window(similarity, targets.code, judged, random, config.num_negatives - config.num_other)
        ]
        if config.num_other:
            negatives.append(other_windows(guess, truth, targets.code, judged, random, config.num_other))
        loss, found = info_nce(similarity.diagonal(dim1=1, dim2=2), torch.cat(negatives, dim=-1))
        count = judged.sum()
        return (
            mean_over_all(loss.where(judged, 0.0).sum(), count),
            mean_over_all((found & judged).sum().float(), count),
        )

    def trivial_loss(self, model: Backbone, batch: WaveformBatch) -> Tensor:
        """The loss of finding all equally similar, with all codes in use."""
        return torch.tensor(math.log(1 + self.config.num_negatives), device=batch.device)

    def after_update(self, model: Backbone) -> None:
        """The temperature falls a little."""
        self.quantizer.updates += 1


def info_nce(right: Tensor, wrong: Tensor) -> tuple[Tensor, Tensor]:
    """The cost of telling the right answer from the wrong ones, and whether it was told, `(window, token)`.

    right: similarity `(window, token)`. wrong: `(window, token, negative)`, −∞ for one that is none, in whose
    place the others count more. Without any, the cost is that of guessing blindly.
    """
    slots = wrong.shape[-1]
    number = wrong.isfinite().sum(dim=-1)
    made_up_for = (slots / number.clamp(min=1)).log()[..., None]
    loss = torch.cat((right[..., None], wrong + made_up_for), dim=-1).logsumexp(dim=-1) - right
    found = (number > 0) & (right > wrong.amax(dim=-1))
    return loss.where(number > 0, math.log(1 + slots)), found
