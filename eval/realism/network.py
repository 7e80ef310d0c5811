"""A small convolutional network that looks at the waveforms themselves for what tells synthetic from real."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from .excerpts import Excerpt
from .two_sample import TwoSampleConfig, auc, auc_interval, event_folds

JITTER_S = 0.5


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """The network's view and training.

    before_p_s, after_p_s: the window around P. channels: of its layers, each halving the rate.
    """

    before_p_s: float = 3.0
    after_p_s: float = 9.0
    channels: tuple[int, ...] = (16, 24, 32, 32, 32)
    num_epochs: int = 25
    batch_size: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2


@dataclass(frozen=True, kw_only=True)
class NetworkSeparation:
    """AUC with its 95 % interval over events, and the score of each record, real ones first."""

    auc: float
    low: float
    high: float
    score: NDArray[np.float64]


class Discriminator(nn.Module):
    """Strided convolutions, mean and largest of each channel, and one number that is high for synthetics."""

    def __init__(self, channels: Sequence[int]):
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in zip((3, *channels[:-1]), channels, strict=True):
            layers += [nn.Conv1d(before, after, 7, stride=2, padding=3), nn.GroupNorm(1, after), nn.GELU()]
        self.layers = nn.Sequential(*layers)
        self.out = nn.Linear(2 * channels[-1], 1)

    def forward(self, waveform: Tensor) -> Tensor:
        """Logits `(window,)` of waveforms `(window, component, sample)`."""
        seen = self.layers(waveform)
        return self.out(torch.cat([seen.mean(dim=-1), seen.amax(dim=-1)], dim=1)).squeeze(1)


def separate_waveforms(
    real: Sequence[Excerpt], synthetic: Sequence[Excerpt], config: NetworkConfig, sample: TwoSampleConfig
) -> NetworkSeparation:
    """Cross-validation by event of the network on windows that are compressed so that noise is seen as well.

    Raises ValueError where the excerpts are too short for the window.
    """
    both = [*real, *synthetic]
    is_synthetic = np.arange(len(both)) >= len(real)
    windows = torch.stack([_window(excerpt, config) for excerpt in both])
    events = np.array([excerpt.event_id for excerpt in both])
    fold = event_folds(events.tolist(), is_synthetic, sample)
    score = np.zeros(len(both))
    target = torch.from_numpy(is_synthetic).float()
    margin = round(JITTER_S * both[0].sampling_rate_hz)
    for one in range(sample.num_folds):
        held_out = torch.from_numpy(fold == one)
        network = _trained(windows[~held_out], target[~held_out], margin, config, sample.seed + one)
        with torch.inference_mode():
            score[held_out.numpy()] = network(windows[held_out][..., margin:-margin]).double().numpy()
    low, high = auc_interval(score, is_synthetic, events, sample)
    return NetworkSeparation(auc=auc(score, is_synthetic), low=low, high=high, score=score)


def _window(excerpt: Excerpt, config: NetworkConfig) -> Tensor:
    """From before P to after it with room to jitter, its amplitudes compressed about their median size."""
    rate_hz = excerpt.sampling_rate_hz
    begin = excerpt.p_sample - round((config.before_p_s + JITTER_S) * rate_hz)
    end = excerpt.p_sample + round((config.after_p_s + JITTER_S) * rate_hz)
    length = excerpt.waveform.shape[1]
    if begin < 0 or end > length:
        raise ValueError(
            f"record {excerpt.record_id}: the network needs {config.before_p_s + JITTER_S:g} s before and "
            f"{config.after_p_s + JITTER_S:g} s after P, the excerpt has {excerpt.p_sample / rate_hz:.1f} "
            f"and {(length - excerpt.p_sample) / rate_hz:.1f} s: cut longer excerpts"
        )
    part = excerpt.waveform[:, begin:end]
    return torch.from_numpy(np.arcsinh(part / max(float(np.median(np.abs(part))), 1e-12))).float()


def _trained(windows: Tensor, target: Tensor, margin: int, config: NetworkConfig, seed: int) -> Discriminator:
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Discriminator(config.channels)
    optimizer = torch.optim.AdamW(
        network.parameters(), config.learning_rate, weight_decay=config.weight_decay
    )
    # Both kinds count alike.
    rarity = (1.0 - target).sum() / target.sum()
    steps = config.num_epochs * -(-len(windows) // config.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.learning_rate, total_steps=steps)
    for _ in range(config.num_epochs):
        for rows in torch.randperm(len(windows), generator=generator).split(config.batch_size):
            shift = int(torch.randint(0, 2 * margin + 1, (), generator=generator))
            part = windows[rows, :, shift : windows.shape[-1] - 2 * margin + shift]
            flip = torch.randint(0, 2, (len(rows), 3, 1), generator=generator) * 2.0 - 1.0
            loss = F.binary_cross_entropy_with_logits(
                network(part * flip), target[rows], pos_weight=rarity.expand(len(rows))
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network.eval()
