"""Which tokens are hidden from the encoder, so that it must guess them from the rest."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ...data.loading.window_random import WindowRandom

KINDS = ("random", "span", "block", "mixed")


@dataclass(frozen=True, kw_only=True)
class MaskConfig:
    """How tokens are chosen.

    kind: random (single tokens), span (pieces of `span_s`: within a phase), block (pieces of `block_s`: a
        whole P or S must be inferred from the rest), or mixed (each window draws one of the three).
    ratio: share of a window's tokens that is hidden; exactly the same number in each window.
    """

    kind: str = "mixed"
    ratio: float = 0.7
    span_s: float = 1.0
    block_s: float = 6.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"mask kind must be one of {KINDS}, found {self.kind!r}")
        if not 0.0 < self.ratio < 1.0:
            raise ValueError(f"mask ratio must lie between 0 and 1, found {self.ratio}")
        if not 0.0 < self.span_s <= self.block_s:
            raise ValueError(
                f"span_s must be positive and at most block_s, found {self.span_s} and {self.block_s}"
            )


def hidden_tokens(config: MaskConfig, num_tokens: int, token_s: float, random: WindowRandom) -> Tensor:
    """Choose the hidden tokens: bool `(window, token)`, True where hidden, on the device of `random`.

    token_s: seconds of a token. random: of the windows, whose masks depend on nothing else.

    Raises ValueError where a window has too few tokens to hide some and show some.
    """
    num_hidden = round(config.ratio * num_tokens)
    if not 0 < num_hidden < num_tokens:
        raise ValueError(
            f"a window must have tokens to hide and to show; {num_tokens} at a ratio of {config.ratio} have "
            f"{num_hidden} hidden: take longer windows"
        )
    lengths = {
        "random": 1,
        "span": max(1, round(config.span_s / token_s)),
        "block": max(1, round(config.block_s / token_s)),
    }
    chosen = lengths if config.kind == "mixed" else {config.kind: lengths[config.kind]}
    masks = [
        _hide_pieces(num_hidden, num_tokens, length, random.derive(name)) for name, length in chosen.items()
    ]
    kind = (random.uniform("kind", 1) * len(masks)).long()
    return torch.stack(masks).gather(0, kind.expand(-1, num_tokens)[None])[0]


def _hide_pieces(num_hidden: int, num_tokens: int, length: int, random: WindowRandom) -> Tensor:
    """Lay pieces of a length at random places, over one another too, until exactly enough is covered.

    Every place (also half outside, so that the edges are hidden as often as the middle) gets a random rank. A
    token is covered when the first piece over it is laid; the earliest covered tokens are hidden.
    """
    rank = random.uniform("rank", num_tokens + length - 1)
    covered_at = -F.max_pool1d(-rank[:, None], kernel_size=length, stride=1)[:, 0]
    # Stable: the last piece is trimmed at its end and stays in one part. Half of the masks are turned round,
    # so that late tokens are hidden as often as early ones.
    order = covered_at.argsort(dim=1, stable=True)
    mask = torch.zeros_like(covered_at, dtype=torch.bool).scatter_(1, order[:, :num_hidden], True)
    turned = random.uniform("turned", 1) < 0.5
    return torch.where(turned, mask.flip(1), mask)
