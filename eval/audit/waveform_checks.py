"""Faults of the samples themselves: dead, filled, clipped, spiky, missing or infinite."""

from __future__ import annotations

import numpy as np

from .finding import Fault
from .look import Look
from .runs import is_coarse, runs

FINE_LEVELS = 1000
"""Between the extremes of a trace, if two equal neighbours at one of them are to mean anything."""


def infinite(look: Look) -> Fault | None:
    """Samples that are infinite."""
    count = int(np.isinf(look.record.waveform).sum())
    return Fault(f"{count} samples are infinite", count, "0") if count else None


def empty(look: Look) -> Fault | None:
    """No sample at all, on any component."""
    if look.observed.any():
        return None
    return Fault("no component has a single sample", 0.0, "at least one component")


def dead_component(look: Look) -> Fault | None:
    """A component that holds one value for half of the record or more: a dead channel posed as data."""
    dead = []
    for row, name in enumerate(look.record.component_names):
        count = int(look.observed[row].sum())
        if count > 1 and (not look.live[row] or look.flat[row].sum() >= count / 2):
            dead.append(name)
    if not dead:
        return None
    return Fault(f"component {', '.join(dead)} is constant: mark it as missing (NaN)", len(dead), "0")


def weak_component(look: Look) -> Fault | None:
    """A component that is far weaker than another of the same sensor: disconnected, or another unit."""
    rows = look.rows(("H",), others=True)
    if len(rows) < 2:
        return None
    levels = np.median(np.abs(look.motion[rows]), axis=1)
    ratio = float(levels.max() / max(levels.min(), 1e-30))
    if ratio < look.config.weak_ratio:
        return None
    name = look.record.component_names[rows[int(levels.argmin())]]
    return Fault(f"component {name} is {ratio:.3g} times weaker", ratio, f"< {look.config.weak_ratio:g}")


def filled_gap(look: Look) -> Fault | None:
    """A stretch of one repeated value in a component that moves elsewhere: a gap that somebody filled."""
    for row in np.flatnonzero(look.live & (look.flat.sum(axis=1) < look.observed.sum(axis=1) / 2)):
        begins, ends = runs(look.flat[row])
        if len(begins):
            longest = int((ends - begins).argmax())
            at_s, end_s = (side[longest] / look.record.sampling_rate_hz for side in (begins, ends))
            name = look.record.component_names[row]
            return Fault(
                f"component {name} holds one value from {at_s:.2f} to {end_s:.2f} s: mark the gap (NaN)",
                end_s - at_s,
                f"< {look.config.flat_s:g} s",
                at_s,
            )
    return None


def gap(look: Look) -> Fault | None:
    """Samples that are missing in a component that has others."""
    shares = 1.0 - look.observed.mean(axis=1)
    partly = shares[(shares > look.config.max_gap_share) & (shares < 1.0)]
    if not len(partly):
        return None
    return Fault(
        f"{100 * partly.max():.1f} % of a component is missing",
        float(partly.max()),
        f"≤ {look.config.max_gap_share:g}",
    )


def clipped(look: Look) -> Fault | None:
    """Flat tops: equal samples at an extreme that the trace reaches or leaves steeply."""
    for row in np.flatnonzero(look.live):
        # A long stretch of one value is a filled gap, at an extreme or not.
        trace = np.where(look.flat[row], np.float32(np.nan), look.record.waveform[row])
        if not np.isfinite(trace).any():
            continue
        high, low = float(np.nanmax(trace)), float(np.nanmin(trace))
        span = high - low
        flat = _flat_top_samples(trace, trace >= high - 1e-6 * span, span)
        flat += _flat_top_samples(trace, trace <= low + 1e-6 * span, span)
        if flat >= look.config.clip_samples and not is_coarse(trace[look.observed[row]]):
            name = look.record.component_names[row]
            return Fault(
                f"component {name} has {flat} samples in flat tops at its extremes",
                flat,
                f"< {look.config.clip_samples}",
            )
    return None


def spike(look: Look) -> Fault | None:
    """One or two samples that stand alone, far above everything within half a second of them."""
    reach = max(round(0.5 * look.record.sampling_rate_hz), 10)
    for row in np.flatnonzero(look.live):
        trace = np.where(look.recorded[row], look.record.waveform[row], np.float32(0.0))
        ratio, place = _loneliest(trace, look.recorded[row], reach)
        if ratio > look.config.spike_ratio:
            at_s = place / look.record.sampling_rate_hz
            name = look.record.component_names[row]
            return Fault(
                f"component {name} has a spike at {at_s:.2f} s, {ratio:.3g} times its surroundings",
                ratio,
                f"< {look.config.spike_ratio:g}",
                at_s,
            )
    return None


def _loneliest(trace: np.ndarray, seen: np.ndarray, reach: int) -> tuple[float, int]:
    """The largest bend of a trace, against the largest bend around it, and where it is.

    A bend is a sample's distance from the mean of its second neighbours, so that spikes of one and two
    samples both bend most at themselves, and a wave that the rate can carry bends at several places.
    """
    if len(trace) < 2 * reach:
        return 0.0, 0
    bend = np.zeros(len(trace))
    bend[2:-2] = np.abs(trace[2:-2] - 0.5 * (trace[:-4] + trace[4:]))
    bend[2:-2][~(seen[:-4] & seen[2:-2] & seen[4:])] = 0.0
    place = int(bend.argmax())
    around = np.concatenate(
        [bend[max(place - reach, 0) : max(place - 3, 0)], bend[place + 4 : place + reach]]
    )
    floor = max(float(around.max(initial=0.0)), 1e-30)
    return (float(bend[place]) / floor if bend[place] > 0 else 0.0), place


def _flat_top_samples(trace: np.ndarray, at_extreme: np.ndarray, span: float) -> int:
    """Samples in runs at an extreme that the trace reaches or leaves steeply.

    Runs are of three samples, or of two where the digitizer's steps are so fine that two equal ones are no
    chance. Steeply: by 0.5 % of the span, and by more than such a step, within two samples. The top of a
    slow wave of few counts is flat too.
    """
    begins, ends = runs(at_extreme)
    steps = np.abs(np.diff(trace))
    step = float(steps[steps > 0].min(initial=span))
    long = ends - begins >= (2 if step < span / FINE_LEVELS else 3)
    total = 0
    for begin, end in zip(begins[long], ends[long], strict=True):
        outside = trace[[max(begin - 2, 0), min(end + 1, len(trace) - 1)]]
        if np.nanmax(np.abs(outside - trace[begin]), initial=0.0) > max(0.005 * span, 1.5 * step):
            total += int(end - begin)
    return total
