"""Figures of waveforms and of places: a picked window, a record section, a map, a depth section.

All are Matplotlib `Figure` objects without global state, six inches wide with text that stays readable on a
phone, in colours that the colour-blind can tell apart (Okabe & Ito 2008).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.rcsetup import cycler

BLUE, ORANGE, GREEN, GREY, PURPLE = "#0072B2", "#D55E00", "#009E73", "#5A6068", "#CC79A7"
PHASE_COLORS = {"P": BLUE, "S": ORANGE, "noise": GREY, "detection": GREEN}
WIDTH_IN = 6.0

_STYLE: Any = {
    "font.size": 12,
    "axes.labelsize": 12,
    "axes.titlesize": 12,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "legend.fontsize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": cycler(color=[BLUE, ORANGE, GREEN, PURPLE, GREY]),
}


def new_figure(
    height_in: float,
    rows: int = 1,
    columns: int = 1,
    height_ratios: Sequence[float] | None = None,
    **shared: Any,
) -> tuple[Figure, list[Axes]]:
    """An empty figure in the house's style, and its axes from the top left.

    shared: `sharex`, `sharey` as Matplotlib's `subplots` has them.
    """
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False, **shared)
    return figure, list(grid.ravel())


def add_legend(axes: Axes, columns: int = 1, **options: Any) -> None:
    """A legend in the house's style, where anything has a label."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=11, frameon=False, ncols=columns, handlelength=1.4, **options)


def window_figure(
    waveform: np.ndarray,
    component_names: Sequence[str],
    sampling_rate_hz: float,
    *,
    probability: Mapping[str, np.ndarray] | None = None,
    picks_s: Mapping[str, Sequence[float]] | None = None,
    labels_s: Mapping[str, Sequence[float]] | None = None,
    title: str = "",
) -> Figure:
    """One window as a seismologist looks at it: components on top, probabilities beneath, picks through all.

    waveform: `(component, sample)`, NaN where nothing was observed; each row is scaled by itself.
    probability: `(sample,)` at the same rate, by phase. picks_s (solid) and labels_s (dashed): seconds after
    the first sample, by phase.
    """
    rows = len(component_names) + (1 if probability else 0)
    figure, axes = new_figure(1.0 + 1.05 * rows, rows=rows, sharex=True)
    time_s = np.arange(waveform.shape[1]) / sampling_rate_hz
    for axis, trace, name in zip(axes, waveform, component_names, strict=False):
        axis.plot(time_s, trace, color="#22262b", linewidth=0.7)
        axis.set_ylabel(name, rotation=0, labelpad=12)
        axis.set_yticks([])
        if not np.isfinite(trace).any():
            axis.text(
                0.5, 0.5, "not recorded", transform=axis.transAxes, ha="center", color=GREY, fontsize=11
            )
    for name, curve in (probability or {}).items():
        axes[-1].plot(np.arange(len(curve)) / sampling_rate_hz, curve, color=_color(name), label=name)
    if probability:
        axes[-1].set(ylim=(0, 1.05), ylabel="probability")
        add_legend(axes[-1], columns=4, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    for times_s, style in ((picks_s or {}, "-"), (labels_s or {}, (0, (4, 3)))):
        for phase, times in times_s.items():
            _time_lines(axes, times, _color(phase), style)
    axes[-1].set(xlabel="time in window (s)", xlim=(0, max(time_s[-1], 1e-9)))
    _title(axes[0], title)
    return figure


def record_section_figure(
    waveforms: Sequence[np.ndarray],
    distance_km: Sequence[float],
    start_s: Sequence[float],
    sampling_rate_hz: Sequence[float],
    *,
    station_names: Sequence[str] | None = None,
    picks_s: Mapping[str, Sequence[float]] | None = None,
    predicted_s: Mapping[str, Sequence[float]] | None = None,
    title: str = "",
) -> Figure:
    """Traces of one event against distance, with their picks (bars) and predicted arrivals (dots).

    waveforms: one vertical trace `(sample,)` a station, scaled by itself, NaN where not observed.
    start_s: first sample in seconds after the origin. picks_s, predicted_s: one time a station after the
    origin, by phase, NaN where there is none.
    """
    distance = np.asarray(distance_km, dtype=float)
    figure, (axes,) = new_figure(min(9.0, 3.0 + 0.25 * len(distance)))
    reach = _trace_reach_km(distance)
    for trace, offset, begin, rate in zip(waveforms, distance, start_s, sampling_rate_hz, strict=True):
        axes.plot(
            begin + np.arange(len(trace)) / rate, offset + reach * _scaled(trace), color="#22262b", lw=0.5
        )
    for phase, times in (picks_s or {}).items():
        axes.vlines(
            times, distance - reach, distance + reach, color=_color(phase), lw=2.2, label=f"{phase} pick"
        )
    for phase, times in (predicted_s or {}).items():
        axes.plot(times, distance, "o", color=_color(phase), ms=4.5, mfc="white", label=f"{phase} predicted")
    if station_names is not None:
        for name, offset in zip(station_names, distance, strict=True):
            axes.annotate(
                name,
                (1.01, offset),
                xycoords=("axes fraction", "data"),
                va="center",
                fontsize=9,
                annotation_clip=False,
            )
    axes.set(xlabel="time after origin (s)", ylabel="distance (km)")
    _title(axes, title)
    figure.legend(
        *axes.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=11, frameon=False
    )
    return figure


def map_figure(
    station_xy_km: np.ndarray,
    event_xy_km: np.ndarray,
    event_depth_km: np.ndarray,
    *,
    station_names: Sequence[str] | None = None,
    event_magnitude: np.ndarray | None = None,
    title: str = "",
) -> Figure:
    """A map in local kilometres: stations as triangles, events as circles coloured by depth.

    station_xy_km, event_xy_km: `(…, 2)` east and north.
    """
    station_east, station_north = np.reshape(station_xy_km, (-1, 2)).T
    event_east, event_north = np.reshape(event_xy_km, (-1, 2)).T
    figure, (axes,) = new_figure(6.2)
    axes.scatter(station_east, station_north, marker="^", s=55, color=GREY, label="station", zorder=3)
    if len(event_xy_km):
        size = _marker_size(event_magnitude, len(event_xy_km))
        dots = axes.scatter(
            event_east, event_north, c=event_depth_km, s=size, cmap="viridis_r", edgecolor="black", lw=0.5,
            label="event", zorder=4,
        )  # fmt: skip
        _depth_bar(figure, axes, dots)
    for name, (x_km, y_km) in zip(station_names or (), np.asarray(station_xy_km), strict=False):
        axes.annotate(name, (x_km, y_km), xytext=(4, 4), textcoords="offset points", fontsize=9, color=GREY)
    axes.set_aspect("equal", adjustable="datalim")
    axes.set(xlabel="east (km)", ylabel="north (km)")
    axes.grid(alpha=0.25)
    _title(axes, title)
    add_legend(axes, columns=2, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return figure


def depth_section_figure(
    event_along_km: np.ndarray,
    event_depth_km: np.ndarray,
    *,
    event_magnitude: np.ndarray | None = None,
    depth_uncertainty_km: np.ndarray | None = None,
    along: str = "east",
    title: str = "",
) -> Figure:
    """Events from the side: kilometres along a profile against depth, downwards."""
    figure, (axes,) = new_figure(4.0)
    if depth_uncertainty_km is not None:
        axes.errorbar(
            event_along_km, event_depth_km, yerr=depth_uncertainty_km, fmt="none", ecolor=GREY, lw=1
        )
    size = _marker_size(event_magnitude, len(event_along_km))
    axes.scatter(event_along_km, event_depth_km, s=size, color=BLUE, edgecolor="black", lw=0.5, zorder=3)
    axes.invert_yaxis()
    axes.grid(alpha=0.25)
    axes.set(xlabel=f"{along} (km)", ylabel="depth (km)")
    _title(axes, title)
    return figure


def _color(name: str) -> str:
    return PHASE_COLORS.get(name, PHASE_COLORS.get(name[:1], PURPLE))


def _title(axes: Axes, title: str) -> None:
    if title:
        axes.set_title(title, loc="left", fontsize=12, wrap=True)


def _time_lines(axes: Sequence[Axes], times_s: Sequence[float], color: str, style: Any) -> None:
    for axis in axes:
        for time_s in times_s:
            if np.isfinite(time_s):
                axis.axvline(time_s, color=color, linestyle=style, linewidth=1.4)


def _scaled(trace: np.ndarray) -> np.ndarray:
    """The trace about its median, with a largest excursion of 1; a dead one is flat."""
    if not np.isfinite(trace).any():
        return np.full(len(trace), np.nan)
    centred = trace - np.nanmedian(trace)
    return centred / max(float(np.nanmax(np.abs(centred))), 1e-30)


def _trace_reach_km(distance_km: np.ndarray) -> float:
    """Half a trace's height: neighbours touch, and do not bury each other."""
    span = float(np.ptp(distance_km)) if len(distance_km) else 0.0
    return 0.6 * span / max(len(distance_km), 1) or 0.5


def _marker_size(magnitude: np.ndarray | None, count: int) -> np.ndarray:
    if magnitude is None:
        return np.full(count, 45.0)
    return 25.0 + 22.0 * np.clip(np.nan_to_num(np.asarray(magnitude, dtype=float)), 0.0, 6.0) ** 1.5


def _depth_bar(figure: Figure, axes: Axes, dots: Any) -> None:
    bar = figure.colorbar(dots, ax=axes, shrink=0.7, pad=0.02)
    bar.set_label("depth (km)", fontsize=12)
    bar.ax.tick_params(labelsize=11)
    bar.ax.invert_yaxis()
