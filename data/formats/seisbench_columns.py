"""A row of SeisBench's metadata and a record's fields, one made from the other without loss."""

from __future__ import annotations

import calendar
import dataclasses
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pandas as pd

from ..records import PHASE_FAMILY, Arrival, Record

ARRIVAL_COLUMN = re.compile(r"trace_(?P<phase>.+)_arrival_sample$")

TEXT_COLUMNS = (
    "station_network_code",
    "station_code",
    "station_location_code",
    "source_id",
    "split",
    "trace_arrivals",
    "trace_channel",
    "trace_component_order",
    "trace_labelled_phases",
    "trace_name",
    "trace_name_original",
    "trace_start_time",
    "trace_unit",
)
"""Columns that are text whatever they look like: location 00 is no number, network NA is not absent."""

FIELD_COLUMNS = {*TEXT_COLUMNS, "trace_sampling_rate_hz", "trace_npts"} - {"split", "trace_channel"}
"""Columns that become fields of a record; all others but those of arrivals are its metadata."""

_UNIT_OF = {"counts": "counts", "mps": "m/s", "m/s": "m/s"} | dict.fromkeys(
    ("mps2", "m/s2", "m/s^2", "m/s**2"), "m/s**2"
)
_POLARITY_OF = {"positive": "positive", "up": "positive", "negative": "negative", "down": "negative"} | {
    "undecidable": "undecidable"
}
_ARRIVAL_FIELDS = tuple(field.name for field in dataclasses.fields(Arrival))
_ISO = re.compile(r"(\d{4})[-/](\d\d)[-/](\d\d)[T ](\d\d):(\d\d):(\d\d)(\.\d+)?(Z|\+00:00)?$")


def utc_seconds(text: str) -> float:
    """A UTC time as seconds since 1970, to the last digit that a float holds.

    Raises ValueError for what is no time.
    """
    if found := _ISO.match(text.strip()):
        whole = calendar.timegm(tuple(int(part) for part in found.groups()[:6]))
        return float(whole + Decimal(found[7] or 0))
    try:
        time = pd.Timestamp(text)
    except ValueError as error:
        raise ValueError(f"expected a UTC time such as 2020-01-31T23:59:59.5Z, found {text!r}") from error
    return (time.tz_localize("UTC") if time.tz is None else time).timestamp()


def utc_text(time_s: float) -> str:
    """The inverse of `utc_seconds`, with as many digits as it takes to lose nothing."""
    exact = Decimal(repr(time_s))
    whole = math.floor(exact)
    fraction = format(exact - whole, "f").partition(".")[2].rstrip("0") or "0"
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{fraction:0<6}Z"


def row_of_record(record: Record) -> dict[str, Any]:
    """A record as SeisBench's metadata, without the place of its waveform.

    SeisBench has one arrival of a phase in a trace and no word for which phases were looked for; our columns
    `trace_arrivals` (all of them, as JSON) and `trace_labelled_phases` carry the rest.

    Raises ValueError where the record's metadata use a name that belongs to one of its fields.
    """
    arrivals = [[getattr(arrival, name) for name in _ARRIVAL_FIELDS] for arrival in record.arrivals]
    fields: dict[str, Any] = {
        **_station_columns(record.station_id),
        "trace_name_original": record.record_id,
        "trace_component_order": "".join(record.component_names),
        "trace_sampling_rate_hz": float(record.sampling_rate_hz),
        "trace_npts": record.waveform.shape[1],
        "trace_unit": record.unit,
        "source_id": record.event_id,
        "trace_labelled_phases": json.dumps(sorted(record.labelled_phases)),
        "trace_arrivals": json.dumps(arrivals),
    }
    if not math.isnan(record.start_time):
        fields["trace_start_time"] = utc_text(record.start_time)
    for arrival in sorted(record.arrivals, key=lambda arrival: arrival.event, reverse=True):
        fields[f"trace_{arrival.phase}_arrival_sample"] = arrival.time_s * record.sampling_rate_hz
        fields[f"trace_{arrival.phase}_status"] = arrival.evaluation
        fields[f"trace_{arrival.phase}_polarity"] = arrival.polarity
    taken = sorted(set(record.metadata) & (FIELD_COLUMNS | set(fields)))
    if taken:
        raise ValueError(f"record {record.record_id}: metadata {taken} are told by its fields: take them out")
    return record.metadata | {
        key: value for key, value in fields.items() if value is not None and value != ""
    }


def _station_columns(station_id: str) -> dict[str, str]:
    parts = station_id.split(".")
    if len(parts) != 3 or not parts[0]:
        return {"station_code": station_id}
    keys = ("station_network_code", "station_code", "station_location_code")
    return dict(zip(keys, parts, strict=True))


def arrivals_of_row(
    row: Mapping[str, Any], phases: Iterable[str], sampling_rate_hz: float
) -> tuple[Arrival, ...]:
    """The arrivals that a row lists, of `phases` as they are spelled in its columns.

    Raises ValueError where our `trace_arrivals` contradicts SeisBench's columns, as after an edit of one.
    """
    plain = []
    for phase in phases:
        sample = row.get(f"trace_{phase}_arrival_sample")
        if sample is not None:
            general = row.get("trace_polarity") if canonical_phase(phase) == "P" else None
            polarity = row.get(f"trace_{phase}_polarity", general)
            plain.append(
                Arrival(
                    phase=canonical_phase(phase),
                    time_s=float(sample) / sampling_rate_hz,
                    polarity=_POLARITY_OF.get(str(polarity).lower()),
                    evaluation=str(row.get(f"trace_{phase}_status", "unknown")),
                )
            )
    if "trace_arrivals" not in row:
        return tuple(plain)
    items = json.loads(row["trace_arrivals"])
    # A set that was written before the fields after `evaluation` existed has none of them.
    full = tuple(Arrival(**dict(zip(_ARRIVAL_FIELDS, item, strict=False))) for item in items)
    odd = [one.phase for one in plain if not any(_agree(one, other, sampling_rate_hz) for other in full)]
    odd += sorted({canonical_phase(one.phase) for one in full} - {one.phase for one in plain})
    if odd:
        raise ValueError(
            f"record {row.get('trace_name_original')}: trace_arrivals and the trace_*_arrival_sample columns "
            f"disagree on {odd}: change both, or delete the column trace_arrivals"
        )
    return full


def _agree(one: Arrival, other: Arrival, sampling_rate_hz: float) -> bool:
    close = abs(one.time_s - other.time_s) * sampling_rate_hz < 0.01
    return one.phase == canonical_phase(other.phase) and close


def canonical_phase(phase: str) -> str:
    """Phase names as seismologists write them: STEAD's p and s are P and S."""
    return phase.upper() if phase in ("p", "s") else phase


def with_families(phases: Iterable[str]) -> frozenset[str]:
    """Phases and, where a crustal branch (Pg, Pn, Sg …) is among them, the P or S that it is one of."""
    named = {canonical_phase(phase) for phase in phases}
    return frozenset(named | {PHASE_FAMILY[phase] for phase in named if phase in PHASE_FAMILY})


def station_id_of_row(row: Mapping[str, Any]) -> str:
    """NET.STA.LOC, or the station's code alone where there is no network."""
    code = str(row.get("station_code", ""))
    if "station_network_code" not in row:
        return code
    return f"{row['station_network_code']}.{code}.{row.get('station_location_code', '')}"


def unit_of_row(row: Mapping[str, Any], default: str) -> str:
    """One of `UNITS`; SeisBench writes mps and mps2."""
    return _UNIT_OF.get(str(row.get("trace_unit", default)).strip().lower(), "unknown")


def encode_columns(rows: Sequence[Mapping[str, Any]]) -> tuple[pd.DataFrame, dict[str, str]]:
    """Rows as text that `decode_row` turns back into equal values, and the kind of each column.

    A column holds one kind: text, float, int, or json for all else. An empty cell means that the row has no
    such key. Raises TypeError for a value that is neither a scalar nor a list or dict of them.
    """
    values: dict[str, list[Any]] = {}
    for number, row in enumerate(rows):
        for key, value in row.items():
            values.setdefault(key, [None] * len(rows))[number] = [_plain(value)]
    kinds = {key: _kind([cell[0] for cell in column if cell]) for key, column in values.items()}
    text = {
        key: ["" if not cell else _encode(cell[0], kinds[key]) for cell in column]
        for key, column in values.items()
    }
    return pd.DataFrame(text, dtype=str), kinds


def decode_row(row: Mapping[str, str], kinds: Mapping[str, str]) -> dict[str, Any]:
    """One row of `encode_columns`, as it was."""
    decoders: dict[str, Callable[[str], Any]] = {
        "text": str,
        "float": float,
        "int": json.loads,
        "json": json.loads,
    }
    return {key: decoders[kinds.get(key, "text")](cell) for key, cell in row.items() if cell != ""}


def _plain(value: Any) -> Any:
    """Numpy's scalars and arrays as Python's own."""
    return value.tolist() if hasattr(value, "tolist") else value


def _kind(values: list[Any]) -> str:
    if all(type(value) is str and value and "\r" not in value for value in values):
        return "text"
    if all(type(value) is float for value in values):
        return "float"
    return "int" if all(type(value) is int for value in values) else "json"


def _encode(value: Any, kind: str) -> str:
    if kind == "json":
        return json.dumps(value)
    return value if kind == "text" else repr(value)
