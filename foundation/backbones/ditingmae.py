"""The plain masked-autoencoder transformer: pieces of the waveform through one linear layer into a ViT.

The DiTing group describes its waveform model as a masked autoencoder of 0.1 B parameters, without its layers.
This is the network that those words name: ViT-Base (Dosovitskiy et al. 2021, arXiv 2010.11929: 12 layers of
768, 12 heads, 3072 between) under a masked autoencoder (He et al. 2022, arXiv 2111.06377) of pieces of a
seismogram. It has 85.1 M parameters, or 110.7 M with He's decoder: 0.1 B to the one digit that is published.
Chosen here: pieces of 16 samples; fixed sines of the time in seconds as positions, so that any length will
do; and no class token, since the pooling summarizes a window.

No convolution and no sample shared between tokens: it is what the other backbones' stems are compared to.
Dense heads get the waveform beside the tokens, as SeisLM's do.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from einops import rearrange
from huggingface_hub.dataclasses import strict
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

from ..features import FeatureSpec, GainPooling
from ..stem import MissingValue
from ..token_grid import TokenGrid
from .base import BackboneConfig, TokenBackbone
from .transformer import Transformer

DITINGMAE_SIZES: dict[str, dict[str, Any]] = {
    "small": {"hidden_size": 384, "num_attention_heads": 6, "intermediate_size": 1536},
    "base": {"hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072},
}

SHORTEST_PERIOD_S = 0.32
LONGEST_PERIOD_S = 1200.0


@strict
class DiTingMAEConfig(BackboneConfig):
    """Architecture and input contract of a plain masked-autoencoder transformer.

    token_samples: samples of one token at the contract's model rate, a multiple of 4.
    """

    model_type = "seisfm_ditingmae"
    sizes: ClassVar[dict[str, dict[str, Any]]] = DITINGMAE_SIZES

    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    token_samples: int = 16
    dropout: float = 0.0

    def __post_init__(self, **kwargs: Any) -> None:
        """Raises ValueError for an odd width: sines come with their cosines."""
        if self.hidden_size % 2:
            raise ValueError(f"hidden_size must be even, found {self.hidden_size}")
        super().__post_init__(**kwargs)


def time_waves(time_s: Tensor, dim: int) -> Tensor:
    """Sines and cosines `(window, token, dim)` of each token's time (Vaswani et al. 2017), in float32.

    The periods are spread geometrically from `SHORTEST_PERIOD_S` to `LONGEST_PERIOD_S`, in seconds, not in
    tokens. Computed when needed: a buffer would be garbage after `from_pretrained`.
    """
    exponent = torch.linspace(0, 1, dim // 2, device=time_s.device, dtype=torch.float32)
    period_s = SHORTEST_PERIOD_S * (LONGEST_PERIOD_S / SHORTEST_PERIOD_S) ** exponent
    angle = 2 * math.pi * time_s.float()[..., None] / period_s
    return torch.cat((angle.sin(), angle.cos()), dim=-1)


class DiTingMAEModel(TokenBackbone):
    """The plain transformer as a backbone. Hidden tokens never enter it."""

    config: DiTingMAEConfig
    config_class = DiTingMAEConfig
    drops_hidden = True
    supports_gradient_checkpointing = True
    _no_split_modules = ["Block"]  # noqa: RUF012  # transformers' own spelling
    _supports_sdpa = True

    def __init__(self, config: DiTingMAEConfig) -> None:
        super().__init__(config)
        dim, num_components = config.hidden_size, len(self.contract.components)
        self.missing = MissingValue(num_components)
        self.patch = nn.Linear(num_components * config.token_samples, dim)
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
        """One linear layer over each token's own samples, and the waveform as the only skip."""
        waveform = self.missing(grid.waveform, grid.observed)
        patches = rearrange(
            waveform,
            "window component (token sample) -> window token (component sample)",
            sample=self.config.token_samples,
        )
        return self.patch(patches), (waveform,)

    def contextualize(self, tokens: Tensor, token_time_s: Tensor, observed: Tensor) -> Tensor:
        """The transformer's tokens, told their times."""
        waves = time_waves(token_time_s, tokens.shape[-1]).to(tokens.dtype)
        return self.encoder(self.dropout(tokens + waves), observed)


AutoConfig.register("seisfm_ditingmae", DiTingMAEConfig)
AutoModel.register(DiTingMAEConfig, DiTingMAEModel)
