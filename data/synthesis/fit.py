"""A synthetic Earth for one region: ranges moved and narrowed until its records look like a few real ones.

Each parameter is judged by the feature that it decides most. How the feature follows the parameter is
measured on synthetic records, whose parameters are known; how far the real feature is off, and how much less
it scatters, tells how far the range has to move and how wide it may be. Some rounds of this follow the bends.
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

NUM_SYNTHETIC = 600
ROUNDS = 3
LEAST_RECORDS = 8
LEAST_T = 5.0
"""A feature must follow its parameter by so many standard errors, or the parameter is left as it is."""

NARROWEST = 0.1
"""No range becomes narrower than this share of its former width."""

LEAST_CHANGE = 0.1
"""Ranges that would move by less than this share of their width stay as they are."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A range and what decides it: one of `FEATURES`, less another one. log: the logarithm is uniform."""

    feature: str
    less: str | None = None
    log: bool = True

    def of(self, features: FloatArray) -> FloatArray:
        """The feature `(record,)`."""
        value = features[:, FEATURES.index(self.feature)]
        return value if self.less is None else value - features[:, FEATURES.index(self.less)]


PAIRS = {
    "geometry.distance_km": Pair(feature="log10 S minus P (s)"),
    "snr": Pair(feature="P signal to noise (dB)"),
    "noise.high_above_mid": Pair(feature="log10 noise 16-32 Hz", less="log10 noise 1-2 Hz", log=False),
    "noise.horizontal_db": Pair(feature="horizontal to vertical noise (dB)", log=False),
    "site.kappa_s": Pair(feature="log10 S 16-32 Hz", less="log10 S 4-8 Hz"),
    "scattering.rise_s": Pair(feature="log10 growth of P over 1 s"),
    "scattering.p_coda": Pair(feature="log10 end of P coda to P"),
    "scattering.s_coda": Pair(feature="log10 coda after 5 s to S"),
}

CONTROLS = (0, 1)
"""Features that decide others with them: S minus P, and the signal-to-noise ratio."""

SPREADS = ("scattering.p_coda", "scattering.s_coda")
"""Not a range (low, high), but a median and the standard deviation of the logarithm; the median is moved."""

SPREADS_REACHED = 2.0
"""So many standard deviations a median may move."""


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

    No range leaves that of `base`, and what the records do not tell stays as it was. num_synthetic: synthetic
    records in each round.

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
    fitted, before = base, None
    for number in range(ROUNDS):
        features, parameters = _population(fitted, seed + number, num_synthetic)
        before = features if before is None else before
        like, unlike = _compared(features, real)
        for name, pair in PAIRS.items():
            new = _new_value(name, pair, parameters[name], pair.of(like), pair.of(unlike), fitted, base)
            fitted = _with_value(fitted, name, new)
    changed = {}
    for name in PAIRS:
        old, new = _value(base, name), _value(fitted, name)
        if _is_change(name, old, new):
            changed[name] = (old, new)
        else:
            fitted = _with_value(fitted, name, old)
    after, _ = _population(fitted, seed + ROUNDS, num_synthetic)
    assert before is not None
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
        disturbances=replace(config.disturbances, share=0.0, quiet_share=0.0),
        recorder=replace(config.recorder, vertical_share=0.0, faults=faults),
    )


def _parameters(views: Views, config: SynthesisConfig) -> dict[str, FloatArray]:
    """By the name of its range, what was drawn for each record."""
    scene = views.scene
    return {
        name: column.double().numpy()
        for name, column in {
            "geometry.distance_km": log_uniform(
                views.event, "geometry/distance", config.geometry.distance_km
            ),
            "snr": log_uniform(views.event, "size/snr", config.snr or (1.0, 1.0)),
            "noise.high_above_mid": views.noise.high - views.noise.mid,
            "noise.horizontal_db": views.noise.horizontal_db.mean(dim=1),
            "site.kappa_s": scene.site.kappa_s,
            "scattering.rise_s": scene.scattering.rise_s,
            "scattering.p_coda": scene.scattering.p_coda,
            "scattering.s_coda": scene.scattering.s_coda,
        }.items()
    }


def _compared(synthetic: FloatArray, real: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Both without what distance and noise do to the other features, by regression on the synthetic."""
    adjusted = synthetic.copy(), real.copy()
    inputs = [np.stack([part[:, c] ** power for c in CONTROLS for power in (1, 2)], 1) for part in adjusted]
    centre = inputs[0].mean(axis=0)
    for column in set(range(len(FEATURES))) - set(CONTROLS):
        known = np.isfinite(synthetic[:, column])
        if known.any():
            value = synthetic[known, column]
            weights = np.linalg.lstsq(inputs[0][known] - centre, value - value.mean(), rcond=None)[0]
            for part, own in zip(adjusted, inputs, strict=True):
                part[:, column] -= (own - centre) @ weights
    return adjusted


def _new_value(
    name: str,
    pair: Pair,
    drawn: FloatArray,
    synthetic: FloatArray,
    real: FloatArray,
    fitted: SynthesisConfig,
    base: SynthesisConfig,
) -> tuple[float, float] | None:
    """The range (or median and spread) with which the synthetic feature should be as the real one is."""
    old, widest = _value(fitted, name), _value(base, name)
    parameter = np.log(np.maximum(drawn, 1e-12)) if pair.log else drawn
    known = np.isfinite(synthetic) & np.isfinite(parameter)
    real, synthetic, parameter = real[np.isfinite(real)], synthetic[known], parameter[known]
    if old is None or len(real) < LEAST_RECORDS or not parameter.std() > 0:
        return old
    slope, scatter, t = _following(parameter, synthetic)
    if t < LEAST_T:
        return old
    centre = parameter.mean() + (np.median(real) - np.median(synthetic)) / slope
    spread = math.sqrt(max(_robust_std(real) ** 2 - scatter**2, 0.0)) / abs(slope)
    error = _robust_std(real) / math.sqrt(len(real)) / abs(slope)
    if name in SPREADS:
        reach = SPREADS_REACHED * widest[1]
        moved = np.clip(centre, math.log(widest[0]) - reach, math.log(widest[0]) + reach)
        return math.exp(moved), widest[1]
    low, high = (math.log(limit) for limit in widest) if pair.log else widest
    least = 0.5 * NARROWEST * (high - low)
    centre = min(max(float(centre), low + least), high - least)
    # Around the centre on both sides alike, or the middle of the records would be missed.
    reach = min(max(math.sqrt(3.0) * spread + error, least), centre - low, high - centre)
    new = centre - reach, centre + reach
    return (math.exp(new[0]), math.exp(new[1])) if pair.log else new


def _following(parameter: FloatArray, feature: FloatArray) -> tuple[float, float, float]:
    """How a feature follows a parameter: slope, scatter about the line, and the slope in standard errors."""
    slope = float(np.cov(parameter, feature)[0, 1] / parameter.var(ddof=1))
    apart = feature - feature.mean() - slope * (parameter - parameter.mean())
    error = apart.std() / (parameter.std() * math.sqrt(len(parameter)))
    return slope, _robust_std(apart), abs(slope) / max(float(error), 1e-12)


def _robust_std(values: FloatArray) -> float:
    """Standard deviation, from quartiles."""
    return float(np.subtract(*np.percentile(values, [75, 25])) / 1.349)


def _is_change(name: str, old: Any, new: Any) -> bool:
    if old is None or new is None:
        return False
    if name in SPREADS:
        return abs(math.log(new[0] / old[0])) > LEAST_CHANGE
    former, later = (
        math.log(limits[1] / limits[0]) if PAIRS[name].log else limits[1] - limits[0] for limits in (old, new)
    )
    return later < (1.0 - LEAST_CHANGE) * former


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
