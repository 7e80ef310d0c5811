"""Tokens without what is the same all over their window."""

from __future__ import annotations

import torch
from torch import Tensor


def standardize_over_time(tokens: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
    """Each feature of tokens `(window, token, dim)` with zero mean and unit variance over a window's tokens.

    observed: bool `(window, token)`, the tokens that count. Also returns the variances `(window, 1, dim)`
    that were divided out, 0 for a window without data.
    """
    weight = observed[..., None].to(tokens.dtype)
    count = weight.sum(dim=1, keepdim=True).clamp(min=1)
    tokens = tokens - (tokens * weight).sum(dim=1, keepdim=True) / count
    variance = (tokens.square() * weight).sum(dim=1, keepdim=True) / count
    return tokens * torch.rsqrt(variance + 1e-6), variance
