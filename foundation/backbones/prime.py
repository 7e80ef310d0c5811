"""PRIME: convolutions, a BiLSTM as position, and a few transformer layers with tokens for the tasks.

After the description of PRIME-DP and its successor SeismicXM (Cai, Yu et al.): six convolutions of kernel 5
and stride 2 make a token of 64 samples, a bidirectional LSTM tells the tokens where they are, six learned
task tokens join them, and three post-norm transformer layers let all of them see each other.

Open in the description, and chosen: the LSTM has the model's width in each direction, and a linear layer
brings it back and adds it to the tokens. So counted, with three transposed copies of the convolutions as
decoders and linear answers, `middle` has 51.80 M parameters; the published file (207.7 MB in float32) holds
51.9 M. Nothing is said of the shape of `tinny` (34.4 MB, 8.6 M): here it is `middle` at the width that comes
nearest in its proportions, 416, with 8.57 M.

What differs, and why: a missing component has a learned value; nobody attends to a token without data; the
decoders belong to the heads, which get the convolutions at half and quarter rate besides the tokens. The task
tokens are what the summary of a window is made of; published code cuts them off at the wrong end of the
sequence, where they are the window's first seconds.

Batch norm takes the statistics of its batch in training, as published. The LSTM counts from the ends of the
batch's longest window: put windows of equal length together.
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

PRIME_SIZES: dict[str, dict[str, Any]] = {
    "tinny": {"channels": [13, 26, 52, 104, 208, 416], "intermediate_size": 416},
    "middle": {"channels": [32, 64, 128, 256, 512, 1024], "intermediate_size": 1024},
}

STRIDE = 2
"""Of each convolution."""

NUM_CONVOLUTIONS = 6

SKIP_STRIDES = (2, 4)
"""The rates at which dense heads see what the first convolutions say."""


@strict
class PrimeConfig(BackboneConfig):
    """Architecture and input contract of a PRIME.

    channels: of the six convolutions; the last number is the width of the tokens.
    num_task_tokens: learned tokens that join those of the waveform.
    """

    model_type = "seisfm_prime"
    sizes: ClassVar[dict[str, dict[str, Any]]] = PRIME_SIZES

    channels: list[int] | tuple[int, ...] = (32, 64, 128, 256, 512, 1024)
    num_hidden_layers: int = 3
    num_attention_heads: int = 8
    intermediate_size: int = 1024
    num_task_tokens: int = 6
    dropout: float = 0.1

    def __post_init__(self, **kwargs: Any) -> None:
        """Raises ValueError for another number of convolutions, or no task token."""
        if len(self.channels) != NUM_CONVOLUTIONS:
            raise ValueError(f"channels must be {NUM_CONVOLUTIONS} numbers, found {list(self.channels)}")
        if self.num_task_tokens < 1:
            raise ValueError(f"num_task_tokens must be at least 1, found {self.num_task_tokens}")
        super().__post_init__(**kwargs)

    @property
    def token_samples(self) -> int:
        """Samples of one token at the contract's model rate."""
        return STRIDE**NUM_CONVOLUTIONS


class NormedConv(nn.Module):
    """A convolution of kernel 5 that halves the rate, batch norm, GELU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        # Centred: output i lies at input sample i · stride.
        self.conv = nn.Conv1d(inputs, outputs, 5, STRIDE, padding=2)
        self.norm = nn.BatchNorm1d(outputs)

    def forward(self, features: Tensor) -> Tensor:
        """Features `(window, channel, sample)` at half of the rate."""
        return F.gelu(self.norm(self.conv(features)))


class RecurrentPosition(nn.Module):
    """A bidirectional LSTM over the tokens, added to them: it counts from both ends of the window."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(dim, dim, batch_first=True, bidirectional=True)
        self.project = nn.Linear(2 * dim, dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens `(window, token, dim)` that know where they are."""
        return tokens + self.project(self.lstm(tokens)[0])


class TaskTokens(nn.Module):
    """Learned tokens that stand behind those of each window."""

    def __init__(self, num_tokens: int, dim: int) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.empty(num_tokens, dim))

    def forward(self, tokens: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens `(window, token + task, dim)`, and which may be attended to: task tokens always."""
        tasks = self.embedding.to(tokens.dtype).expand(len(tokens), -1, -1)
        everyone = observed.new_ones(tasks.shape[:2])
        return torch.cat((tokens, tasks), dim=1), torch.cat((observed, everyone), dim=1)


class PrimeModel(TokenBackbone):
    """PRIME as a backbone: hidden tokens stay in their places, `pooled` comes from the task tokens."""

    config: PrimeConfig
    config_class = PrimeConfig
    supports_gradient_checkpointing = True
    _no_split_modules = ["Block"]  # noqa: RUF012  # transformers' own spelling
    _supports_sdpa = True

    def __init__(self, config: PrimeConfig) -> None:
        super().__init__(config)
        dim, num_components = config.channels[-1], len(self.contract.components)
        self.missing = MissingValue(num_components)
        widths = itertools.pairwise((num_components, *config.channels))
        self.stem = nn.ModuleList(NormedConv(*width) for width in widths)
        self.position = RecurrentPosition(dim)
        self.task_tokens = TaskTokens(config.num_task_tokens, dim)
        self.encoder = Transformer(
            dim,
            config.num_hidden_layers,
            config.num_attention_heads,
            config.intermediate_size,
            norm_first=False,
            dropout=config.dropout,
        )
        self.pooling = GainPooling(dim)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, TaskTokens):
            init.normal_(module.embedding, mean=0.0, std=1.0)
        elif isinstance(module, nn.LSTM):
            bound = 1 / math.sqrt(module.hidden_size)
            for parameter in module.parameters():
                init.uniform_(parameter, -bound, bound)
        else:
            super()._init_weights(module)

    @property
    def feature_spec(self) -> FeatureSpec:
        """What a head needs to know."""
        return FeatureSpec(
            dim=self.config.channels[-1],
            token_samples=self.config.token_samples,
            skip_channels=tuple(self.config.channels[: len(SKIP_STRIDES)]),
            skip_strides=SKIP_STRIDES,
            rate_hz=self.contract.model_rate_hz,
            components=self.contract.components,
        )

    def embed(self, grid: TokenGrid) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The convolutions' tokens, 253 samples wide, and what the first two of them say as skips."""
        features = self.missing(grid.waveform, grid.observed)
        levels = []
        for conv in self.stem:
            features = conv(features)
            levels.append(features)
        return features.transpose(1, 2), tuple(levels[: len(SKIP_STRIDES)])

    def contextualize(self, tokens: Tensor, token_time_s: Tensor, observed: Tensor) -> Tensor:
        """The transformer's tokens of the waveform. Their order alone says where they are."""
        return self.contextualize_with_tasks(tokens, observed)[0]

    def contextualize_with_tasks(self, tokens: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
        """The transformer's tokens `(window, token, dim)` of the waveform and `(window, task, dim)`."""
        everything = self.encoder(*self.task_tokens(self.position(tokens), observed))
        return everything[:, : tokens.shape[1]], everything[:, tokens.shape[1] :]

    def read_with_summary(
        self, grid: TokenGrid, hidden: Tensor | None = None
    ) -> tuple[Tensor, tuple[Tensor, ...], Tensor | None]:
        """See `Backbone.read_with_summary`: a window's summary is made of its task tokens."""
        tokens, skips = self.embed(grid)
        waves, tasks = self.contextualize_with_tasks(tokens, grid.token_observed)
        return waves, skips, tasks


AutoConfig.register("seisfm_prime", PrimeConfig)
AutoModel.register(PrimeConfig, PrimeModel)
