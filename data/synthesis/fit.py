"""A synthetic Earth for one region: ranges narrowed to what a few real records of it show.

Among synthetic records, whose parameters are known, a regression tells each parameter from the features that
can be measured. What it says of the real ones, with its shrinkage and its own scatter taken away, is the mean
and the spread of the parameter in the region (regression calibration: Carroll et al., 2006, chapter 4).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..records import Record, Skipped
from .config import SynthesisConfig
from .draws import log_uniform
from .engine import SyntheticEarth
from .record_features import FEATURES, measure
from .sources import TypeShares
from .views import Views

FloatArray = NDArray[np.float64]

NUM_SYNTHETIC = 1500
NUM_AFTER = 300
LEAST_RECORDS = 8
LEAST_EXPLAINED = 0.15
"""A parameter of which the features explain less than this share of the variance is left as it is."""

LEAST_NARROWING = 0.9
NARROWEST = 0.1
"""No range becomes narrower than this share of its former width."""

RIDGE = 1e-3

RANGES = (
    "geometry.distance_km", "sources.stress_drop_pa", "media.s_quality_1hz", "site.kappa_s",
    "scattering.rise_s", "scattering.p_decay", "scattering.s_decay", "scattering.quality_1hz",
    "noise.high_above_mid", "noise.horizontal_db", "snr",
)  # fmt: skip
"""Ranges (low, high) that can be narrowed."""

LINEAR = frozenset(
    {"scattering.p_decay", "scattering.s_decay", "noise.high_above_mid", "noise.horizontal_db"}
)
"""Those of numbers that are uniform themselves; of all others the logarithm is."""

SPREADS = ("scattering.p_coda", "scattering.s_coda")
"""(median, standard deviation of the logarithm) that can be moved."""


@dataclass(frozen=True, kw_only=True)
class FittedConfig:
    """A configuration fitted to records, and what it rests on.

    changed: old and new value by the name of the range. features: of the real records, of the base's and of
    the new configuration's, each `(record, feature)` in the order of `FEATURES`. skipped: records that could
    not be measured.
    """

    config: SynthesisConfig
    changed: dict[str, tuple[Any, Any]]
    real: FloatArray
    before: FloatArray
    after: FloatArray
    skipped: list[Skipped]

    @property
    def num_records(self) -> int:
        """How many real records it rests on."""
        return len(self.real)

    def rows(self) -> list[dict[str, Any]]:
        """What was measured, one row a feature: medians of the real, the base's and the fitted records."""
        columns = [_medians(part) for part in (self.real, self.before, self.after)]
        names = ("real", "before", "after")
        return [
            {"feature": feature} | dict(zip(names, values, strict=True))
            for feature, *values in zip(FEATURES, *columns, strict=True)
        ]

    def lines(self) -> list[str]:
        """The same for people, and which ranges were changed."""
        table = [
            f"{row['feature']:36s} real {row['real']:8.2f}  before {row['before']:8.2f}  "
            f"after {row['after']:8.2f}"
            for row in self.rows()
        ]
        return table + [f"{name}: {old} -> {new}" for name, (old, new) in self.changed.items()]


def fit_config(
    records: Sequence[Record], base: SynthesisConfig, seed: int = 0, num_synthetic: int = NUM_SYNTHETIC
) -> FittedConfig:
    """Ranges of `base` narrowed to what some real records with P and S show.

    A range is changed only where the features tell the parameter, and where it comes out narrower: what the
    records do not tell stays as wide as it was.

    Raises ValueError where fewer than 8 records can be measured.
    """
    real, skipped = measure(records)
    if len(real) < LEAST_RECORDS:
        reasons = sorted({item.reason for item in skipped})
        raise ValueError(
            f"fitting needs {LEAST_RECORDS} records or more with noise, P, S and coda on three components, "
            f"found {len(real)} of {len(records)}; reasons: {reasons}"
        )
    rates_hz = [records[position].sampling_rate_hz for position in range(len(records))]
    base = replace(base, sampling_rate_hz=float(np.median(rates_hz)))
    before, parameters = _population(base, seed, num_synthetic)
    inputs = _Inputs(before, real)
    settings: dict[str, Any] = {}
    for name in RANGES + SPREADS:
        new = _new_value(name, parameters[name], inputs, _value(base, name))
        if new is not None:
            settings[name] = new
    changed = {name: (_value(base, name), new) for name, new in settings.items()}
    fitted = base
    for name, new in settings.items():
        fitted = _with_value(fitted, name, new)
    after, _ = _population(fitted, seed + 1, min(NUM_AFTER, num_synthetic))
    return FittedConfig(
        config=fitted, changed=changed, real=real, before=before, after=after, skipped=skipped
    )


def _population(config: SynthesisConfig, seed: int, count: int) -> tuple[FloatArray, dict[str, FloatArray]]:
    """Features of synthetic earthquakes that can be measured, and the parameters that made them."""
    plain = _plain(config)
    earth = SyntheticEarth(plain, seed)
    rows, columns = [], []
    for numbers in torch.arange(count).split(64):
        records = earth.records(numbers)
        views = earth.views(numbers)
        ids = {record.record_id: place for place, record in enumerate(records)}
        features, skipped = measure(records)
        lost = {ids[item.item] for item in skipped}
        kept = [place for place in range(len(records)) if place not in lost]
        rows.append(features)
        columns.append({name: column[kept] for name, column in _parameters(views, plain).items()})
    parameters = {name: np.concatenate([part[name] for part in columns]) for name in columns[0]}
    return np.concatenate(rows), parameters


def _plain(config: SynthesisConfig) -> SynthesisConfig:
    """Earthquakes alone, one station each, nothing that goes wrong."""
    names = [field.name for field in dataclasses.fields(TypeShares)]
    types = TypeShares(**(dict.fromkeys(names, 0.0) | {"earthquake": 1.0}))
    faults = replace(
        config.recorder.faults,
        reversed_share=0.0, swapped_share=0.0, gain_error_share=0.0,
        dead_share=0.0, gap_share=0.0, clip_share=0.0,
    )  # fmt: skip
    return replace(
        config,
        stations_per_event=(1, 1),
        second_event_share=0.0,
        sources=replace(config.sources, types=types),
        disturbances=replace(config.disturbances, share=0.0),
        recorder=replace(config.recorder, vertical_share=0.0, faults=faults),
    )


def _parameters(views: Views, config: SynthesisConfig) -> dict[str, FloatArray]:
    """By the name of its range, what was drawn for each record."""
    scene = views.scene
    drawn = {
        "geometry.distance_km": log_uniform(views.event, "geometry/distance", config.geometry.distance_km),
        "sources.stress_drop_pa": scene.sources.stress_drop_pa,
        "media.s_quality_1hz": scene.media.s_quality_1hz,
        "site.kappa_s": scene.site.kappa_s,
        "noise.high_above_mid": views.noise.high - views.noise.mid,
        "noise.horizontal_db": views.noise.horizontal_db[:, 0],
        "snr": log_uniform(views.event, "size/snr", config.snr or (1.0, 1.0)),
    }
    for name in (*RANGES, *SPREADS):
        if name.startswith("scattering."):
            drawn[name] = getattr(scene.scattering, name.removeprefix("scattering."))
    return {name: column.double().numpy() for name, column in drawn.items()}


class _Inputs:
    """The regressors of synthetic and real records: standardized features and their squares."""

    def __init__(self, synthetic: FloatArray, real: FloatArray):
        known = np.isfinite(synthetic).all(axis=0) & np.isfinite(real).all(axis=0)
        centre, spread = synthetic[:, known].mean(axis=0), synthetic[:, known].std(axis=0)
        spread = np.where(spread > 0, spread, 1.0)
        # Features far beyond all synthetic ones say no more than the outermost of these.
        parts = [np.clip((part[:, known] - centre) / spread, -3.0, 3.0) for part in (synthetic, real)]
        self.synthetic, self.real = (np.concatenate([part, part**2 - 1.0], axis=1) for part in parts)

    def predictions(self, parameter: FloatArray) -> tuple[FloatArray, float]:
        """What the features say of the real records' parameter, and the share of variance that they explain.

        The share is that of the half of the synthetic records which the regression has not seen.
        """
        half = len(parameter) // 2
        seen = self._regress(self.synthetic[:half], parameter[:half], self.synthetic[half:])
        error = np.var(parameter[half:] - seen)
        explained = 1.0 - error / np.var(parameter[half:])
        return self._regress(self.synthetic, parameter, self.real), float(explained)

    def _regress(self, inputs: FloatArray, parameter: FloatArray, wanted: FloatArray) -> FloatArray:
        centre = parameter.mean()
        products = inputs.T @ inputs + RIDGE * len(inputs) * np.eye(inputs.shape[1])
        weights = np.linalg.solve(products, inputs.T @ (parameter - centre))
        return centre + wanted @ weights


def _new_value(name: str, drawn: FloatArray, inputs: _Inputs, old: Any) -> tuple[float, float] | None:
    """The new range (or median and spread), None where the records do not tell one."""
    if old is None or old[0] == old[1]:
        return None
    log = name not in LINEAR
    parameter = np.log(np.maximum(drawn, 1e-12)) if log else drawn
    predicted, explained = inputs.predictions(parameter)
    if explained < LEAST_EXPLAINED:
        return None
    prior, variance = parameter.mean(), parameter.var()
    mean = prior + (predicted.mean() - prior) / explained
    own_scatter = explained * (1.0 - explained) * variance
    spread = math.sqrt(max(predicted.var() - own_scatter, 0.0)) / explained
    error = math.sqrt(predicted.var() / len(predicted)) / explained
    if name in SPREADS:
        return float(np.exp(mean)), float(np.clip(math.hypot(spread, error), NARROWEST * old[1], old[1]))
    low, high = (math.log(limit) for limit in old) if log else old
    reach = max(math.sqrt(3.0) * spread + 2.0 * error, 0.5 * NARROWEST * (high - low))
    mean = min(max(mean, low + 0.5 * NARROWEST * (high - low)), high - 0.5 * NARROWEST * (high - low))
    new_low, new_high = max(low, mean - reach), min(high, mean + reach)
    if new_high - new_low > LEAST_NARROWING * (high - low):
        return None
    return (math.exp(new_low), math.exp(new_high)) if log else (new_low, new_high)


def _value(config: Any, name: str) -> Any:
    for part in name.split("."):
        config = getattr(config, part)
    return config


def _with_value(config: Any, name: str, value: Any) -> Any:
    first, _, rest = name.partition(".")
    return replace(config, **{first: _with_value(getattr(config, first), rest, value) if rest else value})


def _medians(features: FloatArray) -> list[float]:
    known = ~np.isnan(features).all(axis=0)
    medians = np.full(features.shape[1], np.nan)
    medians[known] = np.nanmedian(features[:, known], axis=0)
    return medians.tolist()
