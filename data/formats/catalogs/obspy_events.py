"""Picks and events of the catalogs that ObsPy reads: QuakeML, Nordic (SEISAN), SC3ML, hypoDD phases …"""

from __future__ import annotations

import logging
import re
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import obspy
import pandas as pd
from obspy.core.event import Event, FocalMechanism, Magnitude, Origin, Pick

from .columns import event_table, pick_table

logger = logging.getLogger(__name__)

_INVENTED = re.compile(r"^smi:local/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
"""Ids that ObsPy makes up at each reading of a format that has none: there the origin time is the name."""


def obspy_picks(file: Path) -> pd.DataFrame:
    """The picks of a catalog with `PICK_COLUMNS`; a phase is called as the preferred origin calls it."""
    events = _read_catalog(file)
    return pick_table((row for name, event in events.items() for row in _pick_rows(name, event)), file)


def obspy_events(file: Path) -> pd.DataFrame:
    """The events of a catalog with `EVENT_COLUMNS`, by preferred origin and magnitude, else the first."""
    rows = []
    for name, event in _read_catalog(file).items():
        origin = _origin(event)
        if origin is None or origin.time is None:
            logger.warning("%s: event %s has no origin: left out", file, name)
        else:
            rows.append({"event_id": name} | _event_row(event, origin))
    return event_table(rows)


def _read_catalog(file: Path) -> dict[str, Event]:
    """The events of a file by their names."""
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            catalog = obspy.read_events(str(file))
    except Exception as error:  # ObsPy's readers raise nearly anything
        raise ValueError(
            f"{file} is no event format that ObsPy reads ({type(error).__name__}: {error}); "
            "a table must be called .csv, .txt, .tsv or .dat"
        ) from error
    for told in dict.fromkeys(str(one.message) for one in caught if one.category is UserWarning):
        logger.warning("%s: %s", file, told)
    with file.open("rb") as opened:
        is_xml = b"<" in opened.read(16)
    names = [
        str(event.resource_id.id) if is_xml or not _INVENTED.match(event.resource_id.id) else _name(event)
        for event in catalog
    ]
    repeated = {name for name, count in Counter(names).items() if count > 1}
    return {
        f"{name}#{number}" if name in repeated else name: event
        for number, (name, event) in enumerate(zip(names, catalog, strict=True))
    }


def _name(event: Event) -> str:
    origin = _origin(event)
    return "" if origin is None or origin.time is None else origin.time.strftime("%Y%m%dT%H%M%S.%f")


def _origin(event: Event) -> Origin | None:
    return event.preferred_origin() or (event.origins[0] if event.origins else None)


def _pick_rows(name: str, event: Event) -> list[dict[str, Any]]:
    origin = _origin(event)
    phase_of = {arrival.pick_id.id: arrival.phase for arrival in (origin.arrivals if origin else [])}
    rows = []
    for pick in event.picks:
        phase = phase_of.get(pick.resource_id.id) or pick.phase_hint
        if not phase or pick.waveform_id is None:
            logger.warning("pick %s names no phase or no station: left out", pick.resource_id.id)
        else:
            rows.append(_pick_row(pick, phase) | {"event_id": name})
    return rows


def _pick_row(pick: Pick, phase: str) -> dict[str, Any]:
    stream = pick.waveform_id
    method = pick.method_id.id if pick.method_id else None
    return {
        "station_id": f"{stream.network_code or ''}.{stream.station_code}.{stream.location_code or ''}",
        "phase": phase,
        "time": pick.time.timestamp,
        "polarity": pick.polarity,
        "evaluation": "rejected" if pick.evaluation_status == "rejected" else pick.evaluation_mode,
        "onset": pick.onset,
        "uncertainty_s": _uncertainty_s(pick),
        "author": _author(pick) or method,
    }


def _uncertainty_s(pick: Pick) -> float | None:
    """The stated one, or the mean of both sides."""
    errors = pick.time_errors
    if errors.uncertainty is not None:
        return float(errors.uncertainty)
    sides = [side for side in (errors.lower_uncertainty, errors.upper_uncertainty) if side is not None]
    return sum(sides) / len(sides) if sides else None


def _author(item: Pick | Origin | Magnitude | FocalMechanism) -> str | None:
    about = item.creation_info
    return (about.author or about.agency_id) if about else None


def _event_row(event: Event, origin: Origin) -> dict[str, Any]:
    preferred = event.preferred_magnitude() or (event.magnitudes[0] if event.magnitudes else None)
    return {
        "time": origin.time.timestamp,
        "latitude_deg": origin.latitude,
        "longitude_deg": origin.longitude,
        "depth_km": None if origin.depth is None else origin.depth / 1e3,
        "magnitude": preferred.mag if preferred else None,
        "magnitude_type": preferred.magnitude_type if preferred else None,
        "event_type": event.event_type,
        "author": _author(origin),
        "magnitudes": [_magnitude(one) for one in event.magnitudes if one.mag is not None],
        "mechanisms": [found for one in event.focal_mechanisms if (found := _mechanism(one))],
    }


def _magnitude(one: Magnitude) -> dict[str, Any]:
    return {
        "value": float(one.mag),
        "type": one.magnitude_type,
        "author": _author(one),
        "uncertainty": one.mag_errors.uncertainty,
    }


def _mechanism(one: FocalMechanism) -> dict[str, Any] | None:
    """The preferred nodal plane, else the first one that is there."""
    planes = one.nodal_planes
    if planes is None:
        return None
    both = [planes.nodal_plane_1, planes.nodal_plane_2]
    first, *rest = both[::-1] if planes.preferred_plane == 2 else both
    plane = next((plane for plane in (first, *rest) if plane is not None and plane.strike is not None), None)
    if plane is None:
        return None
    angles = {"strike_deg": plane.strike, "dip_deg": plane.dip, "rake_deg": plane.rake}
    return {**angles, "author": _author(one)}
