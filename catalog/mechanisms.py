"""Focal mechanisms of a catalog's events, from the first motions of their P picks."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from ..data.earth.velocity import VelocityModel
from ..data.mechanism.double_couple import auxiliary_planes, couple_tensors, fault_vectors
from ..data.mechanism.radiation import p_radiation, ray_products, rays_of
from ..data.records import Skipped
from ..eval.mechanism.first_motions import FirstMotions, azimuthal_gap_deg, observations_of
from ..eval.mechanism.grid_search import GridSearchConfig, search_mechanisms, too_little
from ..eval.mechanism.quality import weighted_misfit
from ..eval.mechanism.takeoff import TrialConfig, traced_directions
from ..heads.mechanism import MechanismHead
from .associate import with_stations
from .events import EVENT_COLUMNS, MECHANISM_COLUMNS, Catalog

METHODS = ("grid_search", "network")

SURE_PROBABILITY = 0.9
"""A first motion this probable counts as an impulsive one; others weigh half in misfit and station ratio."""

_SIGNS = {"positive": 1.0, "negative": -1.0}
_TEXTS = ("mechanism_quality", "mechanism_method")


@dataclass(frozen=True, kw_only=True)
class MechanismsConfig:
    """How the mechanisms of a catalog are found, and which events have too little for one.

    method: `grid_search` (see `search_mechanisms`), or `network`, which needs a `model`: what
        `MechanismHead.from_pretrained` opens, a hub id pinned by `revision`.
    min_polarities, max_gap_deg, max_takeoff_gap_deg: an event with fewer first motions, or none in a wider
        range of azimuth or of take-off angle, is skipped.
    min_polarity_probability: less probable first motions are left out.
    bad_share: of the first motions may be wrong (grid search).
    trials: of the hypocentre within its uncertainty, for the take-off angles (grid search).
    velocity_models: further files that the trials take in turn with the model that located the events.
    """

    method: str = "grid_search"
    model: str | None = None
    revision: str | None = None
    min_polarities: int = 8
    min_polarity_probability: float = 0.7
    max_gap_deg: float = 90.0
    max_takeoff_gap_deg: float = 60.0
    bad_share: float = 0.1
    trials: int = 30
    velocity_models: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"method must be one of {METHODS}, found {self.method!r}")
        if (self.method == "network") != (self.model is not None):
            raise ValueError(
                f"the method network, and only it, needs a model: found method {self.method!r} with model "
                f"{self.model!r}"
            )
        if not 0.5 <= self.min_polarity_probability <= 1.0:
            raise ValueError(
                "min_polarity_probability must lie between 0.5 and 1: a first motion less probable than 0.5 "
                f"tells nothing, found {self.min_polarity_probability}"
            )
        if self.min_polarities < 1:
            raise ValueError(f"min_polarities must be at least 1, found {self.min_polarities}")
        # A wrong number is told here and not after hours of picking.
        _ = self.search, self.trial_config

    @property
    def search(self) -> GridSearchConfig:
        """The grid search's own settings."""
        shared = {field.name for field in dataclasses.fields(GridSearchConfig)}
        return GridSearchConfig(**{name: value for name, value in vars(self).items() if name in shared})

    @property
    def trial_config(self) -> TrialConfig:
        """How often directions are disturbed."""
        return TrialConfig(trials=self.trials, seed=self.seed)


class MechanismFinder:
    """Finds the mechanisms of located events; opens its network and velocity models at birth.

    velocity_model: the one that located the events.

    Raises FileNotFoundError, ModelError or ValueError for a network or velocity model that cannot be opened.
    """

    def __init__(self, config: MechanismsConfig, velocity_model: VelocityModel) -> None:
        self.config = config
        self.velocity_models = [velocity_model, *map(VelocityModel.from_file, config.velocity_models)]
        self.head = MechanismHead.from_pretrained(config.model, config.revision) if config.model else None
        if self.head is not None and self.head.config.waveform_samples:
            raise ValueError(
                f"{config.model} reads waveforms, and a catalog has first motions alone: take a network "
                "without, or the grid search"
            )

    def add_to(self, catalog: Catalog, stations: pd.DataFrame) -> Catalog:
        """The same catalog with `MECHANISM_COLUMNS` and `RAY_COLUMNS`, and a note for each event without.

        stations: as for `associate`.
        """
        used, _ = with_stations(_first_motions(catalog.arrivals, self.config), stations)
        by_event = dict(list(used.groupby("event_id")))
        takeoff_deg = pd.Series(np.nan, index=catalog.arrivals.index)
        rows, skipped = [], list(catalog.skipped)
        for event in catalog.events.to_dict("records"):
            readings = by_event.get(event["event_id"], used.iloc[:0])
            row: dict[str, Any] = dict.fromkeys(MECHANISM_COLUMNS, np.nan) | dict.fromkeys(_TEXTS, "")
            row["num_polarities"] = len(readings)
            found: dict[str, Any] | str = self._too_little(event, readings)
            if not found:
                motions = self._traced(event, readings)
                takeoff_deg[readings.index] = motions.takeoff_deg[0].numpy()
                found = self._solved(motions, readings)
            if isinstance(found, str):
                skipped.append(Skipped(f"mechanism of {event['event_id']}", found))
            else:
                row |= found
            rows.append(row)
        columns = pd.DataFrame(rows, columns=list(MECHANISM_COLUMNS))
        events = pd.concat([catalog.events[list(EVENT_COLUMNS)], columns], axis=1)
        arrivals = catalog.arrivals.assign(takeoff_deg=takeoff_deg)
        return Catalog(events, arrivals, catalog.unassociated, skipped)

    def _too_little(self, event: Mapping[Any, Any], readings: pd.DataFrame) -> str:
        """Why no ray need be traced, or nothing."""
        if len(readings) < self.config.min_polarities:
            return f"{len(readings)} first motions, at least {self.config.min_polarities} are needed"
        if not np.isfinite([event["depth_uncertainty_km"], event["horizontal_uncertainty_km"]]).all():
            return "the location's uncertainty is unknown, and with it how sure the rays' directions are"
        return ""

    def _traced(self, event: Mapping[Any, Any], readings: pd.DataFrame) -> FirstMotions:
        """The first motions with directions from the hypocentre and others within its uncertainty."""
        azimuth_deg, takeoff_deg = traced_directions(
            readings["distance_km"].to_numpy(),
            readings["azimuth_deg"].to_numpy(),
            depth_km=event["depth_km"],
            depth_error_km=event["depth_uncertainty_km"],
            horizontal_error_km=event["horizontal_uncertainty_km"],
            models=self.velocity_models,
            config=self.config.trial_config,
            station_elevation_m=readings["elevation_m"].to_numpy(),
        )
        sure = readings["polarity_probability"].fillna(1.0) >= SURE_PROBABILITY
        return FirstMotions(
            polarity=torch.tensor(readings["polarity"].map(_SIGNS).to_numpy(float)),
            impulsive=torch.tensor(sure.to_numpy(bool)),
            log10_sp_ratio=torch.full((len(readings),), torch.nan, dtype=torch.float64),
            azimuth_deg=torch.from_numpy(azimuth_deg),
            takeoff_deg=torch.from_numpy(takeoff_deg),
        )

    def _solved(self, motions: FirstMotions, readings: pd.DataFrame) -> dict[str, Any] | str:
        """The columns of a mechanism, or why there is none."""
        if self.head is None:
            found = search_mechanisms(motions, self.config.search)
            if isinstance(found, Skipped):
                return found.reason
            best = found[0]
            return _columns(motions, best.mechanism_deg) | {
                "mechanism_error_deg": sum(best.plane_errors_deg) / 2.0,
                "mechanism_probability": best.probability,
                "mechanism_quality": best.quality,
                "mechanism_method": self.config.method,
            }
        if reason := too_little(motions, self.config.search):
            return reason
        polarity = motions.polarity * torch.tensor(_certainty(readings))
        observations = replace(observations_of([motions]), polarity=polarity[None].float())
        answer = self.head.predict(observations)
        return _columns(motions, answer["mechanism_deg"][0].tolist()) | {
            "mechanism_error_deg": float(answer["error_deg"][0]),
            "mechanism_method": f"{self.config.method} {Path(str(self.config.model)).name}",
        }


def _first_motions(arrivals: pd.DataFrame, config: MechanismsConfig) -> pd.DataFrame:
    """The P arrivals that tell up or down well enough."""
    told = (arrivals["phase"] == "P") & arrivals["polarity"].isin(list(_SIGNS))
    # Analysts give no probability: who wrote a first motion down was sure of it.
    return arrivals[told & ~(arrivals["polarity_probability"] < config.min_polarity_probability)]


def _certainty(readings: pd.DataFrame) -> np.ndarray:
    """The probability of the motion that was told minus that of the other one.

    Picks have the probability p of the likeliest of up, down and undecidable: the rest may all be for the
    other direction, so that 2p − 1 is the least that the difference can be.
    """
    return 2.0 * readings["polarity_probability"].fillna(1.0).to_numpy() - 1.0


def _columns(motions: FirstMotions, mechanism_deg: Sequence[float]) -> dict[str, Any]:
    """Both planes, and how the first motions lie about them."""
    mechanism = torch.tensor(mechanism_deg, dtype=torch.float64)
    products = ray_products(rays_of(motions.azimuth_deg[0], motions.takeoff_deg[0]))
    p_amplitude = p_radiation(products, couple_tensors(*fault_vectors(mechanism))[None])[:, 0]
    misfit, station_ratio = weighted_misfit(motions, p_amplitude)
    angles_deg = [*mechanism.tolist(), *auxiliary_planes(mechanism).tolist()]
    return dict(zip(MECHANISM_COLUMNS, angles_deg, strict=False)) | {
        "polarity_misfit": misfit,
        "polarity_gap_deg": azimuthal_gap_deg(motions.azimuth_deg[0]),
        "station_ratio": station_ratio,
    }
