"""Where on the focal sphere stations lie, in many trials of what is not known of source and Earth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from obspy.geodetics import gps2dist_azimuth
from torch import Tensor

from ...data.earth.velocity import VelocityModel
from ...data.formats.hash_files import ReadEvent, Reading
from ...data.records import Skipped
from .first_motions import FirstMotions

FloatArray = np.ndarray


@dataclass(frozen=True, kw_only=True)
class TrialConfig:
    """How often and how far directions are disturbed.

    trials: of them the first is undisturbed. max_distance_km: stations beyond are left out.
    azimuth_error_deg, takeoff_error_deg: where a file gives angles without errors.
    """

    trials: int = 30
    max_distance_km: float = 120.0
    azimuth_error_deg: float = 10.0
    takeoff_error_deg: float = 10.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise ValueError(f"at least one trial is needed, found {self.trials}")


def given_angles(event: ReadEvent, config: TrialConfig) -> FirstMotions:
    """The first motions of an event whose file has angles and their errors: these disturb the trials."""
    readings = [r for r in event.readings if r.polarity and r.distance_km <= config.max_distance_km]
    angles = np.array([[r.azimuth_deg, r.takeoff_deg] for r in readings]).reshape(-1, 2)
    errors = np.array([[r.azimuth_error_deg, r.takeoff_error_deg] for r in readings]).reshape(-1, 2)
    errors = np.where(np.isnan(errors), [config.azimuth_error_deg, config.takeoff_error_deg], errors)
    disturbance = _normal(config, (config.trials, *angles.shape)) * errors
    trials = angles + disturbance
    return _motions(readings, trials[..., 0], trials[..., 1])


def traced_angles(
    event: ReadEvent,
    places: Mapping[str, tuple[float, float, float]],
    models: Sequence[VelocityModel],
    config: TrialConfig,
) -> tuple[FirstMotions, list[Skipped]]:
    """The first motions and S/P ratios of an event with angles of rays, and the readings without a place.

    The rays are those of `traced_directions`.

    places: latitude, longitude (degrees) and elevation (m) of each station.
    """
    told = [r for r in event.readings if r.polarity or np.isfinite(r.log10_sp_ratio)]
    skipped = [
        Skipped(f"{event.event_id}/{r.station}", "no place known") for r in told if r.station not in places
    ]
    placed = [r for r in told if r.station in places]
    distance_km, azimuth_deg = _ways(event, [places[r.station] for r in placed])
    near = distance_km <= config.max_distance_km
    readings = [reading for reading, yes in zip(placed, near, strict=True) if yes]
    azimuth, takeoff = traced_directions(
        distance_km[near],
        azimuth_deg[near],
        depth_km=event.depth_km,
        depth_error_km=event.depth_error_km,
        horizontal_error_km=event.horizontal_error_km,
        models=models,
        config=config,
    )
    return _motions(readings, azimuth, takeoff), skipped


def _ways(event: ReadEvent, places: Sequence[tuple[float, float, float]]) -> tuple[FloatArray, FloatArray]:
    ways = [gps2dist_azimuth(event.latitude_deg, event.longitude_deg, *place[:2])[:2] for place in places]
    distance_m, azimuth_deg = np.array(ways).reshape(-1, 2).T
    return distance_m / 1000.0, azimuth_deg


def traced_directions(
    distance_km: FloatArray,
    azimuth_deg: FloatArray,
    *,
    depth_km: float,
    depth_error_km: float,
    horizontal_error_km: float,
    models: Sequence[VelocityModel],
    config: TrialConfig,
    station_elevation_m: FloatArray | float = 0.0,
) -> tuple[FloatArray, FloatArray]:
    """Azimuths and take-off angles `(trial, station)` of the first P from a source that is not known exactly.

    Trials take the velocity models in turn, and a depth and an epicentre within their standard deviations.

    distance_km, azimuth_deg: of each station from the epicentre `(station,)`.
    """
    depth, east, north = _normal(config, (3, config.trials))
    depths_km = np.maximum(depth_km + depth_error_km * depth, 0.0)
    x = distance_km * np.sin(np.deg2rad(azimuth_deg)) - horizontal_error_km * east[:, None]
    y = distance_km * np.cos(np.deg2rad(azimuth_deg)) - horizontal_error_km * north[:, None]
    takeoff_deg = np.empty_like(x)
    for number, model in enumerate(models):
        rows = slice(number, None, len(models))
        rays = model.rays(np.hypot(x[rows], y[rows]), depths_km[rows, None], "P", station_elevation_m)
        takeoff_deg[rows] = rays.takeoff_deg
    return np.rad2deg(np.arctan2(x, y)) % 360.0, takeoff_deg


def _normal(config: TrialConfig, shape: tuple[int, ...]) -> FloatArray:
    """Standard normal numbers with the trials on the axis of that length; none in the first trial."""
    numbers = np.random.default_rng(config.seed).standard_normal(shape)
    axis = shape.index(config.trials) if len(shape) == 3 else 1
    np.moveaxis(numbers, axis, 0)[0] = 0.0
    return numbers


def _motions(readings: Sequence[Reading], azimuth_deg: FloatArray, takeoff_deg: FloatArray) -> FirstMotions:
    def column(name: str) -> Tensor:
        return torch.tensor([getattr(reading, name) for reading in readings], dtype=torch.float64)

    return FirstMotions(
        polarity=column("polarity"),
        impulsive=column("impulsive").bool(),
        log10_sp_ratio=column("log10_sp_ratio"),
        azimuth_deg=torch.from_numpy(np.ascontiguousarray(azimuth_deg)),
        takeoff_deg=torch.from_numpy(np.ascontiguousarray(takeoff_deg)),
    )
