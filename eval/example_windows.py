"""Records as they are, with their labels: a page for a critical eye."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from ..data.records import PHASE_FAMILY, Record
from .figures import GREY, PHASE_COLORS, PURPLE, new_figure

MAX_POINTS = 1500
NAME_LEVELS = 4


def example_positions(num_records: int, count: int, seed: int) -> list[int]:
    """Some positions at random, in their order; all where there are no more."""
    chosen = np.random.default_rng(seed).choice(num_records, min(count, num_records), replace=False)
    return sorted(chosen.tolist())


def examples_figure(records: Sequence[Record]) -> Figure:
    """Records one above the other: components scaled each by itself, arrivals as lines, the rest above."""
    figure, axes = new_figure(2.0 * len(records) + 0.3, rows=len(records))
    for axis, record in zip(axes, records, strict=True):
        _draw(axis, record)
    axes[-1].set_xlabel("time after the first sample (s)")
    return figure


def _draw(axes: Axes, record: Record) -> None:
    for row, trace in enumerate(record.waveform):
        time_s, low, high = _envelope(trace, record.sampling_rate_hz)
        level = -2.2 * row
        if np.isfinite(trace).any():
            axes.fill_between(time_s, level + low, level + high, color="#22262b", lw=0.5)
        else:
            axes.text(0.02 * record.duration_s, level, "not recorded", color=GREY, fontsize=10, va="center")
    _draw_arrivals(axes, record)
    num_rows = len(record.component_names)
    axes.set(yticks=[-2.2 * row for row in range(num_rows)], ylim=(-2.2 * num_rows + 1.0, 1.6))
    axes.set_yticklabels(record.component_names)
    axes.tick_params(axis="y", length=0)
    axes.spines.left.set_visible(False)
    axes.set_xlim(0.0, record.duration_s)
    axes.set_title(_heading(record), loc="left", fontsize=10)


def _draw_arrivals(axes: Axes, record: Record) -> None:
    """A line for each time, with the names of its phases; names that would touch go below one another."""
    names: dict[float, list[str]] = {}
    for arrival in sorted(record.arrivals, key=lambda arrival: arrival.time_s):
        if 0.0 <= arrival.time_s <= record.duration_s:
            names.setdefault(arrival.time_s, []).append(arrival.phase)
    free_from_s = [-np.inf] * NAME_LEVELS
    for time_s, phases in names.items():
        color = PHASE_COLORS.get(PHASE_FAMILY.get(phases[0], ""), PURPLE)
        axes.axvline(time_s, color=color, lw=1.3)
        level = next((i for i, free_s in enumerate(free_from_s) if time_s >= free_s), NAME_LEVELS - 1)
        text = " ".join(phases)
        free_from_s[level] = time_s + (0.02 + 0.018 * len(text)) * record.duration_s
        axes.annotate(
            text, (time_s, 1.0), xycoords=("data", "axes fraction"), xytext=(2, -1 - 12 * level),
            textcoords="offset points", color=color, fontsize=11, va="top", fontweight="bold",
            path_effects=[withStroke(linewidth=2.5, foreground="white")],
        )  # fmt: skip


def _heading(record: Record) -> str:
    """Station, source and path, as far as they are known, in two lines."""
    about = record.metadata
    magnitude, distance = about.get("source_magnitude"), about.get("path_ep_distance_km")
    source = [
        str(about["source_type"]) if about.get("source_type") else "",
        f"M {magnitude:.1f}" if _is_number(magnitude) else "",
        f"{distance:.0f} km" if _is_number(distance) else "",
        "" if record.arrivals else "no arrivals labelled",
    ]
    first = [
        record.station_id,
        f"{record.sampling_rate_hz:g} Hz",
        record.unit if record.unit != "unknown" else "unit unknown",
    ]
    name = record.record_id if len(record.record_id) <= 60 else f"…{record.record_id[-58:]}"
    return f"{name}\n" + ", ".join(part for part in (*first, *source) if part)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _envelope(trace: np.ndarray, rate_hz: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lowest and highest sample of each piece of a trace, scaled to ±1 about its median: no peak is lost."""
    scaled = np.asarray(trace, dtype=np.float64)
    if np.isfinite(scaled).any():
        scaled = scaled - np.nanmedian(scaled)
        scaled = scaled / max(float(np.nanmax(np.abs(scaled))), 1e-30)
    step = max(1, math.ceil(len(scaled) / MAX_POINTS))
    padded = np.pad(scaled, (0, -len(scaled) % step), constant_values=np.nan).reshape(-1, step)
    gap = np.isnan(padded).all(axis=1)
    low = np.where(gap, np.nan, np.where(np.isnan(padded), np.inf, padded).min(axis=1))
    high = np.where(gap, np.nan, np.where(np.isnan(padded), -np.inf, padded).max(axis=1))
    return np.arange(len(padded)) * step / rate_hz, low, high
