"""The files of a synthetic archive, in the formats that networks use: SDS, StationXML, CSV, QuakeML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import obspy
from numpy.typing import NDArray
from obspy.core import event as quakeml
from obspy.core.inventory import Channel, Inventory, Network, Response, Station

from ..records import Arrival
from .archive_network import ArchiveInstrument, ArchiveStation
from .labelled_records import response_of

if TYPE_CHECKING:
    from .archive import TrueEvent

COMPONENTS = {"Z": (0.0, -90.0), "N": (0.0, 0.0), "E": (90.0, 0.0)}
"""Azimuth and dip of each component, in degrees."""

CODES = {
    "broadband": ("HH", "BH"),
    "short_period": ("EH", "SH"),
    "geophone": ("EP", "SP"),
    "accelerometer": ("HN", "BN"),
}
"""Band and instrument code (SEED manual, appendix A) of each kind of sensor, from 80 Hz on and below."""

FAST_HZ = 80.0

QUAKEML_TYPES = {"quarry_blast": "quarry blast"}
"""Our event types that QuakeML writes differently."""

SECONDS_PER_DAY = 86400.0


def channel_prefix(sensor: str, sampling_rate_hz: float) -> str:
    """The first two letters of a channel's name."""
    return CODES[sensor][sampling_rate_hz < FAST_HZ]


def write_day_files(
    sds: Path,
    site: ArchiveStation,
    counts: NDArray[np.float32],
    sampling_rate_hz: float,
    start_time: float,
) -> None:
    """Write `(Z N E, sample)` counts as one miniSEED file a channel and day in the SDS tree; NaN are gaps."""
    network, station, location = site.station_id.split(".")
    prefix = channel_prefix(site.instrument.sensor, sampling_rate_hz)
    for component, samples in zip(COMPONENTS, counts, strict=True):
        channel = prefix + component
        header: dict[str, Any] = {
            "network": network,
            "station": station,
            "location": location,
            "channel": channel,
        }
        header |= {"sampling_rate": sampling_rate_hz, "starttime": obspy.UTCDateTime(start_time)}
        gaps = np.isnan(samples)
        whole = obspy.Trace(np.ma.array(np.nan_to_num(samples).astype(np.int32), mask=gaps), header)
        day = obspy.UTCDateTime(whole.stats.starttime.date)
        while day <= whole.stats.endtime:
            part = whole.slice(day, day + SECONDS_PER_DAY - 1.0 / sampling_rate_hz).split()
            if len(part):
                folder = sds / str(day.year) / network / station / f"{channel}.D"
                folder.mkdir(parents=True, exist_ok=True)
                file = folder / f"{whole.id}.D.{day.year}.{day.julday:03d}"
                _finish(file, lambda temporary, part=part: part.write(temporary, format="MSEED"))
            day += SECONDS_PER_DAY


def write_stations_csv(path: Path, sites: Sequence[ArchiveStation]) -> None:
    """Write network, station, location, latitude, longitude (degrees) and elevation (m)."""
    lines = ["network,station,location,latitude,longitude,elevation_m"]
    for site in sites:
        codes = ",".join(site.station_id.split("."))
        lines.append(f"{codes},{site.latitude_deg:.6f},{site.longitude_deg:.6f},{site.elevation_m:.1f}")
    _finish(path, lambda temporary: Path(temporary).write_text("\n".join(lines) + "\n"))


def write_inventory(
    path: Path, sites: Sequence[ArchiveStation], sampling_rate_hz: float, start_time: float
) -> None:
    """Write StationXML with each channel's response (poles, zeros and gain)."""
    start = obspy.UTCDateTime(start_time)
    stations = [_station(site, sampling_rate_hz, start) for site in sites]
    network = Network("SY", stations=stations, description="Synthetic network", start_date=start)
    inventory = Inventory(networks=[network], source="seisfm synthesis")
    _finish(path, lambda temporary: inventory.write(temporary, format="STATIONXML"))


def _station(site: ArchiveStation, sampling_rate_hz: float, start: obspy.UTCDateTime) -> Station:
    _, code, location = site.station_id.split(".")
    place = {"latitude": site.latitude_deg, "longitude": site.longitude_deg, "elevation": site.elevation_m}
    prefix = channel_prefix(site.instrument.sensor, sampling_rate_hz)
    channels = [
        Channel(
            prefix + component, location, depth=0.0, azimuth=azimuth, dip=dip,
            sample_rate=sampling_rate_hz, response=_response(site.instrument), start_date=start, **place,
        )
        for component, (azimuth, dip) in COMPONENTS.items()
    ]  # fmt: skip
    return Station(code, channels=channels, creation_date=start, start_date=start, **place)


def _response(instrument: ArchiveInstrument) -> Response:
    """Counts for m/s (accelerometers: m/s²): the sensor's poles, equal to the gain above its corner."""
    about = response_of(instrument.sensor, instrument.corner_hz, instrument.damping)
    # So far above the corner that the sensor is flat there to 0.3 %.
    frequency_hz = max(10.0, 10.0 * instrument.corner_hz)
    return Response.from_paz(
        [complex(*zero) for zero in about["zeros"]],
        [complex(*pole) for pole in about["poles"]],
        instrument.gain_counts_s_m,
        stage_gain_frequency=frequency_hz,
        normalization_frequency=frequency_hz,
        input_units=about["input_unit"].upper(),
        output_units="COUNTS",
    )


def write_catalog(
    path: Path, events: Sequence[TrueEvent], prefixes: Mapping[str, str], start_time: float
) -> None:
    """Write true origins, magnitudes, mechanisms, P and S picks and arrivals as QuakeML.

    prefixes: of each station's channels, see `channel_prefix`. start_time: UTC seconds to which the events'
    arrivals refer.
    """
    catalog = quakeml.Catalog([_event(event, prefixes, start_time) for event in events])
    _finish(path, lambda temporary: catalog.write(temporary, format="QUAKEML"))


def _event(true: TrueEvent, prefixes: Mapping[str, str], start_time: float) -> quakeml.Event:
    event_id, source = true.event_id, true.source
    origin = _origin(true)
    magnitude = quakeml.Magnitude(
        resource_id=_resource(f"{event_id}/magnitude"),
        mag=round(source.magnitude, 3),
        magnitude_type="Mw",
        origin_id=origin.resource_id,
    )
    picks = []
    for station_id, labels in true.arrivals.items():
        for label in (one for one in labels if one.phase in ("P", "S")):
            channel = prefixes[station_id] + ("Z" if label.phase == "P" else "N")
            name = f"{event_id}/{station_id}{label.phase}"
            pick = _pick(name, f"{station_id}.{channel}", label, start_time)
            picks.append(pick)
            arrival_id = _resource(f"{name}/arrival")
            arrival = quakeml.Arrival(resource_id=arrival_id, pick_id=pick.resource_id, phase=label.phase)
            origin.arrivals.append(arrival)
    event = quakeml.Event(
        resource_id=_resource(event_id),
        event_type=QUAKEML_TYPES.get(source.source_type, source.source_type),
        origins=[origin],
        magnitudes=[magnitude],
        picks=picks,
        focal_mechanisms=[] if source.mechanism is None else [_mechanism(event_id, source.mechanism)],
    )
    event.preferred_origin_id, event.preferred_magnitude_id = origin.resource_id, magnitude.resource_id
    return event


def _origin(true: TrueEvent) -> quakeml.Origin:
    return quakeml.Origin(
        resource_id=_resource(f"{true.event_id}/origin"),
        time=obspy.UTCDateTime(true.origin_time),
        latitude=true.source.latitude_deg,
        longitude=true.source.longitude_deg,
        depth=true.source.depth_km * 1000.0,
    )


def _pick(name: str, seed_id: str, label: Arrival, start_time: float) -> quakeml.Pick:
    return quakeml.Pick(
        resource_id=_resource(f"{name}/pick"),
        time=obspy.UTCDateTime(start_time + label.time_s),
        waveform_id=quakeml.WaveformStreamID(seed_string=seed_id),
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
