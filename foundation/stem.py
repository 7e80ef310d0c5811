"""The convolution stem: from samples to tokens, anti-aliased, with skips for dense decoders."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from .encoder import Norm
from .handmade_gradients import ScaledOverChannels, by_hand

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
            return ScaledOverChannels.apply(features, self.weight, 1e-6)
        power = features.float().square().mean(dim=1, keepdim=True)
        return (features * torch.rsqrt(power + 1e-6)).to(features.dtype) * self.weight[:, None]


class ConvOverTime(nn.Conv1d):
    """An `nn.Conv1d` that wants the channels of a sample side by side in memory.

    A CPU multiplies them as they lie there; what `nn.Conv1d` is given it first has to sort: forwards and
    backwards in three quarters of the time. Made and called like one, since adapters put smaller ones of its
    kind beside it and scale its channels.
    """

    def forward(self, features: Tensor) -> Tensor:
        """As `nn.Conv1d` of stride 1: `(window, channel, sample)` to other channels."""
        weight, padding = self.weight[:, :, None], (0, int(self.padding[0]))
        return F.conv2d(_as_image(features), weight, self.bias, padding=padding).squeeze(2)


def conv_over_time(in_channels: int, out_channels: int, kernel_size: int) -> ConvOverTime:
    """A convolution that keeps the number of samples."""
    return ConvOverTime(in_channels, out_channels, kernel_size, padding=kernel_size // 2)


def _over_samples(conv: nn.Module, features: Tensor) -> Tensor:
    """A convolution of `(window, sample, channel)`, without moving anything in memory."""
    return conv(features.transpose(1, 2)).transpose(1, 2)


def _as_image(features: Tensor) -> Tensor:
    # (window, channel, 1, sample), whose strides make it what torch calls channels_last.
    return features[:, :, None]


class ResidualConv(nn.Module):
    """A convolution over time beside its identity, pre-normed. No norm sees more than one sample."""

    def __init__(self, channels: int, kernel_size: int) -> None:
        super().__init__()
        self.norm = Norm(channels)
        self.conv = conv_over_time(channels, channels, kernel_size)
        self.mix = conv_over_time(channels, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Refine features `(window, sample, channel)`."""
        between = F.gelu(_over_samples(self.conv, self.norm(features)))
        return features + _over_samples(self.mix, between)


def blur_downsample(features: Tensor) -> Tensor:
    """Halve the rate behind a binomial low-pass, so that a shift by one sample stays a shift (Zhang 2019).

    features: `(window, sample, channel)`.
    """
    kernel = features.new_tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    channels = features.shape[-1]
    kernels = kernel.expand(channels, 1, 1, 5)
    image = _as_image(features.transpose(1, 2))
    blurred = F.conv2d(image, kernels, stride=(1, 2), padding=(0, 2), groups=channels)
    return blurred.squeeze(2).transpose(1, 2)


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
        self.full_rate = conv_over_time(3 * num_components, full, 11)
        self.half_rate = conv_over_time(full, half, 7)
        self.half_refine = ResidualConv(half, 7)
        self.quarter_rate = conv_over_time(half, quarter, 7)
        self.quarter_refine = ResidualConv(quarter, 7)
        self.patch_samples = token_samples // STRIDES[-1]
        self.patch = nn.Linear(quarter * self.patch_samples, dim)

    def forward(self, waveform: Tensor, observed: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Tokens `(window, token, dim)` and skips `(window, channel, sample)` at the rates of `STRIDES`."""
        pieces, skips = self.pieces(waveform, observed)
        return self.embed(pieces), skips

    def pieces(self, waveform: Tensor, observed: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """What becomes tokens, `(window, token, sample, channel)` at quarter rate, and the skips."""
        views = component_views(waveform, observed).transpose(1, 2).contiguous()
        full = F.gelu(_over_samples(self.full_rate, views))
        half = self.half_refine(F.gelu(_over_samples(self.half_rate, blur_downsample(full))))
        quarter = self.quarter_refine(F.gelu(_over_samples(self.quarter_rate, blur_downsample(half))))
        skips = tuple(features.transpose(1, 2) for features in (full, half, quarter))
        return quarter.unflatten(1, (-1, self.patch_samples)), skips

    def embed(self, pieces: Tensor) -> Tensor:
        """Tokens `(window, token, dim)`, each from its own piece alone."""
        return self.patch(rearrange(pieces, "window token sample channel -> window token (channel sample)"))
