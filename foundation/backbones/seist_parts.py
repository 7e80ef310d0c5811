"""The layers of SeisT: parallel kernels, mixed convolutions, attention beside convolution, and the way up.

Everything works on `(window, channel, sample)`. Each stride is centred: output i lies at input i · stride.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.modeling_layers import GradientCheckpointingLayer

from ..stem import double_rate

BRANCHES = 3
"""Parallel kernels of a stem block: k, k + 4 and k + 8 samples."""

ATTENTION_SHARE = 0.6
"""Share of a multi-path block's channels that goes through attention; the rest through convolutions."""


class SeparableConv(nn.Sequential):
    """One kernel for each channel over time, then a mix of the channels."""

    def __init__(self, inputs: int, outputs: int, kernel_size: int, stride: int) -> None:
        super().__init__(
            nn.Conv1d(
                inputs, inputs, kernel_size, stride, padding=kernel_size // 2, groups=inputs, bias=False
            ),
            nn.Conv1d(inputs, outputs, 1, bias=False),
        )


class StemBlock(nn.Module):
    """The waveform through three kernels of different length at once, so that no one period is preferred."""

    def __init__(self, inputs: int, outputs: int, kernel_size: int, stride: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            SeparableConv(inputs, outputs, kernel_size + 4 * branch, stride) for branch in range(BRANCHES)
        )
        self.branch_norm = nn.BatchNorm1d(BRANCHES * outputs)
        self.merge = nn.Conv1d(BRANCHES * outputs, outputs, 1, bias=False)
        self.norm = nn.BatchNorm1d(outputs)

    def forward(self, features: Tensor) -> Tensor:
        """Features at the rate divided by the stride."""
        branches = torch.cat([branch(features) for branch in self.branches], dim=1)
        return F.gelu(self.norm(self.merge(F.gelu(self.branch_norm(branches)))))


class LocalAggregation(nn.Module):
    """Half the rate: the neighbours' mean and maximum together, and a mix of the channels.

    Of three samples around each second one. Of two, as is usual, would lie half a sample late, and four such
    stages eight samples of the waveform.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.mix = nn.Conv1d(inputs, outputs, 1, bias=False)
        self.norm = nn.BatchNorm1d(outputs)

    def forward(self, features: Tensor) -> Tensor:
        """Features at half of their rate."""
        mean = F.avg_pool1d(features, 3, stride=2, padding=1, count_include_pad=False)
        maximum = F.max_pool1d(features, 3, stride=2, padding=1)
        return self.norm(self.mix(mean + maximum))


class DropPath(nn.Module):
    """In training, whole residual branches of single windows left out (Huang et al. 2016)."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, features: Tensor) -> Tensor:
        """The branch, larger by what is left out, or zeros."""
        if not self.training or self.probability == 0:
            return features
        kept = torch.full((len(features), 1, 1), 1 - self.probability, device=features.device)
        return features * (torch.bernoulli(kept) / kept).to(features.dtype)


class MixedConv(nn.Module):
    """Multi-scale mixed convolution: twice the channels, each part of them with a kernel length of its own.

    group_size: channels that one group of a convolution mixes.
    """

    def __init__(self, channels: int, kernel_sizes: Sequence[int], group_size: int, drop_path: float) -> None:
        super().__init__()
        part = 2 * channels // len(kernel_sizes)
        self.expand = nn.Conv1d(channels, 2 * channels, 1, bias=False)
        self.expand_norm = nn.BatchNorm1d(2 * channels)
        self.convs = nn.ModuleList(
            nn.Conv1d(part, part, size, padding=size // 2, groups=part // group_size, bias=False)
            for size in kernel_sizes
        )
        self.conv_norm = nn.BatchNorm1d(2 * channels)
        self.project = nn.Conv1d(2 * channels, channels, 1, bias=False)
        self.norm = nn.BatchNorm1d(channels)
        self.drop_path = DropPath(drop_path)

    def forward(self, features: Tensor) -> Tensor:
        """Features beside themselves."""
        parts = F.gelu(self.expand_norm(self.expand(features))).chunk(len(self.convs), dim=1)
        mixed = torch.cat([conv(part) for conv, part in zip(self.convs, parts, strict=True)], dim=1)
        return features + self.drop_path(self.norm(self.project(F.gelu(self.conv_norm(mixed)))))


class PooledAttention(GradientCheckpointingLayer):
    """Each sample asks the whole window, which answers in means over `pooling` observed samples.

    There is no positional encoding: the convolutions around it know where they are.
    """

    def __init__(self, channels: int, head_dim: int, pooling: int) -> None:
        super().__init__()
        self.head_dim, self.pooling = head_dim, pooling
        self.query = nn.Linear(channels, channels, bias=False)
        self.key = nn.Linear(channels, channels, bias=False)
        self.value = nn.Linear(channels, channels, bias=False)

    def forward(self, features: Tensor, observed: Tensor) -> Tensor:
        """What was asked for, like the features. observed: bool `(window, sample)` at their rate."""
        samples = features.transpose(1, 2)
        pooled, visible = observed_means(samples, observed, self.pooling)
        query, key, value = (
            rearrange(part, "window sample (head dim) -> window head sample dim", dim=self.head_dim)
            for part in (self.query(samples), self.key(pooled), self.value(pooled))
        )
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=visible[:, None, None, :])
        return rearrange(attended, "window head sample dim -> window (head dim) sample")


def observed_means(samples: Tensor, observed: Tensor, pooling: int) -> tuple[Tensor, Tensor]:
    """Means `(window, key, channel)` of each `pooling` samples, and the keys that may be looked at.

    samples: `(window, sample, channel)`; only observed ones count. A window without any data may look at all
    of its keys, so that its (meaningless) output stays finite.
    """
    weight = observed.unflatten(1, (-1, pooling)).to(samples.dtype)[..., None]
    total = (samples.unflatten(1, (-1, pooling)) * weight).sum(dim=2)
    visible = observed.unflatten(1, (-1, pooling)).any(dim=2)
    return total / weight.sum(dim=2).clamp(min=1), visible | ~visible.any(dim=1, keepdim=True)


class FeedForward(GradientCheckpointingLayer):
    """Two linear layers over the channels of each sample."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.up = nn.Linear(channels, hidden, bias=False)
        self.down = nn.Linear(hidden, channels, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """Features of each sample by itself."""
        return self.down(F.gelu(self.up(features.transpose(1, 2)))).transpose(1, 2)


class MultiPathBlock(nn.Module):
    """Attention for most of the channels beside grouped convolutions for the rest, then a feed-forward.

    Gradient checkpointing computes the attention and the feed-forward again, and leaves the norms out: a
    batch norm that is computed twice would count its batch twice.
    """

    def __init__(
        self, channels: int, head_dim: int, pooling: int, group_size: int, mlp_ratio: int, drop_path: float
    ) -> None:
        super().__init__()
        attended = attention_channels(channels, head_dim)
        local = channels - attended
        self.path_norm = nn.BatchNorm1d(channels)
        self.to_attention = nn.Conv1d(channels, attended, 1, bias=False)
        self.attention = PooledAttention(attended, head_dim, pooling)
        self.to_conv = nn.Conv1d(channels, local, 1, bias=False)
        self.conv = nn.Conv1d(local, local, 3, padding=1, groups=local // group_size, bias=False)
        self.out = nn.Conv1d(channels, channels, 1, bias=False)
        self.feed_forward_norm = nn.BatchNorm1d(channels)
        self.feed_forward = FeedForward(channels, mlp_ratio * channels)
        self.drop_path = DropPath(drop_path)

    def forward(self, features: Tensor, observed: Tensor) -> Tensor:
        """Features beside themselves. observed: bool `(window, sample)` at their rate."""
        normed = self.path_norm(features)
        attended = self.attention(self.to_attention(normed), observed)
        local = F.gelu(self.conv(self.to_conv(normed)))
        features = features + self.drop_path(self.out(torch.cat((attended, local), dim=1)))
        return features + self.drop_path(self.feed_forward(self.feed_forward_norm(features)))


def attention_channels(channels: int, head_dim: int) -> int:
    """The channels that go through attention: whole heads, and as near to `ATTENTION_SHARE` as these come."""
    return head_dim * max(1, round(ATTENTION_SHARE * channels / head_dim))


class UpConv(nn.Module):
    """Twice the rate by linear interpolation, then a convolution."""

    def __init__(self, inputs: int, outputs: int, kernel_size: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, kernel_size, padding=kernel_size // 2, bias=False)
        self.norm = nn.BatchNorm1d(outputs)

    def forward(self, features: Tensor) -> Tensor:
        """Features at twice their rate."""
        return F.gelu(self.norm(self.conv(double_rate(features))))
