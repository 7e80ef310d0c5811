"""The convolution stem: from samples to tokens, anti-aliased, with skips for dense decoders."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from .handmade_gradients import ScaledToUnitRMS, by_hand

STRIDES = (1, 2, 4)
"""Input samples per sample of each skip."""

COMPRESSION = 20.0
"""Below 1/20 of the normalized amplitude the compressed view of the waveform is linear, above logarithmic."""


class ChannelNorm(nn.Module):
    """RMS norm over the channels at each sample of `(window, channel, sample)`: time never mixes."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, features: Tensor) -> Tensor:
        """Scale each sample's channel vector to unit RMS."""
        if by_hand(features) and features.dtype == self.weight.dtype:
            return ScaledToUnitRMS.apply(features, self.weight, 1e-6, -2)
        power = features.float().square().mean(dim=1, keepdim=True)
        return (features * torch.rsqrt(power + 1e-6)).to(features.dtype) * self.weight[:, None]


class ResidualConv(nn.Module):
    """A convolution over time beside its identity, pre-normed."""

    def __init__(self, channels: int, kernel_size: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(channels)
        self.conv = nn.Conv1d(channels, channels, kernel_size, padding=kernel_size // 2)
        self.mix = nn.Conv1d(channels, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Refine features `(window, channel, sample)`."""
        return features + self.mix(F.gelu(self.conv(self.norm(features))))


def blur_downsample(features: Tensor) -> Tensor:
    """Halve the rate behind a binomial low-pass, so that a shift by one sample stays a shift (Zhang 2019)."""
    kernel = features.new_tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    channels = features.shape[1]
    return F.conv1d(features, kernel.expand(channels, 1, 5), stride=2, padding=2, groups=channels)


def double_rate(features: Tensor) -> Tensor:
    """Twice the samples of `(window, channel, sample)`, linearly between them.

    Sample i lands on sample 2i, as down-sampling keeps every second sample. `F.interpolate` would shift
    everything by a quarter of a sample at each doubling.
    """
    following = torch.cat((features[..., 1:], features[..., -1:]), dim=-1)
    return torch.stack((features, (features + following) / 2), dim=-1).flatten(-2)


def component_views(waveform: Tensor, observed: Tensor) -> Tensor:
    """What a network sees of each component, `(window, 3 · component, sample)`.

    Its normalized value, an asinh-compressed copy (a P onset is often a thousand times smaller than the S
    that set the scale), and a flag where it is missing, whose weights are the learned embedding of "missing".
    """
    compressed = torch.asinh(waveform * COMPRESSION) / 3
    return torch.cat((waveform.clamp(-10, 10), compressed, (~observed).to(waveform.dtype)), dim=1)


class MissingValue(nn.Module):
    """The plain components, with a learned value of each one where it is missing: one is not a zero.

    For networks whose published first layer takes the components themselves; `component_views` says more.
    """

    def __init__(self, num_components: int) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.zeros(num_components))

    def forward(self, waveform: Tensor, observed: Tensor) -> Tensor:
        """What the network sees of `(window, component, sample)`, 0 where not observed."""
        return waveform + self.value[:, None] * (~observed).to(waveform.dtype)


class Stem(nn.Module):
    """Waveforms `(window, component, sample)` to tokens, by way of full, half and quarter rate.

    Each component enters in the views of `component_views`. No norm sees more than one sample in time.
    """

    def __init__(
        self, num_components: int, channels: tuple[int, int, int], token_samples: int, dim: int
    ) -> None:
        super().__init__()
        full, half, quarter = channels
        self.full_rate = nn.Conv1d(3 * num_components, full, 11, padding=5)
        self.half_rate = nn.Conv1d(full, half, 7, padding=3)
        self.half_refine = ResidualConv(half, 7)
        self.quarter_rate = nn.Conv1d(half, quarter, 7, padding=3)
        self.quarter_refine = ResidualConv(quarter, 7)
        self.patch_samples = token_samples // STRIDES[-1]
        self.patch = nn.Linear(quarter * self.patch_samples, dim)

    def forward(self, waveform: Tensor, observed: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Tokens `(window, token, dim)` and skips `(window, channel, sample)` at the rates of `STRIDES`."""
        full = F.gelu(self.full_rate(component_views(waveform, observed)))
        half = self.half_refine(F.gelu(self.half_rate(blur_downsample(full))))
        quarter = self.quarter_refine(F.gelu(self.quarter_rate(blur_downsample(half))))
        patches = rearrange(
            quarter,
            "window channel (token sample) -> window token (channel sample)",
            sample=self.patch_samples,
        )
        return self.patch(patches), (full, half, quarter)
