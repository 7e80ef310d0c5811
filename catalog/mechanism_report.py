"""The focal mechanisms of a catalog as a page shows them: a table, and a beach ball for each event."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from obspy.imaging.beachball import beach

from ..eval.figures import new_figure
from ..eval.report import Report
from .events import Catalog

COLUMNS = 5
BALLS_PER_FIGURE = 15

INK, SHADE = "#22262b", "#8fc1e3"
EVERY = 3
"""Of the points of a ball's outline: all that ObsPy makes would be too heavy for a page of drawings."""

_TABLE = (
    "event_id",
    "strike_deg",
    "dip_deg",
    "rake_deg",
    "mechanism_error_deg",
    "num_polarities",
    "num_ratios",
    "polarity_misfit",
    "ratio_misfit_log10",
    "polarity_gap_deg",
    "mechanism_quality",
    "num_solutions",
)


def add_mechanisms(report: Report, catalog: Catalog, most: int) -> None:
    """A section on focal mechanisms, where they were looked for.

    most: only so many events, those with most first motions, get a beach ball.
    """
    found = catalog.mechanisms
    if found is None:
        return
    report.section("Focal mechanisms")
    report.text(
        f"{len(found)} of {len(catalog)} events have a mechanism; why the others have none stands under "
        "“Skipped”."
    )
    if found.empty:
        return
    report.table(
        found[list(_TABLE)].round(2),
        "One plane of each, its uncertainty, and what was read; CSV and QuakeML have both planes, and the "
        "other solutions of an event that has several",
    )
    shown = found.sort_values("num_polarities", ascending=False, kind="stable")[:most].sort_index()
    if len(shown) < len(found):
        report.text(f"The {len(shown)} of {len(found)} mechanisms with most first motions.")
    for first in range(0, len(shown), BALLS_PER_FIGURE):
        some = shown[first : first + BALLS_PER_FIGURE]
        report.figure(
            beach_balls_figure(some, catalog.arrivals),
            "Lower hemispheres. Shaded: P moves up; dots: first motions up (filled) and down (open). Below "
            "each: number of first motions, uncertainty, quality",
            f"Beach balls of {len(some)} events with the first motions at their stations",
        )


def beach_balls_figure(events: pd.DataFrame, arrivals: pd.DataFrame) -> Figure:
    """A beach ball for each event with a mechanism, with its first motions on the lower hemisphere.

    events, arrivals: rows of a `Catalog` with mechanisms.
    """
    rows = -(-len(events) // COLUMNS)
    figure, axes = new_figure(1.65 * rows, rows=rows, columns=COLUMNS)
    for axis in axes:
        axis.set_axis_off()
    for axis, event in zip(axes, events.to_dict("records"), strict=False):
        _ball(axis, event, arrivals[arrivals["event_id"] == event["event_id"]])
    return figure


def _ball(axis: Axes, event: dict, arrivals: pd.DataFrame) -> None:
    planes = [event[name] for name in ("strike_deg", "dip_deg", "rake_deg")]
    ball = beach(planes, width=2.0, facecolor=SHADE, edgecolor=INK, linewidth=0.8, zorder=1)
    ball.set_paths([Polygon(path.vertices[::EVERY]) for path in ball.get_paths()])
    axis.add_collection(ball)
    used = arrivals[arrivals["polarity_weight"] > 0.0]
    east, north = lower_hemisphere(used["azimuth_deg"].to_numpy(), used["takeoff_deg"].to_numpy())
    up = (used["polarity"] == "positive").to_numpy()
    for here, fill in ((up, INK), (~up, "white")):
        axis.plot(east[here], north[here], "o", ms=3.5, mfc=fill, mec=INK, mew=0.7, ls="none", zorder=2)
    axis.set(xlim=(-1.08, 1.08), ylim=(-1.08, 1.08), aspect="equal")
    quality = f", {event['mechanism_quality']}" if event["mechanism_quality"] else ""
    axis.set_title(f"{event['time']:%m-%d %H:%M:%S}", fontsize=9)
    axis.text(
        0.0,
        -1.15,
        f"{event['num_polarities']}, ±{event['mechanism_error_deg']:.0f}°{quality}",
        ha="center",
        va="top",
        fontsize=9,
    )


def lower_hemisphere(azimuth_deg: np.ndarray, takeoff_deg: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where rays pierce the lower focal hemisphere, east and north in its radius, in equal areas (Schmidt).

    A ray that leaves upwards is drawn where its opposite goes, which sees the same.
    """
    upwards = takeoff_deg > 90.0
    azimuth = np.deg2rad(np.where(upwards, azimuth_deg + 180.0, azimuth_deg))
    radius = np.sqrt(2.0) * np.sin(np.deg2rad(np.where(upwards, 180.0 - takeoff_deg, takeoff_deg)) / 2.0)
    return radius * np.sin(azimuth), radius * np.cos(azimuth)
