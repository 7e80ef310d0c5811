"""SeisLM: wav2vec 2.0 for seismograms, as a backbone.

After Liu et al. 2024 (arXiv 2410.15765), who follow wav2vec 2.0 (Baevski et al. 2020, arXiv 2006.11477): two
convolutions of kernel 3 and stride 2 make 25 tokens a second of 100 Hz, a convolution over 128 tokens in 16
groups tells them where they are, and a pre-norm transformer lets them see each other. Counted with the heads
of its pretraining the sizes are the published ones to the parameter (11.36 M and 90,683,648).

What differs, and why: the convolutions are padded, so that token i lies at sample 4i and no token is lost at
the end (theirs make 749 of 3001 samples, ours 751); a missing component has a learned value, where theirs is
filled with a copy of another one, which fakes particle motion; a token without data is masked by their own
learned embedding, is not attended to, and is zero under the positional convolution, so that what pads a
window cannot change its answer.
"""

from __future__ import annotations

import itertools
import math
from typing import Any, ClassVar

import torch
from huggingface_hub.dataclasses import strict
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoConfig, AutoModel
from transformers import initialization as init

from ..features import FeatureSpec, GainPooling
from ..stem import MissingValue
from ..token_grid import TokenGrid
from .base import BackboneConfig, TokenBackbone
from .transformer import Transformer

SEISLM_SIZES: dict[str, dict[str, Any]] = {
    "base": {"hidden_size": 240, "num_hidden_layers": 6, "num_attention_heads": 12},
    "large": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12},
}

CONV_STRIDES = (2, 2)
"""Of the convolutions over the waveform: a token is their product, in samples."""


@strict
class SeisLMConfig(BackboneConfig):
    """Architecture and input contract of a SeisLM.

    stem_channels: of the two convolutions over the waveform.
    position_kernel, position_groups: of the convolution that tells tokens where they are, in tokens.
    """

    model_type = "seisfm_seislm"
    sizes: ClassVar[dict[str, dict[str, Any]]] = SEISLM_SIZES

    hidden_size: int = 240
    num_hidden_layers: int = 6
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    stem_channels: list[int] | tuple[int, ...] = (256, 256)
    position_kernel: int = 128
    position_groups: int = 16
    dropout: float = 0.0

    def __post_init__(self, **kwargs: Any) -> None:
        """Raises ValueError for a stem of another depth, or groups that cannot share the width."""
        if len(self.stem_channels) != len(CONV_STRIDES):
            raise ValueError(
                f"stem_channels must be {len(CONV_STRIDES)} numbers, found {list(self.stem_channels)}"
            )
        if self.hidden_size % self.position_groups:
            raise ValueError(
                f"hidden_size must be a multiple of the {self.position_groups} position_groups, "
                f"found {self.hidden_size}"
            )
        super().__post_init__(**kwargs)

    @property
    def token_samples(self) -> int:
        """Samples of one token at the contract's model rate."""
        return math.prod(CONV_STRIDES)


class NormedConv(nn.Module):
    """A convolution of kernel 3 that halves the rate, layer norm over the channels of each sample, GELU."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        # Centred: output i lies at input sample i · stride.
        self.conv = nn.Conv1d(inputs, outputs, 3, stride, padding=1)
        self.norm = nn.LayerNorm(outputs)

    def forward(self, features: Tensor) -> Tensor:
        """Features `(window, channel, sample)` at the lower rate."""
        return F.gelu(self.norm(self.conv(features).transpose(1, 2))).transpose(1, 2)


class Projection(nn.Module):
    """What the convolutions say of each token, normed and brought to the transformer's width."""

    def __init__(self, channels: int, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.linear = nn.Linear(channels, dim)

    def forward(self, features: Tensor) -> Tensor:
        """Tokens `(window, token, dim)` of features `(window, channel, token)`."""
        return self.linear(self.norm(features.transpose(1, 2)))


class PositionalConv(nn.Module):
    """A wide convolution over the tokens whose output tells each one where it is among the others.

    Weight normalization (Salimans & Kingma 2016) gives each tap of the kernel a length of its own. A mask
    embedding stands where a token has no data.
    """

    def __init__(self, dim: int, kernel_size: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.direction = nn.Parameter(torch.empty(dim, dim // groups, kernel_size))
        self.length = nn.Parameter(torch.empty(kernel_size))
        self.bias = nn.Parameter(torch.empty(dim))
        self.mask_token = nn.Parameter(torch.empty(dim))

    def init_weights(self) -> None:
        """First weights as in wav2vec 2.0: the convolution keeps the scale of its input."""
        dim, per_group, kernel_size = self.direction.shape
        init.normal_(self.direction, mean=0.0, std=2 / math.sqrt(kernel_size * dim))
        # The length that a random direction has already.
        init.constant_(self.length, 2 * math.sqrt(per_group / kernel_size))
        init.zeros_(self.bias)
        init.uniform_(self.mask_token)

    def forward(self, tokens: Tensor, observed: Tensor) -> Tensor:
        """Tokens `(window, token, dim)` with their surroundings added; `observed` bool `(window, token)`."""
        seen = observed[..., None]
        weight = self.length * F.normalize(self.direction.flatten(0, 1), dim=0).view_as(self.direction)
        kernel_size = weight.shape[-1]
        around = F.pad(
            torch.where(seen, tokens, 0).transpose(1, 2), (kernel_size // 2, (kernel_size - 1) // 2)
        )
        position = F.gelu(F.conv1d(around, weight, self.bias, groups=self.groups)).transpose(1, 2)
        return torch.where(seen, tokens, self.mask_token.to(tokens.dtype)) + position


class SeisLMModel(TokenBackbone):
    """SeisLM as a backbone: hidden tokens stay in their places and come out as what their surroundings say.

    Dense heads get the waveform itself beside the tokens, as the published picker does.
    """

    config: SeisLMConfig
    config_class = SeisLMConfig
    supports_gradient_checkpointing = True
    _no_split_modules = ["Block"]  # noqa: RUF012  # transformers' own spelling
    _supports_sdpa = True

    def __init__(self, config: SeisLMConfig) -> None:
        super().__init__(config)
        dim, num_components = config.hidden_size, len(self.contract.components)
        self.missing = MissingValue(num_components)
        widths = itertools.pairwise((num_components, *config.stem_channels))
        self.stem = nn.Sequential(
            *(NormedConv(*width, stride) for width, stride in zip(widths, CONV_STRIDES, strict=True))
        )
        self.projection = Projection(config.stem_channels[-1], dim)
        self.position = PositionalConv(dim, config.position_kernel, config.position_groups)
        self.dropout = nn.Dropout(config.dropout)
        self.encoder = Transformer(
            dim,
            config.num_hidden_layers,
            config.num_attention_heads,
            config.intermediate_size,
            dropout=config.dropout,
        )
        self.pooling = GainPooling(dim)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, PositionalConv):
            module.init_weights()
        else:
            super()._init_weights(module)

    @property
    def feature_spec(self) -> FeatureSpec:
        """What a head needs to know."""
        return FeatureSpec(
            dim=self.config.hidden_size,
            token_samples=self.config.token_samples,
            skip_channels=(len(self.contract.components),),
            skip_strides=(1,),
            rate_hz=self.contract.model_rate_hz,
            components=self.contract.components,
        )

    def embed(self, grid: TokenGrid) -> tuple[Tensor, tuple[Tensor, ...]]:
        """What the convolutions say of each token, seven samples wide, and the waveform as the only skip."""
        waveform = self.missing(grid.waveform, grid.observed)
        return self.projection(self.stem(waveform)), (waveform,)

    def contextualize(self, tokens: Tensor, token_time_s: Tensor, observed: Tensor) -> Tensor:
        """The transformer's tokens. Their order alone says where they are."""
        return self.encoder(self.dropout(self.position(tokens, observed)), observed)


AutoConfig.register("seisfm_seislm", SeisLMConfig)
AutoModel.register(SeisLMConfig, SeisLMModel)
