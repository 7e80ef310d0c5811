"""A prepared window as whole tokens: what every backbone begins with."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from .contract import PreparedInput


@dataclass(frozen=True)
class TokenGrid:
    """A window padded to whole tokens, and where its tokens lie.

    waveform, observed: `(window, component, sample)` at the model's rate; what was added is not observed.
    sample_observed: bool `(window, sample)`: any component has data.
    token_time_s: `(window, token)`, each token's centre after the window's first sample.
    token_observed: bool `(window, token)`: has any data.
    """

    waveform: Tensor
    observed: Tensor
    sample_observed: Tensor
    token_time_s: Tensor
    token_observed: Tensor

    @classmethod
    def of(cls, prepared: PreparedInput, token_samples: int, rate_hz: float, dtype: torch.dtype) -> TokenGrid:
        """The grid of what the contract has made ready, with `token_samples` at `rate_hz` in a token."""
        padding = -prepared.num_samples % token_samples
        waveform = F.pad(prepared.waveform, (0, padding)).to(dtype)
        observed = F.pad(prepared.observed, (0, padding))
        sample_observed = observed.any(dim=1)
        token_observed = sample_observed.unflatten(-1, (-1, token_samples)).any(dim=-1)
        index = torch.arange(token_observed.shape[1], device=waveform.device, dtype=torch.float32)
        time_s = ((index + 0.5) * token_samples / rate_hz).expand(waveform.shape[0], -1)
        return cls(waveform, observed, sample_observed, time_s, token_observed)
