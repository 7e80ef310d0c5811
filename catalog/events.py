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
MECHANISM_ANGLES = (
    "strike_deg",
    "dip_deg",
    "rake_deg",
    "auxiliary_strike_deg",
    "auxiliary_dip_deg",
    "auxiliary_rake_deg",
)
_OF_SOLUTION = (
    *MECHANISM_ANGLES,
    "mechanism_error_deg",
    "polarity_misfit",
    "ratio_misfit_log10",
    "station_ratio",
    "mechanism_probability",
    "mechanism_quality",
)
SOLUTION_COLUMNS = ("event_id", "solution", *_OF_SOLUTION)
"""What is known of each solution for an event's mechanism."""

MECHANISM_COLUMNS = (
    *_OF_SOLUTION,
    "num_polarities",
    "num_ratios",
    "num_solutions",
    "polarity_gap_deg",
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
RAY_COLUMNS = ("takeoff_deg", "polarity_weight", "log10_s_to_p", "p_snr_db", "s_snr_db")
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
_WHOLE = ("num_stations", "num_p", "num_s", "num_polarities", "num_ratios", "num_solutions", "solution")


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
    solutions: one row a solution for an event's mechanism, with the columns of `SOLUTION_COLUMNS`, by event
        and number from 1; the first one is preferred, and is what the event has.

    Where focal mechanisms were looked for (`MechanismFinder`), events have the columns of `MECHANISM_COLUMNS`
    besides: strike, dip and rake of either nodal plane, NaN for an event without a mechanism;
    mechanism_error_deg, for the grid search the mean of the RMS angles of both planes' normals, for a network
    the Kagan angle that it expects; num_polarities that were used or would have been; polarity_misfit, the
    weighted share of wrong ones; polarity_gap_deg, the widest sector without one; station_ratio, 1 far from
    the nodal planes; num_ratios of S over P that were used and ratio_misfit_log10, the mean of their misfits;
    mechanism_probability, the share of acceptable mechanisms near this one, and mechanism_quality, A to D
    (both of the grid search alone); mechanism_method; num_solutions. Arrivals of P have takeoff_deg, from the
    downward vertical, and polarity_weight (1, 0.5 for an emergent first motion, 0 for one that was not used)
    of the rays that were used; log10_s_to_p, corrected as asked for; p_snr_db and s_snr_db of its two
    amplitudes. NaN for others.
    """

    events: pd.DataFrame
    arrivals: pd.DataFrame
    unassociated: PickTable = field(default_factory=PickTable.empty)
    skipped: Sequence[Skipped] = ()
    solutions: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(SOLUTION_COLUMNS)))

    def __post_init__(self) -> None:
        object.__setattr__(
            self,
            "events",
            _typed(self.events, EVENT_COLUMNS, MECHANISM_COLUMNS).sort_values("time", ignore_index=True),
        )
        arrivals = _typed(self.arrivals, ARRIVAL_COLUMNS, RAY_COLUMNS)
        object.__setattr__(self, "arrivals", arrivals.sort_values(["event_id", "time"], ignore_index=True))
        solutions = _typed(self.solutions, SOLUTION_COLUMNS, ())
        object.__setattr__(
            self, "solutions", solutions.sort_values(["event_id", "solution"], ignore_index=True)
        )
        if self.events["event_id"].duplicated().any():
            raise ValueError(f"event ids must differ, found {self.events['event_id'].tolist()}")
        for name in ("arrivals", "solutions"):
            if orphans := sorted(set(getattr(self, name)["event_id"]) - set(self.events["event_id"])):
                raise ValueError(
                    f"every arrival and solution must belong to an event, found {name} of {orphans[:5]}"
                )

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

    def solutions_of(self, event_id: str) -> pd.DataFrame:
        """The solutions for the mechanism of one event, the preferred one first."""
        return self.solutions[self.solutions["event_id"] == event_id]

    def write_csv(
        self, events_path: str | Path, arrivals_path: str | Path, solutions_path: str | Path | None = None
    ) -> None:
        """CSV files of one row an event, an arrival, a solution; each written in whole or not at all.

        Without a path for them, solutions are not written.
        """
        tables = [(self.events, events_path), (self.arrivals, arrivals_path)]
        if solutions_path is not None:
            tables.append((self.solutions, solutions_path))
        for frame, path in tables:
            with replacing(path) as temporary:
                frame.to_csv(temporary, index=False)

    @classmethod
    def read_csv(
        cls, events_path: str | Path, arrivals_path: str | Path, solutions_path: str | Path | None = None
    ) -> Catalog:
        """What `write_csv` wrote (without the unassociated picks and what was skipped)."""
        paths = {"events": events_path, "arrivals": arrivals_path}
        if solutions_path is not None:
            paths["solutions"] = solutions_path
        frames = {
            name: pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[])
            for name, path in paths.items()
        }
        return cls(**frames)


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
