"""SAR, the picker of AI-PAL (Zhou et al. 2025): overlapping frames, a recurrent net, self-attention.

Published: frames of 0.5 s every 0.1 s, the samples of all components side by side; two layers of two-way
GRU of 128; self-attention of 4 heads over their 256 outputs, without position codes and without a residual; a
linear layer to noise, P and S of each step: 775,427 parameters.

What is ours: frames reach beyond both ends of the window, so that each 0.1 s lies in the middle of one; a
learned value stands where a component is missing; a token that heads get is two steps, side by side, since
dense decoders need tokens of a multiple of four samples.
"""

from __future__ import annotations

from typing import Any, ClassVar

from einops import rearrange
from huggingface_hub.dataclasses import strict
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoConfig, AutoModel

from ..features import FeatureSpec, GainPooling
from ..stem import MissingValue
from ..token_grid import TokenGrid
from .base import Backbone, BackboneConfig

STEPS_PER_TOKEN = 2


@strict
class SARConfig(BackboneConfig):
    """Architecture and input contract of SAR.

    frame_samples, step_samples: length and distance of the frames, in samples at the contract's model rate.
    hidden_size: of the recurrent net in each of its two directions.
    initializer_range: Glorot's for 256 features: no residual and no norm carries a signal past the attention.
    """

    model_type = "seisfm_sar"
    sizes: ClassVar[dict[str, dict[str, Any]]] = {"original": {}}

    frame_samples: int = 50
    step_samples: int = 10
    hidden_size: int = 128
    num_recurrent_layers: int = 2
    num_attention_heads: int = 4
    initializer_range: float = 0.0625

    def __post_init__(self, **kwargs: Any) -> None:
        """Raises ValueError for frames that cannot be centred on their steps, or heads that do not fit."""
        overlap = self.frame_samples - self.step_samples
        if self.step_samples < 2 or self.step_samples % 2 or overlap < 0 or overlap % 2:
            raise ValueError(
                "step_samples must be even and frame_samples as large, or larger by an even number, "
                f"found {self.step_samples} and {self.frame_samples}: other frames shift time"
            )
        if 2 * self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"num_attention_heads must divide twice the hidden_size, found {self.num_attention_heads} "
                f"and {self.hidden_size}"
            )
        super().__post_init__(**kwargs)

    @property
    def token_samples(self) -> int:
        """Samples of one token at the contract's model rate."""
        return STEPS_PER_TOKEN * self.step_samples


class StepAttention(nn.Module):
    """Multi-head attention among the steps, which know of time only what the recurrent net told them."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, steps: Tensor, observed: Tensor) -> Tensor:
        """Steps `(window, step, dim)`; observed: bool `(window, step)`, nobody attends to the others."""
        split = "window step (head dim) -> window head step dim"
        query, key, value = (
            rearrange(layer(steps), split, head=self.num_heads)
            for layer in (self.query, self.key, self.value)
        )
        # A window without any data attends to all of its empty steps: its output must stay finite.
        mask = (observed | ~observed.any(dim=1, keepdim=True))[:, None, None, :]
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.out(rearrange(attended, "window head step dim -> window step (head dim)"))


class SARModel(Backbone):
    """SAR as a backbone. It has no features at the rate of the samples: its skips are none."""

    config: SARConfig
    config_class = SARConfig

    def __init__(self, config: SARConfig) -> None:
        super().__init__(config)
        num_components, dim = len(self.contract.components), 2 * config.hidden_size
        self.missing = MissingValue(num_components)
        self.recurrent = nn.GRU(
            num_components * config.frame_samples,
            config.hidden_size,
            config.num_recurrent_layers,
            batch_first=True,
            bidirectional=True,
        )
        self.attention = StepAttention(dim, config.num_attention_heads)
        self.pooling = GainPooling(STEPS_PER_TOKEN * dim)
        self.post_init()

    @property
    def feature_spec(self) -> FeatureSpec:
        """What a head needs to know."""
        return FeatureSpec(
            dim=STEPS_PER_TOKEN * 2 * self.config.hidden_size,
            token_samples=self.config.token_samples,
            skip_channels=(),
            skip_strides=(),
            rate_hz=self.contract.model_rate_hz,
            components=self.contract.components,
        )

    def frames(self, grid: TokenGrid) -> Tensor:
        """The frame around each step, `(window, step, component · sample)`."""
        reach = (self.config.frame_samples - self.config.step_samples) // 2
        waveform = F.pad(grid.waveform, (reach, reach))
        seen = self.missing(waveform, F.pad(grid.observed, (reach, reach)))
        pieces = seen.unfold(-1, self.config.frame_samples, self.config.step_samples)
        return rearrange(pieces, "window component step sample -> window step (component sample)")

    def read(self, grid: TokenGrid, hidden: Tensor | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Tokens of two steps each."""
        steps: Tensor = self.recurrent(self.frames(grid))[0]
        observed = grid.sample_observed.unflatten(-1, (-1, self.config.step_samples)).any(dim=-1)
        steps = self.attention(steps, observed)
        tokens = rearrange(steps, "window (token step) dim -> window token (step dim)", step=STEPS_PER_TOKEN)
        return tokens, ()


AutoConfig.register("seisfm_sar", SARConfig)
AutoModel.register(SARConfig, SARModel)
