"""First motions, S/P amplitudes and mechanisms in the fixed columns of HASH and FPFIT.

Columns as the HASH manual (Hardebeck & Shearer, 2008, version 1.2) describes them. Years of two digits are of
the twentieth century.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from ..earth.velocity import VelocityModel

_UP, _DOWN = "CUcu+", "DRdr-"


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What one channel tells about a source.

    polarity: 1 up, −1 down, 0 unknown. impulsive: whether the onset is. distance_km: to the epicentre.
    azimuth_deg from the source, takeoff_deg from the downward vertical, with their errors: all NaN where the
    file leaves them to a velocity model.
    log10_sp_ratio: S over P amplitude, NaN where not measured.
    """

    station: str
    network: str = ""
    channel: str = ""
    polarity: int = 0
    impulsive: bool = False
    distance_km: float = math.nan
    azimuth_deg: float = math.nan
    takeoff_deg: float = math.nan
    azimuth_error_deg: float = math.nan
    takeoff_error_deg: float = math.nan
    log10_sp_ratio: float = math.nan


@dataclass(frozen=True, kw_only=True)
class ReadEvent:
    """An event's hypocentre, with its errors in kilometres, and its readings."""

    event_id: str
    origin_time: datetime
    latitude_deg: float
    longitude_deg: float
    depth_km: float
    magnitude: float
    horizontal_error_km: float
    depth_error_km: float
    readings: tuple[Reading, ...]


@dataclass(frozen=True, kw_only=True)
class PublishedMechanism:
    """A line of HASH's answers: angles and errors in degrees, misfit, probability and ratio as shares."""

    event_id: str
    mechanism_deg: tuple[float, float, float]
    plane_errors_deg: tuple[float, float]
    num_polarities: int
    polarity_misfit: float
    quality: str
    probability: float
    station_ratio: float


def read_fpfit(path: str | Path) -> list[ReadEvent]:
    """Events with azimuth and take-off angle at each station, as FPFIT writes them (`north1.phase`)."""
    return [_event(path, block, _fpfit_origin, _fpfit_reading) for block in _blocks(path)]


def read_hash_phases(path: str | Path) -> list[ReadEvent]:
    """Events with first motions alone, in HASH's layout (`north2.phase`): angles need a velocity model."""
    return [_event(path, block, _hash_origin, _hash_reading) for block in _blocks(path)]


def _blocks(path: str | Path) -> Iterator[list[str]]:
    """An event's lines; a line without a station's name ends it. Raises ValueError for a file cut short."""
    block: list[str] = []
    for line in Path(path).read_text(encoding="latin-1").splitlines():
        if line[:4].strip():
            block.append(line)
        elif block:
            yield block
            block = []
    if block:
        raise ValueError(
            f"{path}: the last event must end with a line that names no station: is it complete?"
        )


def _event(
    path: str | Path,
    block: list[str],
    origin: Callable[[str], dict[str, Any]],
    reading: Callable[[str], Reading],
) -> ReadEvent:
    line = block[0]
    try:
        fields = origin(line)
        readings = []
        for line in block[1:]:
            readings.append(reading(line))
    except (ValueError, IndexError) as error:
        raise ValueError(f"{path}: expected fixed columns, found {line!r} ({error})") from error
    return ReadEvent(**fields, readings=tuple(readings))


def _time(year: str, month: str, day: str, hour: str, minute: str, second_s: float) -> datetime:
    start = datetime(int(year), int(month), int(day), _integer(hour), _integer(minute), tzinfo=UTC)
    return start + timedelta(seconds=second_s)


def _integer(text: str) -> int:
    """Fortran leaves a zero blank."""
    return int(text.strip() or "0")


def _degrees(degrees: str, hemisphere: str, minutes: float) -> float:
    value = float(degrees) + minutes / 60.0
    return -value if hemisphere in "SsWw" else value


def _fpfit_origin(line: str) -> dict[str, Any]:
    # A blank hemisphere means north and, as in all of California, west.
    return {
        "event_id": line[122:138].strip(),
        "origin_time": _time(
            f"19{line[0:2]}", line[2:4], line[4:6], line[6:8], line[8:10], _integer(line[10:14]) / 100.0
        ),
        "latitude_deg": _degrees(line[14:16], line[16].strip() or "N", int(line[17:21]) / 100.0),
        "longitude_deg": _degrees(line[21:24], line[24].strip() or "W", int(line[25:29]) / 100.0),
        "depth_km": int(line[29:34]) / 100.0,
        "magnitude": int(line[34:36]) / 10.0,
        "horizontal_error_km": _integer(line[80:84]) / 100.0,
        "depth_error_km": _integer(line[84:88]) / 100.0,
    }


def _fpfit_reading(line: str) -> Reading:
    return Reading(
        station=line[:4].strip(),
        channel=line[95:98].strip(),
        polarity=_polarity(line[6]),
        impulsive=line[4] in "Ii",
        distance_km=int(line[58:62]) / 10.0,
        takeoff_deg=float(line[62:65]),
        azimuth_deg=float(line[75:78]),
        azimuth_error_deg=float(line[79:82].strip() or "nan"),
        takeoff_error_deg=float(line[83:86].strip() or "nan"),
    )


def _hash_origin(line: str) -> dict[str, Any]:
    return {
        "event_id": line[149:165].strip(),
        "origin_time": _time(line[0:4], line[4:6], line[6:8], line[8:10], line[10:12], float(line[12:17])),
        "latitude_deg": _degrees(line[17:19], line[19].strip() or "N", float(line[20:25])),
        "longitude_deg": _degrees(line[25:28], line[28].strip() or "W", float(line[29:34])),
        "depth_km": float(line[34:39]),
        "magnitude": float(line[139:143]),
        "horizontal_error_km": float(line[88:93]),
        "depth_error_km": float(line[94:99]),
    }


def _hash_reading(line: str) -> Reading:
    if len(line) < 16:
        raise ValueError("a reading has 16 columns: station, network, channel, onset and first motion")
    return Reading(
        station=line[:4].strip(),
        network=line[5:7].strip(),
        channel=line[9:12].strip(),
        polarity=_polarity(line[15]),
        impulsive=line[13] in "Ii",
    )


def _polarity(letter: str) -> int:
    return int(letter in _UP) - int(letter in _DOWN)


def read_amplitudes(
    path: str | Path, corrections: Mapping[tuple[str, str], float], min_snr: float
) -> dict[str, list[Reading]]:
    """Each event's S/P readings from HASH's amplitude file (`north3.amp`), by event id.

    corrections: what each (station, channel) has in log10 S/P on average, taken off; others are left as they
    are. min_snr: a reading counts where P and S both have this many times the noise before them.

    Raises ValueError where fewer lines follow than an event announces, or a line has other fields.
    """
    lines = [line.split() for line in Path(path).read_text().splitlines() if line.strip()]
    readings: dict[str, list[Reading]] = {}
    position = 0
    while position < len(lines):
        event_id, count = lines[position][0], int(lines[position][1])
        rows = lines[position + 1 : position + 1 + count]
        if len(rows) < count or any(len(row) != 9 for row in rows):
            raise ValueError(
                f"{path}: event {event_id} announces {count} lines of 9 fields, found {rows[-1:]}"
            )
        readings[event_id] = list(_ratios(rows, corrections, min_snr))
        position += 1 + count
    return readings


def _ratios(
    rows: list[list[str]], corrections: Mapping[tuple[str, str], float], min_snr: float
) -> Iterator[Reading]:
    for station, channel, network, *numbers in rows:
        p_noise, s_noise, p, s = (abs(float(number)) for number in numbers[2:])
        if p > 0.0 and p >= min_snr * p_noise and s >= min_snr * s_noise:
            ratio = math.log10(s / p) - corrections.get((station, channel), 0.0)
            yield Reading(station=station, network=network, channel=channel, log10_sp_ratio=ratio)


def read_station_corrections(path: str | Path) -> dict[tuple[str, str], float]:
    """log10 S/P that each (station, channel) has too much on average (`north3.statcor`)."""
    rows = (line.split() for line in Path(path).read_text().splitlines() if line.strip())
    return {(row[0], row[1]): float(row[3]) for row in rows}


def read_reversals(path: str | Path) -> dict[str, list[tuple[str, str]]]:
    """When each station's polarity was the wrong way round, as first and last day YYYYMMDD."""
    reversals: dict[str, list[tuple[str, str]]] = {}
    for line in Path(path).read_text().splitlines():
        if line.strip():
            station, first, last = line.split()
            # A last day of 0 says that it still is.
            reversals.setdefault(station, []).append((first, "99999999" if last == "0" else last))
    return reversals


def corrected(event: ReadEvent, reversals: Mapping[str, list[tuple[str, str]]]) -> ReadEvent:
    """The event with the first motions of stations that were reversed on its day turned round."""
    day = event.origin_time.strftime("%Y%m%d")
    wrong = {name for name, spans in reversals.items() if any(a <= day <= b for a, b in spans)}
    readings = tuple(
        replace(reading, polarity=-reading.polarity) if reading.station in wrong else reading
        for reading in event.readings
    )
    return replace(event, readings=readings)


def read_station_places(path: str | Path) -> dict[str, tuple[float, float, float]]:
    """Latitude and longitude in degrees and elevation in metres of every station (`scsn.stations`).

    Channels of a station stand together; the last line of a name counts.
    """
    places = {}
    for line in Path(path).read_text(encoding="latin-1").splitlines():
        if line.strip():
            try:
                places[line[:4].strip()] = float(line[41:50]), float(line[50:61]), float(line[62:67])
            except ValueError as error:
                raise ValueError(f"{path}: expected a station's place, found {line!r} ({error})") from error
    return places


def read_mechanisms(path: str | Path) -> list[PublishedMechanism]:
    """HASH's answers (`example1.out`); an event with several solutions has as many lines."""
    return [_published(path, line) for line in Path(path).read_text().splitlines() if line.strip()]


def _published(path: str | Path, line: str) -> PublishedMechanism:
    fields = line.split()
    try:
        numbers = [float(value) for value in fields[21:28]]
        return PublishedMechanism(
            event_id=fields[0],
            mechanism_deg=(numbers[0], numbers[1], numbers[2]),
            plane_errors_deg=(numbers[3], numbers[4]),
            num_polarities=int(numbers[5]),
            polarity_misfit=numbers[6] / 100.0,
            quality=fields[28],
            probability=float(fields[29]) / 100.0,
            station_ratio=float(fields[30]) / 100.0,
        )
    except (ValueError, IndexError) as error:
        raise ValueError(f"{path}: expected one of HASH's answers, found {line!r} ({error})") from error


def read_gradient_model(path: str | Path, layer_km: float = 1.0, vp_vs: float = 1.73) -> VelocityModel:
    """A P velocity given at depths (`vz.north`), linear between, as thin homogeneous layers.

    Raises ValueError unless every line has a depth and a velocity and depths increase.
    """
    try:
        rows = [
            tuple(map(float, line.split())) for line in Path(path).read_text().splitlines() if line.strip()
        ]
        depth_km, vp_km_s = np.array([(depth, vp) for depth, vp in rows]).T
    except ValueError as error:
        raise ValueError(f"{path}: expected lines of depth (km) and P velocity (km/s): {error}") from error
    if not np.all(np.diff(depth_km) > 0):
        raise ValueError(f"{path}: depths must increase, found {depth_km.tolist()}")
    tops_km = np.arange(depth_km[0], depth_km[-1], layer_km)
    layers = np.interp(tops_km + layer_km / 2.0, depth_km, vp_km_s)
    return VelocityModel(tuple(tops_km), tuple(layers), tuple(layers / vp_vs))
