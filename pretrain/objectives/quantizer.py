"""A product quantizer: every token becomes a few entries of learned codebooks.

After Baevski et al. 2020 (wav2vec 2.0, arXiv 2006.11477, section 2) with Gumbel-softmax choices (Jang et al.
2017, arXiv 1611.01144): what is to be recognized is then a kind of motion, not its every wiggle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...data.loading.window_random import WindowRandom
from ...foundation.processes import sum_over_all
from .gathering import add_over_all


@dataclass(frozen=True, kw_only=True)
class QuantizerConfig:
    """The codebooks, and how random the choice among their entries is.

    groups, codes: codebooks, and entries of each. dim: of all groups together.
    first_temperature, last_temperature: of the Gumbel softmax; it falls along half a cosine within
        `anneal_updates` updates of the weights.
    """

    groups: int = 2
    codes: int = 320
    dim: int = 256
    first_temperature: float = 2.0
    last_temperature: float = 0.5
    anneal_updates: int = 100_000

    def __post_init__(self) -> None:
        if self.groups < 1 or self.codes < 2 or self.dim < 1 or self.dim % self.groups:
            raise ValueError(
                "a quantizer needs groups of two codes or more and a dim that the groups share evenly, "
                f"found {self.groups} groups of {self.codes} codes and dim {self.dim}"
            )
        if not 0 < self.last_temperature <= self.first_temperature or self.anneal_updates < 1:
            raise ValueError(
                "the temperature must fall from first_temperature to a positive last_temperature within "
                f"anneal_updates of 1 or more, found {self.first_temperature}, {self.last_temperature} and "
                f"{self.anneal_updates}"
            )


@dataclass(frozen=True, kw_only=True)
class QuantizedTokens:
    """What a quantizer makes of tokens.

    vectors: float32 `(window, token, dim)`, the chosen entries of all groups.
    choice: float32 `(window, token, group, code)`, 1 at the chosen entry.
    likely: likewise, how likely each entry is without the noise.
    """

    vectors: Tensor
    choice: Tensor
    likely: Tensor

    @property
    def code(self) -> Tensor:
        """One number for each combination of entries, int64 `(window, token)`."""
        groups, codes = self.choice.shape[-2:]
        place = codes ** torch.arange(groups, device=self.choice.device)
        return (self.choice.argmax(dim=-1) * place).sum(dim=-1)


class GumbelQuantizer(nn.Module):
    """Chooses an entry of each codebook for every token; gradients go through a soft choice.

    updates: int64, of the weights so far; the temperature follows from it.
    """

    updates: Tensor

    def __init__(self, dim: int, config: QuantizerConfig) -> None:
        super().__init__()
        self.config = config
        self.norm = nn.LayerNorm(dim)
        self.choose = nn.Linear(dim, config.groups * config.codes)
        self.codebook = nn.Parameter(torch.empty(config.groups, config.codes, config.dim // config.groups))
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    def reset(self) -> None:
        """First weights as in wav2vec 2.0: tokens that differ choose different entries from the start."""
        nn.init.normal_(self.choose.weight)
        nn.init.uniform_(self.codebook)

    def temperature(self) -> Tensor:
        """The temperature of the choice now, a scalar."""
        first, last = self.config.first_temperature, self.config.last_temperature
        progress = (self.updates.double() / self.config.anneal_updates).clamp(max=1.0)
        return (last + 0.5 * (first - last) * (1 + torch.cos(math.pi * progress))).float()

    def forward(self, tokens: Tensor, random: WindowRandom) -> QuantizedTokens:
        """Quantize tokens `(window, token, dim)` with the noise of their windows."""
        shape = (tokens.shape[1], self.config.groups, self.config.codes)
        logits = self.choose(self.norm(tokens)).unflatten(-1, shape[1:])
        noise = gumbel(random.uniform("gumbel", *shape))
        soft = ((logits + noise) / self.temperature()).softmax(dim=-1)
        hard = F.one_hot(soft.argmax(dim=-1), self.config.codes).to(soft.dtype)
        choice = hard + soft - soft.detach()
        vectors = torch.einsum("wtgc,gcd->wtgd", choice, self.codebook).flatten(-2)
        return QuantizedTokens(vectors=vectors, choice=hard, likely=logits.softmax(dim=-1))


def gumbel(uniform: Tensor) -> Tensor:
    """Gumbel-distributed noise from float32 numbers in [0, 1), multiples of 2**-24."""
    # Only 0 has no logarithm. Half a step added to all of them would round the largest up to 1, which has no
    # second one: in one batch of some twenty-five, since a batch draws half a million.
    return -(-uniform.clamp(min=2.0**-25).log()).log()


def diversity(tokens: QuantizedTokens, judged: Tensor) -> tuple[Tensor, Tensor]:
    """How little of the codebooks the judged tokens of all processes use, and how many entries they chose.

    judged: bool `(window, token)`. The loss is 1 − (entries in use) / (all entries), from the likely choice,
    where the entries in use are the exponential of an entropy: 0 where all are alike, nearly 1 where one
    takes everything; 0 where no token is judged. The perplexity counts the entries really chosen, a group.
    """
    weight = judged.to(tokens.likely.dtype)
    count = sum_over_all(weight.sum())
    likely = add_over_all(torch.einsum("wt,wtgc->gc", weight, tokens.likely)) / count.clamp(min=1)
    chosen = sum_over_all(torch.einsum("wt,wtgc->gc", weight, tokens.choice)) / count.clamp(min=1)
    loss = 1 - _perplexity(likely).mean() / likely.shape[-1]
    return torch.where(count > 0, loss, loss * 0.0), _perplexity(chosen).mean()


def _perplexity(share: Tensor) -> Tensor:
    """The exponential of the entropy of shares `(group, code)`, `(group,)`."""
    return torch.exp(-torch.special.xlogy(share, share.clamp(min=1e-12)).sum(dim=-1))
