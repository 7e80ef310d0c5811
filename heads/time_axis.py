"""Times of what a head says: from the model's grid to the samples of the recording, and back."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..data.batch import WaveformBatch
from ..data.instruments.resampling import rate_ratio


@dataclass(frozen=True)
class TimeGrid:
    """Where a dense output's points lie: point i is at sample `first + i · step` of the model's rate."""

    model_rate_hz: float
    first: float = 0.0
    step: float = 1.0

    def time_s(self, batch: WaveformBatch, num_points: int) -> Tensor:
        """Seconds after each window's first sample, `(window, point)`.

        Counted with the recording's own rate: the contract takes a digitizer's 99.998 Hz for 100 Hz, and its
        samples are then as far apart as the digitizer had them.
        """
        rates = batch.sampling_rate_hz.tolist()
        actual_hz = [rate * float(rate_ratio(rate, self.model_rate_hz)) for rate in rates]
        point = torch.arange(num_points, device=batch.device, dtype=torch.float64)
        rate = torch.tensor(actual_hz, device=batch.device, dtype=torch.float64)[:, None]
        return ((self.first + point * self.step) / rate).float()

    def to_samples(self, values: Tensor, batch: WaveformBatch) -> Tensor:
        """A dense output `(window, …, point)` at the samples of the recording, `(window, …, sample)`.

        Cubic between points (Catmull & Rom 1974): exact for a parabola, hence for the logarithm of a
        Gaussian, whose maximum then stays where it was to a fraction of a sample. Constant beyond the first
        and last points. At the model's own rate the values stay as they are, bit for bit.
        """
        by_ratio = _rows_by_ratio(batch, self.model_rate_hz)
        if len(by_ratio) == 1:
            (ratio,) = by_ratio
            return self._interpolated(values, ratio, batch.num_samples)
        result = values.new_empty(*values.shape[:-1], batch.num_samples)
        for ratio, rows in by_ratio.items():
            result[rows] = self._interpolated(values[rows], ratio, batch.num_samples)
        return result

    def observed_at_samples(self, sample_observed: Tensor, batch: WaveformBatch) -> Tensor:
        """A mask `(window, sample)` of the model's rate at the recording's samples: the nearest one's."""
        result = sample_observed.new_empty(len(batch), batch.num_samples)
        for ratio, rows in _rows_by_ratio(batch, self.model_rate_hz).items():
            index = torch.arange(batch.num_samples, device=batch.device, dtype=torch.float64) * ratio
            nearest = index.round().long().clamp(max=sample_observed.shape[-1] - 1)
            result[rows] = sample_observed[rows][:, nearest]
        return result

    def _interpolated(self, values: Tensor, ratio: float, num_samples: int) -> Tensor:
        if ratio == self.step == 1.0 and self.first == 0.0:
            return values[..., :num_samples]
        last = values.shape[-1] - 1
        sample = torch.arange(num_samples, device=values.device, dtype=torch.float64)
        position = ((sample * ratio - self.first) / self.step).clamp(0, last)
        index = position.floor().long()
        fraction = (position - index).to(values.dtype)
        before, here, after, beyond = (values[..., (index + k).clamp(0, last)] for k in (-1, 0, 1, 2))
        slope, next_slope = (after - before) / 2, (beyond - here) / 2
        rise = after - here
        curve = fraction * (3 * rise - 2 * slope - next_slope + fraction * (slope + next_slope - 2 * rise))
        return here + fraction * (slope + curve)


def _rows_by_ratio(batch: WaveformBatch, model_rate_hz: float) -> dict[float, Tensor]:
    """The windows that share a rate, by model samples per sample of the recording."""
    ratios = [float(rate_ratio(rate, model_rate_hz)) for rate in batch.sampling_rate_hz.tolist()]
    return {
        ratio: torch.tensor([i for i, other in enumerate(ratios) if other == ratio], device=batch.device)
        for ratio in dict.fromkeys(ratios)
    }
