"""Faults put into good records on purpose, to measure which of them an audit finds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from ...data.formats.seisbench_columns import utc_seconds, utc_text
from ...data.records import Arrival, Record
from ...data.synthesis import SynthesisConfig, synthesize_records
from ...data.synthesis.faults import FaultConfig
from ...data.synthesis.recorder import RecorderConfig
from .run import AuditResult

Corrupt = Callable[[Record, np.random.Generator], Record | None]


@dataclass(frozen=True, kw_only=True)
class Corruption:
    """One kind of fault.

    make: the record with the fault, None where it cannot have it. checks: any of these finds it.
    adds: the faulty record comes beside the good one, instead of taking its place.
    """

    make: Corrupt
    checks: tuple[str, ...]
    adds: bool = False


def faultless_records(seed: int, num_events: int) -> list[Record]:
    """Synthetic records whose installation and telemetry have no faults of their own."""
    faults = FaultConfig(
        reversed_share=0.0,
        swapped_share=0.0,
        gain_error_share=0.0,
        dead_share=0.0,
        gap_share=0.0,
        clip_share=0.0,
    )
    return synthesize_records(SynthesisConfig(recorder=RecorderConfig(faults=faults)), seed, num_events)


def corrupt_records(
    records: Sequence[Record], seed: int, share: float = 0.05
) -> tuple[list[Record], dict[str, str]]:
    """Records of which each kind of fault in `CORRUPTIONS` has got its share, and none two of them.

    Returns the records and, by record id, the name of the fault that was put in.

    Raises ValueError where all faults together would want more than half of the records.
    """
    if not 0 < share * len(CORRUPTIONS) <= 0.8:
        raise ValueError(f"share must be from 0 to {0.8 / len(CORRUPTIONS):.3f}, found {share}")
    generator = np.random.default_rng(seed)
    waiting = generator.permutation(len(records)).tolist()
    made: dict[int, Record] = {}
    added: list[Record] = []
    truth: dict[str, str] = {}
    for name, corruption in CORRUPTIONS.items():
        wanted = max(round(share * len(records)), 1)
        for place in list(waiting):
            if wanted == 0:
                break
            faulty = corruption.make(records[place], generator)
            if faulty is None:
                continue
            waiting.remove(place)
            wanted -= 1
            truth[faulty.record_id] = name
            if corruption.adds:
                added.append(faulty)
            else:
                made[place] = faulty
    return [made.get(place, record) for place, record in enumerate(records)] + added, truth


def recall_table(result: AuditResult, truth: dict[str, str]) -> pd.DataFrame:
    """One row a fault: how many were put in, how many the checks meant for it found, and which of them."""
    found: dict[str, set[str]] = {}
    for finding in result.findings:
        found.setdefault(finding.record_id, set()).add(finding.check)
    rows = []
    for name, corruption in CORRUPTIONS.items():
        of_kind = [record_id for record_id, kind in truth.items() if kind == name]
        hits = [found.get(record_id, set()) & set(corruption.checks) for record_id in of_kind]
        by_check = Counter(check for checks in hits for check in checks)
        rows.append(
            {
                "fault": name,
                "put in": len(of_kind),
                "found": sum(map(bool, hits)),
                "recall": sum(map(bool, hits)) / len(of_kind) if of_kind else float("nan"),
                "found by": ", ".join(f"{check} {count}" for check, count in by_check.most_common()),
            }
        )
    return pd.DataFrame(rows)


def false_alarm_table(result: AuditResult, truth: dict[str, str]) -> pd.DataFrame:
    """One row a check: on how many of the records without a fault put in it fires all the same."""
    clean = set(result.rows["record_id"]) - truth.keys()
    alarms = pd.DataFrame(
        [(f.check, f.severity, f.record_id) for f in result.findings if f.record_id in clean],
        columns=["check", "severity", "record_id"],
    )
    any_error = alarms[alarms["severity"] == "error"].assign(check="any error")
    counts = pd.concat([alarms, any_error]).groupby(["check", "severity"])["record_id"].nunique()
    table = counts.rename("records").reset_index()
    return table.assign(**{"of": len(clean), "rate": table["records"] / max(len(clean), 1)})


def _moved(*families: str) -> Corrupt:
    """Labels moved by 5 to 10 s to either side, within the record."""

    def make(record: Record, generator: np.random.Generator) -> Record | None:
        shift_s = float(generator.uniform(5.0, 10.0) * generator.choice([-1.0, 1.0]))
        chosen = [a for a in record.arrivals if a.phase[0] in families]
        if len({a.phase[0] for a in chosen}) < len(families) or record.num_events != 1:
            return None
        if not all(3.0 < a.time_s + shift_s < record.duration_s - 3.0 for a in chosen):
            return None
        return _with_times(record, {a.phase: a.time_s + shift_s for a in chosen})

    return make


def _swapped(record: Record, generator: np.random.Generator) -> Record | None:
    first = {family: _first(record, family) for family in "PS"}
    if first["P"] is None or first["S"] is None or record.num_events != 1:
        return None
    kept = tuple(a for a in record.arrivals if a not in first.values())
    p, s = replace(first["P"], time_s=first["S"].time_s), replace(first["S"], time_s=first["P"].time_s)
    return replace(record, arrivals=(p, s, *kept))


def _outside(record: Record, generator: np.random.Generator) -> Record | None:
    if record.num_events != 1:
        return None
    beyond_s = record.duration_s + float(generator.uniform(1.0, 30.0))
    return _with_times(record, {a.phase: a.time_s + beyond_s for a in record.arrivals})


def _flipped(record: Record, generator: np.random.Generator) -> Record | None:
    other = {"positive": "negative", "negative": "positive"}
    if not any(a.polarity in other for a in record.arrivals):
        return None
    turned = (replace(a, polarity=other.get(str(a.polarity), a.polarity)) for a in record.arrivals)
    return replace(record, arrivals=tuple(turned))


def _gain(factor: float, physical: bool) -> Corrupt:
    def make(record: Record, generator: np.random.Generator) -> Record | None:
        known = "source_magnitude" in record.metadata and len(record.arrivals) > 0
        if not known or (record.unit == "counts") == physical:
            return None
        return replace(record, waveform=(record.waveform * np.float32(factor)))

    return make


def _clipped(record: Record, generator: np.random.Generator) -> Record | None:
    largest = np.nanmax(np.abs(record.waveform)) * generator.uniform(0.15, 0.5)
    level = np.float32(largest if record.unit != "counts" else np.ceil(largest))
    return replace(record, waveform=np.clip(record.waveform, -level, level))


def _dead(record: Record, generator: np.random.Generator) -> Record | None:
    waveform = record.waveform.copy()
    waveform[generator.integers(len(waveform))] = float(generator.choice([0.0, 17.0]))
    return replace(record, waveform=waveform)


def _stretch(value: float) -> Corrupt:
    """One to five seconds of every component replaced by a value."""

    def make(record: Record, generator: np.random.Generator) -> Record:
        length = round(float(generator.uniform(1.0, 5.0)) * record.sampling_rate_hz)
        begin = int(generator.integers(record.waveform.shape[1] - length))
        waveform = record.waveform.copy()
        waveform[:, begin : begin + length] = value
        return replace(record, waveform=waveform)

    return make


def _label_over_gap(record: Record, generator: np.random.Generator) -> Record | None:
    if (p := _first(record, "P")) is None:
        return None
    waveform = record.waveform.copy()
    middle = round(p.time_s * record.sampling_rate_hz)
    waveform[:, max(middle - 50, 0) : middle + 50] = np.nan
    return replace(record, waveform=waveform)


def _spiked(record: Record, generator: np.random.Generator) -> Record | None:
    waveform = record.waveform.copy()
    row, place = generator.integers(len(waveform)), generator.integers(100, waveform.shape[1] - 100)
    waveform[row, place] += np.float32(generator.uniform(1.0, 5.0) * np.nanmax(np.abs(waveform[row])))
    return replace(record, waveform=waveform)


def _renamed(record: Record, generator: np.random.Generator) -> Record | None:
    return replace(record, record_id=f"copy/{record.record_id}")


def _event_again(record: Record, generator: np.random.Generator) -> Record | None:
    """The event in another catalog: another id, an origin one second later, at a station of its own."""
    origin = record.metadata.get("source_origin_time")
    if origin is None:
        return None
    about: dict[str, Any] = {"source_origin_time": utc_text(utc_seconds(origin) + 1.0)}
    return replace(
        record,
        record_id=f"other/{record.record_id}",
        event_id=f"other/{record.event_id}",
        station_id=f"O{record.station_id}",
        waveform=record.waveform * np.float32(1.01),
        metadata=record.metadata | about,
    )


def _wrong_longitude(record: Record, generator: np.random.Generator) -> Record | None:
    longitude = record.metadata.get("source_longitude_deg")
    if longitude is None or abs(longitude) < 1:
        return None
    return replace(record, metadata=record.metadata | {"source_longitude_deg": -longitude})


def _wrong_distance(record: Record, generator: np.random.Generator) -> Record | None:
    """A distance of another event, with no coordinates that could contradict it."""
    if not np.isfinite(record.arrival_s("S") - record.arrival_s("P")):
        return None
    about = {k: v for k, v in record.metadata.items() if not k.endswith(("latitude_deg", "longitude_deg"))}
    far_km = 8.0 * (record.arrival_s("S") - record.arrival_s("P"))
    wrong_km = far_km * float(generator.uniform(3.0, 6.0)) + 50.0
    return replace(record, metadata=about | {"path_ep_distance_km": wrong_km})


def _first(record: Record, family: str) -> Arrival | None:
    of_family = [a for a in record.arrivals if a.phase[0] == family]
    return min(of_family, key=lambda a: a.time_s) if of_family else None


def _with_times(record: Record, times_s: dict[str, float]) -> Record | None:
    if not times_s:
        return None
    moved = (replace(a, time_s=times_s.get(a.phase, a.time_s)) for a in record.arrivals)
    return replace(record, arrivals=tuple(moved))


_MISPLACED = ("label_without_onset", "phase_order", "s_minus_p", "travel_time")

CORRUPTIONS: dict[str, Corruption] = {
    "P and S swapped": Corruption(make=_swapped, checks=("phase_order",)),
    "P moved by 5 to 10 s": Corruption(make=_moved("P"), checks=_MISPLACED),
    "S moved by 5 to 10 s": Corruption(make=_moved("S"), checks=_MISPLACED),
    "P and S moved by 5 to 10 s": Corruption(make=_moved("P", "S"), checks=_MISPLACED),
    "labels outside of the record": Corruption(make=_outside, checks=("label_outside",)),
    "label over a gap": Corruption(make=_label_over_gap, checks=("label_in_gap",)),
    "polarity flipped": Corruption(make=_flipped, checks=("polarity",)),
    "m/s × 1000": Corruption(make=_gain(1e3, True), checks=("amplitude", "unit")),
    "m/s ÷ 1000": Corruption(make=_gain(1e-3, True), checks=("amplitude", "unit")),
    "counts × 1000": Corruption(make=_gain(1e3, False), checks=("amplitude_outlier",)),
    "clipped": Corruption(make=_clipped, checks=("clipped", "filled_gap")),
    "dead component": Corruption(make=_dead, checks=("dead_component",)),
    "gap filled with zeros": Corruption(make=_stretch(0.0), checks=("filled_gap",)),
    "gap": Corruption(make=_stretch(float("nan")), checks=("gap",)),
    "spike": Corruption(make=_spiked, checks=("spike",)),
    "longitude of the wrong sign": Corruption(make=_wrong_longitude, checks=("distance",)),
    "distance of another event": Corruption(make=_wrong_distance, checks=("s_minus_p",)),
    "copy under a new name": Corruption(make=_renamed, checks=("duplicate_waveform",), adds=True),
    "event under another id": Corruption(make=_event_again, checks=("duplicate_event",), adds=True),
}
