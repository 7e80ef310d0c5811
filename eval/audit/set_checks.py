"""Faults that only a comparison shows: duplicates within a set and across sets, and outliers in counts.

Each check gives, for some positions in the table of rows, what is wrong there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy.optimize import least_squares

from ...data.record_facts import RecordFacts
from ...data.splitting.coincidence import covered_by, overlapping_records, same_origins, unique_origins
from .config import AuditConfig
from .finding import Fault

Placed = Iterator[tuple[int, Fault]]
MIN_OF_STATION = 8
"""Records from which a station's own level is known; with fewer it is taken for the set's."""

MAX_FITTED = 20_000


def duplicate_id(facts: RecordFacts, _: pd.DataFrame, config: AuditConfig) -> Placed:
    """A name that an earlier record has."""
    for place in np.flatnonzero(pd.Series(facts.record_id).duplicated()).tolist():
        yield place, Fault("an earlier record has the same name")


def duplicate_waveform(facts: RecordFacts, _: pd.DataFrame, config: AuditConfig) -> Placed:
    """The very samples of an earlier record; the first of them stays."""
    first: dict[str, int] = {}
    for place, digits in enumerate(facts.waveform_hash):
        if digits and first.setdefault(digits, place) != place:
            yield place, Fault(f"it has the samples of {facts.record_id[first[digits]]}")


def overlapping_record(facts: RecordFacts, rows: pd.DataFrame, config: AuditConfig) -> Placed:
    """Time that another record of the same channels has too: the shorter one of them may be left out."""
    # A location and a band of its own: two sensors at one site are no duplicate.
    channels = [f"{s}/{c}".replace(".", "/") for s, c in zip(facts.station_id, rows["channel"], strict=True)]
    named = np.where(facts.station_id == "", "", np.array(channels, dtype=object))
    left, right = overlapping_records(dataclasses.replace(facts, station_id=named))
    for one, other in zip(left.tolist(), right.tolist(), strict=True):
        # The clock's last digits put an end after the beginning of what follows.
        shared_s = min(facts.end_time[one], facts.end_time[other]) - max(
            facts.start_time[one], facts.start_time[other]
        )
        if shared_s > 0.1:
            yield one, Fault(f"{facts.record_id[other]} has {shared_s:.1f} s of it too", shared_s, "0 s")


def duplicate_event(facts: RecordFacts, _: pd.DataFrame, config: AuditConfig) -> Placed:
    """An earthquake that the set has listed under another id before: a split must not part the two."""
    origins, place_of = unique_origins(facts)
    pairs = zip(*same_origins(origins, origins, config.same_event_s, config.same_event_km), strict=True)
    names: dict[int, set[str]] = {}
    for place, origin in enumerate(place_of.tolist()):
        if origin >= 0 and facts.event_id[place]:
            names.setdefault(origin, set()).add(facts.event_id[place])
    near: dict[int, set[str]] = {}
    for one, other in pairs:
        near.setdefault(int(one), set()).update(names.get(int(other), set()))
    listed: dict[str, None] = {}
    for place, origin in enumerate(place_of.tolist()):
        own = facts.event_id[place]
        earlier = [name for name in listed if name != own and name in near.get(origin, ())]
        if own and earlier:
            yield place, Fault(f"its event is listed as {', '.join(earlier[:3])} too", len(earlier), "0")
        listed.setdefault(own)


def amplitude_outlier(facts: RecordFacts, rows: pd.DataFrame, config: AuditConfig) -> Placed:
    """A peak in counts far from what the set's other records give for its magnitude and distance."""
    residual = counts_residual(rows, config)
    limit = counts_limit(residual, config)
    for place in np.flatnonzero(np.abs(residual) > limit).tolist():
        yield (
            place,
            Fault(
                f"it peaks 10^{residual[place]:.1f} times as high as others of its magnitude and distance",
                float(residual[place]),
                f"within ± {limit:.1f} orders",
            ),
        )


def shared_waveform(facts: RecordFacts, others: RecordFacts, config: AuditConfig) -> Placed:
    """The samples of a record of another set."""
    known = dict(zip(others.waveform_hash, others.record_id, strict=True))
    for place, digits in enumerate(facts.waveform_hash):
        if digits and digits in known:
            yield place, Fault(f"{known[digits]} of the other set has the same samples")


def shared_time(facts: RecordFacts, others: RecordFacts, config: AuditConfig) -> Placed:
    """Ground motion of the same site and time as in another set."""
    for place in np.flatnonzero(covered_by(facts, others)).tolist():
        yield place, Fault("another set has the same site at this time")


def shared_event(facts: RecordFacts, others: RecordFacts, config: AuditConfig) -> Placed:
    """An earthquake of another set, under any id."""
    origins, place_of = unique_origins(facts)
    other_origins, _ = unique_origins(others)
    left, _ = same_origins(origins, other_origins, config.same_event_s, config.same_event_km)
    shared_ids = (set(facts.event_id) & set(others.event_id)) - {""}
    near = np.isin(place_of, left) & (place_of >= 0)
    for place in np.flatnonzero(near | np.isin(facts.event_id, list(shared_ids))).tolist():
        yield place, Fault("another set has its event", float("nan"))


def counts_residual(rows: pd.DataFrame, config: AuditConfig) -> np.ndarray:
    """log10 of each peak in counts less what a + b M + c log10 R gives, less its station's level.

    NaN for other units. a, b and c are fitted to the set with a loss that outliers hardly move, and NaN is
    given for all where fewer than `min_regression` records can be used.
    """
    residual = np.full(len(rows), np.nan)
    if not len(rows):
        return residual
    way_km = np.hypot(rows["distance_km"], rows["depth_km"].fillna(10.0).clip(lower=1.0))
    usable = (rows["peak_unit"] == "counts") & (rows["peak"] > 0) & np.isfinite(way_km * rows["magnitude"])
    usable &= rows["distance_km"] <= config.max_distance_km
    if usable.sum() < config.min_regression:
        return residual
    table = rows[usable]
    terms = np.column_stack([np.ones(len(table)), table["magnitude"], np.log10(way_km[usable])])
    found = _robust_residual(terms, np.log10(table["peak"].to_numpy()))
    stations = pd.Series(found).groupby(table["station_id"].to_numpy())
    level = stations.transform("median").where(stations.transform("size") >= MIN_OF_STATION, 0.0)
    residual[usable] = found - level.to_numpy()
    return residual


def counts_limit(residual: np.ndarray, config: AuditConfig) -> float:
    """How many powers of ten of `counts_residual` are too many: the set's own scatter decides."""
    known = residual[np.isfinite(residual)]
    # 1.4826 times the median size is the standard deviation of a normal bulk, whatever its outliers do.
    sigma = float(1.4826 * np.median(np.abs(known))) if len(known) else 0.0
    return max(config.amplitude_orders, config.amplitude_sigmas * sigma)


def _robust_residual(terms: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values less their linear fit on some terms, with a loss that grows like a square root far away."""
    some = np.linspace(0, len(values) - 1, min(len(values), MAX_FITTED)).astype(int)
    start = np.array([np.median(values[some]), 0.0, 0.0])
    fit = least_squares(lambda x: terms[some] @ x - values[some], start, loss="soft_l1", f_scale=0.3)
    return values - terms @ fit.x
