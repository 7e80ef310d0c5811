"""Everything that training does to a batch of windows, in order, seeded and switchable one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch

from .batch import WaveformBatch
from .distortions import Clipping, ComponentDropout, Gain, Gaps, PolarityFlip, Resampling, Spikes
from .mixing import ColouredNoise, RealNoise, Stacking
from .records import Record


@dataclass(frozen=True, kw_only=True)
class AugmentationConfig:
    """One entry an augmentation, in the order in which they are applied: the ground, then the instrument.

    A probability of 0 switches one off. It is a window's chance, except that `resampling` falls on a whole
    batch. `real_noise` acts where noise records are given.
    """

    stacking: Stacking = field(default_factory=Stacking)
    real_noise: RealNoise = field(default_factory=RealNoise)
    coloured_noise: ColouredNoise = field(default_factory=ColouredNoise)
    polarity_flip: PolarityFlip = field(default_factory=PolarityFlip)
    gain: Gain = field(default_factory=Gain)
    clipping: Clipping = field(default_factory=Clipping)
    spikes: Spikes = field(default_factory=Spikes)
    resampling: Resampling = field(default_factory=Resampling)
    component_dropout: ComponentDropout = field(default_factory=ComponentDropout)
    gaps: Gaps = field(default_factory=Gaps)


class Augmenter:
    """Makes of a batch one that could have been recorded elsewhere: other noise, instrument, and losses.

    Called as `(batch, generator) -> batch`, with the generator on the batch's device. The same state of the
    generator gives the same result.
    """

    def __init__(self, config: AugmentationConfig, noise_records: Sequence[Record] = ()):
        self.config = config
        steps: list[Callable[[WaveformBatch, torch.Generator], WaveformBatch] | None] = [
            config.stacking,
            partial(config.real_noise, noise_records=noise_records) if len(noise_records) else None,
            config.coloured_noise,
            config.polarity_flip,
            config.gain,
            config.clipping,
            config.spikes,
            config.resampling,
            config.component_dropout,
            config.gaps,
        ]
        self._steps = [step for step in steps if step is not None]

    def __call__(self, batch: WaveformBatch, generator: torch.Generator) -> WaveformBatch:
        """The batch after every augmentation of the configuration, in its order."""
        for step in self._steps:
            batch = step(batch, generator)
        return batch
