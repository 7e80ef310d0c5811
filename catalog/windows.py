"""Long records as overlapping windows, and what a model says of the windows as one curve again."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from ..data.batch import COMPONENT_SLOTS, COMPONENTS, WaveformBatch
from ..data.records import Record

EDGE_WEIGHT = 1e-3
"""What a window's outermost samples count: next to nothing, but something where no other window is."""


def grid_starts(num_samples: int, window_samples: int, overlap: float) -> np.ndarray:
    """First samples of windows that cover a record: evenly spaced, the last one flush with the record's end.

    overlap: share of a window that the next one covers too, from 0 to below 1. A record that is not longer
    than a window gets one, at 0.
    """
    hop = max(1, round(window_samples * (1.0 - overlap)))
    last = max(num_samples - window_samples, 0)
    starts = np.arange(0, last, hop)
    return np.append(starts, last).astype(np.int64)


def cut_record(
    record: Record, starts: np.ndarray, window_samples: int, components: tuple[str, ...]
) -> WaveformBatch:
    """Windows of a record at these first samples; NaN where they stick out of it on either side.

    components: rows of the batch; recorded components go to their slots, the others are NaN.
    """
    waveform = np.full((len(starts), len(components), window_samples), np.nan, dtype=np.float32)
    rows = component_rows(record, components)
    num_samples = record.waveform.shape[1]
    for window, start in zip(waveform, starts.tolist(), strict=True):
        first, last = max(start, 0), min(start + window_samples, num_samples)
        if last > first:
            for row, source in rows:
                window[row, first - start : last - start] = record.waveform[source, first:last]
    return WaveformBatch(
        waveform=torch.from_numpy(waveform),
        sampling_rate_hz=torch.full((len(starts),), record.sampling_rate_hz),
        component_names=components,
        unit=(record.unit,) * len(starts),
        station_id=(record.station_id,) * len(starts),
    )


def component_rows(record: Record, components: tuple[str, ...]) -> list[tuple[int, int]]:
    """Row of the batch and row of the record, for each component that both have."""
    slots = [COMPONENT_SLOTS[name] for name in record.component_names]
    return [(components.index(slot), source) for source, slot in enumerate(slots) if slot in components]


def model_components(components: tuple[str, ...]) -> tuple[str, ...]:
    """A model's components in the order of `COMPONENTS`."""
    return tuple(name for name in COMPONENTS if name in components)


def batched(starts: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    """Pieces of at most `batch_size`."""
    for first in range(0, len(starts), batch_size):
        yield starts[first : first + batch_size]


class Blend:
    """Curves of overlapping windows as one, weighted by how far a sample lies inside its windows.

    num_curves: rows; num_samples: length of the record. Weights are a Hann taper with `EDGE_WEIGHT` at its
    ends. Everything is float32, and as long as the record once for each curve and once for the weights.
    """

    def __init__(self, num_curves: int, num_samples: int, window_samples: int) -> None:
        taper = torch.hann_window(window_samples, periodic=False)
        self._taper = EDGE_WEIGHT + (1.0 - EDGE_WEIGHT) * taper
        self._sum = torch.zeros(num_curves, num_samples)
        self._weight = torch.zeros(num_samples)

    def add(self, starts: np.ndarray, curves: Tensor) -> None:
        """Take in windows `(window, curve, sample)` that begin at these samples, also before the first."""
        num_samples = self._sum.shape[-1]
        for start, window in zip(starts.tolist(), curves.float().cpu(), strict=True):
            first, end = max(start, 0), min(start + len(self._taper), num_samples)
            inside = slice(first - start, max(end, first) - start)
            self._sum[:, first:end] += window[:, inside] * self._taper[inside]
            self._weight[first:end] += self._taper[inside]

    def result(self) -> Tensor:
        """The blended curves `(curve, sample)`; NaN where no window was."""
        return self._sum.div_(self._weight)
