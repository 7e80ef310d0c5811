"""Picks and catalogs as QuakeML, by way of ObsPy's event classes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import obspy
import pandas as pd
from obspy.core import event as qml

from .events import Catalog
from .files import replacing
from .pick_table import PickTable

KM_PER_DEGREE = 111.19492664455873
"""Kilometres of one degree on a sphere of 6371 km: QuakeML gives distances in degrees."""

_PROBABILITY = "probability: "
_SNR = "snr_db: "


def write_quakeml(data: PickTable | Catalog, path: str | Path) -> None:
    """Write picks, or a catalog with its arrivals, as QuakeML; in whole or not at all."""
    events = picks_to_obspy(data) if isinstance(data, PickTable) else catalog_to_obspy(data)
    with replacing(path) as temporary:
        events.write(str(temporary), format="QUAKEML", nsmap={})


def picks_to_obspy(picks: PickTable) -> obspy.Catalog:
    """Picks without an origin, in one event: QuakeML knows no pick outside of an event."""
    event = qml.Event(comments=[qml.Comment(text="picks that no origin explains")])
    _add_picks(event, picks.frame)
    return obspy.Catalog([event])


def catalog_to_obspy(catalog: Catalog) -> obspy.Catalog:
    """Events with a preferred origin, picks, and arrivals with residual, distance, azimuth and weight."""
    events = []
    arrivals = dict(list(catalog.arrivals.groupby("event_id")))
    for row in catalog.events.to_dict("records"):
        event = qml.Event(resource_id=_resource(f"event/{row['event_id']}"), event_type="earthquake")
        mine = arrivals.get(row["event_id"], catalog.arrivals.iloc[:0])
        picks = _add_picks(event, mine)
        origin = _origin(row)
        origin.arrivals = [_arrival(a, p) for a, p in zip(mine.to_dict("records"), picks, strict=True)]
        event.origins, event.preferred_origin_id = [origin], origin.resource_id
        for solution in catalog.solutions_of(row["event_id"]).to_dict("records"):
            event.focal_mechanisms.append(_focal_mechanism(row | solution, origin))
        if event.focal_mechanisms:
            event.preferred_focal_mechanism_id = event.focal_mechanisms[0].resource_id
        events.append(event)
    return obspy.Catalog(events)


def picks_from_obspy(catalog: obspy.Catalog) -> PickTable:
    """All picks of an ObsPy catalog that name a station and a phase."""
    rows = []
    for event in catalog:
        amplitudes = {a.pick_id.id: a.generic_amplitude for a in event.amplitudes if a.pick_id}
        rows += [
            _pick_row(pick, amplitudes)
            for pick in event.picks
            if pick.waveform_id and pick.waveform_id.station_code and pick.phase_hint
        ]
    return PickTable.from_rows(rows)


def _add_picks(event: qml.Event, frame: pd.DataFrame) -> list[qml.Pick]:
    picks = [_pick(row) for row in frame.to_dict("records")]
    event.picks = picks
    for row, pick in zip(frame.to_dict("records"), picks, strict=True):
        if pd.notna(row["amplitude"]):
            event.amplitudes.append(
                qml.Amplitude(
                    generic_amplitude=row["amplitude"],
                    type="A",
                    category="point",
                    pick_id=pick.resource_id,
                    waveform_id=pick.waveform_id,
                )
            )
    return picks


def _pick(row: Mapping[Any, Any]) -> qml.Pick:
    network, station, location = (*str(row["station_id"]).split("."), "", "")[:3]
    return qml.Pick(
        time=obspy.UTCDateTime(ns=row["time"].value),
        time_errors=qml.QuantityError(uncertainty=_known(row["time_uncertainty_s"])),
        # Two letters for a pick on all components of an instrument, as SeisComP writes them.
        waveform_id=qml.WaveformStreamID(network, station, location, row["instrument"] or None),
        phase_hint=row["phase"],
        polarity=row["polarity"] or None,
        evaluation_mode="automatic" if row["model"] else None,
        method_id=_method(row["model"], row["model_revision"]) if row["model"] else None,
        comments=[
            qml.Comment(text=f"{label}{row[name]:.6g}")
            for label, name in ((_PROBABILITY, "probability"), (_SNR, "snr_db"))
            if pd.notna(row[name])
        ],
    )


def _origin(row: Mapping[Any, Any]) -> qml.Origin:
    return qml.Origin(
        time=obspy.UTCDateTime(ns=row["time"].value),
        time_errors=qml.QuantityError(uncertainty=_known(row["time_uncertainty_s"])),
        latitude=row["latitude_deg"],
        longitude=row["longitude_deg"],
        depth=row["depth_km"] * 1000.0,
        depth_errors=qml.QuantityError(uncertainty=_known(row["depth_uncertainty_km"], 1000.0)),
        depth_type="from location",
        evaluation_mode="automatic",
        origin_uncertainty=qml.OriginUncertainty(
            horizontal_uncertainty=_known(row["horizontal_uncertainty_km"], 1000.0),
            preferred_description="horizontal uncertainty",
        ),
        quality=qml.OriginQuality(
            standard_error=_known(row["rms_s"]),
            azimuthal_gap=_known(row["azimuthal_gap_deg"]),
            minimum_distance=_known(row["nearest_station_km"], 1 / KM_PER_DEGREE),
            used_phase_count=row["num_p"] + row["num_s"],
            used_station_count=row["num_stations"],
        ),
    )


def _arrival(row: Mapping[Any, Any], pick: qml.Pick) -> qml.Arrival:
    return qml.Arrival(
        pick_id=pick.resource_id,
        phase=row["phase"],
        time_residual=row["residual_s"],
        time_weight=row["weight"],
        distance=row["distance_km"] / KM_PER_DEGREE,
        azimuth=row["azimuth_deg"],
        takeoff_angle=_known(row.get("takeoff_deg", math.nan)),
    )


def _focal_mechanism(row: Mapping[Any, Any], origin: qml.Origin) -> qml.FocalMechanism:
    """One solution with what its event says of all, linked to the origin that the rays were traced from."""
    planes = [
        qml.NodalPlane(*(row[f"{prefix}{name}_deg"] for name in ("strike", "dip", "rake")))
        for prefix in ("", "auxiliary_")
    ]
    return qml.FocalMechanism(
        resource_id=_resource(f"mechanism/{row['event_id']}/{row['solution']}"),
        triggering_origin_id=origin.resource_id,
        nodal_planes=qml.NodalPlanes(nodal_plane_1=planes[0], nodal_plane_2=planes[1]),
        azimuthal_gap=row["polarity_gap_deg"],
        station_polarity_count=row["num_polarities"],
        misfit=row["polarity_misfit"],
        station_distribution_ratio=row["station_ratio"],
        method_id=_resource(f"mechanism_method/{_allowed(row['mechanism_method'])}"),
        evaluation_mode="automatic",
        comments=[
            qml.Comment(text=f"{label}: {value}")
            for label, value in (
                ("solution", f"{row['solution']} of {row['num_solutions']}"),
                ("error_deg", _number(row["mechanism_error_deg"], ".1f")),
                ("probability", _number(row["mechanism_probability"], ".3f")),
                ("quality", row["mechanism_quality"]),
                ("num_s_to_p", f"{row['num_ratios'] or ''}"),
                ("ratio_misfit_log10", _number(row["ratio_misfit_log10"], ".3f")),
            )
            if value
        ],
    )


def _pick_row(pick: qml.Pick, amplitudes: Mapping[str, float]) -> dict[str, Any]:
    where = pick.waveform_id
    numbers = {
        name: float(comment.text.removeprefix(label))
        for comment in pick.comments
        for label, name in ((_PROBABILITY, "probability"), (_SNR, "snr_db"))
        if comment.text and comment.text.startswith(label)
    }
    model, revision = _named_method(pick.method_id.id if pick.method_id else "")
    return numbers | {
        "station_id": f"{where.network_code or ''}.{where.station_code}.{where.location_code or ''}",
        "phase": pick.phase_hint,
        "time": pd.Timestamp(pick.time.ns, unit="ns", tz="UTC"),
        "time_uncertainty_s": pick.time_errors.uncertainty if pick.time_errors else None,
        "amplitude": amplitudes.get(pick.resource_id.id),
        "polarity": pick.polarity or "",
        "instrument": (where.channel_code or "")[:2],
        "model": model,
        "model_revision": revision,
    }


def _method(model: str, revision: str) -> qml.ResourceIdentifier:
    """Who picked, as a QuakeML identifier."""
    return _resource(f"model/{_allowed(model)}/{_allowed(revision or 'unknown')}")


def _allowed(name: str) -> str:
    """Letters that a QuakeML identifier does not allow become underscores."""
    return re.sub(r"[^\w.\-]", "_", name)


def _named_method(identifier: str) -> tuple[str, str]:
    found = re.fullmatch(r"smi:seisfm/model/([^/]+)/([^/]+)", identifier)
    if not found:
        return identifier, ""
    return found[1], "" if found[2] == "unknown" else found[2]


def _resource(path: str) -> qml.ResourceIdentifier:
    return qml.ResourceIdentifier(f"smi:seisfm/{path}")


def _number(value: float, form: str) -> str:
    return "" if pd.isna(value) else f"{value:{form}}"


def _known(value: float, scale: float = 1.0) -> float | None:
    return None if pd.isna(value) else float(value) * scale
