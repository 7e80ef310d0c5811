"""From labels in seconds to what a dense head should say at each point in time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor
from torch.nn.functional import pad, threshold

from ..data.batch import WaveformBatch
from ..data.masks import surely_all_true

NEAR_SIGMAS = 3.0
"""A listed arrival is knowledge about its own surroundings, this many widths to either side."""

CODA_FACTOR = 1.4
"""An event lasts from P to S + 1.4 (S − P)."""


@dataclass(frozen=True)
class PhaseTargets:
    """What a picker should say.

    target: `(window, phase, time)`, probability of P and of S.
    known: bool, likewise: whether anybody can tell.
    """

    target: Tensor
    known: Tensor


def gaussian(arrival_s: Tensor, time_s: Tensor, sigma_s: float) -> Tensor:
    """Probability of a phase at each time: 1 at an arrival, falling off as a Gaussian of width `sigma_s`.

    arrival_s: `(window, event)`, NaN for none; time_s: `(window, time)`. Returns `(window, time)`: the
    nearest arrival's. Arrivals need not fall on samples, nor inside of the window.
    """
    return _gaussian(_square_distance(arrival_s, time_s), sigma_s)


def phase_targets(batch: WaveformBatch, time_s: Tensor, sigma_s: float) -> PhaseTargets:
    """The targets of P and S at times `(window, time)`.

    A phase is known in a window where `{phase}_labelled` says that all of its arrivals are listed, and near
    (3 σ) any arrival that is listed. Where P and S together exceed 1, both shrink to a sum of 1.
    """
    arrivals_s = [_arrivals(batch, phase) for phase in ("p", "s")]
    num_events = max(arrival_s.shape[1] for arrival_s in arrivals_s)
    padded_s = [pad(one, (0, num_events - one.shape[1]), value=torch.nan) for one in arrivals_s]
    square_s2 = _square_distance(torch.stack(padded_s, dim=1), time_s[:, None])
    all_listed = torch.stack([_all_listed(batch, phase) for phase in ("p", "s")], dim=1)[..., None]
    if surely_all_true(all_listed):
        known = all_listed.expand_as(square_s2)
    else:
        known = square_s2 <= torch.where(all_listed, torch.inf, (NEAR_SIGMAS * sigma_s) ** 2)
    target = _gaussian(square_s2, sigma_s)
    total = (target[:, 0] + target[:, 1]).clamp_(min=1.0)
    return PhaseTargets(target.div_(total[:, None]), known)


def detection_targets(batch: WaveformBatch, time_s: Tensor) -> tuple[Tensor, Tensor]:
    """Whether an event shakes the ground at each time, `(window, time)`, and whether that is known.

    From P to S + 1.4 (S − P) of each event, both ends left out. Known in windows where P and S are labelled
    and no event lacks one of them, as its interval would be open.
    """
    p_s, s_s = (_arrivals(batch, phase) for phase in ("p", "s"))
    if p_s.shape != s_s.shape:
        raise ValueError(
            "p_arrival_s and s_arrival_s must have the P and S of one event in one column, "
            f"found shapes {tuple(p_s.shape)} and {tuple(s_s.shape)}"
        )
    end_s = s_s + CODA_FACTOR * (s_s - p_s)
    # Signs, not comparisons: making and converting masks takes most of the time on a CPU. An event without
    # an interval has one of negative length.
    half_s = ((end_s - p_s) / 2).nan_to_num(nan=-1.0)
    middle_s = ((end_s + p_s) / 2).nan_to_num(nan=0.0)
    insides = [
        (half[:, None] - (time_s - middle[:, None]).abs_()).sign_().clamp_(min=0.0)
        for half, middle in zip(half_s.unbind(1), middle_s.unbind(1), strict=True)
    ]
    complete = (p_s.isnan() == s_s.isnan()).all(dim=1)
    known = _all_listed(batch, "p") & _all_listed(batch, "s") & complete
    return reduce(torch.maximum, insides), known[:, None].expand_as(time_s)


def _arrivals(batch: WaveformBatch, phase: str) -> Tensor:
    nothing = batch.waveform.new_full((len(batch), 1), torch.nan)
    return batch.labels.get(f"{phase}_arrival_s", nothing).float()


def _all_listed(batch: WaveformBatch, phase: str) -> Tensor:
    return batch.labels.get(f"{phase}_labelled", batch.observed.new_zeros(len(batch))).bool()


def _square_distance(arrival_s: Tensor, time_s: Tensor) -> Tensor:
    """Square of the seconds to the nearest arrival `(…, event)`, `(…, time)`; infinite without one."""
    first_s, *further_s = arrival_s.nan_to_num(nan=torch.inf).unbind(-1)
    nearest = (time_s - first_s[..., None]).square_()
    for other_s in further_s:
        nearest = torch.minimum(nearest, (time_s - other_s[..., None]).square_())
    return nearest


def _gaussian(square_s2: Tensor, sigma_s: float) -> Tensor:
    """In place of its argument."""
    # Below −87 the result is no normal float32, for which the CPU takes twenty times as long.
    exponent = square_s2.mul_(-0.5 / sigma_s**2).clamp_(min=-80.0)
    return threshold(exponent.exp_(), 1e-34, 0.0, inplace=True)
