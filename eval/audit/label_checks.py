"""Faults of arrivals against the record's own waveform: order, place, onset, first motion."""

from __future__ import annotations

from collections import Counter

import numpy as np

from ...data.records import PHASE_FAMILY, Arrival
from .finding import Fault
from .look import VERTICAL, Look

CLEARANCE_S = 1.0
"""An onset this near to a listed arrival belongs to it."""

FIRST_MOTION_S = 0.3
"""After P, in which the first motion must show."""


def phase_order(look: Look) -> Fault | None:
    """An S that comes no later than the P of its event.

    First arrivals are compared, and Pg with Sg, Pn with Sn: a direct Pg may well follow an Sn.
    """
    first: dict[tuple[int, str], Arrival] = {}
    for arrival in sorted(look.arrivals(), key=lambda arrival: arrival.time_s):
        for branch in ("", arrival.phase[1:]):
            first.setdefault((arrival.event, PHASE_FAMILY[arrival.phase] + branch), arrival)
    for (event, name), p in first.items():
        s = first.get((event, f"S{name[1:]}"))
        if name[0] == "P" and s is not None and s.time_s <= p.time_s:
            late_s = p.time_s - s.time_s
            return Fault(
                f"{p.phase} lies {late_s:.2f} s after {s.phase} of its event", -late_s, "> 0 s", p.time_s
            )
    return None


def repeated_label(look: Look) -> Fault | None:
    """The same phase of the same event listed twice."""
    counts = Counter((arrival.phase, arrival.event) for arrival in look.record.arrivals)
    for (phase, event), times in counts.items():
        if times > 1:
            return Fault(f"{phase} of event {event} is listed {times} times", times, "1")
    return None


def label_outside(look: Look) -> Fault | None:
    """An arrival of which the record cannot hold anything."""
    inside = {arrival.event for arrival in look.arrivals() if look.is_inside(arrival)}
    for arrival, beyond_s in _outside(look):
        if arrival.event not in inside or beyond_s > look.config.outside_s:
            return Fault(
                f"{arrival.phase} at {arrival.time_s:.2f} s lies outside of the record "
                f"(0 to {look.record.duration_s:.2f} s)",
                arrival.time_s,
                f"0 to {look.record.duration_s:.2f} s",
                arrival.time_s,
            )
    return None


def phase_outside(look: Look) -> Fault | None:
    """An arrival just outside of a record that holds the event's other phase: the record is cut short."""
    if label_outside(look) is not None:
        return None
    for arrival, beyond_s in _outside(look):
        return Fault(
            f"{arrival.phase} lies {beyond_s:.2f} s outside of the record, the event's other phase inside",
            arrival.time_s,
            f"0 to {look.record.duration_s:.2f} s",
        )
    return None


def label_in_gap(look: Look) -> Fault | None:
    """An arrival where no component was recorded."""
    for arrival in look.arrivals():
        if look.is_inside(arrival):
            sample = min(round(arrival.time_s * look.record.sampling_rate_hz), look.observed.shape[1] - 1)
            if not look.observed[:, sample].any():
                at_s = f"{arrival.phase} at {arrival.time_s:.2f} s"
                message = f"{at_s} lies where nothing was recorded"
                return Fault(message, arrival.time_s, "a recorded sample", arrival.time_s)
    return None


def label_without_onset(look: Look) -> Fault | None:
    """A pick at which nothing begins, in a record where something clear begins that no label names.

    Only the clearest arrival of an event's P and S is judged: a Pn before a Pg may well drown. What begins
    elsewhere must last, and must not contradict the event's other phase.
    """
    config = look.config
    own = _clearest(look)
    for (event, family), (arrival, own_db) in own.items():
        if not own_db < config.weak_rise_db:
            continue
        other, other_db = own.get((event, "S" if family == "P" else "P"), (None, float("nan")))
        bound_s = other.time_s if other is not None and other_db >= config.weak_rise_db else None
        clear_db, at_s = unlabelled_rise(look, family, _possible_s(look, arrival, family, bound_s))
        if clear_db > max(config.clear_rise_db, own_db + config.rise_contrast_db):
            return Fault(
                f"nothing begins at {arrival.phase} ({arrival.time_s:.2f} s, {own_db:.1f} dB), but at "
                f"{at_s:.2f} s ({clear_db:.1f} dB)",
                own_db,
                f"≥ {config.weak_rise_db:g} dB",
                at_s,
            )
    return None


def unlabelled_onset(look: Look) -> Fault | None:
    """A very clear onset that no label names in a record that claims to list every P and S."""
    if not look.record.labelled_phases >= {"P", "S"}:
        return None
    clear_db, at_s = unlabelled_rise(look, "P", (0.0, look.record.duration_s))
    if not clear_db > look.config.unlabelled_rise_db:
        return None
    limit = f"≤ {look.config.unlabelled_rise_db:g} dB"
    message = f"something begins at {at_s:.2f} s ({clear_db:.1f} dB) without a label"
    return Fault(message, clear_db, limit, at_s)


def polarity(look: Look) -> Fault | None:
    """A polarity that the vertical's first motion contradicts, where that motion is clear."""
    for arrival in look.arrivals("P"):
        if arrival.polarity in ("positive", "negative") and look.is_inside(arrival):
            motion, ratio = first_motion(look, arrival.time_s)
            if ratio >= look.config.polarity_ratio and motion != arrival.polarity:
                return Fault(
                    f"the first motion at {arrival.time_s:.2f} s is {motion} ({ratio:.0f} times the noise), "
                    f"the label says {arrival.polarity}",
                    ratio,
                    arrival.polarity,
                    arrival.time_s,
                )
    return None


def first_motion(look: Look, p_s: float) -> tuple[str, float]:
    """Positive (up) or negative, and how many times the noise before P the first swing is.

    ("", 0) where it is unclear. The swing is the first beyond three times the largest noise of the last two
    seconds. A component whose dip says that it counts downwards is turned over.
    """
    rows, rate_hz = look.rows(VERTICAL), look.record.sampling_rate_hz
    begin, quiet = round((p_s - 0.1) * rate_hz), round((p_s - 2.1) * rate_hz)
    if not rows or quiet < 0:
        return "", 0.0
    dips = look.record.metadata.get("trace_component_dip_deg")
    sign = -1.0 if dips is not None and dips[rows[0]] > 0 else 1.0
    trace = sign * look.motion[rows[0]]
    noise = float(np.abs(trace[quiet:begin]).max(initial=0.0))
    after = trace[begin : begin + round((0.1 + FIRST_MOTION_S) * rate_hz)]
    beyond = np.flatnonzero(np.abs(after) > 3.0 * noise)
    if not len(beyond) or noise == 0:
        return "", 0.0
    swing = after[beyond[0] :]
    turn = np.flatnonzero(swing * swing[0] <= 0)
    size = float(np.abs(swing[: turn[0]] if len(turn) else swing).max())
    return ("positive" if swing[0] > 0 else "negative"), size / noise


def unlabelled_rise(look: Look, family: str, span_s: tuple[float, float]) -> tuple[float, float]:
    """The greatest lasting rise of power in a span and away from every arrival, in dB, and when.

    (NaN, NaN) where none can be seen.
    """
    rate_hz = look.record.sampling_rate_hz
    rise = look.lasting_rise_db(family).copy()
    rise[: max(round(span_s[0] * rate_hz), 0)] = np.nan
    rise[max(round(span_s[1] * rate_hz), 0) :] = np.nan
    for arrival in look.arrivals():
        first, last = (round((arrival.time_s + side * CLEARANCE_S) * rate_hz) for side in (-1, 1))
        rise[max(first, 0) : max(last, 0)] = np.nan
    if not np.isfinite(rise).any():
        return float("nan"), float("nan")
    place = int(np.nanargmax(rise))
    return float(rise[place]), place / rate_hz


def _clearest(look: Look) -> dict[tuple[int, str], tuple[Arrival, float]]:
    """The arrival with the greatest rise of each event's P and S, and that rise in dB."""
    own: dict[tuple[int, str], tuple[Arrival, float]] = {}
    for arrival in look.arrivals():
        if look.is_inside(arrival):
            key = arrival.event, PHASE_FAMILY[arrival.phase]
            rise_db = _rise_near(look, key[1], arrival.time_s)
            if key not in own or rise_db > own[key][1]:
                own[key] = arrival, rise_db
    return own


def _possible_s(look: Look, arrival: Arrival, family: str, bound_s: float | None) -> tuple[float, float]:
    """Where a misplaced arrival may really be: near it, P before a trusted S, and S after a trusted P."""
    first_s = arrival.time_s - look.config.misplaced_s
    last_s = arrival.time_s + look.config.misplaced_s
    if bound_s is not None:
        return (first_s, min(last_s, bound_s)) if family == "P" else (max(first_s, bound_s), last_s)
    return first_s, last_s


def _rise_near(look: Look, family: str, time_s: float) -> float:
    """The greatest rise within the slack of a pick, NaN where there is too little record to tell."""
    first, last = (
        round((time_s + side * look.config.pick_slack_s) * look.record.sampling_rate_hz) for side in (-1, 1)
    )
    near = look.rise_db(family)[max(first, 0) : last + 1]
    return float(np.nanmax(near)) if np.isfinite(near).any() else float("nan")


def _outside(look: Look) -> list[tuple[Arrival, float]]:
    """Arrivals outside of the record, and by how many seconds."""
    return [
        (arrival, max(-arrival.time_s, arrival.time_s - look.record.duration_s))
        for arrival in look.arrivals()
        if not look.is_inside(arrival)
    ]
