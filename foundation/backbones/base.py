"""What every backbone is: waveforms under an input contract in, `SeismicFeatures` out."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, Self

import torch
from huggingface_hub.dataclasses import strict
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel

from ...data.batch import WaveformBatch
from ...data.instruments.resampling import rate_ratio
from ..contract import InputContract, PreparedInput
from ..features import FeatureSpec, GainPooling, SeismicFeatures, init_module
from ..places import WindowPlaces
from ..token_grid import TokenGrid


@strict
class BackboneConfig(PreTrainedConfig):
    """Architecture and input contract of a backbone.

    initializer_range: standard deviation of the first weights of linear layers.
    input_contract: `InputContract.to_dict()`. There is no default: a model without one is refused.
    """

    sizes: ClassVar[dict[str, dict[str, Any]]] = {}

    initializer_range: float = 0.02
    input_contract: dict | None = None

    @classmethod
    def of_size(cls, size: str, contract: InputContract, **changes: Any) -> Self:
        """One of the named sizes with a contract. Raises ValueError listing the sizes for another name."""
        if size not in cls.sizes:
            raise ValueError(f"unknown size {size!r} of {cls.model_type}: the sizes are {sorted(cls.sizes)}")
        return cls(**cls.sizes[size] | {"input_contract": contract.to_dict()} | changes)

    def contract(self) -> InputContract:
        """The input contract. Raises ContractError where there is none."""
        return InputContract.from_dict(self.input_contract, source=self.name_or_path or "this configuration")


class Backbone(PreTrainedModel):
    """A network below the heads. One that is added says what it makes of a grid of samples: `read`.

    Takes a `WaveformBatch` of any rate and length that its contract allows. Subclasses set `pooling` to a
    `GainPooling` of their width.

    drops_hidden: hidden tokens never enter the network, which gets cheaper; where False, they go in as tokens
        without data, and come out as what the network makes of their surroundings.
    """

    config: BackboneConfig
    base_model_prefix = "encoder"
    main_input_name = "waveform"
    drops_hidden: ClassVar[bool] = False

    pooling: GainPooling

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__(config)
        self.contract = config.contract()

    def _init_weights(self, module: torch.nn.Module) -> None:
        init_module(module, self.config.initializer_range)

    @property
    @abstractmethod
    def feature_spec(self) -> FeatureSpec:
        """What a head needs to know."""

    @abstractmethod
    def read(self, grid: TokenGrid, hidden: Tensor | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Tokens `(window, token, dim)` and skips `(window, channel, sample)` of a grid of whole tokens.

        hidden: bool `(window, token)`, given to a backbone that drops them: the tokens are the visible ones.
        """

    def read_with_summary(
        self, grid: TokenGrid, hidden: Tensor | None = None
    ) -> tuple[Tensor, tuple[Tensor, ...], Tensor | None]:
        """What `read` says, and tokens `(window, summary, dim)` of whole windows; None where there are none.

        Where there are, the pooling takes these instead of the others.
        """
        return *self.read(grid, hidden), None

    def frozen_parameters(self) -> Iterator[torch.nn.Parameter]:
        """Parameters that no training moves, because the architecture says so; for most backbones none."""
        return iter(())

    def num_tokens(self, batch: WaveformBatch) -> int:
        """How many tokens the longest window of a batch has."""
        return math.ceil(self.contract.num_samples(batch) / self.feature_spec.token_samples)

    def hide(self, batch: WaveformBatch, hidden: Tensor) -> WaveformBatch:
        """Remove the samples of hidden tokens from the input itself, before anything can see them.

        hidden: bool `(window, token)`.
        """
        rates_hz = batch.sampling_rate_hz.tolist()
        # The contract's own ratio: a digitizer's 99.998 Hz counts as 100 Hz there, and must here.
        ratios = [float(rate_ratio(rate, self.contract.model_rate_hz)) for rate in rates_hz]
        ratio = torch.tensor(ratios, device=batch.device, dtype=torch.float64)[:, None]
        index = torch.arange(batch.num_samples, device=batch.device)
        token = ((index + 1e-3) * ratio / self.feature_spec.token_samples).long()
        gone = hidden.gather(1, token.clamp(max=hidden.shape[1] - 1))[:, None, :]
        waveform = batch.waveform.masked_fill(gone, torch.nan)
        return batch.replace(waveform=waveform, observed=batch.observed & ~gone)

    def prepare(self, batch: WaveformBatch) -> PreparedInput:
        """What the contract makes of a batch, always in full precision.

        Raises ContractError where the batch breaks it.
        """
        with torch.no_grad(), torch.autocast(device_type=batch.device.type, enabled=False):
            return self.contract.prepare(batch)

    def forward(self, batch: WaveformBatch, hidden: Tensor | None = None) -> SeismicFeatures:
        """Features of a batch.

        hidden: bool `(window, token)`: these tokens' samples are removed before the contract and the network
            (see `drops_hidden`). The same number in each window, where the backbone drops them.

        Raises ContractError where the batch breaks the input contract.
        """
        batch = batch if hidden is None else self.hide(batch, hidden)
        features = self.encode(self.prepare(batch), hidden)
        features.places = WindowPlaces.of(batch)
        return features

    def encode(self, prepared: PreparedInput, hidden: Tensor | None = None) -> SeismicFeatures:
        """Features of what the contract has made ready, from which hidden samples are gone already."""
        grid = TokenGrid.of(
            prepared, self.feature_spec.token_samples, self.contract.model_rate_hz, self.dtype
        )
        time_s, observed = grid.token_time_s, grid.token_observed
        dropped = hidden if self.drops_hidden else None
        tokens, skips, summary = self.read_with_summary(grid, dropped)
        if dropped is not None:
            time_s, observed = visible_entries(time_s, dropped), visible_entries(observed, dropped)
        if summary is None:
            pooled = self.pooling(tokens, observed, prepared)
        else:
            pooled = self.pooling(summary, observed.new_ones(summary.shape[:2]), prepared)
        return SeismicFeatures(
            tokens=tokens,
            token_time_s=time_s,
            token_observed=observed,
            skips=skips,
            sample_observed=grid.sample_observed,
            pooled=pooled,
            log_gain=prepared.log_gain,
            num_samples=prepared.num_samples,
            waveform=grid.waveform,
        )


class TokenBackbone(Backbone):
    """A backbone that first turns pieces of the waveform into tokens and then lets them see each other.

    What needs the two apart (contrasting what was hidden with what its surroundings suggest) works on these.
    """

    @abstractmethod
    def embed(self, grid: TokenGrid) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Local tokens `(window, token, dim)`, which know little beyond their own samples, and skips."""

    @abstractmethod
    def contextualize(self, tokens: Tensor, token_time_s: Tensor, observed: Tensor) -> Tensor:
        """Tokens `(window, token, dim)` that know of each other. No one attends to an unobserved one."""

    def read(self, grid: TokenGrid, hidden: Tensor | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """See `Backbone.read`."""
        tokens, skips = self.embed(grid)
        time_s, observed = grid.token_time_s, grid.token_observed
        if hidden is not None:
            tokens, time_s, observed = (visible_entries(part, hidden) for part in (tokens, time_s, observed))
        return self.contextualize(tokens, time_s, observed), skips


def visible_entries(values: Tensor, hidden: Tensor) -> Tensor:
    """The entries `(window, visible token, …)` that are not hidden, without padding.

    Raises ValueError where windows differ in how many are hidden.
    """
    counts = (~hidden).sum(dim=1)
    if not bool((counts == counts[0]).all()) or hidden.shape != values.shape[:2]:
        raise ValueError(
            f"hidden must be (window, token) {tuple(values.shape[:2])} with the same number in each window, "
            f"found {tuple(hidden.shape)} with {counts.min()} to {counts.max()} visible"
        )
    return values[~hidden].unflatten(0, (values.shape[0], -1))
