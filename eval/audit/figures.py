"""Figures of an audit: how much of what, records with their labels, times and sizes against physics."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ...data.records import Record
from ..figures import GREY, ORANGE, PHASE_COLORS, add_legend, new_figure, window_figure
from .config import AuditConfig
from .finding import Finding
from .physics import s_minus_p_band_s

FOUND = ORANGE
FINE = "#7A8590"
BINS = 500


def counts_figure(checks: pd.DataFrame) -> Figure:
    """Records by check, from `tables.check_table`."""
    shown = checks.iloc[::-1]
    figure, (axes,) = new_figure(1.2 + 0.34 * len(shown))
    colors = [FOUND if severity == "error" else FINE for severity in shown["severity"]]
    bars = axes.barh(shown["check"], shown["records"], color=colors)
    axes.bar_label(bars, padding=4, fontsize=11)
    axes.margins(x=0.12)
    axes.set_xlabel("records")
    handles = [Patch(color=FOUND, label="error"), Patch(color=FINE, label="warning")]
    figure.legend(handles=handles, loc="outside upper right", ncols=2, fontsize=11, frameon=False)
    return figure


def example_figure(record: Record, finding: Finding) -> Figure:
    """One record with its labels and what was found in it."""
    labels: dict[str, list[float]] = {}
    for arrival in record.arrivals:
        labels.setdefault(arrival.phase, []).append(arrival.time_s)
    title = f"{record.record_id}\n{finding.message}"
    waveform, rate_hz = _thinned(record.waveform, record.sampling_rate_hz)
    figure = window_figure(waveform, record.component_names, rate_hz, picks_s=labels, title=title)
    if np.isfinite(finding.at_s):
        top = figure.axes[0]
        place = top.get_xaxis_transform()
        top.plot(finding.at_s, 1.0, "v", color="black", ms=9, clip_on=False, transform=place)
    _name_phases(figure.axes[0], labels, record.duration_s)
    # An arrival outside of the record must be seen to be outside.
    times = [time for of_phase in labels.values() for time in of_phase if np.isfinite(time)]
    end_s = max([record.duration_s, *(1.02 * time for time in times)])
    figure.axes[-1].set(xlabel="time in record (s)", xlim=(min([0.0, *times]), end_s))
    return figure


def s_minus_p_figure(rows: pd.DataFrame, flagged: set[str], config: AuditConfig) -> Figure:
    """S − P against distance, with what any crust allows (at unknown depth)."""
    known = rows[np.isfinite(rows["s_minus_p_s"] * rows["distance_km"])]
    figure, (axes,) = new_figure(4.2)
    reach_km = 1.08 * max(float(known["distance_km"].max()), 10.0)
    way_km = np.linspace(0.0, min(reach_km, config.max_distance_km), 200)
    slack_s = config.time_slack_s / 2.0
    slack_km = config.distance_slack_km + config.distance_share * way_km
    low = [s_minus_p_band_s(d, np.nan)[0] - slack_s for d in np.maximum(way_km - slack_km, 0.0)]
    high = [s_minus_p_band_s(d, np.nan)[1] + slack_s for d in way_km + slack_km]
    axes.fill_between(way_km, low, high, color="#DCE6EE", label="possible")
    axes.set_xlim(0.0, reach_km)
    _points(axes, known["distance_km"], known["s_minus_p_s"], known["record_id"].isin(flagged), "impossible")
    axes.set(xlabel="epicentral distance (km)", ylabel="S − P (s)")
    bottom, top = float(known["s_minus_p_s"].min()), float(known["s_minus_p_s"].max())
    axes.set_ylim(min(0.0, 1.1 * bottom), max(1.15 * top, 2.0))
    add_legend(axes, columns=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return figure


def amplitude_figure(rows: pd.DataFrame, flagged: set[str], config: AuditConfig) -> Figure:
    """Peak motion over what the attenuation relation gives, against magnitude and distance."""
    known = rows[np.isfinite(rows["expected_log_peak"]) & (rows["peak"] > 0)]
    orders = np.log10(known["peak"]) - known["expected_log_peak"]
    label = "peak / expected\n(powers of ten)"
    return _residual_figure(known, orders, flagged, config.amplitude_orders, label)


def counts_amplitude_figure(
    rows: pd.DataFrame, residual: np.ndarray, limit: float, flagged: set[str]
) -> Figure:
    """The same in counts, over the set's own regression (see `set_checks.counts_residual`)."""
    known = np.isfinite(residual)
    label = "peak / the set's own\n(powers of ten)"
    return _residual_figure(rows[known], pd.Series(residual[known]), flagged, limit, label)


def _residual_figure(
    rows: pd.DataFrame, orders: pd.Series, flagged: set[str], limit: float, label: str
) -> Figure:
    figure, axes = new_figure(3.6, columns=2, sharey=True)
    found = rows["record_id"].isin(flagged)
    columns = (("magnitude", "magnitude"), ("distance_km", "distance (km)"))
    for axis, (column, name) in zip(axes, columns, strict=True):
        axis.axhspan(-limit, limit, color="#DCE6EE")
        axis.axhline(0.0, color=GREY, lw=0.8)
        _points(axis, rows[column], orders, found, "outlier")
        axis.set_xlabel(name)
    axes[0].set_ylabel(label)
    axes[1].set_xscale("log")
    figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, fontsize=11, frameon=False
    )
    return figure


def _points(axes: Axes, x: pd.Series, y: pd.Series, found: pd.Series, name: str) -> None:
    """Grey points, and those with a fault on top."""
    mask = found.to_numpy()
    x_values, y_values = x.to_numpy(dtype=float), y.to_numpy(dtype=float)
    axes.scatter(x_values[~mask], y_values[~mask], s=14, color=FINE, alpha=0.7, label="record", zorder=3)
    if mask.any():
        axes.scatter(
            x_values[mask], y_values[mask], s=30, color=FOUND, edgecolor="black", lw=0.5, label=name, zorder=4
        )


def _thinned(waveform: np.ndarray, rate_hz: float) -> tuple[np.ndarray, float]:
    """A long waveform by the least and greatest sample of each of `BINS` pieces: it looks the same."""
    length = -(-waveform.shape[1] // BINS)
    if length < 3:
        return waveform, rate_hz
    padding = -waveform.shape[1] % length
    pieces = np.pad(waveform, ((0, 0), (0, padding)), mode="edge").reshape(len(waveform), -1, length)
    # A piece with a gap in it is a gap: a minimum over some NaN is NaN.
    extremes = np.stack([pieces.min(axis=2), pieces.max(axis=2)], axis=2)
    return extremes.reshape(len(waveform), -1), 2.0 * rate_hz / length


def _name_phases(axes: Axes, labels: dict[str, list[float]], duration_s: float) -> None:
    """The phases' names at the top of their lines, those that are close to each other one above the other."""
    named = sorted((time, phase) for phase, times in labels.items() for time in times if np.isfinite(time))
    last_s, level = -np.inf, 0
    for time_s, phase in named:
        level = level + 1 if time_s - last_s < 0.06 * duration_s else 0
        color = PHASE_COLORS.get(phase[:1], GREY)
        # P on the left of its line and S on the right of its own do not cover each other.
        side, align = (-3, "right") if phase[:1] == "P" else (3, "left")
        axes.annotate(
            phase, (time_s, 0.97 - 0.17 * (level // 2 % 4)), xycoords=("data", "axes fraction"), va="top",
            ha=align, xytext=(side, 0), textcoords="offset points", color=color, fontsize=11,
            fontweight="bold",
        )  # fmt: skip
        last_s = time_s
