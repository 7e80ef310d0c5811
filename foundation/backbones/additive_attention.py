"""Additive attention (Bahdanau et al. 2015, as in Mousavi et al. 2020) that never holds all pairs at once."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

QUERIES_AT_ONCE = 64
"""Tokens that are compared to all others at once: of 60 s at 1.28 s a token, all."""


class AdditiveAttention(nn.Module):
    """One head, in which a small network, not a scalar product, compares every two tokens.

    The comparison has `size` numbers a pair: a piece of the queries is done at a time, and computed anew on
    the way back, so that memory grows with the number of tokens and not with its square.
    """

    def __init__(self, dim: int, size: int) -> None:
        super().__init__()
        self.query = nn.Linear(dim, size, bias=False)
        self.key = nn.Linear(dim, size)
        self.score = nn.Linear(size, 1, bias=False)

    def forward(self, tokens: Tensor, observed: Tensor) -> Tensor:
        """Attend among tokens `(window, token, dim)`; nobody to one that is not `observed` `(window, token)`.

        A window without any data attends to all of its empty tokens, so that its output stays finite.
        """
        visible = (observed | ~observed.any(dim=1, keepdim=True))[:, None, :]
        query, key = self.query(tokens), self.key(tokens)
        if tokens.shape[1] <= QUERIES_AT_ONCE or not torch.is_grad_enabled():
            pieces = [self.attend(q, key, tokens, visible) for q in query.split(QUERIES_AT_ONCE, dim=1)]
        else:
            pieces = [
                checkpoint(self.attend, q, key, tokens, visible, use_reentrant=False)
                for q in query.split(QUERIES_AT_ONCE, dim=1)
            ]
        return torch.cat(pieces, dim=1)

    def attend(self, query: Tensor, key: Tensor, tokens: Tensor, visible: Tensor) -> Tensor:
        """The mean of all tokens for some queries, weighted by how they compare."""
        score = self.score(torch.tanh(query[:, :, None] + key[:, None])).squeeze(-1)
        return score.masked_fill(~visible, -torch.inf).softmax(dim=-1) @ tokens


class NeighbourAttention(AdditiveAttention):
    """The same among each token and the two beside it, at the cost of those alone."""

    def forward(self, tokens: Tensor, observed: Tensor) -> Tensor:
        """Attend among tokens `(window, token, dim)`; nobody to one that is not `observed` `(window, token)`.

        A token with no data near it attends to itself.
        """
        visible = F.pad(observed, (1, 1)).unfold(1, 3, 1)
        itself = torch.tensor([False, True, False], device=tokens.device)
        visible = visible | (itself & ~visible.any(dim=-1, keepdim=True))
        near_keys = _with_neighbours(self.key(tokens))
        score = self.score(torch.tanh(self.query(tokens)[:, :, None] + near_keys)).squeeze(-1)
        weight = score.masked_fill(~visible, -torch.inf).softmax(dim=-1)
        return torch.einsum("wtn,wtnd->wtd", weight, _with_neighbours(tokens))


def _with_neighbours(tokens: Tensor) -> Tensor:
    """Each token between the one before and the one after it, `(window, token, 3, dim)`; zeros outside."""
    return F.pad(tokens, (0, 0, 1, 1)).unfold(1, 3, 1).transpose(2, 3)
