"""SeisMoLLM's stem: stages of parallel convolutions from short kernels to long (Wang et al. 2025).

Channels, kernels and strides are the published ones (arXiv 2502.19960).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

KERNELS = (16, 8, 6, 1)
"""The shortest kernel of each stage of the stem."""

KERNEL_STEPS = (8, 6, 4, 2)
"""By how much the kernels of a stage differ."""

STRIDES = (2, 2, 2, 1)
BRANCHES = 4


class Branch(nn.Sequential):
    """One kernel of a stage: mix the channels, convolve over time, batch norm, GELU."""

    def __init__(self, inputs: int, outputs: int, kernel_size: int, stride: int) -> None:
        super().__init__(
            nn.Conv1d(inputs, inputs, 1, bias=False),
            # Output i lies at input i · stride. An even kernel reaches half a sample further ahead than back.
            nn.ConstantPad1d(((kernel_size - 1) // 2, kernel_size // 2), 0.0),
            nn.Conv1d(inputs, outputs, kernel_size, stride),
            nn.BatchNorm1d(outputs),
            nn.GELU(),
        )


class MultiScaleConv(nn.Module):
    """A stage of the stem: parallel kernels from short to long, then their mixture."""

    def __init__(self, inputs: int, outputs: int, kernels: tuple[int, ...], stride: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(Branch(inputs, outputs, kernel, stride) for kernel in kernels)
        self.mix = nn.Conv1d(outputs * len(kernels), outputs, 1)
        self.norm = nn.BatchNorm1d(outputs)

    def forward(self, features: Tensor) -> Tensor:
        """Features `(window, channel, sample)` at the rate divided by the stride."""
        return self.norm(self.mix(torch.cat([branch(features) for branch in self.branches], dim=1)))


class MultiScaleStem(nn.Module):
    """Waveforms `(window, component, sample)` to features at 1/2, 1/4 and twice 1/8 of the rate.

    missing: what stands for each component where it has no data, learned.
    """

    def __init__(self, num_components: int, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.missing = nn.Parameter(torch.zeros(num_components))
        self.stages = nn.ModuleList()
        inputs = num_components
        for outputs, shortest, step, stride in zip(channels, KERNELS, KERNEL_STEPS, STRIDES, strict=True):
            kernels = tuple(shortest + step * branch for branch in range(BRANCHES))
            self.stages.append(MultiScaleConv(inputs, outputs, kernels, stride))
            inputs = outputs

    def forward(self, waveform: Tensor, observed: Tensor) -> list[Tensor]:
        """The features of each stage."""
        features = torch.where(observed, waveform, self.missing[:, None].to(waveform.dtype))
        levels = []
        for stage in self.stages:
            features = stage(features)
            levels.append(features)
        return levels
