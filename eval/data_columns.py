"""A data set as a table of what figures show: one row a record, without its waveform."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.signal import butter, sosfilt

from ..data.record_facts import source_facts
from ..data.records import PHASE_FAMILY, Record
from ..data.splitting.coincidence import distance_km

NOISE_S, GUARD_S, SIGNAL_S, HIGHPASS_HZ = 5.0, 0.5, 3.0, 1.0
"""Where a P wave's signal-to-noise ratio is measured: noise until a guard before the pick, signal after."""

NUMBERS = ("source_magnitude", "source_depth_km", "path_ep_distance_km", "path_hyp_distance_km")
_FIELDS = ("record_id", "station_id", "event_id", "sampling_rate_hz")


def describe_records(records: Sequence[Record]) -> pd.DataFrame:
    """Times (UTC seconds), places, labels and source of each record, NaN or "" where unknown.

    Columns: record_id, station_id, event_key, start_time, duration_s, sampling_rate_hz, components, unit,
    event_type, event and station coordinates in degrees, source_magnitude, source_depth_km, distance_km
    (epicentral, computed where both ends are known and it is not told), p_s and s_s (of event 0, after the
    first sample), phases (of all arrivals, with who says so), snr_db (of P, where the metadata tell it).

    A corpus is described from its index; of other data sets each record is read once.
    """
    index = getattr(records, "index", None)
    told = _rows_of_index(index) if isinstance(index, pa.Table) else _rows_of_records(records)
    table = pd.DataFrame(list(told))
    if len(table):
        computed = distance_km(
            table[["event_latitude_deg", "event_longitude_deg"]].to_numpy(),
            table[["station_latitude_deg", "station_longitude_deg"]].to_numpy(),
        )
        table["distance_km"] = table.path_ep_distance_km.fillna(pd.Series(computed))
    return table


def measured_snr_db(record: Record) -> float:
    """Power of the 3 s after the first P over that of 5 to 0.5 s before it, in dB, of the vertical component.

    Above 1 Hz (Butterworth, second order, causal); the strongest component where there is no vertical. NaN
    without a P, or where the record has too little around it.
    """
    p_s = _first_arrivals((a.phase, a.time_s, a.event) for a in record.arrivals)["P"]
    rate_hz = record.sampling_rate_hz
    begin, quiet, onset, end = (
        round((p_s + shift) * rate_hz) if np.isfinite(p_s) else -1
        for shift in (-NOISE_S, -GUARD_S, 0.0, SIGNAL_S)
    )
    if begin < 0 or end > record.waveform.shape[1] or rate_hz <= 2 * HIGHPASS_HZ:
        return float("nan")
    rows = [i for i, name in enumerate(record.component_names) if name in ("Z", "U", "3")]
    around = record.waveform[rows or slice(None), :end].astype(np.float64)
    around = around[np.isfinite(around).all(axis=1)]
    sections = butter(2, HIGHPASS_HZ, "highpass", fs=rate_hz, output="sos")
    moving = sosfilt(sections, around - around[:, :1], axis=1)
    noise = np.mean(moving[:, begin:quiet] ** 2, axis=1)
    signal = np.mean(moving[:, onset:end] ** 2, axis=1)
    ratios = signal[(noise > 0) & (signal > 0)] / noise[(noise > 0) & (signal > 0)]
    return 10 * float(np.log10(ratios.max())) if len(ratios) else float("nan")


def _rows_of_records(records: Sequence[Record]) -> Iterator[dict[str, Any]]:
    for record in records:
        told = {name: getattr(record, name) for name in _FIELDS}
        arrivals = [(a.phase, a.time_s, a.event, a.evaluation) for a in record.arrivals]
        told |= {"start_time": record.start_time, "num_samples": record.waveform.shape[1]}
        told |= {"component_names": record.component_names, "unit": record.unit}
        yield _row(told, arrivals, record.metadata)


def _rows_of_index(index: pa.Table) -> Iterator[dict[str, Any]]:
    at = index.schema.get_field_index("start_time")
    plain = index.set_column(at, "start_time", index["start_time"].cast(pa.int64()))
    for batch in plain.drop_columns(["other", "trace_response"]).to_batches(max_chunksize=4096):
        for told in batch.to_pylist():
            nanoseconds = told["start_time"]
            told["start_time"] = np.nan if nanoseconds is None else nanoseconds / 1e9
            told["trace_snr_db"] = {item["name"]: item["value"] for item in told["trace_snr_db"] or ()}
            arrivals = [(a["phase"], a["time_s"], a["event"], a["evaluation"]) for a in told["arrivals"]]
            yield _row(told, arrivals, told)


def _row(
    told: Mapping[str, Any], arrivals: Sequence[tuple[str, float, int, str]], metadata: Mapping[str, Any]
) -> dict[str, Any]:
    first = _first_arrivals((phase, time_s, event) for phase, time_s, event, _ in arrivals)
    facts = source_facts(metadata)
    places = ("event_latitude_deg", "event_longitude_deg", "station_latitude_deg", "station_longitude_deg")
    snr = metadata.get("trace_snr_db")
    return {
        "record_id": told["record_id"],
        "station_id": told["station_id"] or "",
        "event_key": told["event_id"] or told["record_id"],
        "start_time": told["start_time"],
        "duration_s": told["num_samples"] / told["sampling_rate_hz"],
        "sampling_rate_hz": told["sampling_rate_hz"],
        "components": "".join(told["component_names"]),
        "unit": told["unit"],
        "event_type": str(metadata.get("source_type") or ""),
        "phases": [(phase, evaluation) for phase, _, _, evaluation in arrivals],
        "p_s": first["P"],
        "s_s": first["S"],
        "snr_db": _number(snr.get("P")) if isinstance(snr, Mapping) else np.nan,
        **{name: _number(facts.get(name)) for name in places},
        **{name: _number(metadata.get(name)) for name in NUMBERS},
    }


def _first_arrivals(arrivals: Iterator[tuple[str, float, int]]) -> dict[str, float]:
    """First P and S, whatever their branch, of the record's event 0."""
    first = {"P": float("nan"), "S": float("nan")}
    for phase, time_s, event in arrivals:
        family = PHASE_FAMILY.get(phase)
        if event == 0 and family in first:
            first[family] = float(np.fmin(first[family], time_s))
    return first


def _number(value: Any) -> float:
    return float("nan") if value is None or isinstance(value, str) else float(value)
