"""The transformer blocks of the published backbones: LayerNorm, biases, GELU, no positions of their own.

Our own encoder's (`foundation/encoder.py`) differ in all of these. The linear layers have the same names, as
far as there are such layers: adapters speak them.
"""

from __future__ import annotations

from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.modeling_layers import GradientCheckpointingLayer


class Attention(nn.Module):
    """Bidirectional multi-head attention (Vaswani et al. 2017) through `scaled_dot_product_attention`."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, tokens: Tensor, mask: Tensor | None) -> Tensor:
        """Attend among tokens `(window, token, dim)`; `mask` `(window, 1, 1, token)`: True where to look."""
        split = "window token (head dim) -> window head token dim"
        query, key, value = (
            rearrange(layer(tokens), split, head=self.num_heads)
            for layer in (self.query, self.key, self.value)
        )
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.out(rearrange(attended, "window head token dim -> window token (head dim)"))


class FeedForward(nn.Module):
    """Two linear layers with GELU between them."""

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.up = nn.Linear(dim, hidden_dim)
        self.down = nn.Linear(hidden_dim, dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """Mix the features of each token `(window, token, dim)`."""
        return self.down(F.gelu(self.up(tokens)))


class Block(GradientCheckpointingLayer):
    """Attention and feed-forward, each beside its residual.

    norm_first: each behind its norm (Xiong et al. 2020); otherwise the norms stand on the residual path after
        each, as in the first transformers.
    """

    def __init__(self, dim: int, num_heads: int, hidden_dim: int, norm_first: bool, dropout: float) -> None:
        super().__init__()
        self.norm_first = norm_first
        self.attention_norm = nn.LayerNorm(dim)
        self.attention = Attention(dim, num_heads)
        self.feed_forward_norm = nn.LayerNorm(dim)
        self.feed_forward = FeedForward(dim, hidden_dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """One layer over tokens `(window, token, dim)`."""
        if self.norm_first:
            tokens = tokens + self.dropout(self.attention(self.attention_norm(tokens), mask))
            return tokens + self.dropout(self.feed_forward(self.feed_forward_norm(tokens)))
        tokens = self.attention_norm(tokens + self.dropout(self.attention(tokens, mask)))
        return self.feed_forward_norm(tokens + self.dropout(self.feed_forward(tokens)))


class Transformer(nn.Module):
    """A stack of blocks; with `norm_first`, a norm at its end.

    Raises ValueError where the heads cannot share the width.
    """

    def __init__(
        self,
        dim: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        *,
        norm_first: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if dim % num_heads:
            raise ValueError(f"the width must be a multiple of its {num_heads} attention heads, found {dim}")
        self.layers = nn.ModuleList(
            Block(dim, num_heads, hidden_dim, norm_first, dropout) for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(dim) if norm_first else None

    def forward(self, tokens: Tensor, observed: Tensor) -> Tensor:
        """Tokens `(window, token, dim)` that know of each other.

        observed: bool `(window, token)`; nobody attends to a token without data. In a window without any data
            all attend to all, so that its (meaningless) output stays finite.
        """
        mask = None
        if not bool(observed.all()):
            mask = (observed | ~observed.any(dim=1, keepdim=True))[:, None, None, :]
        for layer in self.layers:
            tokens = layer(tokens, mask)
        return tokens if self.norm is None else self.norm(tokens)
