"""From associated picks to a catalog: locate, give back what does not fit, and write down the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from obspy.geodetics import gps2dist_azimuth

from ..data.earth.velocity import VelocityModel
from ..data.records import Skipped
from .events import ARRIVAL_COLUMNS, EVENT_COLUMNS, Catalog
from .locate import MIN_ARRIVALS, Located, LocationConfig, locate_event
from .pick_table import COLUMNS, PickTable, as_times
from .projection import LocalProjection

MAX_ROUNDS = 5
"""How often an event is located again after losing its worst arrival."""


@dataclass(frozen=True, kw_only=True)
class Requirements:
    """What an event must still have after location: numbers of picks, and residuals."""

    n_picks: int
    n_p_picks: int
    n_s_picks: int
    n_p_and_s_picks: int
    max_residual_s: float

    def missing(self, arrivals: pd.DataFrame) -> str | None:
        """What these arrivals lack, in words, or None."""
        is_p = arrivals["phase"].str.startswith("P")
        both = len(set(arrivals["site"][is_p]) & set(arrivals["site"][~is_p]))
        found = {
            "picks": (len(arrivals), max(self.n_picks, MIN_ARRIVALS)),
            "P picks": (int(is_p.sum()), self.n_p_picks),
            "S picks": (int((~is_p).sum()), self.n_s_picks),
            "stations with P and S": (both, self.n_p_and_s_picks),
        }
        lacking = [f"{has} {name} of {least}" for name, (has, least) in found.items() if has < least]
        return ", ".join(lacking) or None


def locate_all(
    groups: Sequence[tuple[np.ndarray, pd.DataFrame]],
    requirements: Requirements,
    model: VelocityModel,
    config: LocationConfig,
) -> tuple[list[tuple[Located, pd.DataFrame]], list[Skipped]]:
    """Located events with their arrivals, and the candidates that were given up.

    groups: a first hypocentre and the picks of each candidate. The one with most picks goes first, and no
    pick serves two events.
    """
    located: list[tuple[Located, pd.DataFrame]] = []
    given_up: list[Skipped] = []
    used: set[int] = set()
    for start_km, group in sorted(groups, key=lambda item: -len(item[1])):
        arrivals = group[~group["order"].isin(used)]
        found = _locate_cleaned(start_km, arrivals, requirements, model, config)
        if isinstance(found, str):
            given_up.append(Skipped(f"event candidate at {group['time'].min()}", f"after location: {found}"))
        else:
            located.append(found)
            used |= set(found[1]["order"])
    return located, given_up


def _locate_cleaned(
    start_km: np.ndarray,
    arrivals: pd.DataFrame,
    requirements: Requirements,
    model: VelocityModel,
    config: LocationConfig,
) -> tuple[Located, pd.DataFrame] | str:
    """A location without arrivals that it cannot explain, or what is missing for one."""
    for _ in range(MAX_ROUNDS):
        lacking = requirements.missing(arrivals)
        if lacking:
            return lacking
        located = locate_event(arrivals, start_km, model, config)
        keep = np.abs(located.residual_s) <= requirements.max_residual_s
        if keep.all():
            return located, arrivals
        arrivals, start_km = arrivals[keep], located.hypocentre_km
    return f"arrivals still off by more than {requirements.max_residual_s:g} s after {MAX_ROUNDS} rounds"


def build_catalog(
    picks: PickTable,
    located: Sequence[tuple[Located, pd.DataFrame]],
    projection: LocalProjection,
    skipped: Sequence[Skipped],
) -> Catalog:
    """The catalog of some located events, with the picks that belong to none."""
    if not located:
        return Catalog.empty(picks, skipped)
    events, arrivals = [], []
    names: set[str] = set()
    for origin, group in sorted(located, key=lambda item: item[0].time_s):
        event_id = _event_id(origin.time_s, names)
        latitude, longitude = (float(v) for v in projection.to_degrees(*origin.hypocentre_km[:2]))
        listed = _arrival_rows(event_id, origin, group, latitude, longitude)
        arrivals.append(listed)
        events.append(_event_row(event_id, origin, listed, latitude, longitude))
    used = np.concatenate([group["order"].to_numpy() for _, group in located])
    unassociated = picks.select(~np.isin(np.arange(len(picks)), used))
    return Catalog(pd.DataFrame(events)[list(EVENT_COLUMNS)], pd.concat(arrivals), unassociated, skipped)


def _event_id(time_s: float, names: set[str]) -> str:
    """A name from the origin time to a hundredth of a second, with a letter where two share it."""
    stamp = as_times(pd.Series([time_s]))[0].strftime("%Y%m%dT%H%M%S%f")[:-4]
    name = next(
        f"{stamp}{letter}" for letter in ("", *"bcdefghijklmnopqrstuvwxyz") if f"{stamp}{letter}" not in names
    )
    names.add(name)
    return name


def _arrival_rows(
    event_id: str, origin: Located, group: pd.DataFrame, latitude: float, longitude: float
) -> pd.DataFrame:
    paths = [
        gps2dist_azimuth(latitude, longitude, station_latitude, station_longitude)
        for station_latitude, station_longitude in zip(
            group["latitude_deg"], group["longitude_deg"], strict=True
        )
    ]
    return group[list(COLUMNS)].assign(
        event_id=event_id,
        residual_s=origin.residual_s,
        weight=origin.weight,
        distance_km=[path[0] / 1000.0 for path in paths],
        azimuth_deg=[path[1] for path in paths],
    )[list(ARRIVAL_COLUMNS)]


def _event_row(
    event_id: str, origin: Located, arrivals: pd.DataFrame, latitude: float, longitude: float
) -> dict[str, object]:
    is_p = arrivals["phase"].str.startswith("P")
    spread = np.sqrt(np.diag(origin.covariance))
    return {
        "event_id": event_id,
        "time": as_times(pd.Series([origin.time_s]))[0],
        "latitude_deg": latitude,
        "longitude_deg": longitude,
        "depth_km": float(np.clip(origin.hypocentre_km[2], 0.0, None)),
        "time_uncertainty_s": spread[3],
        "horizontal_uncertainty_km": origin.horizontal_uncertainty_km,
        "depth_uncertainty_km": spread[2],
        "rms_s": origin.rms_s,
        "azimuthal_gap_deg": azimuthal_gap_deg(arrivals["azimuth_deg"].to_numpy(float)),
        "nearest_station_km": float(arrivals["distance_km"].min()),
        "num_stations": arrivals["station_id"].nunique(),
        "num_p": int(is_p.sum()),
        "num_s": int((~is_p).sum()),
    }


def azimuthal_gap_deg(azimuth_deg: np.ndarray) -> float:
    """The widest sector, seen from the event, in which no station lies."""
    ordered = np.unique(np.mod(azimuth_deg, 360.0))
    return float(np.diff(np.append(ordered, ordered[0] + 360.0)).max())
