"""Stretches of one trace that were observed, and which of them belong together."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import obspy
import torch

from ..records import Skipped
from .gaps import constant_runs


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A stretch of one trace that begins and ends with an observed sample."""

    item: str
    component: str
    start_ns: int
    samples: np.ndarray
    observed: np.ndarray

    def end_ns(self, rate_hz: float) -> int:
        """When the sample after the last one would come."""
        return self.start_ns + round(len(self.samples) / rate_hz * 1e9)


def trace_name(trace: obspy.Trace) -> str:
    """How a trace is called where something is told of it."""
    return f"{trace.id} {trace.stats.starttime}"


def pieces_of(
    trace: obspy.Trace, component: str, max_gap_s: float, constant_gap_s: float | None, skipped: list[Skipped]
) -> list[Piece]:
    """A trace without its long unobserved stretches, and without constant ones where a length is given."""
    samples = np.ma.getdata(trace.data)
    observed = ~np.ma.getmaskarray(trace.data)
    finite = np.isfinite(samples)
    num_bad = int((observed & ~finite).sum())
    observed &= finite
    if num_bad and observed.any():
        reason = f"{num_bad} of {len(trace)} samples are NaN or infinite: taken as missing"
        skipped.append(Skipped(trace_name(trace), reason))
    rate_hz = trace.stats.sampling_rate
    if constant_gap_s is not None:
        _drop_constant_runs(trace, samples, observed, constant_gap_s, skipped)
    stretches = _stretches(observed, max_gap_s * rate_hz)
    if not stretches:
        skipped.append(Skipped(trace_name(trace), "no sample is observed: all are NaN, infinite or masked"))
    return [
        Piece(
            item=trace_name(trace),
            component=component,
            start_ns=trace.stats.starttime.ns + round(first / rate_hz * 1e9),
            samples=samples[first : last + 1],
            observed=observed[first : last + 1],
        )
        for first, last in stretches
    ]


def _drop_constant_runs(
    trace: obspy.Trace,
    samples: np.ndarray,
    observed: np.ndarray,
    constant_gap_s: float,
    skipped: list[Skipped],
) -> None:
    """Mark as not observed where samples hold one value for too long; a dead trace is told elsewhere."""
    live = samples[observed]
    if not len(live) or live.min() == live.max():
        return
    min_samples = max(3, math.ceil(constant_gap_s * trace.stats.sampling_rate))
    filled = constant_runs(torch.from_numpy(samples.astype(np.float64)), min_samples).numpy() & observed
    if filled.any():
        reason = (
            f"{int(filled.sum())} samples hold one value for {constant_gap_s:g} s or longer: taken as missing"
        )
        skipped.append(Skipped(trace_name(trace), reason))
        observed &= ~filled


def _stretches(observed: np.ndarray, max_gap_samples: float) -> list[tuple[int, int]]:
    """First and last observed sample of each part, where parts are separated by gaps that are too long."""
    steps = np.diff(np.concatenate([[False], observed, [False]]).view(np.int8))
    firsts, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    long = firsts[1:] - ends[:-1] > max_gap_samples
    starts = np.concatenate([firsts[:1], firsts[1:][long]])
    lasts = np.concatenate([ends[:-1][long], ends[-1:]]) - 1
    return list(zip(starts.tolist(), lasts.tolist(), strict=True))


def segments_of(pieces: list[Piece], rate_hz: float, max_gap_s: float) -> list[list[Piece]]:
    """Pieces in order of time, parted where no component was recorded for longer than `max_gap_s`."""
    segments: list[list[Piece]] = []
    end_ns = 0
    for piece in sorted(pieces, key=lambda piece: piece.start_ns):
        if not segments or (piece.start_ns - end_ns) / 1e9 > max_gap_s:
            segments.append([])
            end_ns = piece.end_ns(rate_hz)
        segments[-1].append(piece)
        end_ns = max(end_ns, piece.end_ns(rate_hz))
    return segments
