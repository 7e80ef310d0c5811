"""The transformer blocks: pre-norm, RMSNorm, SwiGLU, QK-norm, and rotary positions in seconds.

Plain linear layers named `query`, `key`, `value`, `out`, `gate`, `up`, `down`: adapters and checkpoints speak
these names.
"""

from __future__ import annotations

import math

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.modeling_layers import GradientCheckpointingLayer

from .handmade_gradients import Gated, ScaledAndRotated, ScaledToUnitRMS, by_hand
from .packing import Packing

LINEAR_NAMES = ("query", "key", "value", "out", "gate", "up", "down")
"""Every linear layer of a block: the targets of LoRA."""

SHORTEST_PERIOD_S = 0.32
LONGEST_PERIOD_S = 1200.0


def rotary_angles(token_time_s: Tensor, head_dim: int) -> tuple[Tensor, Tensor]:
    """Cosine and sine `(window, 1, token, head_dim // 2)` of each token's time, for `rotate`.

    Su et al. 2021 (RoFormer) with periods in seconds, spread geometrically from `SHORTEST_PERIOD_S` to
    `LONGEST_PERIOD_S`. Attention then depends on time differences alone, whatever rate or length the window
    has. Computed when needed: a buffer would be garbage after `from_pretrained`.
    """
    exponent = torch.linspace(0, 1, head_dim // 2, device=token_time_s.device, dtype=torch.float32)
    period_s = SHORTEST_PERIOD_S * (LONGEST_PERIOD_S / SHORTEST_PERIOD_S) ** exponent
    angle = (2 * math.pi * token_time_s.float()[:, None, :, None]) / period_s
    return angle.cos(), angle.sin()


def rotate(vectors: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
    """Turn query or key vectors `(window, head, token, head_dim)` by their times.

    The angles broadcast: vectors in another order take them in that order.
    """
    cosine, sine = angles
    first, second = vectors.float().chunk(2, dim=-1)
    turned = torch.cat((first * cosine - second * sine, second * cosine + first * sine), dim=-1)
    return turned.to(vectors.dtype)


class Norm(nn.RMSNorm):
    """RMS norm in the precision of its weights, whatever autocast made of the input."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim, eps=1e-6)

    def forward(self, features: Tensor) -> Tensor:
        """Scale the last dimension to unit RMS."""
        features = features.to(self.weight.dtype)
        if by_hand(features):
            return ScaledToUnitRMS.apply(features, self.weight, self.eps)
        return super().forward(features)

    def rotated(self, vectors: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
        """`rotate` what the norm makes of vectors, in the precision that these have."""
        if by_hand(vectors):
            wide = vectors.to(self.weight.dtype)
            return ScaledAndRotated.apply(wide, self.weight, *angles, self.eps).to(vectors.dtype)
        return rotate(self(vectors).to(vectors.dtype), angles)


class Attention(nn.Module):
    """Bidirectional multi-head attention through `scaled_dot_product_attention`."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query = nn.Linear(dim, dim, bias=False)
        self.key = nn.Linear(dim, dim, bias=False)
        self.value = nn.Linear(dim, dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)
        self.query_norm = Norm(dim // num_heads)
        self.key_norm = Norm(dim // num_heads)

    def forward(self, tokens: Tensor, angles: tuple[Tensor, Tensor], mask: Tensor | None) -> Tensor:
        """Attend among tokens `(window, token, dim)`.

        mask: bool `(window, 1, 1 or token, token)`, True where to look.
        """
        split = "window token (head dim) -> window token head dim"
        query = rearrange(self.query(tokens), split, head=self.num_heads)
        key = rearrange(self.key(tokens), split, head=self.num_heads)
        value = rearrange(self.value(tokens), split, head=self.num_heads)
        # As the linear layers left them in memory; the heads come first for the attention alone.
        turns = (angles[0].transpose(1, 2), angles[1].transpose(1, 2))
        query, key = self.query_norm.rotated(query, turns), self.key_norm.rotated(key, turns)
        query, key, value = (part.transpose(1, 2) for part in (query, key, value))
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.out(rearrange(attended, "window head token dim -> window token (head dim)"))


class FeedForward(nn.Module):
    """SwiGLU (Shazeer 2020)."""

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.gate = nn.Linear(dim, hidden_dim, bias=False)
        self.up = nn.Linear(dim, hidden_dim, bias=False)
        self.down = nn.Linear(hidden_dim, dim, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Mix the features of each token `(window, token, dim)`."""
        gate, values = self.gate(tokens), self.up(tokens)
        return self.down(Gated.apply(gate, values) if by_hand(gate) else F.silu(gate) * values)


class Block(GradientCheckpointingLayer):
    """Attention and feed-forward, each behind its norm and beside its residual."""

    def __init__(self, dim: int, num_heads: int, hidden_dim: int) -> None:
        super().__init__()
        self.attention_norm = Norm(dim)
        self.attention = Attention(dim, num_heads)
        self.feed_forward_norm = Norm(dim)
        self.feed_forward = FeedForward(dim, hidden_dim)

    def forward(self, tokens: Tensor, angles: tuple[Tensor, Tensor], mask: Tensor | None = None) -> Tensor:
        """One layer over tokens `(window, token, dim)`."""
        tokens = tokens + self.attention(self.attention_norm(tokens), angles, mask)
        return tokens + self.feed_forward(self.feed_forward_norm(tokens))


class Encoder(nn.Module):
    """A stack of blocks with a final norm.

    packing: windows that end early share rows (`Packing`), and are 0 after their ends: a matter of speed.
    """

    packing = False

    def __init__(self, dim: int, num_layers: int, num_heads: int, hidden_dim: int) -> None:
        super().__init__()
        self.head_dim = dim // num_heads
        self.layers = nn.ModuleList(Block(dim, num_heads, hidden_dim) for _ in range(num_layers))
        self.norm = Norm(dim)

    def forward(self, tokens: Tensor, token_time_s: Tensor, observed: Tensor | None = None) -> Tensor:
        """Encode tokens `(window, token, dim)` at their times.

        observed: bool `(window, token)`; nobody attends to a token without data. A window without any data
            attends to all of its empty tokens, so that its (meaningless) output stays finite.
        """
        if observed is None or bool(observed.all()):
            return self._encode(tokens, token_time_s, None)
        if self.packing:
            packing = Packing.of(observed)
            if packing.is_worth_it(observed):
                packed = self._encode(
                    packing.pack(tokens), packing.pack(token_time_s), packing.mask(observed)
                )
                return packing.unpack(packed, observed)
        mask = (observed | ~observed.any(dim=1, keepdim=True))[:, None, None, :]
        return self._encode(tokens, token_time_s, mask)

    def _encode(self, tokens: Tensor, token_time_s: Tensor, mask: Tensor | None) -> Tensor:
        angles = rotary_angles(token_time_s, self.head_dim)
        for layer in self.layers:
            tokens = layer(tokens, angles, mask)
        return self.norm(tokens)
