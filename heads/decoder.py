"""From tokens back to every sample: the dense decoder."""

from __future__ import annotations

from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from ..foundation.model import FeatureSpec, SeismicFeatures
from ..foundation.stem import ChannelNorm, double_rate


class Merge(nn.Module):
    """What comes from below joins the stem's skip of this rate, and both are refined by one convolution."""

    def __init__(self, below: int, skip: int, channels: int, kernel_size: int) -> None:
        super().__init__()
        self.from_below = nn.Conv1d(below, channels, 1)
        self.from_skip = nn.Conv1d(skip, channels, 1)
        self.norm = ChannelNorm(channels)
        self.conv = nn.Conv1d(channels, channels, kernel_size, padding=kernel_size // 2)

    def forward(self, below: Tensor, skip: Tensor) -> Tensor:
        """Features `(window, channel, sample)` at the skip's rate; `below` has that rate or half of it."""
        # The channels shrink before the rate doubles: the same sum at half of the cost.
        below = self.from_below(below)
        if below.shape[-1] != skip.shape[-1]:
            below = double_rate(below)
        merged = below + self.from_skip(skip)
        return merged + F.gelu(self.conv(self.norm(merged)))


class DenseDecoder(nn.Module):
    """Tokens `(window, token, dim)` to features `(window, channel, sample)` at the model's rate.

    A linear layer spreads each token over its samples at quarter rate; half and full rate follow by linear
    interpolation, each with the stem's output of that rate. No transposed convolution, and no norm over time.

    channels: at full, half and quarter rate.
    """

    def __init__(self, spec: FeatureSpec, channels: tuple[int, int, int]) -> None:
        super().__init__()
        full, half, quarter = channels
        self.samples = spec.token_samples // spec.skip_strides[-1]
        self.spread = nn.Linear(spec.dim, quarter * self.samples)
        self.quarter_rate = Merge(quarter, spec.skip_channels[2], quarter, 5)
        self.half_rate = Merge(quarter, spec.skip_channels[1], half, 5)
        self.full_rate = Merge(half, spec.skip_channels[0], full, 7)

    def forward(self, features: SeismicFeatures) -> Tensor:
        """Features `(window, channel, sample)` at the model's rate, padded to whole tokens."""
        spread = rearrange(
            self.spread(features.tokens),
            "window token (channel sample) -> window channel (token sample)",
            sample=self.samples,
        )
        full, half, quarter = features.skips  # type: ignore[misc]
        return self.full_rate(self.half_rate(self.quarter_rate(spread, quarter), half), full)
