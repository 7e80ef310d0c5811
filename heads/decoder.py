"""From tokens back to every sample: the dense decoder."""

from __future__ import annotations

from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from ..foundation.features import SKIP_STRIDES, FeatureSpec, SeismicFeatures
from ..foundation.stem import ChannelNorm, double_rate


class Merge(nn.Module):
    """What comes from below joins the backbone's skip of this rate, and both are refined by one convolution.

    skip: its channels, 0 for a backbone that has none of this rate.
    """

    def __init__(self, below: int, skip: int, channels: int, kernel_size: int) -> None:
        super().__init__()
        self.from_below = nn.Conv1d(below, channels, 1)
        self.from_skip = nn.Conv1d(skip, channels, 1) if skip else None
        self.norm = ChannelNorm(channels)
        self.conv = nn.Conv1d(channels, channels, kernel_size, padding=kernel_size // 2)

    def forward(self, below: Tensor, skip: Tensor | None, num_samples: int) -> Tensor:
        """Features `(window, channel, sample)` with so many samples; `below` has those or half of them."""
        # The channels shrink before the rate doubles: the same sum at half of the cost.
        merged = self.from_below(below)
        if merged.shape[-1] != num_samples:
            merged = double_rate(merged)
        if self.from_skip is not None:
            merged = merged + self.from_skip(skip)
        return merged + F.gelu(self.conv(self.norm(merged)))


class DenseDecoder(nn.Module):
    """Tokens `(window, token, dim)` to features `(window, channel, sample)` at the model's rate.

    A linear layer spreads each token over its samples at quarter rate; half and full rate follow by linear
    interpolation, each with the backbone's skip of that rate where it has one. No transposed convolution, and
    no norm over time.

    channels: at full, half and quarter rate.
    """

    def __init__(self, spec: FeatureSpec, channels: tuple[int, int, int]) -> None:
        super().__init__()
        full, half, quarter = channels
        self.skip_strides = spec.skip_strides
        skips = dict(zip(spec.skip_strides, spec.skip_channels, strict=True))
        self.samples = spec.token_samples // SKIP_STRIDES[-1]
        self.spread = nn.Linear(spec.dim, quarter * self.samples)
        self.quarter_rate = Merge(quarter, skips.get(4, 0), quarter, 5)
        self.half_rate = Merge(quarter, skips.get(2, 0), half, 5)
        self.full_rate = Merge(half, skips.get(1, 0), full, 7)

    def forward(self, features: SeismicFeatures) -> Tensor:
        """Features `(window, channel, sample)` at the model's rate, padded to whole tokens."""
        spread = rearrange(
            self.spread(features.tokens),
            "window token (channel sample) -> window channel (token sample)",
            sample=self.samples,
        )
        assert features.skips is not None
        skips = dict(zip(self.skip_strides, features.skips, strict=True))
        num_samples = spread.shape[-1]
        quarter = self.quarter_rate(spread, skips.get(4), num_samples)
        half = self.half_rate(quarter, skips.get(2), 2 * num_samples)
        return self.full_rate(half, skips.get(1), 4 * num_samples)
