"""What a whole window tells, for heads that give one answer a window."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..foundation.features import FeatureSpec, SeismicFeatures

TIME_SCALE_S = 10.0
GAIN_SCALE = 5.0
"""Seconds between two attended moments, and decades of gain, that enter as 1."""


def in_full_precision(tensor: Tensor) -> torch.autocast:
    """Within it, layers compute in the precision of their weights, whatever the run mixes."""
    return torch.autocast(device_type=tensor.device.type, enabled=False)


class WindowSummary(nn.Module):
    """A few learned looks at the tokens, how many seconds lie between them, and the gain.

    Each look is a mean over the observed tokens under a learned attention; the seconds from the first look to
    each other one can learn to be S − P. Nothing depends on where in the window the event lies.

    hidden: width of what is taken from each token. looks: how many. with_gain: whether the answer may depend
    on the absolute amplitude: `pooled` and the log gain then enter, which decides a magnitude and must not
    decide a direction.
    """

    def __init__(self, spec: FeatureSpec, hidden: int, looks: int, with_gain: bool) -> None:
        super().__init__()
        self.with_gain = with_gain
        self.value = nn.Linear(spec.dim, hidden)
        self.score = nn.Linear(hidden, looks, bias=False)
        self.width = looks * hidden + looks - 1 + (spec.dim + 1 if with_gain else 0)

    def forward(self, features: SeismicFeatures) -> Tensor:
        """The summary `(window, width)`, in the precision of the weights."""
        assert features.tokens is not None and features.token_time_s is not None
        dtype = self.value.weight.dtype
        value = F.gelu(self.value(features.tokens.to(dtype)))
        weight = self._attention(self.score(value), features["token_observed"])
        looks = torch.einsum("wtl,wth->wlh", weight, value)
        time_s = torch.einsum("wtl,wt->wl", weight, features.token_time_s.to(dtype))
        parts = [looks.flatten(1), (time_s[:, 1:] - time_s[:, :1]) / TIME_SCALE_S]
        if self.with_gain:
            # Once more by itself: mixed precision keeps 8 bits of it in `pooled`, a tenth of a magnitude.
            gain = features["log_gain"][:, None].to(dtype) / GAIN_SCALE
            parts += [features["pooled"].to(dtype), gain]
        return torch.cat(parts, dim=1)

    def _attention(self, score: Tensor, observed: Tensor) -> Tensor:
        """Weights `(window, token, look)` that sum to 1 over the observed tokens (all, where none is)."""
        visible = observed | ~observed.any(dim=1, keepdim=True)
        score = score / math.sqrt(self.value.out_features)
        return score.masked_fill(~visible[..., None], -torch.inf).softmax(dim=1)
