"""Our own waveform encoder, the default: `SeismicConfig` and `SeismicModel`."""

from __future__ import annotations

from typing import Any, ClassVar

from huggingface_hub.dataclasses import strict
from torch import Tensor
from transformers import AutoConfig, AutoModel

from ..encoder import Encoder
from ..features import FeatureSpec, GainPooling
from ..stem import STRIDES, Stem
from ..token_grid import TokenGrid
from .base import BackboneConfig, TokenBackbone, visible_entries

SIZES: dict[str, dict[str, Any]] = {
    "tiny": {
        "hidden_size": 192,
        "num_hidden_layers": 6,
        "num_attention_heads": 6,
        "stem_channels": [16, 32, 64],
    },
    "small": {
        "hidden_size": 384,
        "num_hidden_layers": 12,
        "num_attention_heads": 6,
        "stem_channels": [24, 48, 96],
    },
    "base": {
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "stem_channels": [32, 64, 128],
    },
    "large": {
        "hidden_size": 1024,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "stem_channels": [32, 64, 192],
    },
}


@strict
class SeismicConfig(BackboneConfig):
    """Architecture and input contract of an encoder.

    token_samples: samples of one token at the contract's model rate (16 at 100 Hz: 6.25 tokens per second).
    stem_channels: channels of the stem at full, half and quarter rate.
    """

    model_type = "seisfm"
    sizes: ClassVar[dict[str, dict[str, Any]]] = SIZES

    hidden_size: int = 192
    num_hidden_layers: int = 6
    num_attention_heads: int = 6
    intermediate_size: int | None = None
    stem_channels: list[int] | tuple[int, ...] = (16, 32, 64)
    token_samples: int = 16

    def __post_init__(self, **kwargs: Any) -> None:
        """Fill the feed-forward width: 8/3 of the width, as SwiGLU has three matrices, in steps of 64."""
        if self.intermediate_size is None:
            self.intermediate_size = 64 * round(self.hidden_size * 8 / 3 / 64)
        super().__post_init__(**kwargs)


class SeismicModel(TokenBackbone):
    """The waveform encoder: contract, stem, transformer.

    Anti-aliased stem to a quarter of the rate, patches, pre-norm transformer with rotary positions in seconds
    (see `docs/architecture.md`).
    """

    config: SeismicConfig
    config_class = SeismicConfig
    drops_hidden = True
    supports_gradient_checkpointing = True
    _no_split_modules = ["Block"]  # noqa: RUF012  # transformers' own spelling
    _supports_sdpa = True

    def __init__(self, config: SeismicConfig) -> None:
        super().__init__(config)
        dim = config.hidden_size
        full, half, quarter = config.stem_channels
        self.stem = Stem(len(self.contract.components), (full, half, quarter), config.token_samples, dim)
        assert config.intermediate_size is not None, "SeismicConfig fills it in"
        self.encoder = Encoder(
            dim, config.num_hidden_layers, config.num_attention_heads, config.intermediate_size
        )
        self.pooling = GainPooling(dim)
        self.post_init()

    @property
    def feature_spec(self) -> FeatureSpec:
        """What a head needs to know."""
        return FeatureSpec(
            dim=self.config.hidden_size,
            token_samples=self.config.token_samples,
            skip_channels=tuple(self.config.stem_channels),
            skip_strides=STRIDES,
            rate_hz=self.contract.model_rate_hz,
            components=self.contract.components,
        )

    def embed(self, grid: TokenGrid) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The stem's tokens and skips."""
        return self.stem(grid.waveform, grid.observed)

    def read(self, grid: TokenGrid, hidden: Tensor | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """See `Backbone.read`. Hidden tokens are dropped before they are embedded."""
        if hidden is None:
            return super().read(grid)
        pieces, skips = self.stem.pieces(grid.waveform, grid.observed)
        parts = (pieces, grid.token_time_s, grid.token_observed)
        pieces, time_s, observed = (visible_entries(part, hidden) for part in parts)
        return self.contextualize(self.stem.embed(pieces), time_s, observed), skips

    def contextualize(self, tokens: Tensor, token_time_s: Tensor, observed: Tensor) -> Tensor:
        """The transformer's tokens."""
        return self.encoder(tokens, token_time_s, observed)


AutoConfig.register("seisfm", SeismicConfig)
AutoModel.register(SeismicConfig, SeismicModel)
