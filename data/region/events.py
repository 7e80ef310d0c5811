"""The events of a region's catalog: what is known of them, and when a station may hear them."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from obspy.geodetics import gps2dist_azimuth

from ..event_types import event_type_or_reason
from ..formats.seisbench_columns import utc_text
from ..records import Skipped
from ..splitting.coincidence import distance_km
from .station_picks import utc_seconds_of

# Average speeds from source to station that no crust exceeds or falls below, in km/s. Far away, P dives into
# the mantle: to 90° it takes 13 min, 13 km/s along the surface (ak135).
_FASTEST_P, _FASTEST_FAR_P, _FAR_KM = 8.5, 13.5, 1000.0
_SLOWEST_P, _FASTEST_S, _SLOWEST_S = 4.5, 4.9, 2.5
_ORIGIN_ERROR_S = 2.0
TYPICAL_P, TYPICAL_S = 6.2, 3.6
"""Speeds in km/s with which arrivals are guessed where nobody picked them."""

_SOURCE_COLUMNS = ("latitude_deg", "longitude_deg", "depth_km", "magnitude", "magnitude_type", "author")


@dataclass(frozen=True, kw_only=True)
class Heard:
    """When a station may hear each of some events: UTC seconds, all arrays `(event,)`.

    The first P can come from `p_first` to `p_last`, the first S from `s_first` to `s_last`; hypocentral
    `distance_km` is NaN where a place is unknown.
    """

    event_ids: tuple[str, ...]
    origin: np.ndarray
    distance_km: np.ndarray
    p_first: np.ndarray
    p_last: np.ndarray
    s_first: np.ndarray
    s_last: np.ndarray

    def unpicked(self, picked: Container[str], reach_km: float) -> Heard:
        """The events within reach that are not among those that were picked."""
        near = ~(self.distance_km > reach_km)
        keep = [i for i in np.flatnonzero(near).tolist() if self.event_ids[i] not in picked]
        arrays = {name: getattr(self, name)[keep] for name in _HEARD_ARRAYS}
        return Heard(event_ids=tuple(self.event_ids[i] for i in keep), **arrays)

    def families_in(self, start: float, end: float) -> frozenset[str]:
        """P, S: those of which any of the events may have an arrival between two times."""
        ranges = {"P": (self.p_first, self.p_last), "S": (self.s_first, self.s_last)}
        return frozenset(
            family for family, (first, last) in ranges.items() if ((first < end) & (last >= start)).any()
        )


_HEARD_ARRAYS = ("origin", "distance_km", "p_first", "p_last", "s_first", "s_last")


class KnownEvents:
    """A catalog's events for the records of a region.

    events: as `read_events` gives them, None for no catalog; columns beyond `event_id` and `time` may lack.
    words: whose words its `event_type` are, a key of `EVENT_TYPE_WORDS`.
    reach_km: up to this distance a station may have heard an event that nobody picked there.
    """

    def __init__(self, events: pd.DataFrame | None, words: str, reach_km: float) -> None:
        table = pd.DataFrame({"event_id": [], "time": []}) if events is None else events
        self.is_known = events is not None
        self.reach_km = reach_km
        self._words = words
        self._unknown_words: set[str] = set()
        self._rows = table.to_dict("records")
        self._ids = tuple(str(row["event_id"]) for row in self._rows)
        self._position = {event_id: position for position, event_id in enumerate(self._ids)}
        self._origin = utc_seconds_of(table["time"]).to_numpy(dtype=float) if len(table) else np.empty(0)
        self._place = np.stack(
            [_column(table, name) for name in ("latitude_deg", "longitude_deg", "depth_km")], axis=1
        )

    def __contains__(self, event_id: str) -> bool:
        return event_id in self._position

    def heard_at(self, station: Mapping[str, Any]) -> Heard:
        """When a station, by its metadata, may hear each event.

        Where a place is unknown, any distance from nothing to the reach is possible.
        """
        place = [station.get(f"station_{name}_deg", np.nan) for name in ("latitude", "longitude")]
        epicentral_km = distance_km(np.array([place]), self._place[:, :2])
        distance = np.hypot(epicentral_km, np.nan_to_num(self._place[:, 2]))
        nearest, farthest = np.nan_to_num(distance, nan=0.0), np.nan_to_num(distance, nan=self.reach_km)
        fastest = np.where(nearest > _FAR_KM, _FASTEST_FAR_P, _FASTEST_P)
        return Heard(
            event_ids=self._ids,
            origin=self._origin,
            distance_km=distance,
            p_first=self._origin + nearest / fastest - _ORIGIN_ERROR_S,
            p_last=self._origin + farthest / _SLOWEST_P + _ORIGIN_ERROR_S,
            s_first=self._origin + nearest / _FASTEST_S - _ORIGIN_ERROR_S,
            s_last=self._origin + farthest / _SLOWEST_S + _ORIGIN_ERROR_S,
        )

    def about(self, event_id: str, station: Mapping[str, Any], skipped: list[Skipped]) -> dict[str, Any]:
        """Source and path to a station under SeisBench's names with units; what is unknown is left out.

        A type that `words` does not have stays in `source_type_original` alone, and is told once.
        """
        if event_id not in self:
            return {}
        position = self._position[event_id]
        row = self._rows[position]
        known = {f"source_{n}": row[n] for n in _SOURCE_COLUMNS if n in row and _told(row[n])}
        known |= {f"source_{n}": row[n] for n in ("magnitudes", "mechanisms") if row.get(n)}
        known["source_origin_time"] = utc_text(float(self._origin[position]))
        return known | self._type(str(row.get("event_type", "")), skipped) | _path(known, station)

    def _type(self, word: str, skipped: list[Skipped]) -> dict[str, str]:
        if not word:
            return {}
        kind, reason = event_type_or_reason(word, self._words)
        if reason is not None and word not in self._unknown_words:
            skipped.append(Skipped(f"event type {word!r}", reason))
            self._unknown_words.add(word)
        return ({} if kind is None else {"source_type": kind}) | {"source_type_original": word}


def _column(table: pd.DataFrame, name: str) -> np.ndarray:
    return table[name].to_numpy(dtype=float) if name in table else np.full(len(table), np.nan)


def _told(value: Any) -> bool:
    return value is not None and value != "" and not pd.isna(value)


def _path(source: Mapping[str, Any], station: Mapping[str, Any]) -> dict[str, float]:
    """Distances and back azimuth, on the WGS 84 ellipsoid."""
    both = {**source, **station}
    keys = ("source_latitude_deg", "source_longitude_deg", "station_latitude_deg", "station_longitude_deg")
    if any(key not in both for key in keys):
        return {}
    distance_m, _, back_azimuth_deg = gps2dist_azimuth(*(both[key] for key in keys))
    path = {"path_ep_distance_km": distance_m / 1e3, "path_back_azimuth_deg": back_azimuth_deg}
    if "source_depth_km" in source:
        depth_km = source["source_depth_km"] + station.get("station_elevation_m", 0.0) / 1e3
        path["path_hyp_distance_km"] = float(np.hypot(distance_m / 1e3, depth_km))
    return path
