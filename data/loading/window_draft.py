"""A batch while it is being augmented: one copy, in which every step changes the windows that it chose."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor

from ..batch import WaveformBatch
from .window_random import WindowRandom


class Draft:
    """What the steps of an augmentation work on, so that the batch is copied and validated once for them all.

    labels: a dictionary of its own, whose tensors are replaced and never changed.
    sampling_rate_hz: float32 `(window,)`.
    """

    def __init__(self, batch: WaveformBatch):
        self.labels = dict(batch.labels)
        self.sampling_rate_hz = batch.sampling_rate_hz
        self._batch = batch
        self._copy: Tensor | None = None
        self._factor: Tensor | None = None

    def __len__(self) -> int:
        return len(self._batch)

    @property
    def device(self) -> torch.device:
        """Where the tensors lie."""
        return self._batch.device

    @property
    def component_names(self) -> tuple[str, ...]:
        """The rows of the waveform."""
        return self._batch.component_names

    @property
    def unit(self) -> tuple[str, ...]:
        """One of `batch.UNITS` for each window."""
        return self._batch.unit

    @property
    def num_samples(self) -> int:
        """Samples in a window."""
        return self._batch.num_samples if self._copy is None else self._copy.shape[-1]

    @cached_property
    def shared_rate_hz(self) -> float:
        """The sampling rate of all windows. Raises ValueError where they have several."""
        # Asked for once a batch: it waits for the device.
        rates_hz = sorted(set(self._batch.sampling_rate_hz.tolist()))
        if len(rates_hz) > 1:
            raise ValueError(
                f"all windows of a batch must share one rate to be mixed or resampled, found {rates_hz}: "
                "make a batch of each"
            )
        return rates_hz[0]

    @property
    def waveform(self) -> Tensor:
        """The draft's own samples, float32 `(window, component, sample)`, NaN where not observed."""
        if self._copy is None:
            self._copy = torch.where(self._batch.observed, self._batch.waveform, torch.nan)
        if self._factor is not None:
            self._copy.mul_(self._factor[:, None, None])
            self._factor = None
        return self._copy

    def write(self, rows: Tensor, waveform: Tensor) -> None:
        """Put `(row, component, sample)` in the place of some windows, rows int64."""
        self.waveform.index_copy_(0, rows, waveform)

    def scale(self, factor: Tensor) -> None:
        """Multiply each window by its number, `(window,)`: at once with the next such, in one pass."""
        self._factor = factor if self._factor is None else self._factor * factor

    def resample(self, waveform: Tensor, sampling_rate_hz: float) -> None:
        """Put samples at another rate in the place of all."""
        self._copy = waveform
        self.sampling_rate_hz = torch.full_like(self.sampling_rate_hz, sampling_rate_hz)

    def finish(self) -> WaveformBatch:
        """The batch as it is now: the one that it was, where no step touched it."""
        if self._copy is None and self._factor is None:
            return self._batch
        return self._batch.replace(
            waveform=self.waveform, sampling_rate_hz=self.sampling_rate_hz, labels=self.labels
        )


Step = Callable[[Draft, WindowRandom], None]


def edited(batch: WaveformBatch, random: WindowRandom, *steps: Step) -> WaveformBatch:
    """The batch after some steps; it is itself not changed.

    Raises ValueError unless there is one entry of `random` for each window, on the batch's device.
    """
    if len(random) != len(batch) or random.device != batch.device:
        raise ValueError(
            f"random must have an entry for each of {len(batch)} windows on {batch.device}, found "
            f"{len(random)} on {random.device}: make it of the keys of these windows"
        )
    draft = Draft(batch)
    for step in steps:
        step(draft, random)
    return draft.finish()


def chosen(random: WindowRandom, name: str, probability: float, count: int) -> tuple[Tensor, Tensor]:
    """The windows that a step falls on, int64 `(row,)`, with uniform numbers of theirs, `(row, count)`."""
    draws = random.uniform(name, 1 + count)
    # How many they are, only the device knows: the one wait of a step, for which it works on few windows.
    rows = (draws[:, 0] < probability).nonzero().flatten()
    return rows, draws[rows, 1:]


def between(draw: Tensor, limits: tuple[float, float]) -> Tensor:
    """Uniform numbers in [0, 1) as numbers of equal chance between two limits."""
    low, high = limits
    return low + (high - low) * draw


def log_between(draw: Tensor, limits: tuple[float, float]) -> Tensor:
    """Uniform numbers in [0, 1) as positive numbers whose logarithm has equal chance between two limits."""
    return between(draw, (math.log(limits[0]), math.log(limits[1]))).exp()
