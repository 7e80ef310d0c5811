"""A catalog as a page to look at: map, depths, each event's record section, and what was left out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import obspy
import pandas as pd
from matplotlib.figure import Figure
from obspy.geodetics import gps2dist_azimuth

from ..data.continuous.archive import Archive
from ..data.earth.velocity import VelocityModel
from ..data.records import Skipped
from ..eval.figures import depth_section_figure, map_figure, record_section_figure
from ..eval.report import Report
from .events import Catalog
from .mechanism_report import add_mechanisms
from .pick_table import PickTable
from .projection import LocalProjection

BEFORE_S = 2.0
AFTER_S = 5.0
"""Waveform before the origin time and after the last predicted arrival in a record section."""

HIGHPASS_HZ = 2.0
"""Record sections are shown above this frequency, below which broad-band stations show only the sea."""

_EVENT_TABLE = (
    "event_id",
    "time",
    "latitude_deg",
    "longitude_deg",
    "depth_km",
    "horizontal_uncertainty_km",
    "depth_uncertainty_km",
    "rms_s",
    "azimuthal_gap_deg",
    "num_stations",
    "num_p",
    "num_s",
)


def write_report(
    path: str | Path,
    catalog: Catalog,
    picks: PickTable,
    stations: pd.DataFrame,
    archive: Archive,
    velocity_model: VelocityModel,
    *,
    title: str = "Earthquake catalog",
    max_record_sections: int = 30,
    errors: Sequence[Skipped] = (),
) -> Path:
    """One HTML file with everything in it, and its numbers as JSON beside it.

    max_record_sections: only the events with most arrivals get a record section, and as many a beach ball.
    errors: station-days that failed.
    """
    report = Report(title)
    _summary(report, catalog, picks, errors)
    if len(catalog):
        _places(report, catalog, stations)
        _event_table(report, catalog)
        add_mechanisms(report, catalog, max_record_sections)
        _record_sections(report, catalog, stations, archive, velocity_model, max_record_sections)
    report.section("Picks by station")
    report.table(
        _station_table(catalog, picks, stations), "Picks of each station, and how many belong to an event"
    )
    _left_out(report, catalog.skipped, errors)
    return report.write(path)


def _summary(report: Report, catalog: Catalog, picks: PickTable, errors: Sequence[Skipped]) -> None:
    numbers = {
        "num_events": len(catalog),
        "num_picks": len(picks),
        "num_associated": len(catalog.arrivals),
        "num_errors": len(errors),
    }
    report.numbers(**numbers)
    share = f" ({len(catalog.arrivals) / len(picks):.0%})" if len(picks) else ""
    report.text(
        f"{len(catalog)} events from {len(picks)} picks, of which {len(catalog.arrivals)}{share} belong to "
        "an event. The share says little by itself: a picker that only dares the largest arrivals has most."
    )
    if errors:
        report.text(
            f"{len(errors)} station-days failed and are not in this catalog: see the end of the page."
        )


def _places(report: Report, catalog: Catalog, stations: pd.DataFrame) -> None:
    plane = LocalProjection.around(stations)
    station_xy = np.column_stack(plane.to_km(stations["latitude_deg"], stations["longitude_deg"]))
    event_xy = np.column_stack(plane.to_km(catalog.events["latitude_deg"], catalog.events["longitude_deg"]))
    depth_km = catalog.events["depth_km"].to_numpy(float)
    report.section("Where")
    report.figure(
        map_figure(station_xy, event_xy, depth_km, station_names=stations["station"].tolist()),
        f"Events and stations in km around {plane.latitude_deg:.3f}°, {plane.longitude_deg:.3f}°",
        f"Map of {len(catalog)} events coloured by depth among {len(stations)} stations",
    )
    report.figure(
        depth_section_figure(
            event_xy[:, 0],
            depth_km,
            depth_uncertainty_km=catalog.events["depth_uncertainty_km"].to_numpy(float),
        ),
        "Depth below the velocity model's datum against distance east, with one standard deviation",
        f"Depth section of {len(catalog)} events from {depth_km.min():.1f} to {depth_km.max():.1f} km",
    )


def event_table(catalog: Catalog) -> pd.DataFrame:
    """The events as a reader wants them: coordinates to ten metres, which four digits would not show."""
    table = catalog.events[list(_EVENT_TABLE)].copy()
    for name in ("latitude_deg", "longitude_deg"):
        table[name] = [f"{value:.4f}" for value in table[name]]
    return table


def _event_table(report: Report, catalog: Catalog) -> None:
    report.section("Events")
    report.table(
        event_table(catalog),
        "Origins. Uncertainties are one standard deviation, the gap is the widest sector without station",
    )


def _record_sections(
    report: Report,
    catalog: Catalog,
    stations: pd.DataFrame,
    archive: Archive,
    velocity_model: VelocityModel,
    most: int,
) -> None:
    counts = catalog.arrivals["event_id"].value_counts()
    shown = catalog.events[catalog.events["event_id"].isin(counts.index[:most])]
    report.section("Record sections")
    if len(shown) < len(catalog):
        report.text(f"The {len(shown)} of {len(catalog)} events with most arrivals.")
    for event in shown.to_dict("records"):
        arrivals = catalog.arrivals_of(event["event_id"])
        figure, count = record_section(event, arrivals, stations, archive, velocity_model)
        if figure is not None:
            report.figure(
                figure,
                f"{event['event_id']}: vertical above {HIGHPASS_HZ:g} Hz, picks (bars), predicted (dots)",
                f"Waveforms of {count} stations by distance with {len(arrivals)} picks",
            )


def record_section(
    event: dict,
    arrivals: pd.DataFrame,
    stations: pd.DataFrame,
    archive: Archive,
    velocity_model: VelocityModel,
) -> tuple[Figure | None, int]:
    """All stations' vertical waveforms of an event by distance, with picks and predicted arrivals.

    event: a row of `Catalog.events`. Returns the figure, None where the archive has no vertical waveform, and
    the number of stations shown.
    """
    origin_s = event["time"].timestamp()
    traces, rows = [], []
    for station in stations.fillna({"elevation_m": 0.0}).to_dict("records"):
        distance_km = (
            gps2dist_azimuth(
                event["latitude_deg"],
                event["longitude_deg"],
                station["latitude_deg"],
                station["longitude_deg"],
            )[0]
            / 1000.0
        )
        predicted = {
            phase: float(
                velocity_model.travel_time_s(distance_km, event["depth_km"], phase, station["elevation_m"])
            )
            for phase in "PS"
        }
        trace = _vertical(archive, station, origin_s - BEFORE_S, origin_s + predicted["S"] + AFTER_S)
        if trace is not None:
            traces.append(trace)
            rows.append({"distance_km": distance_km, "station": station} | predicted)
    if not traces:
        return None, 0
    figure = record_section_figure(
        [trace.data for trace in traces],
        [row["distance_km"] for row in rows],
        [trace.stats.starttime.timestamp - origin_s for trace in traces],
        [trace.stats.sampling_rate for trace in traces],
        station_names=[row["station"]["station"] for row in rows],
        picks_s={
            phase: [_pick_s(arrivals, row["station"], phase, origin_s) for row in rows] for phase in "PS"
        },
        predicted_s={phase: [row[phase] for row in rows] for phase in "PS"},
        title=f"{event['time']:%Y-%m-%d %H:%M:%S} UTC, {event['depth_km']:.1f} km deep",
    )
    return figure, len(traces)


def _vertical(archive: Archive, station: dict, start_s: float, end_s: float) -> obspy.Trace | None:
    """One vertical trace of a station, high-passed, NaN in gaps; None where there is none."""
    code = f"{station['network']}.{station['station']}"
    stream = obspy.Stream()
    for station_id in archive.station_ids:
        if station_id.rpartition(".")[0] == code:
            stream += archive.read(station_id, start_s, end_s).select(component="[Z3U]")
    # ObsPy merges no traces of different rates, such as those around a change of the digitizer.
    kind = {(trace.id, trace.stats.sampling_rate) for trace in stream[:1]}
    spans = [t for t in stream.split() if t.stats.npts > 1 and (t.id, t.stats.sampling_rate) in kind]
    for trace in spans:
        # Begun at zero: a step there would swing longer and larger than what is looked for.
        trace.data = (trace.data - trace.data[0]).astype(np.float32)
        trace.filter("highpass", freq=HIGHPASS_HZ)
    return obspy.Stream(spans).merge(method=1, fill_value=np.nan)[0] if spans else None


def _pick_s(arrivals: pd.DataFrame, station: dict, phase: str, origin_s: float) -> float:
    code = f"{station['network']}.{station['station']}."
    found = arrivals[arrivals["station_id"].str.startswith(code) & arrivals["phase"].str.startswith(phase)]
    return float("nan") if found.empty else found["time"].iloc[0].timestamp() - origin_s


def _station_table(catalog: Catalog, picks: PickTable, stations: pd.DataFrame) -> pd.DataFrame:
    """One row a station of the table or of the picks: P, S, and the associated share."""
    codes = (stations["network"] + "." + stations["station"]).tolist()
    found = _without_location(picks.frame["station_id"])
    names = sorted(set(codes) | set(found))
    used = _without_location(catalog.arrivals["station_id"]).value_counts()
    phase = picks.frame["phase"].str[:1]
    return pd.DataFrame(
        {
            "station": names,
            "P": [int(((found == name) & (phase == "P")).sum()) for name in names],
            "S": [int(((found == name) & (phase == "S")).sum()) for name in names],
            "associated": [int(used.get(name, 0)) for name in names],
        }
    )


def _without_location(station_id: pd.Series) -> pd.Series:
    return station_id.str.replace(r"\.[^.]*$", "", regex=True)


def _left_out(report: Report, skipped: Sequence[Skipped], errors: Sequence[Skipped]) -> None:
    for title, caption, notes in (
        ("Skipped", "What was not used, and why", skipped),
        ("Errors", "Station-days that failed; the next run tries them again", errors),
    ):
        if notes:
            report.section(title)
            report.table(
                pd.DataFrame([(note.item, note.reason) for note in notes], columns=["item", "reason"]),
                caption,
            )
