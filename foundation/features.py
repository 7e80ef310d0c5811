"""What a backbone knows of its windows, and what a head is told about it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import initialization as init
from transformers.utils import ModelOutput

from ..data.batch import UNITS
from .contract import PreparedInput
from .places import WindowPlaces
from .stem import ChannelNorm, MissingValue

SKIP_STRIDES = (1, 2, 4)
"""The strides that a skip may have, in samples at the model's rate."""


@dataclass(frozen=True, kw_only=True)
class FeatureSpec:
    """What a head is told about the features: widths and rates, never the encoder that made them.

    token_samples: samples at `rate_hz` of a token, a multiple of 4.
    components: names of the waveform's components, in its order.
    skip_strides: samples at `rate_hz` per sample of each skip, some of `SKIP_STRIDES` in that order; a
        backbone without dense features has none.

    Raises ValueError for a grid that the dense decoder could not follow.
    """

    dim: int
    token_samples: int
    skip_channels: tuple[int, ...]
    skip_strides: tuple[int, ...]
    rate_hz: float
    components: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.token_samples < 1 or self.token_samples % SKIP_STRIDES[-1]:
            raise ValueError(
                f"token_samples must be a multiple of {SKIP_STRIDES[-1]}, found {self.token_samples}"
            )
        if self.skip_strides != tuple(stride for stride in SKIP_STRIDES if stride in self.skip_strides):
            raise ValueError(
                f"skip_strides must be some of {SKIP_STRIDES}, each once, rising, found {self.skip_strides}"
            )
        if len(self.skip_channels) != len(self.skip_strides):
            raise ValueError(
                f"skip_channels must be one number for each of the strides {self.skip_strides}, "
                f"found {self.skip_channels}"
            )


@dataclass
class SeismicFeatures(ModelOutput):
    """What a backbone knows of each window.

    tokens: `(window, token, dim)`; visible ones only, where the backbone drops hidden tokens.
    token_time_s: `(window, token)`, each token's centre after the window's first sample.
    token_observed: bool `(window, token)`: has any data.
    skips: `(window, channel, sample)` at the strides of `FeatureSpec.skip_strides`.
    sample_observed: bool `(window, sample)` at model rate: any component has data.
    pooled: `(window, dim)`, an attention-weighted summary that has seen the log gain.
    log_gain: `(window,)`, log10 of the amplitude that normalization took away, in input units.
    num_samples: samples at the model's rate before padding to whole tokens.
    waveform: `(window, component, sample)` at model rate, normalized, padded to whole tokens, 0 where not
        observed: what the backbone itself was fed, for heads that measure spectra and amplitudes.
    places: where the windows were recorded, for heads that look at several stations; None where unknown.
    """

    tokens: Tensor | None = None
    token_time_s: Tensor | None = None
    token_observed: Tensor | None = None
    skips: tuple[Tensor, ...] | None = None
    sample_observed: Tensor | None = None
    pooled: Tensor | None = None
    log_gain: Tensor | None = None
    num_samples: int | None = None
    waveform: Tensor | None = None
    places: WindowPlaces | None = None


class GainPooling(nn.Module):
    """One learned query over the tokens and a gain token: the window's summary for regressions.

    The gain token meets the others only here. Were it among the encoder's tokens, the scale of the counts
    could move a pick.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gain = nn.Linear(1, dim)
        self.unit = nn.Embedding(len(UNITS), dim)
        self.query = nn.Parameter(torch.zeros(dim))
        self.key = nn.Linear(dim, dim, bias=False)
        self.value = nn.Linear(2 * dim, dim)

    def forward(self, tokens: Tensor, observed: Tensor, prepared: PreparedInput) -> Tensor:
        """Summarize tokens `(window, token, dim)` as `(window, dim)`."""
        gain = self.gain(prepared.log_gain[:, None].to(tokens.dtype)) + self.unit(prepared.unit_index)
        score = self.key(tokens) @ self.query / math.sqrt(tokens.shape[-1])
        visible = observed | ~observed.any(dim=1, keepdim=True)
        weight = score.masked_fill(~visible, -torch.inf).softmax(dim=1)
        mean = torch.einsum("wt,wtd->wd", weight, tokens)
        return self.value(torch.cat((mean, gain), dim=-1))


def init_module(module: nn.Module, std: float) -> None:
    """Initial weights of every layer that seisfm uses, for `_init_weights` of all its models.

    Convolutions keep the scale of their input (Kaiming); the linear layers are normal with `std`.
    """
    if isinstance(module, nn.Linear | nn.Embedding):
        init.normal_(module.weight, mean=0.0, std=std)
    elif isinstance(module, nn.Conv1d | nn.Conv2d):
        init.kaiming_normal_(module.weight, nonlinearity="relu")
    elif isinstance(module, nn.RMSNorm | ChannelNorm | nn.LayerNorm | nn.GroupNorm | nn.BatchNorm1d):
        init.ones_(module.weight)
    elif isinstance(module, GainPooling):
        init.normal_(module.query, mean=0.0, std=std)
    elif isinstance(module, MissingValue):
        init.normal_(module.value, mean=0.0, std=std)
    if getattr(module, "bias", None) is not None and isinstance(module.bias, nn.Parameter):
        init.zeros_(module.bias)
