"""A small U-Net beside the transformer: the control that a claim about architecture is held against.

After PhaseNet (Zhu & Beroza 2019, GJI 216, 261–273): convolutions of kernel 7 and strides of 4 down to 1/256
of the rate, and up again with skips. What differs from the paper, and why: full, half and quarter rate are
levels of their own, so that the heads' decoder (which the transformer feeds too) is the upper part of the way
up; group norm instead of batch norm, whose running statistics go astray when a frozen backbone is fine-tuned;
GELU, so that no output can die; linear interpolation instead of transposed convolutions, which leave combs.

The size "phasenet" has the published levels, widths and convolutions, up to the full rate, with the same
group norm and GELU; a convolution of kernel 7 behind the interpolation stands for each transposed one of
kernel 7. Beside the published 268,443 parameters it has 336 more (a component enters in three views) and 8
fewer (a bias before a norm).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
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


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How the levels of a U-Net hang together.

    strides: samples at the model's rate per sample of each level, from the top down.
    token_level: the level whose samples, on the way up, are the tokens that heads get.
    published: in PhaseNet's order (of a level's two convolutions on the way down the first has the stride and
        keeps the channels) and up to the full rate, which is then the only skip. Otherwise heads get the way
        down at the strides of `STRIDES`, and their decoder is the rest of the way up.
    """

    strides: tuple[int, ...]
    token_level: int
    published: bool


LAYOUTS = {
    "for_heads": Layout(strides=(*STRIDES, 16, 64, 256), token_level=3, published=False),
    "phasenet": Layout(strides=(1, 4, 16, 64, 256), token_level=2, published=True),
}

UNET_SIZES: dict[str, dict[str, Any]] = {
    "tiny": {"channels": [8, 12, 16, 32, 64, 96]},
    "phasenet": {"layout": "phasenet", "channels": [8, 16, 32, 64, 128]},
}


@strict
class UNetConfig(BackboneConfig):
    """Architecture and input contract of a U-Net.

    layout: one of `LAYOUTS`.
    channels: of each of its levels.
    kernel_size: of every convolution over time, odd.
    """

    model_type = "seisfm_unet"
    sizes: ClassVar[dict[str, dict[str, Any]]] = UNET_SIZES

    layout: str = "for_heads"
    channels: list[int] | tuple[int, ...] = (8, 12, 16, 32, 64, 96)
    kernel_size: int = 7

    def __post_init__(self, **kwargs: Any) -> None:
        """Raises ValueError for an unknown layout, channels that do not fit it, or an even kernel."""
        if self.layout not in LAYOUTS:
            raise ValueError(f"layout must be one of {sorted(LAYOUTS)}, found {self.layout!r}")
        num_levels = len(self.levels.strides)
        if len(self.channels) != num_levels or min(self.channels) < 1:
            raise ValueError(
                f"channels must be a positive number for each of {num_levels} levels, "
                f"found {list(self.channels)}"
            )
        if self.kernel_size < 1 or self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, found {self.kernel_size}: an even one shifts time")
        super().__post_init__(**kwargs)

    @property
    def levels(self) -> Layout:
        """How the levels hang together."""
        return LAYOUTS[self.layout]

    @property
    def token_samples(self) -> int:
        """Samples of one token at the contract's model rate."""
        return self.levels.strides[self.levels.token_level]


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
    """To the next level down, and a convolution there; the first of the two has `between` channels."""

    def __init__(self, inputs: int, between: int, outputs: int, kernel_size: int, stride: int) -> None:
        super().__init__(
            NormedConv(inputs, between, kernel_size, stride), NormedConv(between, outputs, kernel_size)
        )


class Up(nn.Module):
    """To the next level up, four times the rate, and one convolution over it and that level's skip.

    published: a whole convolution over the raised features, in the place of PhaseNet's transposed one.
    """

    def __init__(self, below: int, skip: int, kernel_size: int, published: bool) -> None:
        super().__init__()
        self.from_below = nn.Identity() if published else nn.Conv1d(below, skip, 1, bias=False)
        self.smooth = NormedConv(below, skip, kernel_size) if published else nn.Identity()
        self.merge = NormedConv(2 * skip, skip, kernel_size)

    def forward(self, below: Tensor, skip: Tensor) -> Tensor:
        """Features `(window, channel, sample)` at the skip's rate."""
        raised = double_rate(double_rate(self.from_below(below)))[..., : skip.shape[-1]]
        return self.merge(torch.cat((self.smooth(raised), skip), dim=1))


class UNetModel(Backbone):
    """The U-Net as a backbone: heads get from it what they get from `SeismicModel`.

    Its tokens are the way up at 1/16 of the rate; its skips the way down at full, half and quarter rate, or,
    in PhaseNet's layout, the way up at the full rate. A token has seen the whole of a 30 s window. Group norm
    takes its statistics from each window by itself, gaps included: a window's answer depends a little on
    where it is cut, and never on its company.
    """

    config: UNetConfig
    config_class = UNetConfig

    def __init__(self, config: UNetConfig) -> None:
        super().__init__(config)
        channels, kernel, layout = list(config.channels), config.kernel_size, config.levels
        top = NormedConv(3 * len(self.contract.components), channels[0], kernel)
        second = NormedConv(channels[0], channels[0], kernel)
        self.top = nn.Sequential(top, second) if layout.published else top
        self.down = nn.ModuleList(
            Down(above, above if layout.published else here, here, kernel, stride // stride_above)
            for (above, here), (stride_above, stride) in zip(
                itertools.pairwise(channels), itertools.pairwise(layout.strides), strict=True
            )
        )
        highest = 0 if layout.published else layout.token_level
        self.up = nn.ModuleList(
            Up(channels[level + 1], channels[level], kernel, layout.published)
            for level in reversed(range(highest, len(channels) - 1))
        )
        self.pooling = GainPooling(channels[layout.token_level])
        self.post_init()

    @property
    def feature_spec(self) -> FeatureSpec:
        """What a head needs to know."""
        channels, layout = tuple(self.config.channels), self.config.levels
        strides = STRIDES[:1] if layout.published else STRIDES
        return FeatureSpec(
            dim=channels[layout.token_level],
            token_samples=self.config.token_samples,
            skip_channels=channels[: len(strides)],
            skip_strides=strides,
            rate_hz=self.contract.model_rate_hz,
            components=self.contract.components,
        )

    def read(self, grid: TokenGrid, hidden: Tensor | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The way down, and the way up as far as the tokens or the full rate."""
        levels = [self.top(component_views(grid.waveform, grid.observed))]
        for down in self.down:
            levels.append(down(levels[-1]))
        way_up = [levels[-1]]
        for up, skip in zip(self.up, reversed(levels[:-1]), strict=False):
            way_up.append(up(way_up[-1], skip))
        layout = self.config.levels
        tokens = way_up[len(levels) - 1 - layout.token_level].transpose(1, 2)
        return tokens, (way_up[-1],) if layout.published else tuple(levels[: len(STRIDES)])


AutoConfig.register("seisfm_unet", UNetConfig)
AutoModel.register(UNetConfig, UNetModel)
