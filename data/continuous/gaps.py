"""Samples that were not observed: finding those that a data logger filled in, and bridging them."""

from __future__ import annotations

import torch
from torch import Tensor


def constant_runs(waveform: Tensor, min_samples: int) -> Tensor:
    """Where a waveform `(…, sample)` holds one value for `min_samples` samples or longer, bool alike.

    Data loggers and exporters fill gaps with zeros or with the last value; ground motion does not stand
    still. Clipped peaks do, but for hundredths of a second.

    Raises ValueError where `min_samples` is less than 3: equal neighbours are common in quiet counts.
    """
    if min_samples < 3:
        raise ValueError(f"a constant run must last 3 samples or more, found {min_samples}")
    num_samples = waveform.shape[-1]
    if num_samples < min_samples:
        return torch.zeros_like(waveform, dtype=torch.bool)
    same = (waveform[..., 1:] == waveform[..., :-1]).int()
    # Of how many of the next min_samples − 1 steps change nothing: all of them where a run begins.
    unchanged = _window_sum(same, min_samples - 1)
    begins = (unchanged == min_samples - 1).int()
    padded = torch.nn.functional.pad(begins, (min_samples - 1, min_samples - 1))
    return _window_sum(padded, min_samples) > 0


def gappy_rows(rows: Tensor) -> Tensor:
    """Which of some rows `(row, sample)` have a sample that is NaN or infinite, int64.

    A sum tells, in a fraction of the time that a look at each sample takes.
    """
    return (~rows.sum(dim=-1).isfinite()).nonzero().flatten()


def bridged(waveform: Tensor) -> Tensor:
    """A waveform `(…, sample)` with straight lines over its NaN, the nearest value beyond the ends.

    Rows without any observed sample become zero. For filters that need every sample.
    """
    rows = waveform.reshape(-1, waveform.shape[-1])
    gappy = gappy_rows(rows)
    if not len(gappy):
        return waveform
    part, seen = rows[gappy], rows[gappy].isfinite()
    last = part.shape[-1] - 1
    place = torch.arange(last + 1, device=part.device).expand_as(part)
    before = torch.where(seen, place, -1).cummax(dim=-1).values
    after = last + 1 - torch.where(seen, last + 1 - place, 0).flip(-1).cummax(dim=-1).values.flip(-1)
    left, right = torch.where(before < 0, after, before), torch.where(after > last, before, after)
    left, right = left.clamp(0, last), right.clamp(0, last)
    filled = torch.where(seen, part, 0.0)
    low, high = filled.gather(-1, left), filled.gather(-1, right)
    share = (place - left) / (right - left).clamp(min=1)
    result = rows.clone()
    result[gappy] = low + share.to(part.dtype) * (high - low)
    return result.reshape(waveform.shape)


def _window_sum(values: Tensor, width: int) -> Tensor:
    """The sum of each `width` neighbours, `(…, sample − width + 1)`."""
    total = torch.nn.functional.pad(values.cumsum(dim=-1), (1, 0))
    return total[..., width:] - total[..., :-width]
