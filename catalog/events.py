"""A catalog: events with their origins, and the arrivals that made them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from ..data.records import Skipped
from .files import replacing
from .pick_table import COLUMNS, PickTable, as_times

EVENT_COLUMNS = (
    "event_id",
    "time",
    "latitude_deg",
    "longitude_deg",
    "depth_km",
    "time_uncertainty_s",
    "horizontal_uncertainty_km",
    "depth_uncertainty_km",
    "rms_s",
    "azimuthal_gap_deg",
    "nearest_station_km",
    "num_stations",
    "num_p",
    "num_s",
)
MECHANISM_COLUMNS = (
    "strike_deg",
    "dip_deg",
    "rake_deg",
    "auxiliary_strike_deg",
    "auxiliary_dip_deg",
    "auxiliary_rake_deg",
    "mechanism_error_deg",
    "num_polarities",
    "polarity_misfit",
    "polarity_gap_deg",
    "station_ratio",
    "mechanism_probability",
    "mechanism_quality",
    "mechanism_method",
)
"""What events have besides, where mechanisms were looked for."""

ARRIVAL_COLUMNS = (
    "event_id",
    *COLUMNS,
    "residual_s",
    "weight",
    "distance_km",
    "azimuth_deg",
)
RAY_COLUMNS = ("takeoff_deg",)
"""What arrivals have besides, where mechanisms were looked for."""

_TEXT = (
    "event_id",
    "station_id",
    "phase",
    "instrument",
    "polarity",
    "model",
    "model_revision",
    "mechanism_quality",
    "mechanism_method",
)
_WHOLE = ("num_stations", "num_p", "num_s", "num_polarities")


@dataclass(frozen=True, eq=False)
class Catalog:
    """Located earthquakes and the picks that belong to each.

    events: one row an event with the columns of `EVENT_COLUMNS`, by time. Time is UTC; depth is positive down
        from the velocity model's datum; uncertainties are one standard deviation (horizontal: the long
        axis of the ellipse); rms_s is the weighted root mean square residual; nearest_station_km is
        epicentral.
    arrivals: one row a pick that belongs to an event, with the columns of `ARRIVAL_COLUMNS`: those of a
        `PickTable`, then residual_s = observed minus calculated, weight in the location (0 to 1), epicentral
        distance_km, and azimuth_deg from the event to the station.
    unassociated: the picks that belong to no event.
    skipped: what could not be used, with reasons.

    Where focal mechanisms were looked for (`MechanismFinder`), events have the columns of `MECHANISM_COLUMNS`
    besides: strike, dip and rake of either nodal plane, NaN for an event without a mechanism;
    mechanism_error_deg, for the grid search the mean of the RMS angles of both planes' normals, for a network
    the Kagan angle that it expects; num_polarities that were used or would have been; polarity_misfit, the
    weighted share of wrong ones; polarity_gap_deg, the widest sector without one; station_ratio, 1 far from
    the nodal planes; mechanism_probability, the share of acceptable mechanisms near this one, and
    mechanism_quality, A to D (both of the grid search alone); mechanism_method. Arrivals have takeoff_deg of
    the P rays whose first motion was used, from the downward vertical; NaN for others.
    """

    events: pd.DataFrame
    arrivals: pd.DataFrame
    unassociated: PickTable = field(default_factory=PickTable.empty)
    skipped: Sequence[Skipped] = ()

    def __post_init__(self) -> None:
        object.__setattr__(
            self,
            "events",
            _typed(self.events, EVENT_COLUMNS, MECHANISM_COLUMNS).sort_values("time", ignore_index=True),
        )
        arrivals = _typed(self.arrivals, ARRIVAL_COLUMNS, RAY_COLUMNS)
        object.__setattr__(self, "arrivals", arrivals.sort_values(["event_id", "time"], ignore_index=True))
        if self.events["event_id"].duplicated().any():
            raise ValueError(f"event ids must differ, found {self.events['event_id'].tolist()}")
        orphans = sorted(set(self.arrivals["event_id"]) - set(self.events["event_id"]))
        if orphans:
            raise ValueError(f"every arrival must belong to an event, found arrivals of {orphans[:5]}")

    @classmethod
    def empty(cls, unassociated: PickTable | None = None, skipped: Sequence[Skipped] = ()) -> Catalog:
        """No events."""
        events, arrivals = (pd.DataFrame(columns=list(names)) for names in (EVENT_COLUMNS, ARRIVAL_COLUMNS))
        return cls(events, arrivals, unassociated or PickTable.empty(), skipped)

    def __len__(self) -> int:
        return len(self.events)

    @property
    def mechanisms(self) -> pd.DataFrame | None:
        """The events that have a mechanism; None where nobody looked for any."""
        if "strike_deg" not in self.events:
            return None
        return self.events[self.events["strike_deg"].notna()]

    def arrivals_of(self, event_id: str) -> pd.DataFrame:
        """The arrivals of one event, by time."""
        return self.arrivals[self.arrivals["event_id"] == event_id]

    def write_csv(self, events_path: str | Path, arrivals_path: str | Path) -> None:
        """Two CSV files, one row an event and one row an arrival; each written in whole or not at all."""
        for frame, path in ((self.events, events_path), (self.arrivals, arrivals_path)):
            with replacing(path) as temporary:
                frame.to_csv(temporary, index=False)

    @classmethod
    def read_csv(cls, events_path: str | Path, arrivals_path: str | Path) -> Catalog:
        """What `write_csv` wrote (without the unassociated picks and what was skipped)."""
        frames = [
            pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[])
            for path in (events_path, arrivals_path)
        ]
        return cls(*frames)


def _typed(frame: pd.DataFrame, columns: tuple[str, ...], more: tuple[str, ...]) -> pd.DataFrame:
    """The columns in their order and types, with all of `more` or none."""
    if set(more) & set(frame.columns):
        columns += more
    if set(frame.columns) != set(columns):
        raise ValueError(
            f"expected the columns {columns}, missing are {sorted(set(columns) - set(frame.columns))}, "
            f"unknown are {sorted(set(frame.columns) - set(columns))}"
        )
    typed = {}
    for name in columns:
        if name == "time":
            typed[name] = as_times(frame[name])
        elif name in _TEXT:
            typed[name] = frame[name].fillna("").astype("str")
        elif name in _WHOLE:
            typed[name] = frame[name].astype("int64")
        else:
            typed[name] = frame[name].replace("", "nan").astype("float64")
    return pd.DataFrame(typed)
