"""Faults of what is said about a record: where, when, how far, in which unit."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real

import numpy as np

from ...data.formats.seisbench_columns import utc_seconds
from ...data.records import Record
from ...data.splitting.coincidence import distance_km as great_circle_km
from .finding import Fault
from .look import Look
from .physics import p_time_band_s, s_minus_p_band_s

RATE_HZ = (0.5, 10_000.0)
YEAR_1900, YEAR_2100 = -2208988800.0, 4102444800.0
LARGEST = {"m/s": 10.0, "m/s**2": 200.0}
"""More than any ground has done: the strongest records have some 3 m/s and 40 m/s²."""


def number(record: Record, key: str) -> float:
    """A number of the metadata, NaN where it is not there or is none."""
    value = record.metadata.get(key)
    return float(value) if isinstance(value, Real) and not isinstance(value, bool) else float("nan")


def no_station(look: Look) -> Fault | None:
    """No station is named."""
    return None if look.record.station_id.strip(".") else Fault("the record names no station")


def no_position(look: Look) -> Fault | None:
    """The station's coordinates are unknown."""
    known = np.isfinite([number(look.record, f"station_{name}_deg") for name in ("latitude", "longitude")])
    return None if known.all() else Fault("the station's coordinates are unknown")


def position(look: Look) -> Fault | None:
    """Coordinates that are no place on Earth, or the 0, 0 of a missing value."""
    for what in ("station", "source"):
        latitude, longitude = _place(look.record, what)[0].tolist()
        nowhere = abs(latitude) > 90 or longitude < -180 or longitude > 360
        if nowhere or (what == "station" and latitude == longitude == 0):
            return Fault(
                f"the {what} lies at {latitude:g}° N, {longitude:g}° E", latitude, "a place on Earth"
            )
    return None


def no_start_time(look: Look) -> Fault | None:
    """Nobody knows when the record was made."""
    return None if np.isfinite(look.record.start_time) else Fault("the start time is unknown")


def start_time(look: Look) -> Fault | None:
    """A start time outside of the years that have seismograms, or of the station's own epoch."""
    begin, end = YEAR_1900, YEAR_2100
    for key in ("station_epoch_start", "station_epoch_end"):
        if text := look.record.metadata.get(key):
            begin, end = (utc_seconds(text), end) if key.endswith("start") else (begin, utc_seconds(text))
    if not np.isfinite(look.record.start_time) or begin <= look.record.start_time <= end:
        return None
    return Fault(
        f"it starts {look.record.start_time:.0f} s after 1970, outside of its station's epoch",
        look.record.start_time,
        f"{begin:.0f} to {end:.0f} s",
    )


def sampling_rate(look: Look) -> Fault | None:
    """A rate that no seismic network writes: a period or a unit taken for it."""
    rate_hz = look.record.sampling_rate_hz
    if RATE_HZ[0] <= rate_hz <= RATE_HZ[1]:
        return None
    return Fault(f"the sampling rate is {rate_hz:g} Hz", rate_hz, f"{RATE_HZ[0]:g} to {RATE_HZ[1]:g} Hz")


def unit(look: Look) -> Fault | None:
    """A physical unit with values that no ground has reached: counts, or mm and nm, posed as metres."""
    limit = LARGEST.get(look.record.unit)
    if limit is None or not look.live.any():
        return None
    waveform = np.where(look.observed, look.record.waveform, np.nan)[look.live]
    peak = float(np.nanmax(np.abs(waveform - np.nanmean(waveform, axis=1, keepdims=True))))
    if peak <= limit:
        return None
    return Fault(f"it moves by {peak:.3g} {look.record.unit}", peak, f"≤ {limit:g} {look.record.unit}")


def distance(look: Look) -> Fault | None:
    """A distance that the coordinates of station and event contradict."""
    stated, computed = number(look.record, "path_ep_distance_km"), computed_distance_km(look.record)
    slack_km = look.config.distance_slack_km + look.config.distance_share * computed
    if not abs(stated - computed) > slack_km:
        return None
    return Fault(
        f"the distance is said to be {stated:.1f} km, the coordinates give {computed:.1f} km",
        stated,
        f"{computed:.1f} ± {slack_km:.1f} km",
    )


def back_azimuth(look: Look) -> Fault | None:
    """A back azimuth that the coordinates contradict, such as one that was counted the other way."""
    stated, computed = number(look.record, "path_back_azimuth_deg"), computed_back_azimuth_deg(look.record)
    way_km = computed_distance_km(look.record)
    slack_deg = 5.0 + np.degrees(np.arctan2(look.config.distance_slack_km, way_km))
    difference = abs((stated - computed + 180.0) % 360.0 - 180.0)
    if not difference > slack_deg or way_km < look.config.distance_slack_km:
        return None
    return Fault(
        f"the back azimuth is said to be {stated:.0f}°, the coordinates give {computed:.0f}°",
        stated,
        f"{computed:.0f} ± {slack_deg:.0f}°",
    )


def s_minus_p(look: Look) -> Fault | None:
    """An S − P that no crust gives at the event's distance."""
    way_km = distance_of(look.record)
    if not way_km <= look.config.max_distance_km:
        return None
    low, high = _band_s(s_minus_p_band_s, way_km, look)
    sp_s = s_minus_p_s(look)
    slack_s = look.config.time_slack_s / 2.0
    if not np.isfinite(sp_s) or low - slack_s <= sp_s <= high + slack_s:
        return None
    band = f"{max(low - slack_s, 0):.1f} to {high + slack_s:.1f} s"
    return Fault(f"S − P is {sp_s:.2f} s at {way_km:.0f} km, where {band} are possible", sp_s, band)


def travel_time(look: Look) -> Fault | None:
    """A P that comes sooner or later after the origin than any ground allows: a clock, an origin, a label."""
    record, origin = look.record, look.record.metadata.get("source_origin_time")
    way_km = distance_of(record)
    first = [arrival.time_s for arrival in look.arrivals("P") if arrival.event == 0]
    if origin is None or not first or not way_km <= look.config.max_distance_km:
        return None
    taken_s = record.start_time + first[0] - utc_seconds(str(origin))
    low, high = _band_s(p_time_band_s, way_km, look)
    slack_s = look.config.time_slack_s
    if not np.isfinite(taken_s) or low - slack_s <= taken_s <= high + slack_s:
        return None
    band = f"{low - slack_s:.1f} to {high + slack_s:.1f} s"
    return Fault(f"P comes {taken_s:.2f} s after the origin at {way_km:.0f} km", taken_s, band)


def s_minus_p_s(look: Look) -> float:
    """S − P of the record's first event, NaN where a phase is missing."""
    first = {
        family: min((a.time_s for a in look.arrivals(family) if a.event == 0), default=float("nan"))
        for family in "PS"
    }
    return first["S"] - first["P"]


def distance_of(record: Record) -> float:
    """The epicentral distance as stated, or from the coordinates; NaN where neither is known."""
    stated = number(record, "path_ep_distance_km")
    return stated if np.isfinite(stated) else computed_distance_km(record)


def computed_distance_km(record: Record) -> float:
    """The epicentral distance from the coordinates, NaN where they are unknown."""
    return float(great_circle_km(_place(record, "station"), _place(record, "source"))[0])


def computed_back_azimuth_deg(record: Record) -> float:
    """From the station to the event, clockwise from north, on a sphere; NaN where a place is unknown."""
    (north, east), (to_north, to_east) = np.radians(
        [_place(record, "station")[0], _place(record, "source")[0]]
    )
    eastward = np.sin(to_east - east) * np.cos(to_north)
    northward = np.cos(north) * np.sin(to_north) - np.sin(north) * np.cos(to_north) * np.cos(to_east - east)
    return float(np.degrees(np.arctan2(eastward, northward)) % 360.0)


def _place(record: Record, what: str) -> np.ndarray:
    return np.array([[number(record, f"{what}_{name}_deg") for name in ("latitude", "longitude")]])


def _band_s(
    band: Callable[[float, float], tuple[float, float]], way_km: float, look: Look
) -> tuple[float, float]:
    """A band of times for the least and the most that the distance may really be."""
    depth_km, config = number(look.record, "source_depth_km"), look.config
    slack_km = config.distance_slack_km + config.distance_share * way_km
    return band(max(way_km - slack_km, 0.0), depth_km)[0], band(way_km + slack_km, depth_km)[1]
