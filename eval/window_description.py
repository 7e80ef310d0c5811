"""What a recording looks like before any network judges it: spectrum, spikes, repeated samples."""

from __future__ import annotations

import torch
from torch import Tensor

from ..foundation.contract import PreparedInput

BANDS_HZ = ((0.2, 0.5), (0.5, 1.0), (1.0, 2.0), (2.0, 4.0), (4.0, 8.0), (8.0, 16.0), (16.0, 32.0))
"""And all above the last one."""

LEAST_SHARE = 0.01
"""Joins shares of samples: fewer than this are chance."""

_FLOOR = 1e-8
_NEAR_TOP = 0.9


def describe_recording(prepared: PreparedInput, rate_hz: float) -> Tensor:
    """Numbers of each window `(window, feature)`, float64, the same ones for each component.

    prepared: what a model is fed, scaled. By component: log₁₀ of the power in `BANDS_HZ`; log₁₀ of the root
    mean square; peakedness (log₁₀ of the fourth moment over the squared second) of the trace and of its first
    and second differences, which spikes and steps raise; how far the largest sample of the trace and of the
    second difference stands out; the share of samples equal to the one before; and of those near the largest
    one, where a clipped trace has many.
    """
    observed = prepared.observed
    trace = torch.where(observed, prepared.waveform.double(), 0.0)
    both = observed[..., 1:] & observed[..., :-1]
    step = torch.where(both, trace.diff(dim=-1), 0.0)
    bend = step.diff(dim=-1)
    count, steps = (mask.sum(dim=-1).clamp(min=1) for mask in (observed, both))
    largest = trace.abs().amax(dim=-1, keepdim=True)
    repeated = ((step.abs() <= 1e-6 * largest) & both).sum(dim=-1) / steps
    near_top = ((trace.abs() > _NEAR_TOP * largest) & observed).sum(dim=-1) / count
    columns = [
        _band_power(trace, rate_hz),
        (_rms(trace, count) + _FLOOR).log10(),
        *(_peakedness(values, n) for values, n in ((trace, count), (step, steps), (bend, steps))),
        *(_largest_over_rms(values, n) for values, n in ((trace, count), (bend, steps))),
        (repeated + LEAST_SHARE).log10(),
        (near_top + LEAST_SHARE).log10(),
    ]
    return torch.cat([part.reshape(len(trace), -1) for part in columns], dim=1)


def _band_power(trace: Tensor, rate_hz: float) -> Tensor:
    num_samples = trace.shape[-1]
    taper = torch.hann_window(num_samples, dtype=trace.dtype, device=trace.device)
    power = torch.fft.rfft(trace * taper).abs().square() / num_samples
    frequency_hz = torch.fft.rfftfreq(num_samples, 1.0 / rate_hz).to(trace.device)
    ranges = (*BANDS_HZ, (BANDS_HZ[-1][1], rate_hz))
    bands = [power[..., (frequency_hz >= low) & (frequency_hz < high)].sum(dim=-1) for low, high in ranges]
    return (torch.stack(bands, dim=-1) + _FLOOR).log10()


def _rms(values: Tensor, count: Tensor) -> Tensor:
    return (values.square().sum(dim=-1) / count).sqrt()


def _peakedness(values: Tensor, count: Tensor) -> Tensor:
    return (1.0 + values.pow(4).sum(dim=-1) / count / (_rms(values, count).pow(4) + _FLOOR**2)).log10()


def _largest_over_rms(values: Tensor, count: Tensor) -> Tensor:
    return (1e-3 + values.abs().amax(dim=-1) / (_rms(values, count) + _FLOOR)).log10()
