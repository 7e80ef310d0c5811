"""Figures of a data set: where, when, how large, how far, how clear, and how it was labelled.

Each takes the table of `describe_records` and gives None where nothing of what it shows is known.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from .figures import BLUE, GREEN, GREY, ORANGE, PURPLE, add_legend, new_figure

KM_PER_SECOND = 8.0
"""Crustal rule of thumb: vp vs / (vp − vs) with vp = 6 km/s and vp / vs = 1.75."""

MANY_POINTS = 2000
DEGREE_KM = 111.195
_EVALUATIONS = {"manual": BLUE, "automatic": ORANGE, "synthetic": GREEN, "unknown": GREY}


def known_of(table: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The rows in which all of these numbers are known."""
    return table[np.isfinite(table[list(columns)].to_numpy(dtype=float)).all(axis=1)]


def per_event(table: pd.DataFrame) -> pd.DataFrame:
    """One row an event."""
    return table.drop_duplicates("event_key")


def map_of_data(table: pd.DataFrame) -> Figure | None:
    """Epicentres by depth, and stations, in degrees with kilometres to scale at the middle latitude."""
    events = per_event(known_of(table, "event_latitude_deg", "event_longitude_deg"))
    stations = known_of(table, "station_latitude_deg", "station_longitude_deg").drop_duplicates("station_id")
    places = np.concatenate(
        [
            events[["event_latitude_deg", "event_longitude_deg"]].to_numpy(),
            stations[["station_latitude_deg", "station_longitude_deg"]].to_numpy(),
        ]
    )
    if not len(places):
        return None
    middle = _middle_longitude(places[:, 1])
    figure, (axes,) = new_figure(6.0)
    east = _near(events.event_longitude_deg.to_numpy(), middle)
    depth = events.source_depth_km.to_numpy()
    known = np.isfinite(depth)
    size, fade = _dots(len(events))
    axes.scatter(
        east[~known], events.event_latitude_deg[~known], s=size, color="none", edgecolor=GREY, lw=0.8,
        label="event, depth unknown" if (~known).any() else None, zorder=3, rasterized=fade,
    )  # fmt: skip
    if known.any():
        dots = axes.scatter(
            east[known], events.event_latitude_deg[known], c=depth[known], s=size, cmap="viridis_r", lw=0.3,
            edgecolor="black", label="event", zorder=3, rasterized=fade,
        )  # fmt: skip
        bar = figure.colorbar(dots, ax=axes, location="bottom", shrink=0.6, aspect=35)
        bar.set_label("depth (km)")
    axes.scatter(
        _near(stations.station_longitude_deg.to_numpy(), middle), stations.station_latitude_deg, marker="^",
        s=float(np.clip(600 / np.sqrt(max(len(stations), 1)), 18, 70)), color=ORANGE, edgecolor="black",
        lw=0.5,
        label="station", zorder=2,
    )  # fmt: skip
    _frame_map(axes, places[:, 0], _near(places[:, 1], middle))
    add_legend(axes, columns=2, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return figure


def magnitude_distance_figure(table: pd.DataFrame) -> Figure | None:
    """Which magnitudes were recorded at which distances."""
    shown = known_of(table, "distance_km", "source_magnitude")
    if not len(shown):
        return None
    figure, (axes,) = new_figure(4.2)
    size, fade = _dots(len(shown))
    axes.scatter(
        shown.distance_km.clip(lower=0.1), shown.source_magnitude, s=size / 2, color=BLUE, lw=0,
        alpha=0.25 if fade else 0.6, rasterized=fade,
    )  # fmt: skip
    if shown.distance_km.max() > 20 * max(shown.distance_km.min(), 0.1):
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
    axes.set(xlabel="epicentral distance (km)", ylabel="magnitude")
    axes.grid(alpha=0.25)
    return figure


def source_figure(table: pd.DataFrame) -> Figure | None:
    """How large and how deep: each event once."""
    events = per_event(table)
    parts = {"magnitude": events.source_magnitude, "depth (km)": events.source_depth_km}
    parts = {name: values[np.isfinite(values)] for name, values in parts.items()}
    parts = {name: values for name, values in parts.items() if len(values)}
    if not parts:
        return None
    figure, axes = new_figure(3.4, columns=len(parts))
    for axis, (name, values) in zip(axes, parts.items(), strict=True):
        _histogram(axis, values.to_numpy(), name, "events")
    return figure


def snr_figure(table: pd.DataFrame) -> Figure | None:
    """How far P stands out of the noise before it."""
    return _one_histogram(table.snr_db, "signal-to-noise ratio of P (dB)")


def s_minus_p_figure(table: pd.DataFrame) -> Figure | None:
    """How long from P to S, and whether that fits to the distance."""
    shown = table.assign(s_minus_p_s=table.s_s - table.p_s)
    shown = known_of(shown, "s_minus_p_s")
    if not len(shown):
        return None
    far = known_of(shown, "distance_km")
    figure, axes = new_figure(3.4, columns=2 if len(far) else 1)
    _histogram(axes[0], shown.s_minus_p_s.to_numpy(), "S − P (s)", "records")
    if len(far):
        size, fade = _dots(len(far))
        axes[1].scatter(
            far.distance_km, far.s_minus_p_s, s=size / 2, color=BLUE, lw=0, alpha=0.5, rasterized=fade
        )
        reach = float(far.distance_km.max())
        axes[1].plot([0, reach], [0, reach / KM_PER_SECOND], color=ORANGE, lw=1.4, label="distance / 8 km/s")
        axes[1].set(xlabel="epicentral distance (km)", ylabel="S − P (s)")
        axes[1].grid(alpha=0.25)
        add_legend(axes[1], loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return figure


def rate_figure(table: pd.DataFrame) -> Figure | None:
    """Native sampling rates and lengths."""
    figure, axes = new_figure(3.4, columns=2)
    rates = table.sampling_rate_hz.round(3).map("{:g}".format).value_counts()
    _bars(axes[0], rates.loc[sorted(rates.index, key=float)], "sampling rate (Hz)")
    lengths = table.duration_s.round(1).map("{:g}".format).value_counts()
    if len(lengths) <= 8:
        _bars(axes[1], lengths.loc[sorted(lengths.index, key=float)], "length (s)")
    else:
        _histogram(axes[1], table.duration_s.to_numpy(), "length (s)", "records")
    return figure


def class_figure(table: pd.DataFrame) -> Figure | None:
    """Which components were recorded, in which unit, and what shook the ground."""
    counts = {
        "components": table.components.value_counts(),
        "unit": table.unit.value_counts(),
        "event type": table.event_type.replace("", "unknown").value_counts(),
    }
    rows = [len(values) for values in counts.values()]
    figure, axes = new_figure(1.6 + 0.36 * sum(rows), rows=3, height_ratios=[n + 1 for n in rows])
    for axis, (name, values) in zip(axes, counts.items(), strict=True):
        bars = axis.barh(values.index, values.to_numpy(), color=BLUE, height=0.7)
        axis.bar_label(bars, padding=3, fontsize=10, color=GREY)
        axis.set_xticks([])
        axis.set_title(name, loc="left")
        axis.margins(x=0.18)
        axis.spines.bottom.set_visible(False)
        axis.invert_yaxis()
    return figure


def label_figure(table: pd.DataFrame) -> Figure | None:
    """How many arrivals of each phase were labelled, and by whom."""
    counts = Counter(pair for pairs in table.phases for pair in pairs)
    if not counts:
        return None
    totals = Counter[str]()
    for (phase, _), count in counts.items():
        totals[phase] += count
    phases = [phase for phase, _ in totals.most_common()]
    figure, (axes,) = new_figure(3.4)
    base = np.zeros(len(phases))
    for who in dict.fromkeys([*_EVALUATIONS, *(evaluation for _, evaluation in counts)]):
        heights = np.array([counts[phase, who] for phase in phases], dtype=float)
        if heights.any():
            axes.bar(phases, heights, bottom=base, width=0.6, color=_EVALUATIONS.get(who, PURPLE), label=who)
            base += heights
    for place, total in enumerate(base):
        axes.annotate(
            f"{total:.0f}", (place, total), xytext=(0, 2), textcoords="offset points", ha="center",
            fontsize=10, color=GREY,
        )  # fmt: skip
    axes.set(ylabel="arrivals", xlim=(-0.6, max(len(phases), 4) - 0.4))
    add_legend(axes, columns=4, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return figure


def time_figure(table: pd.DataFrame) -> Figure | None:
    """When the records begin."""
    shown = known_of(table, "start_time")
    if not len(shown):
        return None
    figure, (axes,) = new_figure(2.8)
    times = pd.to_datetime(shown.start_time, unit="s")
    axes.hist(times.to_numpy(), bins=_num_bins(len(shown)), color=BLUE, edgecolor="white", lw=0.4)
    axes.set(ylabel="records", xlabel="start of record (UTC)")
    locator = AutoDateLocator(maxticks=6)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    return figure


def _one_histogram(values: pd.Series, label: str) -> Figure | None:
    shown = values[np.isfinite(values)].to_numpy()
    if not len(shown):
        return None
    figure, (axes,) = new_figure(3.0)
    _histogram(axes, shown, label, "records")
    return figure


def _histogram(axes: Axes, values: np.ndarray, label: str, what: str) -> None:
    axes.hist(values, bins=_num_bins(len(values)), color=BLUE, edgecolor="white", lw=0.4)
    middle = float(np.median(values))
    axes.axvline(middle, color=ORANGE, lw=1.6, label=f"median {middle:.3g}")
    axes.set(xlabel=label, ylabel=what)
    add_legend(axes, loc="lower center", bbox_to_anchor=(0.5, 1.0))


def _bars(axes: Axes, counts: pd.Series, label: str) -> None:
    bars = axes.bar(counts.index, counts.to_numpy(), color=BLUE, width=0.6)
    axes.bar_label(bars, fontsize=10, color=GREY)
    axes.set(xlabel=label, ylabel="records", xlim=(-0.7, max(len(counts), 3) - 0.3))
    axes.margins(y=0.12)
    if len(counts) > 4:
        axes.tick_params(axis="x", rotation=60)


def _num_bins(count: int) -> int:
    return int(np.clip(2 * np.sqrt(count), 8, 60))


def _dots(count: int) -> tuple[float, bool]:
    """Size of a dot, and whether there are so many that they fade and are drawn as pixels."""
    return float(np.clip(2500 / np.sqrt(max(count, 1)) / 4, 6, 40)), count > MANY_POINTS


def _middle_longitude(longitude: np.ndarray) -> float:
    """A longitude near to all of them, also across the date line: the direction of their mean."""
    angle = np.radians(longitude)
    return float(np.degrees(np.arctan2(np.sin(angle).mean(), np.cos(angle).mean())))


def _near(longitude: np.ndarray, middle: float) -> np.ndarray:
    return middle + (longitude - middle + 180.0) % 360.0 - 180.0


def _frame_map(axes: Axes, latitude: np.ndarray, longitude: np.ndarray) -> None:
    middle = np.clip((latitude.min() + latitude.max()) / 2, -85.0, 85.0)
    shrink = float(np.cos(np.radians(middle)))
    axes.set_aspect(1.0 / shrink)
    # In degrees of latitude; a single place or a line of them gets room, too: 0.1 degrees are 11 km.
    width, height = float(np.ptp(longitude)) * shrink, float(np.ptp(latitude))
    least = max(0.6 * max(width, height), 0.1)
    middle_longitude = (longitude.min() + longitude.max()) / 2
    half_width = 0.58 * max(width, least) / shrink
    half_height = 0.58 * max(height, least)
    axes.set_xlim(middle_longitude - min(half_width, 185.0), middle_longitude + min(half_width, 185.0))
    axes.set_ylim(max(middle - half_height, -90.0), min(middle + half_height, 90.0))
    axes.ticklabel_format(useOffset=False)
    axes.xaxis.set_major_formatter(lambda value, _: f"{(value + 180.0) % 360.0 - 180.0:.6g}°")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.6g}°")
    axes.set(xlabel="longitude", ylabel="latitude")
    axes.grid(alpha=0.25)
    _scale_bar(axes, shrink * DEGREE_KM)


def _scale_bar(axes: Axes, km_per_degree: float) -> None:
    left, right = axes.get_xlim()
    width_km = _round_km(0.25 * (right - left) * km_per_degree)
    begin = left + 0.04 * (right - left)
    low, high = axes.get_ylim()
    level = low + 0.04 * (high - low)
    axes.plot([begin, begin + width_km / km_per_degree], [level, level], color="black", lw=3, zorder=5)
    axes.annotate(
        f"{width_km:g} km", (begin, level), xytext=(0, 5), textcoords="offset points", fontsize=11, zorder=5
    )


def _round_km(length_km: float) -> float:
    """The largest of 1, 2 and 5 times a power of ten that is not longer."""
    power = 10.0 ** np.floor(np.log10(length_km))
    return float(max(step * power for step in (1, 2, 5) if step * power <= length_km))
