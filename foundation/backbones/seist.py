"""SeisT, the Seismogram Transformer: convolutions of many lengths, attention in a part of the channels.

After Li et al. 2024 (IEEE TGRS 62, arXiv 2310.01037): a stem of parallel depthwise-separable convolutions to
a quarter of the rate; four stages that halve it and hold multi-scale mixed convolutions and, at their end,
multi-path blocks, in which 60 % of the channels attend to pooled keys while the others are convolved; and for
dense answers a way up by linear interpolation and convolutions. Batch norm everywhere, no positions.

The description leaves open, and this is what was chosen:

* a stem block joins its three kernels by concatenation and a mix of the channels;
* a mixed convolution doubles the channels, gives each kernel length an equal part of them, in groups of 8,
  and halves them again;
* a multi-path block has one mix of the channels into each path and one out of both; the attention's channels
  are the multiple of the head's that is nearest to 60 %;
* sizes S and M have the last block of each stage with attention, and L's widths of a head;
* the way up mirrors the widths of the way down, ends in three levels of 16 channels, and its kernels are as
  long as the longest of the mixed convolutions;
* DropPath leaves out each branch with a probability of 0.1.

Counted with Z, N and E and the published output layer, that makes 126, 377 and 670 k parameters for picking
(published: 126, 381 and 662 k) and 98, 308 and 535 k for one answer a window (98, 312 and 529 k).

Different on purpose: strides are centred, and interpolation keeps sample i at 2i, so that nothing shifts in
time (`LocalAggregation`); attention sees observed samples only; a missing component is told from a zero.
"""

from __future__ import annotations

import itertools
from typing import Any, ClassVar

from huggingface_hub.dataclasses import strict
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

from ..features import FeatureSpec, GainPooling
from ..stem import MissingValue
from ..token_grid import TokenGrid
from .base import Backbone, BackboneConfig
from .seist_parts import (
    LocalAggregation,
    MixedConv,
    MultiPathBlock,
    StemBlock,
    UpConv,
    attention_channels,
)

STEM_STRIDES = (2, 1, 1, 2)
STAGE_STRIDES = (8, 16, 32, 64)
"""Samples at the model's rate per sample of each stage; those of the last are the tokens."""

KEY_POOLING = (8, 4, 2, 1)
"""Samples of each stage in one key: keys are as far apart as tokens in all of them."""

SEIST_SIZES: dict[str, dict[str, Any]] = {
    "small": {
        "channels": [16, 24, 32, 64],
        "num_blocks": [2, 2, 3, 2],
        "kernel_sizes": [5, 7],
        "mlp_ratio": 2,
    },
    "medium": {
        "channels": [24, 32, 64, 96],
        "num_blocks": [2, 3, 6, 2],
        "kernel_sizes": [5, 7],
        "mlp_ratio": 2,
    },
    "large": {
        "channels": [32, 32, 64, 128],
        "num_blocks": [2, 3, 6, 3],
        "num_attention_blocks": [1, 1, 2, 1],
        "kernel_sizes": [3, 5, 7, 11],
        "mlp_ratio": 3,
    },
}


@strict
class SeisTConfig(BackboneConfig):
    """Architecture and input contract of a SeisT. The sizes small, medium and large are its S, M and L.

    stem_channels, stem_kernel_sizes: of the four blocks of the stem; each has kernels of k, k + 4 and k + 8.
    channels, num_blocks: of each stage.
    num_attention_blocks: how many of a stage's blocks, its last ones, have attention.
    head_dims: channels of one attention head of each stage.
    kernel_sizes: of the mixed convolutions, in samples; the way up has the longest.
    group_size: channels of a group of a convolution.
    mlp_ratio: width of the feed-forward, in units of the stage's.
    drop_path: probability of leaving out a branch of a window in training.
    """

    model_type = "seisfm_seist"
    sizes: ClassVar[dict[str, dict[str, Any]]] = SEIST_SIZES

    stem_channels: list[int] | tuple[int, ...] = (16, 8, 16, 16)
    stem_kernel_sizes: list[int] | tuple[int, ...] = (11, 5, 5, 7)
    channels: list[int] | tuple[int, ...] = (16, 24, 32, 64)
    num_blocks: list[int] | tuple[int, ...] = (2, 2, 3, 2)
    num_attention_blocks: list[int] | tuple[int, ...] = (1, 1, 1, 1)
    head_dims: list[int] | tuple[int, ...] = (8, 8, 16, 32)
    kernel_sizes: list[int] | tuple[int, ...] = (5, 7)
    group_size: int = 8
    mlp_ratio: int = 2
    drop_path: float = 0.1

    def __post_init__(self, **kwargs: Any) -> None:
        """Raises ValueError for an architecture that cannot be built, or would shift time."""
        self._check_lengths()
        self._check_kernels()
        self._check_widths()
        if not 0 <= self.drop_path < 1:
            raise ValueError(f"drop_path must be 0 to below 1, found {self.drop_path}")
        super().__post_init__(**kwargs)

    def _check_lengths(self) -> None:
        for name in ("stem_channels", "stem_kernel_sizes", "channels", "num_blocks", "head_dims"):
            found = list(getattr(self, name))
            if len(found) != len(STAGE_STRIDES) or min(found) < 1:
                raise ValueError(f"{name} must be {len(STAGE_STRIDES)} positive numbers, found {found}")
        attention, blocks = list(self.num_attention_blocks), list(self.num_blocks)
        if len(attention) != len(blocks) or any(
            not 0 <= a <= b for a, b in zip(attention, blocks, strict=False)
        ):
            raise ValueError(f"num_attention_blocks must be 0 to num_blocks {blocks} each, found {attention}")

    def _check_kernels(self) -> None:
        if not self.kernel_sizes or any(
            size < 1 or size % 2 == 0 for size in (*self.kernel_sizes, *self.stem_kernel_sizes)
        ):
            raise ValueError(
                f"kernel_sizes and stem_kernel_sizes must be odd, found {list(self.kernel_sizes)} and "
                f"{list(self.stem_kernel_sizes)}: even ones shift time"
            )

    def _check_widths(self) -> None:
        group = len(self.kernel_sizes) * self.group_size
        for channels, head_dim in zip(self.channels, self.head_dims, strict=True):
            local = channels - attention_channels(channels, head_dim)
            if 2 * channels % group or local < self.group_size or local % self.group_size:
                raise ValueError(
                    f"a stage of {channels} channels with heads of {head_dim} cannot be cut into groups of "
                    f"{self.group_size} for {len(self.kernel_sizes)} kernels: {local} of its channels are "
                    "left beside the attention"
                )


class Stage(nn.Module):
    """Half the rate, mixed convolutions, then blocks with attention."""

    def __init__(self, config: SeisTConfig, stage: int, inputs: int) -> None:
        super().__init__()
        channels, num_attention = config.channels[stage], config.num_attention_blocks[stage]
        self.aggregation = LocalAggregation(inputs, channels)
        self.convs = nn.Sequential(
            *(
                MixedConv(channels, config.kernel_sizes, config.group_size, config.drop_path)
                for _ in range(config.num_blocks[stage] - num_attention)
            )
        )
        self.blocks = nn.ModuleList(
            MultiPathBlock(
                channels,
                config.head_dims[stage],
                KEY_POOLING[stage],
                config.group_size,
                config.mlp_ratio,
                config.drop_path,
            )
            for _ in range(num_attention)
        )

    def forward(self, features: Tensor, observed: Tensor) -> Tensor:
        """Features at half of their rate. observed: bool `(window, sample)` at that rate."""
        features = self.convs(self.aggregation(features))
        for block in self.blocks:
            features = block(features, observed)
        return features


class SeisTModel(Backbone):
    """SeisT as a backbone.

    Its tokens are the last stage, 64 samples each; its skip at full rate is the way up, without the
    published output convolution. A window's answer in evaluation does not depend on its company.
    """

    config: SeisTConfig
    config_class = SeisTConfig
    supports_gradient_checkpointing = True
    _no_split_modules = ["MixedConv", "MultiPathBlock"]  # noqa: RUF012  # transformers' own spelling
    _supports_sdpa = True

    def __init__(self, config: SeisTConfig) -> None:
        super().__init__(config)
        num_components = len(self.contract.components)
        self.missing = MissingValue(num_components)
        self.stem = nn.Sequential(
            *(
                StemBlock(inputs, outputs, kernel_size, stride)
                for (inputs, outputs), kernel_size, stride in zip(
                    itertools.pairwise((num_components, *config.stem_channels)),
                    config.stem_kernel_sizes,
                    STEM_STRIDES,
                    strict=True,
                )
            )
        )
        widths = itertools.pairwise((config.stem_channels[-1], *config.channels))
        self.stages = nn.ModuleList(Stage(config, stage, inputs) for stage, (inputs, _) in enumerate(widths))
        self.up = nn.Sequential(
            *(
                UpConv(below, above, max(config.kernel_sizes))
                for below, above in itertools.pairwise(up_channels(config))
            )
        )
        self.pooling = GainPooling(config.channels[-1])
        self.post_init()

    @property
    def feature_spec(self) -> FeatureSpec:
        """What a head needs to know."""
        return FeatureSpec(
            dim=self.config.channels[-1],
            token_samples=STAGE_STRIDES[-1],
            skip_channels=(up_channels(self.config)[-1],),
            skip_strides=(1,),
            rate_hz=self.contract.model_rate_hz,
            components=self.contract.components,
        )

    def read(self, grid: TokenGrid, hidden: Tensor | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The way down, whose end are the tokens, and the way up."""
        features = self.stem(self.missing(grid.waveform, grid.observed))
        for stage, stride in zip(self.stages, STAGE_STRIDES, strict=True):
            observed = grid.sample_observed.unflatten(-1, (-1, stride)).any(dim=-1)
            features = stage(features, observed)
        return features.transpose(1, 2), (self.up(features),)


def up_channels(config: SeisTConfig) -> list[int]:
    """Channels of the way up at strides of 64, 32, 16, 8, 4, 2 and 1: those of the way down."""
    quarter, half = config.stem_channels[-1], config.stem_channels[0]
    return [*reversed(config.channels), quarter, half, half]


AutoConfig.register("seisfm_seist", SeisTConfig)
AutoModel.register(SeisTConfig, SeisTModel)
