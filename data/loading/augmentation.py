"""Everything that training does to a batch of windows, in order, seeded and switchable one by one."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from ..batch import WaveformBatch
from .distortions import Clipping, ComponentDropout, Gain, Gaps, PolarityFlip, Resampling, Spikes
from .mixing import ColouredNoise, RealNoise, WindowDraw
from .rotation import HorizontalRotation
from .stacking import Stacking
from .window_draft import Step, edited
from .window_random import WindowRandom


@dataclass(frozen=True, kw_only=True)
class AugmentationConfig:
    """One entry an augmentation, in the order in which they are applied: the ground, then the instrument.

    A probability of 0 switches one off. It is a window's chance, except that `resampling` falls on a whole
    batch. `stacking` acts where there are training windows to draw from, `real_noise` where there are noise
    windows.
    """

    stacking: Stacking = field(default_factory=Stacking)
    real_noise: RealNoise = field(default_factory=RealNoise)
    coloured_noise: ColouredNoise = field(default_factory=ColouredNoise)
    horizontal_rotation: HorizontalRotation = field(default_factory=HorizontalRotation)
    polarity_flip: PolarityFlip = field(default_factory=PolarityFlip)
    gain: Gain = field(default_factory=Gain)
    clipping: Clipping = field(default_factory=Clipping)
    spikes: Spikes = field(default_factory=Spikes)
    resampling: Resampling = field(default_factory=Resampling)
    component_dropout: ComponentDropout = field(default_factory=ComponentDropout)
    gaps: Gaps = field(default_factory=Gaps)


class Augmenter:
    """Makes of a batch one that could have been recorded elsewhere: other noise, instrument, and losses.

    Called as `(batch, random) -> batch`, with the random numbers of the batch's windows on its device. What
    happens to a window is decided by its own key (its rate by the batch's shared key) and never by its
    company: it comes out the same from a batch of 1 or 64, in any order, on any rank, and to float tolerance
    on any device. The batch is copied and validated once, however many augmentations fall on it.

    training: where a second earthquake for a window comes from; without it there is no stacking.
    noise: where recorded noise comes from; without it there is none.
    """

    def __init__(self, config: AugmentationConfig, training: WindowDraw | None, noise: WindowDraw | None):
        self.config = config
        self._steps: list[Step] = []
        if training is not None:
            self._steps.append(partial(config.stacking.apply, training=training))
        if noise is not None:
            self._steps.append(partial(config.real_noise.apply, noise=noise))
        self._steps += [
            config.coloured_noise.apply,
            config.horizontal_rotation.apply,
            config.polarity_flip.apply,
            config.gain.apply,
            config.clipping.apply,
            config.spikes.apply,
            config.resampling.apply,
            config.component_dropout.apply,
            config.gaps.apply,
        ]

    def __call__(self, batch: WaveformBatch, random: WindowRandom) -> WaveformBatch:
        """The batch after every augmentation of the configuration, in its order."""
        return edited(batch, random, *self._steps)
