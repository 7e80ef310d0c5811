"""The files of a synthetic archive, in the formats that networks use: SDS, StationXML, CSV, QuakeML."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import obspy
from numpy.typing import NDArray
from obspy.core import event as quakeml
from obspy.core.inventory import Channel, Inventory, Network, Response, Station

from ..records import Arrival
from .network import Site, Source

CHANNELS = {"HHZ": (0.0, -90.0), "HHN": (0.0, 0.0), "HHE": (90.0, 0.0)}
"""Azimuth and dip of each channel, in degrees."""

SECONDS_PER_DAY = 86400.0


def write_day_files(
    sds: Path, station_id: str, counts: NDArray[np.int32], sampling_rate_hz: float, start_time: float
) -> None:
    """Write `(Z N E, sample)` counts as one miniSEED file a channel and day in the SDS tree."""
    network, station, location = station_id.split(".")
    for channel, samples in zip(CHANNELS, counts, strict=True):
        header = {"network": network, "station": station, "location": location, "channel": channel}
        trace = obspy.Trace(np.ascontiguousarray(samples), header)
        trace.stats.sampling_rate = sampling_rate_hz
        trace.stats.starttime = obspy.UTCDateTime(start_time)
        day = obspy.UTCDateTime(trace.stats.starttime.date)
        while day <= trace.stats.endtime:
            part = trace.slice(day, day + SECONDS_PER_DAY - 1.0 / sampling_rate_hz)
            folder = sds / str(day.year) / network / station / f"{channel}.D"
            folder.mkdir(parents=True, exist_ok=True)
            file = folder / f"{trace.id}.D.{day.year}.{day.julday:03d}"
            _finish(file, lambda temporary, part=part: part.write(temporary, format="MSEED"))
            day += SECONDS_PER_DAY


def write_stations_csv(path: Path, sites: list[Site]) -> None:
    """Write network, station, location, latitude, longitude (degrees) and elevation (m)."""
    lines = ["network,station,location,latitude,longitude,elevation_m"]
    for site in sites:
        codes = ",".join(site.station_id.split("."))
        lines.append(f"{codes},{site.latitude_deg:.6f},{site.longitude_deg:.6f},{site.elevation_m:.1f}")
    _finish(path, lambda temporary: Path(temporary).write_text("\n".join(lines) + "\n"))


def write_inventory(path: Path, sites: list[Site], sampling_rate_hz: float, start_time: float) -> None:
    """Write StationXML with each channel's response (poles, zeros and gain)."""
    start = obspy.UTCDateTime(start_time)
    stations = [_station(site, sampling_rate_hz, start) for site in sites]
    network = Network("SY", stations=stations, description="Synthetic network", start_date=start)
    inventory = Inventory(networks=[network], source="seisfm synthesis")
    _finish(path, lambda temporary: inventory.write(temporary, format="STATIONXML"))


def _station(site: Site, sampling_rate_hz: float, start: obspy.UTCDateTime) -> Station:
    _, code, location = site.station_id.split(".")
    place = {"latitude": site.latitude_deg, "longitude": site.longitude_deg, "elevation": site.elevation_m}
    channels = [
        Channel(
            name, location, depth=0.0, azimuth=azimuth, dip=dip, sample_rate=sampling_rate_hz,
            response=_response(site), start_date=start, **place,
        )
        for name, (azimuth, dip) in CHANNELS.items()
    ]  # fmt: skip
    return Station(code, channels=channels, creation_date=start, start_date=start, **place)


def _response(site: Site) -> Response:
    """Counts for m/s: the seismometer's two poles, flat and equal to the gain above its corner."""
    instrument = site.instrument
    omega, damping = 2.0 * np.pi * instrument.corner_hz, instrument.damping
    pole = omega * complex(-damping, np.sqrt(1.0 - damping**2))
    frequency_hz = max(10.0, 2.0 * instrument.corner_hz)
    return Response.from_paz(
        [0.0, 0.0],
        [pole, pole.conjugate()],
        instrument.gain_counts_s_m,
        stage_gain_frequency=frequency_hz,
        normalization_frequency=frequency_hz,
        input_units="M/S",
        output_units="COUNTS",
    )


def write_catalog(
    path: Path, events: list[tuple[str, Source, float, dict[str, tuple[Arrival, ...]]]], start_time: float
) -> None:
    """Write true origins, magnitudes, mechanisms, P and S picks and arrivals as QuakeML.

    events: id, source, origin time, and arrivals (s after start_time) by station.
    """
    catalog = quakeml.Catalog([_event(*event, start_time) for event in events])
    _finish(path, lambda temporary: catalog.write(temporary, format="QUAKEML"))


def _event(
    event_id: str,
    source: Source,
    origin_time: float,
    arrivals: dict[str, tuple[Arrival, ...]],
    start_time: float,
) -> quakeml.Event:
    origin = quakeml.Origin(
        resource_id=_resource(f"{event_id}/origin"),
        time=obspy.UTCDateTime(origin_time),
        latitude=source.latitude_deg,
        longitude=source.longitude_deg,
        depth=source.depth_km * 1000.0,
    )
    magnitude = quakeml.Magnitude(
        resource_id=_resource(f"{event_id}/magnitude"),
        mag=round(source.magnitude, 3),
        magnitude_type="Mw",
        origin_id=origin.resource_id,
    )
    picks = []
    for station_id, labels in arrivals.items():
        for label in (one for one in labels if one.phase in ("P", "S")):
            pick = _pick(f"{event_id}/{station_id}{label.phase}", station_id, label, start_time)
            picks.append(pick)
            arrival_id = _resource(f"{event_id}/{station_id}{label.phase}/arrival")
            arrival = quakeml.Arrival(resource_id=arrival_id, pick_id=pick.resource_id, phase=label.phase)
            origin.arrivals.append(arrival)
    event = quakeml.Event(
        resource_id=_resource(event_id),
        event_type="earthquake",
        origins=[origin],
        magnitudes=[magnitude],
        picks=picks,
        focal_mechanisms=[] if source.mechanism is None else [_mechanism(event_id, source.mechanism)],
    )
    event.preferred_origin_id, event.preferred_magnitude_id = origin.resource_id, magnitude.resource_id
    return event


def _pick(name: str, station_id: str, label: Arrival, start_time: float) -> quakeml.Pick:
    network, station, location = station_id.split(".")
    channel = "HHZ" if label.phase == "P" else "HHN"
    return quakeml.Pick(
        resource_id=_resource(f"{name}/pick"),
        time=obspy.UTCDateTime(start_time + label.time_s),
        waveform_id=quakeml.WaveformStreamID(network, station, location, channel),
        phase_hint=label.phase,
        polarity=label.polarity,
        evaluation_mode="manual",
    )


def _mechanism(event_id: str, mechanism: tuple[float, float, float]) -> quakeml.FocalMechanism:
    strike, dip, rake = mechanism
    plane = quakeml.NodalPlane(strike=strike, dip=dip, rake=rake)
    planes = quakeml.NodalPlanes(nodal_plane_1=plane, preferred_plane=1)
    return quakeml.FocalMechanism(resource_id=_resource(f"{event_id}/mechanism"), nodal_planes=planes)


def _resource(name: str) -> quakeml.ResourceIdentifier:
    return quakeml.ResourceIdentifier(f"smi:local/{name}")


def _finish(path: Path, write: object) -> None:
    """Write under a temporary name and rename, so that a file that exists is whole."""
    temporary = path.with_name(path.name + ".part")
    write(str(temporary))  # type: ignore[operator]
    temporary.replace(path)
