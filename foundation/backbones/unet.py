"""A small U-Net beside the transformer: the control that a claim about architecture is held against.

After PhaseNet (Zhu & Beroza 2019, GJI 216, 261–273): convolutions of kernel 7 and strides of 4 down to 1/256
of the rate, and up again with skips. What differs from the paper, and why: full, half and quarter rate are
levels of their own, so that the heads' decoder (which the transformer feeds too) is the upper part of the way
up; group norm instead of batch norm, whose running statistics go astray when a frozen backbone is fine-tuned;
GELU, so that no output can die; linear interpolation instead of transposed convolutions, which leave combs.
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
from ..stem import STRIDES, component_views, double_rate
from ..token_grid import TokenGrid
from .base import Backbone, BackboneConfig

LEVEL_STRIDES = (*STRIDES, 16, 64, 256)
"""Samples at the model's rate per sample of each level, from the top down."""

TOKEN_LEVEL = 3
"""The level whose samples are the tokens that heads get."""

UNET_SIZES: dict[str, dict[str, Any]] = {"tiny": {"channels": [8, 12, 16, 32, 64, 96]}}


@strict
class UNetConfig(BackboneConfig):
    """Architecture and input contract of a U-Net.

    channels: of each level of `LEVEL_STRIDES`.
    kernel_size: of every convolution over time, odd.
    """

    model_type = "seisfm_unet"
    sizes: ClassVar[dict[str, dict[str, Any]]] = UNET_SIZES

    channels: list[int] | tuple[int, ...] = (8, 12, 16, 32, 64, 96)
    kernel_size: int = 7

    def __post_init__(self, **kwargs: Any) -> None:
        """Raises ValueError for channels that are not one positive number a level, or an even kernel."""
        if len(self.channels) != len(LEVEL_STRIDES) or min(self.channels) < 1:
            raise ValueError(
                f"channels must be a positive number for each of {len(LEVEL_STRIDES)} levels, "
                f"found {list(self.channels)}"
            )
        if self.kernel_size < 1 or self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, found {self.kernel_size}: an even one shifts time")
        super().__post_init__(**kwargs)

    @property
    def token_samples(self) -> int:
        """Samples of one token at the contract's model rate."""
        return LEVEL_STRIDES[TOKEN_LEVEL]


class NormedConv(nn.Module):
    """Convolution over time, group norm over the window, GELU."""

    def __init__(self, inputs: int, outputs: int, kernel_size: int, stride: int = 1) -> None:
        super().__init__()
        # Centred at every stride: output i lies at input sample i · stride.
        self.conv = nn.Conv1d(inputs, outputs, kernel_size, stride, padding=kernel_size // 2, bias=False)
        self.norm = nn.GroupNorm(1, outputs)

    def forward(self, features: Tensor) -> Tensor:
        """Features `(window, channel, sample)` at the rate divided by the stride."""
        return F.gelu(self.norm(self.conv(features)))


class Down(nn.Sequential):
    """To the next level down, and a convolution there."""

    def __init__(self, inputs: int, outputs: int, kernel_size: int, stride: int) -> None:
        super().__init__(
            NormedConv(inputs, outputs, kernel_size, stride), NormedConv(outputs, outputs, kernel_size)
        )


class Up(nn.Module):
    """To the next level up, four times the rate, and one convolution over it and that level's skip."""

    def __init__(self, below: int, skip: int, kernel_size: int) -> None:
        super().__init__()
        self.from_below = nn.Conv1d(below, skip, 1, bias=False)
        self.merge = NormedConv(2 * skip, skip, kernel_size)

    def forward(self, below: Tensor, skip: Tensor) -> Tensor:
        """Features `(window, channel, sample)` at the skip's rate."""
        raised = double_rate(double_rate(self.from_below(below)))[..., : skip.shape[-1]]
        return self.merge(torch.cat((raised, skip), dim=1))


class UNetModel(Backbone):
    """The U-Net as a backbone: heads get from it what they get from `SeismicModel`.

    Its tokens are the way up at 1/16 of the rate, its skips the way down at full, half and quarter rate. A
    token has seen the whole of a 30 s window. Group norm takes its statistics from each window by itself,
    gaps included: a window's answer depends a little on where it is cut, and never on its company.
    """

    config: UNetConfig
    config_class = UNetConfig

    def __init__(self, config: UNetConfig) -> None:
        super().__init__(config)
        channels, kernel = list(config.channels), config.kernel_size
        self.top = NormedConv(3 * len(self.contract.components), channels[0], kernel)
        self.down = nn.ModuleList(
            Down(above, here, kernel, stride // stride_above)
            for (above, here), (stride_above, stride) in zip(
                itertools.pairwise(channels), itertools.pairwise(LEVEL_STRIDES), strict=True
            )
        )
        self.up = nn.ModuleList(
            Up(channels[level + 1], channels[level], kernel)
            for level in reversed(range(TOKEN_LEVEL, len(channels) - 1))
        )
        self.pooling = GainPooling(channels[TOKEN_LEVEL])
        self.post_init()

    @property
    def feature_spec(self) -> FeatureSpec:
        """What a head needs to know."""
        channels = tuple(self.config.channels)
        return FeatureSpec(
            dim=channels[TOKEN_LEVEL],
            token_samples=self.config.token_samples,
            skip_channels=channels[: len(STRIDES)],
            skip_strides=STRIDES,
            rate_hz=self.contract.model_rate_hz,
        )

    def read(self, grid: TokenGrid, hidden: Tensor | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The way down, and the way up as far as the tokens."""
        levels = [self.top(component_views(grid.waveform, grid.observed))]
        for down in self.down:
            levels.append(down(levels[-1]))
        features = levels.pop()
        for up, skip in zip(self.up, reversed(levels), strict=False):
            features = up(features, skip)
        return features.transpose(1, 2), tuple(levels[: len(STRIDES)])


AutoConfig.register("seisfm_unet", UNetConfig)
AutoModel.register(UNetConfig, UNetModel)
