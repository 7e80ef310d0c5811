"""Focal mechanisms of a catalog's events, from first motions of P and, if asked for, S/P amplitude ratios."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from ..data.continuous.archive import Archive
from ..data.earth.velocity import VelocityModel
from ..data.mechanism.observations import EventObservations
from ..data.records import Skipped
from ..eval.mechanism.first_motions import FirstMotions, observations_of
from ..eval.mechanism.grid_search import GridSearchConfig, search_mechanisms, too_little
from ..eval.mechanism.quality import onset_weights
from ..eval.mechanism.takeoff import TrialConfig, traced_directions
from ..heads.mechanism import MechanismHead
from .amplitudes import AmplitudesConfig
from .associate import with_stations
from .events import EVENT_COLUMNS, MECHANISM_COLUMNS, RAY_COLUMNS, SOLUTION_COLUMNS, Catalog
from .mechanism_columns import columns_of
from .station_ratios import StationRatios

METHODS = ("grid_search", "network")

SURE_PROBABILITY = 0.9
"""A first motion this probable counts as an impulsive one; others weigh half in misfit and station ratio."""

_SIGNS = {"positive": 1.0, "negative": -1.0}
_TEXTS = ("mechanism_quality", "mechanism_method")
_COUNTS = ("num_polarities", "num_ratios", "num_solutions")


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
    amplitudes: how S/P ratios are measured in the archive; None measures none, and first motions stand alone.
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
    amplitudes: AmplitudesConfig | None = None

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
        settings = vars(self.amplitudes or AmplitudesConfig()) | vars(self)
        return GridSearchConfig(**{name: value for name, value in settings.items() if name in shared})

    @property
    def trial_config(self) -> TrialConfig:
        """How often directions are disturbed."""
        return TrialConfig(trials=self.trials, seed=self.seed)


class MechanismFinder:
    """Finds the mechanisms of located events; opens its network and velocity models at birth.

    velocity_model: the one that located the events. archive: where S/P amplitudes are measured.

    Raises FileNotFoundError, ModelError or ValueError for a network, velocity model or table of corrections
    that cannot be opened, and for amplitudes without an archive.
    """

    def __init__(
        self, config: MechanismsConfig, velocity_model: VelocityModel, archive: Archive | None = None
    ) -> None:
        self.config = config
        self.velocity_models = [velocity_model, *map(VelocityModel.from_file, config.velocity_models)]
        self.head = MechanismHead.from_pretrained(config.model, config.revision) if config.model else None
        if self.head is not None and self.head.config.waveform_samples:
            raise ValueError(
                f"{config.model} reads waveforms, and a catalog has none for it: take a network without, or "
                "the grid search"
            )
        self.ratios: StationRatios | None = None
        if config.amplitudes is not None:
            if archive is None:
                raise ValueError("S/P amplitudes are measured in an archive: give one, or no amplitudes")
            self.ratios = StationRatios(config.amplitudes, archive, velocity_model)

    def add_to(self, catalog: Catalog, stations: pd.DataFrame) -> Catalog:
        """The same catalog with mechanisms, their solutions and rays, and a note for each event without.

        stations: as for `associate`.
        """
        placed, _ = with_stations(catalog.arrivals, stations)
        readings, notes = self._readings(catalog, placed)
        rays = readings[list(RAY_COLUMNS)].reindex(catalog.arrivals.index)
        by_event = dict(list(readings.groupby("event_id")))
        rows, solutions, skipped = [], [], [*catalog.skipped, *notes]
        for event in catalog.events.to_dict("records"):
            mine = by_event.get(event["event_id"], readings.iloc[:0])
            row: dict[str, Any] = dict.fromkeys(MECHANISM_COLUMNS, np.nan) | dict.fromkeys(_TEXTS, "")
            row |= dict.fromkeys(_COUNTS, 0) | {"num_polarities": int((mine["sign"] != 0.0).sum())}
            found: list[dict[str, Any]] | str = self._too_little(event, row["num_polarities"])
            if not found:
                used = mine[(mine["sign"] != 0.0) | mine["log10_s_to_p"].notna()]
                motions = self._traced(event, used)
                rays.loc[used.index, "takeoff_deg"] = motions.takeoff_deg[0].numpy()
                rays.loc[used.index, "polarity_weight"] = onset_weights(motions).numpy()
                row["num_ratios"] = motions.num_ratios
                found = self._solved(motions, used)
            if isinstance(found, str):
                skipped.append(Skipped(f"mechanism of {event['event_id']}", found))
            else:
                row |= found[0] | {"num_solutions": len(found)}
                solutions += [
                    {"event_id": event["event_id"], "solution": number} | one
                    for number, one in enumerate(found, start=1)
                ]
            rows.append({name: row[name] for name in MECHANISM_COLUMNS})
        columns = pd.DataFrame(rows, columns=list(MECHANISM_COLUMNS))
        return Catalog(
            pd.concat([catalog.events[list(EVENT_COLUMNS)], columns], axis=1),
            catalog.arrivals.assign(**rays),
            catalog.unassociated,
            skipped,
            pd.DataFrame(solutions, columns=list(SOLUTION_COLUMNS)),
        )

    def _readings(self, catalog: Catalog, placed: pd.DataFrame) -> tuple[pd.DataFrame, list[Skipped]]:
        """The P arrivals with `RAY_COLUMNS` and the sign of their first motion, 0 where it is not used."""
        p_rows = placed[placed["phase"] == "P"]
        sign = p_rows["polarity"].map(_SIGNS).astype(float)
        # Analysts give no probability: who wrote a first motion down was sure of it.
        doubtful = p_rows["polarity_probability"] < self.config.min_polarity_probability
        readings = p_rows.assign(sign=sign.mask(doubtful).fillna(0.0), **dict.fromkeys(RAY_COLUMNS, np.nan))
        if self.ratios is None:
            return readings, []
        ratios, notes = self.ratios.of_catalog(catalog.events, placed)
        return readings.assign(**ratios), notes

    def _too_little(self, event: Mapping[Any, Any], num_polarities: int) -> str:
        """Why no ray need be traced, or nothing."""
        if num_polarities < self.config.min_polarities:
            return f"{num_polarities} first motions, at least {self.config.min_polarities} are needed"
        if not np.isfinite([event["depth_uncertainty_km"], event["horizontal_uncertainty_km"]]).all():
            return "the location's uncertainty is unknown, and with it how sure the rays' directions are"
        return ""

    def _traced(self, event: Mapping[Any, Any], readings: pd.DataFrame) -> FirstMotions:
        """The readings with directions from the hypocentre and others within its uncertainty."""
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
            polarity=torch.tensor(readings["sign"].to_numpy(float)),
            impulsive=torch.tensor(sure.to_numpy(bool)),
            log10_sp_ratio=torch.tensor(readings["log10_s_to_p"].to_numpy(float)),
            azimuth_deg=torch.from_numpy(azimuth_deg),
            takeoff_deg=torch.from_numpy(takeoff_deg),
        )

    def _solved(self, motions: FirstMotions, readings: pd.DataFrame) -> list[dict[str, Any]] | str:
        """The columns of each solution, the preferred one first, or why there is none."""
        if self.head is None:
            found = search_mechanisms(motions, self.config.search)
            if isinstance(found, Skipped):
                return found.reason
            return [
                columns_of(motions, one.mechanism_deg)
                | {
                    "mechanism_error_deg": sum(one.plane_errors_deg) / 2.0,
                    "mechanism_probability": one.probability,
                    "mechanism_quality": one.quality,
                    "mechanism_method": self.config.method,
                }
                for one in found
            ]
        if reason := too_little(motions, self.config.search):
            return reason
        answer = self.head.predict(_observations(motions, readings))
        return [
            columns_of(motions, answer["mechanism_deg"][0].tolist())
            | {
                "mechanism_error_deg": float(answer["error_deg"][0]),
                "mechanism_probability": np.nan,
                "mechanism_quality": "",
                "mechanism_method": f"{self.config.method} {Path(str(self.config.model)).name}",
            }
        ]


def _observations(motions: FirstMotions, readings: pd.DataFrame) -> EventObservations:
    """An event as a network reads it, with how sure each first motion is.

    Picks have the probability p of the likeliest of up, down and undecidable: the rest may all be for the
    other direction, so that 2p − 1 is the least that the difference can be.
    """
    observations = observations_of([motions])
    certainty = torch.tensor(2.0 * readings["polarity_probability"].fillna(1.0).to_numpy() - 1.0)
    return replace(observations, polarity=observations.polarity * certainty.float())
