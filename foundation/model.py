"""The encoder that is pretrained, saved and loaded: `SeismicConfig` and `SeismicModel`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from huggingface_hub.dataclasses import strict
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel
from transformers import initialization as init
from transformers.utils import ModelOutput

from ..data.batch import UNITS, WaveformBatch
from ..data.instruments.resampling import rate_ratio
from .contract import InputContract, PreparedInput
from .encoder import Encoder
from .stem import STRIDES, ChannelNorm, Stem
from .token_grid import TokenGrid

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
class SeismicConfig(PreTrainedConfig):
    """Architecture and input contract of an encoder.

    token_samples: samples of one token at the contract's model rate (16 at 100 Hz: 6.25 tokens per second).
    stem_channels: channels of the stem at full, half and quarter rate.
    input_contract: `InputContract.to_dict()`. There is no default: a model without one is refused.
    """

    model_type = "seisfm"

    hidden_size: int = 192
    num_hidden_layers: int = 6
    num_attention_heads: int = 6
    intermediate_size: int | None = None
    stem_channels: list[int] | tuple[int, ...] = (16, 32, 64)
    token_samples: int = 16
    initializer_range: float = 0.02
    input_contract: dict | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        """Fill the feed-forward width: 8/3 of the width, as SwiGLU has three matrices, in steps of 64."""
        if self.intermediate_size is None:
            self.intermediate_size = 64 * round(self.hidden_size * 8 / 3 / 64)
        super().__post_init__(**kwargs)

    @classmethod
    def of_size(cls, size: str, contract: InputContract, **changes: Any) -> SeismicConfig:
        """One of the named sizes with a contract. Raises ValueError listing the sizes for another name."""
        if size not in SIZES:
            raise ValueError(f"unknown size {size!r}: the sizes are {sorted(SIZES)}")
        return cls(**SIZES[size] | {"input_contract": contract.to_dict()} | changes)

    def contract(self) -> InputContract:
        """The input contract. Raises ContractError where there is none."""
        return InputContract.from_dict(self.input_contract, source=self.name_or_path or "this configuration")


@dataclass(frozen=True, kw_only=True)
class FeatureSpec:
    """What a head is told about the features: widths and rates, never the encoder that made them.

    skip_strides: samples at `rate_hz` per sample of each skip.
    """

    dim: int
    token_samples: int
    skip_channels: tuple[int, ...]
    skip_strides: tuple[int, ...]
    rate_hz: float


@dataclass
class SeismicFeatures(ModelOutput):
    """What the encoder knows of each window.

    tokens: `(window, token, dim)`; visible ones only, where tokens were hidden.
    token_time_s: `(window, token)`, each token's centre after the window's first sample.
    token_observed: bool `(window, token)`: has any data.
    skips: the stem's `(window, channel, sample)` at full, half and quarter model rate.
    sample_observed: bool `(window, sample)` at model rate: any component has data.
    pooled: `(window, dim)`, an attention-weighted summary that has seen the log gain.
    log_gain: `(window,)`, log10 of the amplitude that normalization took away, in input units.
    num_samples: samples at the model's rate before padding to whole tokens.
    """

    tokens: Tensor | None = None
    token_time_s: Tensor | None = None
    token_observed: Tensor | None = None
    skips: tuple[Tensor, ...] | None = None
    sample_observed: Tensor | None = None
    pooled: Tensor | None = None
    log_gain: Tensor | None = None
    num_samples: int | None = None


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
    elif isinstance(module, nn.RMSNorm | ChannelNorm | nn.LayerNorm | nn.GroupNorm):
        init.ones_(module.weight)
    elif isinstance(module, GainPooling):
        init.normal_(module.query, mean=0.0, std=std)
    if getattr(module, "bias", None) is not None and isinstance(module.bias, nn.Parameter):
        init.zeros_(module.bias)


class SeismicModel(PreTrainedModel):
    """The waveform encoder: contract, stem, transformer.

    Anti-aliased stem to a quarter of the rate, patches, pre-norm transformer with rotary positions in seconds
    (see `docs/architecture.md`). Takes a `WaveformBatch` of any rate and length that its contract allows.
    """

    config_class = SeismicConfig
    base_model_prefix = "encoder"
    main_input_name = "waveform"
    supports_gradient_checkpointing = True
    _no_split_modules = ["Block"]  # noqa: RUF012  # transformers' own spelling
    _supports_sdpa = True

    def __init__(self, config: SeismicConfig) -> None:
        super().__init__(config)
        self.contract = config.contract()
        dim = config.hidden_size
        full, half, quarter = config.stem_channels
        self.stem = Stem(len(self.contract.components), (full, half, quarter), config.token_samples, dim)
        assert config.intermediate_size is not None, "SeismicConfig fills it in"
        self.encoder = Encoder(
            dim, config.num_hidden_layers, config.num_attention_heads, config.intermediate_size
        )
        self.pooling = GainPooling(dim)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        init_module(module, self.config.initializer_range)

    @property
    def feature_spec(self) -> FeatureSpec:
        """What a head needs to know."""
        return FeatureSpec(
            dim=self.config.hidden_size,
            token_samples=self.config.token_samples,
            skip_channels=tuple(self.config.stem_channels),
            skip_strides=STRIDES,
            rate_hz=self.contract.model_rate_hz,
        )

    def num_tokens(self, batch: WaveformBatch) -> int:
        """How many tokens the longest window of a batch has."""
        return math.ceil(self.contract.num_samples(batch) / self.config.token_samples)

    def hide(self, batch: WaveformBatch, hidden: Tensor) -> WaveformBatch:
        """Remove the samples of hidden tokens from the input itself, before anything can see them.

        hidden: bool `(window, token)`.
        """
        rates_hz = batch.sampling_rate_hz.tolist()
        # The contract's own ratio: a digitizer's 99.998 Hz counts as 100 Hz there, and must here.
        ratios = [float(rate_ratio(rate, self.contract.model_rate_hz)) for rate in rates_hz]
        ratio = torch.tensor(ratios, device=batch.device, dtype=torch.float64)[:, None]
        index = torch.arange(batch.num_samples, device=batch.device)
        token = ((index + 1e-3) * ratio / self.config.token_samples).long().clamp(max=hidden.shape[1] - 1)
        gone = hidden.gather(1, token)[:, None, :]
        waveform = batch.waveform.masked_fill(gone, torch.nan)
        return batch.replace(waveform=waveform, observed=batch.observed & ~gone)

    def forward(self, batch: WaveformBatch, hidden: Tensor | None = None) -> SeismicFeatures:
        """Features of a batch.

        hidden: bool `(window, token)`, the same number in each window: these tokens' samples are removed
            before the contract and the stem, and the tokens never enter the encoder.

        Raises ContractError where the batch breaks the input contract.
        """
        if hidden is not None:
            batch = self.hide(batch, hidden)
        with torch.autocast(device_type=batch.device.type, enabled=False):
            prepared = self.contract.prepare(batch)
        return self.encode(prepared, hidden)

    def encode(self, prepared: PreparedInput, hidden: Tensor | None = None) -> SeismicFeatures:
        """Features of what the contract has made ready."""
        grid = TokenGrid.of(prepared, self.config.token_samples, self.contract.model_rate_hz, self.dtype)
        tokens, skips = self.stem(grid.waveform, grid.observed)
        time_s, token_observed = grid.token_time_s, grid.token_observed
        if hidden is not None:
            tokens, time_s, token_observed = (
                _visible(part, hidden) for part in (tokens, time_s, token_observed)
            )
        tokens = self.encoder(tokens, time_s, token_observed)
        return SeismicFeatures(
            tokens=tokens,
            token_time_s=time_s,
            token_observed=token_observed,
            skips=skips,
            sample_observed=grid.sample_observed,
            pooled=self.pooling(tokens, token_observed, prepared),
            log_gain=prepared.log_gain,
            num_samples=prepared.num_samples,
        )


def _visible(values: Tensor, hidden: Tensor) -> Tensor:
    """The entries `(window, visible token, …)` that are not hidden, without padding."""
    counts = (~hidden).sum(dim=1)
    if not bool((counts == counts[0]).all()) or hidden.shape != values.shape[:2]:
        raise ValueError(
            f"hidden must be (window, token) {tuple(values.shape[:2])} with the same number in each window, "
            f"found {tuple(hidden.shape)} with {counts.min()} to {counts.max()} visible"
        )
    return values[~hidden].unflatten(0, (values.shape[0], -1))


AutoConfig.register("seisfm", SeismicConfig)
AutoModel.register(SeismicConfig, SeismicModel)
