"""Which picks belong to one earthquake: association with PyOcto in any layered velocity model."""

from __future__ import annotations

import math
import tempfile
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyocto

from ..data.earth.velocity import TravelTimeTable, VelocityModel
from ..data.records import Skipped
from .events import Catalog
from .locate import LocationConfig
from .origins import Requirements, build_catalog, locate_all
from .pick_table import PickTable
from .projection import LocalProjection
from .station_places import station_rows


@dataclass(frozen=True, kw_only=True)
class AssociationConfig:
    """What makes an event, and where it is looked for.

    The least numbers of picks, P picks, S picks, and stations with both, are for small local networks: raise
    them for large ones. Give `min_stations` × 2 for `n_picks` where every station gives P and S.

    margin_km: the search reaches so far beyond the outermost stations.
    depth_km: shallowest and deepest source, at or below the velocity model's datum.
    tolerance_s: largest difference between a pick and its predicted time during association, and
        max_residual_s after location; an arrival beyond it is given back to the unassociated ones.
    time_before_s: overlap of the blocks of `block_s` in which picks are worked on; None takes the S
        travel time through the search volume.
    max_picks_per_station_hour: only the most probable ones are associated, since the time that PyOcto takes
        explodes with dense false picks; None takes all.
    """

    n_picks: int = 6
    n_p_picks: int = 3
    n_s_picks: int = 1
    n_p_and_s_picks: int = 1
    margin_km: float = 20.0
    depth_km: tuple[float, float] = (0.0, 30.0)
    tolerance_s: float = 0.75
    max_residual_s: float = 1.0
    min_interevent_s: float = 1.0
    min_node_size_km: float = 4.0
    min_location_node_km: float = 0.5
    time_before_s: float | None = None
    block_s: float = 1200.0
    max_picks_per_station_hour: float | None = 240.0
    table_spacing_km: float = 0.5
    num_threads: int = 1
    location: LocationConfig = field(default_factory=LocationConfig)

    def __post_init__(self) -> None:
        if self.n_picks < max(self.n_p_picks + self.n_s_picks, 2 * self.n_p_and_s_picks):
            raise ValueError(
                "n_picks must be at least n_p_picks + n_s_picks and 2 × n_p_and_s_picks, "
                f"found {self.n_picks} with {self.n_p_picks} P, {self.n_s_picks} S, "
                f"{self.n_p_and_s_picks} of both"
            )
        if self.n_p_and_s_picks > min(self.n_p_picks, self.n_s_picks):
            raise ValueError(
                f"n_p_and_s_picks must not exceed n_p_picks and n_s_picks, found {self.n_p_and_s_picks} with "
                f"{self.n_p_picks} and {self.n_s_picks}"
            )
        if not 0.0 <= self.depth_km[0] < self.depth_km[1]:
            raise ValueError(f"depth_km must be 0 ≤ shallowest < deepest, found {self.depth_km}")

    @property
    def requirements(self) -> Requirements:
        """What an event must have."""
        return Requirements(
            n_picks=self.n_picks,
            n_p_picks=self.n_p_picks,
            n_s_picks=self.n_s_picks,
            n_p_and_s_picks=self.n_p_and_s_picks,
            max_residual_s=self.max_residual_s,
        )


def associate(
    picks: PickTable,
    stations: pd.DataFrame,
    config: AssociationConfig | None = None,
    velocity_model: VelocityModel | None = None,
) -> Catalog:
    """Events, located, with their arrivals, from picks of a network.

    stations: as `read_stations` gives them: id, network, station, latitude_deg, longitude_deg, elevation_m.
        A pick finds its station by id, else by network and station code alone; without either it is skipped.
    velocity_model: the mean crust where none is given. One with a single layer is homogeneous.

    PyOcto (Münchmeyer 2024, Seismica 3(1)) associates; each event is then located again in the exact layered
    model (`locate_event`) and loses arrivals with residuals above `max_residual_s`. Of two instruments' picks
    of one phase within the tolerance, the more probable is used.
    """
    config, model = config or AssociationConfig(), velocity_model or VelocityModel.default()
    frame, skipped = with_stations(picks.frame, stations)
    if frame.empty:
        return Catalog.empty(picks, skipped)
    projection = LocalProjection.around(stations)
    frame["x_km"], frame["y_km"] = projection.to_km(frame["latitude_deg"], frame["longitude_deg"])
    usable = _thinned(_one_of_each(frame, config.tolerance_s), config, skipped)
    groups = _associated(usable, config, model)
    located, given_up = locate_all(groups, config.requirements, model, config.location)
    return build_catalog(picks, located, projection, skipped + given_up)


def with_stations(frame: pd.DataFrame, stations: pd.DataFrame) -> tuple[pd.DataFrame, list[Skipped]]:
    """Picks or arrivals with the place of their station; others are skipped, one note a station.

    Adds latitude_deg, longitude_deg, elevation_m, site (network and station code) and order (the index).
    """
    by_code = stations["network"] + "." + stations["station"]
    codes = station_rows(frame["station_id"], stations)
    unknown = frame["station_id"][codes.isna()].value_counts()
    skipped = [
        Skipped(
            str(name),
            f"{count} picks of a station that is not in the station table ({len(stations)} stations)",
        )
        for name, count in unknown.items()
    ]
    known = frame[codes.notna()].copy()
    places = stations.loc[codes[codes.notna()].to_numpy()]
    for name in ("latitude_deg", "longitude_deg", "elevation_m"):
        known[name] = places[name].to_numpy(float)
    unplaced = np.isnan(known["elevation_m"])
    skipped += [
        Skipped(str(name), "elevation unknown: taken as 0 m")
        for name in known["station_id"][unplaced].unique()
    ]
    known["elevation_m"] = known["elevation_m"].fillna(0.0)
    known["site"] = by_code.loc[places.index].to_numpy(str)
    known["order"] = known.index
    return known, skipped


def _one_of_each(frame: pd.DataFrame, tolerance_s: float) -> pd.DataFrame:
    """Without the less probable of two instruments' picks of one phase at one site and time."""
    ordered = frame.sort_values(["site", "phase", "time"], kind="stable")
    same = (ordered["site"] == ordered["site"].shift()) & (ordered["phase"] == ordered["phase"].shift())
    other = (ordered["instrument"] != ordered["instrument"].shift()) | (
        ordered["station_id"] != ordered["station_id"].shift()
    )
    near = ordered["time"].diff().dt.total_seconds() < tolerance_s
    group = (~(same & other & near)).cumsum()
    best = ordered["probability"].fillna(0.0).groupby(group).idxmax()
    return frame.loc[sorted(best)]


def _thinned(frame: pd.DataFrame, config: AssociationConfig, skipped: list[Skipped]) -> pd.DataFrame:
    """The most probable picks of each station and hour."""
    if config.max_picks_per_station_hour is None:
        return frame
    hour = frame["time"].dt.floor("h")
    rank = (
        frame["probability"].fillna(1.0).groupby([frame["site"], hour]).rank(method="first", ascending=False)
    )
    keep = rank <= config.max_picks_per_station_hour
    for site, count in frame["site"][~keep].value_counts().items():
        skipped.append(
            Skipped(
                str(site),
                f"{count} picks beyond {config.max_picks_per_station_hour:g} an hour not associated",
            )
        )
    return frame[keep]


def _associated(
    frame: pd.DataFrame, config: AssociationConfig, model: VelocityModel
) -> list[tuple[np.ndarray, pd.DataFrame]]:
    """PyOcto's events: a first hypocentre (x, y, depth in km) and the picks of each."""
    sites = frame.drop_duplicates("site")
    limits = [
        (float(sites[axis].min()) - config.margin_km, float(sites[axis].max()) + config.margin_km)
        for axis in ("x_km", "y_km")
    ]
    with tempfile.TemporaryDirectory() as folder:
        velocity = _velocity(model, limits, config, Path(folder) / "travel_times")
        associator = pyocto.OctoAssociator(
            xlim=limits[0],
            ylim=limits[1],
            zlim=config.depth_km,
            velocity_model=velocity,
            time_before=config.time_before_s or _crossing_s(limits, model, config),
            min_node_size=config.min_node_size_km,
            min_node_size_location=config.min_location_node_km,
            pick_match_tolerance=config.tolerance_s,
            min_interevent_time=config.min_interevent_s,
            n_picks=config.n_picks,
            n_p_picks=config.n_p_picks,
            n_s_picks=config.n_s_picks,
            n_p_and_s_picks=config.n_p_and_s_picks,
            time_slicing=config.block_s,
            n_threads=config.num_threads,
        )
        with warnings.catch_warnings():
            # PyOcto 0.1.4 uses keywords that pandas 3.1 has deprecated.
            warnings.filterwarnings("ignore", message="The inplace keyword", module="pyocto")
            events, assignments = associator.associate(_pyocto_frame(frame), _pyocto_stations(sites))
    groups = dict(list(assignments.groupby("event_idx"))) if len(events) else {}
    return [
        (
            np.array([event["x"], event["y"], event["z"]]),
            frame.iloc[groups[event["idx"]]["pick_idx"].to_numpy()],
        )
        for event in events.to_dict("records")
    ]


def _velocity(
    model: VelocityModel, limits: list[tuple[float, float]], config: AssociationConfig, path: Path
) -> pyocto.associator.VelocityModel:
    if len(model.depth_km) == 1:
        return pyocto.VelocityModel0D(model.vp_km_s[0], model.vs_km_s[0], config.tolerance_s)
    table = TravelTimeTable(
        model,
        max_distance_km=_diagonal_km(limits) + config.table_spacing_km,
        max_depth_km=config.depth_km[1] + config.table_spacing_km,
        spacing_km=config.table_spacing_km,
    )
    table.write_pyocto(path)
    return pyocto.VelocityModel1D(
        path,
        config.tolerance_s,
        surface_p_velocity=model.vp_km_s[0],
        surface_s_velocity=model.vs_km_s[0],
    )


def _diagonal_km(limits: list[tuple[float, float]]) -> float:
    return math.hypot(*(high - low for low, high in limits))


def _crossing_s(limits: list[tuple[float, float]], model: VelocityModel, config: AssociationConfig) -> float:
    """The S travel time from one corner of the search volume to the other."""
    return float(model.travel_time_s(_diagonal_km(limits), config.depth_km[1], "S")) + 1.0


def _pyocto_frame(frame: pd.DataFrame) -> pd.DataFrame:
    # By first letter: PyOcto knows P and S only. Object columns, since its C++ side takes no Arrow strings.
    return pd.DataFrame(
        {
            "station": frame["site"].to_numpy(object),
            "phase": frame["phase"].str[:1].to_numpy(object),
            "time": frame["time"].astype("int64").to_numpy() / 1e9,
        }
    )


def _pyocto_stations(sites: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": sites["site"].to_numpy(object),
            "x": sites["x_km"].to_numpy(float),
            "y": sites["y_km"].to_numpy(float),
            "z": -sites["elevation_m"].to_numpy(float) / 1000.0,
        }
    )
