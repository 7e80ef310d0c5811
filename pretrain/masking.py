"""Which tokens are hidden from the encoder, so that it must guess them from the rest."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

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


def hidden_tokens(
    config: MaskConfig, shape: tuple[int, int], token_s: float, generator: torch.Generator | None = None
) -> Tensor:
    """Choose the hidden tokens: bool `(window, token)`, True where hidden, on the CPU.

    shape: (windows, tokens). token_s: seconds of a token. generator: torch's global one where not given.

    Raises ValueError where a window has too few tokens to hide some and show some.
    """
    num_windows, num_tokens = shape
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
    masks = [_hide_pieces(num_hidden, shape, length, generator) for length in chosen.values()]
    kind = torch.randint(len(masks), (num_windows, 1), generator=generator)
    return torch.stack(masks).gather(0, kind.expand(-1, num_tokens)[None])[0]


def _hide_pieces(
    num_hidden: int, shape: tuple[int, int], length: int, generator: torch.Generator | None
) -> Tensor:
    """Lay pieces of a length at random places, over one another too, until exactly enough is covered.

    Every place (also half outside, so that the edges are hidden as often as the middle) gets a random rank. A
    token is covered when the first piece over it is laid; the earliest covered tokens are hidden.
    """
    num_windows, num_tokens = shape
    rank = torch.rand(num_windows, num_tokens + length - 1, generator=generator)
    covered_at = -F.max_pool1d(-rank[:, None], kernel_size=length, stride=1)[:, 0]
    # Stable: the last piece is trimmed at its end and stays in one part. Half of the masks are turned round,
    # so that late tokens are hidden as often as early ones.
    order = covered_at.argsort(dim=1, stable=True)
    mask = torch.zeros(shape, dtype=torch.bool).scatter_(1, order[:, :num_hidden], True)
    turned = torch.rand(num_windows, 1, generator=generator) < 0.5
    return torch.where(turned, mask.flip(1), mask)
