"""EQTransformer (Mousavi et al. 2020, Nature Communications 11, 3952): one encoder, three decoders.

Seven convolutions with max pooling to 1/128 of the rate, residual convolutions, bidirectional LSTMs, and two
transformer blocks with additive attention; from there one branch each for detection, P and S, the latter two
behind an LSTM and attention to the nearest neighbours; and up again to the full rate. With seven residual and
three recurrent blocks it has 376,935 parameters in torch, whose LSTMs have two biases, as in SeisBench's
(Woollam et al. 2022); the paper says about 372,000.

What is ours: a learned value stands where a component is missing; windows are padded to whole tokens, so that
nothing is cropped on the way up; the two convolutions of even length in a residual block lean to opposite
sides, as together they would shift time by a token; attention scores have no bias, which no softmax notices;
batch norm follows its statistics at torch's pace. The three last convolutions, of one channel, are left out:
that is the heads' part.
"""

from __future__ import annotations

import itertools
from typing import Any, ClassVar

import torch
from huggingface_hub.dataclasses import strict
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoConfig, AutoModel

from ..features import FeatureSpec, GainPooling
from ..stem import MissingValue
from ..token_grid import TokenGrid
from .additive_attention import AdditiveAttention, NeighbourAttention
from .base import Backbone, BackboneConfig

BRANCHES = ("detection", "p", "s")


@strict
class EQTConfig(BackboneConfig):
    """Architecture and input contract of an EQTransformer.

    channels, kernel_sizes: of the convolutions on the way down, each of which halves the rate; those of the
        way up mirror them.
    residual_kernel_sizes: one residual block each.
    hidden_size: of the LSTMs and the transformer.
    attention_size: width in which additive attention compares two tokens.
    dropout: of whole channels in the convolutions and of features elsewhere, in training.
    """

    model_type = "seisfm_eqt"
    sizes: ClassVar[dict[str, dict[str, Any]]] = {"original": {}}

    channels: list[int] | tuple[int, ...] = (8, 16, 16, 32, 32, 64, 64)
    kernel_sizes: list[int] | tuple[int, ...] = (11, 9, 7, 7, 5, 5, 3)
    residual_kernel_sizes: list[int] | tuple[int, ...] = (3, 3, 3, 3, 2, 3, 2)
    num_recurrent_blocks: int = 3
    num_transformer_blocks: int = 2
    hidden_size: int = 16
    attention_size: int = 32
    intermediate_size: int = 128
    dropout: float = 0.1

    def __post_init__(self, **kwargs: Any) -> None:
        """Raises ValueError for levels that do not match, or an even kernel on the way down or up."""
        if len(self.channels) != len(self.kernel_sizes) or len(self.channels) < 2:
            raise ValueError(
                "channels and kernel_sizes must have one number for each level, of at least two, "
                f"found {list(self.channels)} and {list(self.kernel_sizes)}"
            )
        if any(size % 2 == 0 for size in self.kernel_sizes):
            raise ValueError(
                f"kernel_sizes must be odd, found {list(self.kernel_sizes)}: an even one shifts time"
            )
        super().__post_init__(**kwargs)

    @property
    def token_samples(self) -> int:
        """Samples of one token at the contract's model rate."""
        return 2 ** len(self.channels)


class WayDown(nn.Module):
    """Convolutions, each of which is followed by the larger of every two samples."""

    def __init__(self, inputs: int, channels: list[int], kernel_sizes: list[int]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv1d(above, here, size, padding=size // 2)
            for (above, here), size in zip(itertools.pairwise((inputs, *channels)), kernel_sizes, strict=True)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Features `(window, channel, token)` of `(window, component, sample)`."""
        for conv in self.convs:
            features = F.max_pool1d(F.relu(conv(features)), 2)
        return features


class WayUp(nn.Module):
    """One branch's decoder: every sample twice, and a convolution over them, at each level."""

    def __init__(self, inputs: int, channels: list[int], kernel_sizes: list[int]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv1d(below, here, size, padding=size // 2)
            for (below, here), size in zip(
                itertools.pairwise((inputs, *reversed(channels))), reversed(kernel_sizes), strict=True
            )
        )

    def forward(self, features: Tensor) -> Tensor:
        """Features `(window, channel, sample)` of `(window, channel, token)`."""
        for conv in self.convs:
            features = F.relu(conv(features.repeat_interleave(2, dim=-1)))
        return features


class ResidualBlock(nn.Module):
    """Two convolutions behind batch norm, beside their identity."""

    def __init__(self, channels: int, kernel_size: int, dropout: float) -> None:
        super().__init__()
        self.first_norm = nn.BatchNorm1d(channels, eps=1e-3)
        self.first = nn.Conv1d(channels, channels, kernel_size)
        self.second_norm = nn.BatchNorm1d(channels, eps=1e-3)
        self.second = nn.Conv1d(channels, channels, kernel_size)
        self.dropout = nn.Dropout1d(dropout)
        self.padding = ((kernel_size - 1) // 2, kernel_size // 2)

    def forward(self, features: Tensor) -> Tensor:
        """Refine features `(window, channel, token)`."""
        left, right = self.padding
        inner = self.dropout(F.relu(self.first_norm(features)))
        inner = self.first(F.pad(inner, (left, right)))
        inner = self.dropout(F.relu(self.second_norm(inner)))
        return features + self.second(F.pad(inner, (right, left)))


class RecurrentBlock(nn.Module):
    """A bidirectional LSTM whose two directions one linear layer joins."""

    def __init__(self, inputs: int, dim: int, dropout: float) -> None:
        super().__init__()
        self.recurrent = nn.LSTM(inputs, dim, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(dropout)
        self.join = nn.Linear(2 * dim, dim)
        self.norm = nn.BatchNorm1d(dim, eps=1e-3)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens `(window, token, dim)` of tokens `(window, token, feature)`."""
        joined = self.join(self.dropout(self.recurrent(tokens)[0]))
        normed: Tensor = self.norm(joined.transpose(1, 2))
        return normed.transpose(1, 2)


class TransformerBlock(nn.Module):
    """Additive attention and a feed-forward layer, each beside its residual and before its norm."""

    def __init__(self, dim: int, attention_size: int, hidden_dim: int, dropout: float) -> None:
        super().__init__()
        self.attention = AdditiveAttention(dim, attention_size)
        self.attention_norm = nn.LayerNorm(dim)
        self.up = nn.Linear(dim, hidden_dim)
        self.dropout = nn.Dropout(dropout)
        self.down = nn.Linear(hidden_dim, dim)
        self.feed_forward_norm = nn.LayerNorm(dim)

    def forward(self, tokens: Tensor, observed: Tensor) -> Tensor:
        """Tokens `(window, token, dim)`; observed: bool `(window, token)`."""
        tokens = self.attention_norm(tokens + self.attention(tokens, observed))
        mixed = self.down(self.dropout(F.relu(self.up(tokens))))
        return self.feed_forward_norm(tokens + mixed)


class PhaseMemory(nn.Module):
    """What one phase's branch begins with: an LSTM forward in time, and attention to the neighbours."""

    def __init__(self, dim: int, attention_size: int) -> None:
        super().__init__()
        self.recurrent = nn.LSTM(dim, dim, batch_first=True)
        self.attention = NeighbourAttention(dim, attention_size)

    def forward(self, tokens: Tensor, observed: Tensor) -> Tensor:
        """Tokens `(window, token, dim)`; observed: bool `(window, token)`."""
        attended: Tensor = self.attention(self.recurrent(tokens)[0], observed)
        return attended


class EQTModel(Backbone):
    """EQTransformer as a backbone.

    Its tokens are what the three branches begin with, side by side, 1.28 s each at 100 Hz; its only skip is
    what the three branches end with, at every sample.
    """

    config: EQTConfig
    config_class = EQTConfig

    def __init__(self, config: EQTConfig) -> None:
        super().__init__(config)
        channels, kernels, dim = list(config.channels), list(config.kernel_sizes), config.hidden_size
        self.missing = MissingValue(len(self.contract.components))
        self.way_down = WayDown(len(self.contract.components), channels, kernels)
        self.residual = nn.Sequential(
            *(ResidualBlock(channels[-1], size, config.dropout) for size in config.residual_kernel_sizes)
        )
        widths = (channels[-1], *[dim] * config.num_recurrent_blocks)
        self.recurrent = nn.Sequential(
            *(RecurrentBlock(inputs, dim, config.dropout) for inputs, dim in itertools.pairwise(widths))
        )
        self.transformer = nn.ModuleList(
            TransformerBlock(dim, config.attention_size, config.intermediate_size, config.dropout)
            for _ in range(config.num_transformer_blocks)
        )
        self.memories = nn.ModuleDict(
            {name: PhaseMemory(dim, config.attention_size) for name in BRANCHES[1:]}
        )
        self.ways_up = nn.ModuleDict({name: WayUp(dim, channels, kernels) for name in BRANCHES})
        self.pooling = GainPooling(len(BRANCHES) * dim)
        self.post_init()

    @property
    def feature_spec(self) -> FeatureSpec:
        """What a head needs to know."""
        return FeatureSpec(
            dim=len(BRANCHES) * self.config.hidden_size,
            token_samples=self.config.token_samples,
            skip_channels=(len(BRANCHES) * self.config.channels[0],),
            skip_strides=(1,),
            rate_hz=self.contract.model_rate_hz,
            components=self.contract.components,
        )

    def read(self, grid: TokenGrid, hidden: Tensor | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Tokens and the full-rate features of all branches."""
        features = self.residual(self.way_down(self.missing(grid.waveform, grid.observed)))
        tokens = self.recurrent(features.transpose(1, 2))
        for block in self.transformer:
            tokens = block(tokens, grid.token_observed)
        begins = [tokens, *(memory(tokens, grid.token_observed) for memory in self.memories.values())]
        ends = [
            way_up(begin.transpose(1, 2)) for way_up, begin in zip(self.ways_up.values(), begins, strict=True)
        ]
        return torch.cat(begins, dim=-1), (torch.cat(ends, dim=1),)


AutoConfig.register("seisfm_eqt", EQTConfig)
AutoModel.register(EQTConfig, EQTModel)
