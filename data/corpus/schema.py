"""The one schema of all corpora: every column, its type, its meaning, and where a record keeps it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa

from ..records import Arrival, Record
from .cells import NAMED_NUMBERS, from_cell, from_json, plain, same, to_cell, to_json

TEXT, NUMBER, INTEGER = pa.string(), pa.float64(), pa.int64()
ARRIVAL = pa.struct(
    {"phase": TEXT, "time_s": NUMBER, "event": INTEGER, "polarity": TEXT, "evaluation": TEXT, "onset": TEXT}
    | {"uncertainty_s": NUMBER, "probability": NUMBER, "author": TEXT}
)
RESPONSE = pa.struct(
    {"input_unit": TEXT, "zeros": pa.list_(pa.list_(NUMBER)), "poles": pa.list_(pa.list_(NUMBER))}
    | {"normalization_factor": NUMBER}
)
MAGNITUDE = pa.struct([("value", NUMBER), ("type", TEXT), ("author", TEXT), ("uncertainty", NUMBER)])
MECHANISM = pa.struct([("strike_deg", NUMBER), ("dip_deg", NUMBER), ("rake_deg", NUMBER), ("author", TEXT)])

START_TIME_S = "$start_time_s"
"""Where `other` keeps a start time that whole nanoseconds do not tell to the bit."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a corpus.

    place: `field` of `Record`, key of its `metadata`, `store` (made by the writer, in shards and index) or
        `index` (in index.parquet alone).
    """

    name: str
    type: pa.DataType
    meaning: str
    place: str


def _columns(place: str, rows: tuple[tuple[str, pa.DataType, str], ...]) -> tuple[Column, ...]:
    return tuple(Column(name=n, type=kind, meaning=meaning, place=place) for n, kind, meaning in rows)


FIELD_COLUMNS = _columns(
    "field",
    (
        ("record_id", TEXT, "name of the record"),
        ("component_names", pa.list_(TEXT), "direction of motion of each row: Z, N, E, 1, 2, 3, U or H"),
        ("sampling_rate_hz", NUMBER, "native sampling rate, Hz"),
        ("start_time", pa.timestamp("ns", "UTC"), "time of the first sample"),
        ("station_id", TEXT, "NET.STA.LOC"),
        ("event_id", TEXT, "the event of the record, which decides its side of a split"),
        ("unit", TEXT, "of the samples: counts, m/s, m/s**2 or unknown"),
        ("arrivals", pa.list_(ARRIVAL), "all phases: time in s after the first sample, uncertainty in s, "
         "polarity, onset, who says so (manual, automatic, synthetic), a machine's probability and name"),
        ("labelled_phases", pa.list_(TEXT), "phases of which every arrival is listed; others are unknown, "
         "not absent"),
    ),
)  # fmt: skip

METADATA_COLUMNS = _columns(
    "metadata",
    (
        ("trace_channel", TEXT, "band and instrument code, such as HH"),
        ("trace_component_azimuth_deg", pa.list_(NUMBER), "of each component, degrees clockwise from north"),
        ("trace_component_dip_deg", pa.list_(NUMBER), "of each component, degrees: −90 up, +90 down (SEED)"),
        ("trace_response_state", TEXT, "raw, sensitivity_removed or response_removed"),
        ("trace_sensitivity", pa.list_(NUMBER), "of each component, counts per `trace_sensitivity_unit`"),
        ("trace_sensitivity_unit", TEXT, "m/s or m/s**2"),
        ("trace_response", RESPONSE, "poles and zeros as pairs (real, imaginary), rad/s, sensitivity apart"),
        ("trace_snr_db", NAMED_NUMBERS, "signal to noise of each phase, dB"),
        ("trace_offset_counts", NAMED_NUMBERS, "offset that was taken off each component, counts"),
        ("station_latitude_deg", NUMBER, "degrees north"),
        ("station_longitude_deg", NUMBER, "degrees east"),
        ("station_elevation_m", NUMBER, "metres above sea level"),
        ("station_epoch_start", TEXT, "begin of the channel's epoch, UTC, ISO 8601"),
        ("station_epoch_end", TEXT, "end of the channel's epoch, UTC, ISO 8601"),
        ("station_instrument", TEXT, "broadband, short_period, strong_motion, geophone or hydrophone"),
        ("source_origin_time", TEXT, "origin time, UTC, ISO 8601"),
        ("source_latitude_deg", NUMBER, "degrees north"),
        ("source_longitude_deg", NUMBER, "degrees east"),
        ("source_depth_km", NUMBER, "kilometres, positive down"),
        ("source_magnitude", NUMBER, "preferred magnitude"),
        ("source_magnitude_type", TEXT, "its type, such as ML or Mw"),
        ("source_magnitudes", pa.list_(MAGNITUDE), "all magnitudes with type, author and uncertainty"),
        ("source_mechanisms", pa.list_(MECHANISM), "focal mechanisms, degrees"),
        ("source_type", TEXT, "what it was, in the words of `data/event_types.py`"),
        ("source_type_original", TEXT, "the same in the source's own word"),
        ("source_author", TEXT, "who located it"),
        ("path_ep_distance_km", NUMBER, "epicentral distance, kilometres"),
        ("path_hyp_distance_km", NUMBER, "hypocentral distance, kilometres"),
        ("path_back_azimuth_deg", NUMBER, "from the station to the event, degrees clockwise from north"),
        ("dataset", TEXT, "name of the data set that the record comes from"),
        ("licence", TEXT, "licence of that data set"),
        ("citation", TEXT, "how to cite it"),
        ("split", TEXT, "the side that the data set's authors gave it"),
    ),
)  # fmt: skip

STORE_COLUMNS = _columns(
    "store",
    (
        ("other", TEXT, "everything else that the source knows, JSON under the source's own names"),
        ("num_samples", INTEGER, "samples in each component"),
        ("num_missing", INTEGER, "samples of all components that were not observed (NaN)"),
        ("content_hash", TEXT, "SHA-256 of the samples, whatever the order of the components"),
        ("encoding", TEXT, "how the waveform is stored: float32, int32, int32_delta_zstd or float32_zstd"),
    ),
)

WAVEFORM_COLUMN = Column(
    name="waveform",
    type=pa.large_binary(),
    meaning="the samples, component after component, little-endian, encoded as `encoding` says",
    place="store",
)

INDEX_COLUMNS = _columns(
    "index",
    (
        ("shard", pa.int32(), "number of the shard, by its place in corpus.json"),
        ("row", pa.int32(), "row in the shard"),
        ("offset", INTEGER, "the waveform's first byte in the shard's file; null in Parquet shards"),
        ("num_bytes", INTEGER, "bytes of the encoded waveform"),
    ),
)

COLUMNS = (*FIELD_COLUMNS, *METADATA_COLUMNS, *STORE_COLUMNS, WAVEFORM_COLUMN, *INDEX_COLUMNS)
_TYPED = {column.name: column.type for column in METADATA_COLUMNS}
_ARRIVAL_FIELDS = tuple(field.name for field in dataclasses.fields(Arrival))


def arrow_schema() -> pa.Schema:
    """The schema of a shard."""
    return _schema((*FIELD_COLUMNS, *METADATA_COLUMNS, *STORE_COLUMNS, WAVEFORM_COLUMN))


def index_schema() -> pa.Schema:
    """The schema of index.parquet: everything but the waveform, and where that is."""
    return _schema((*FIELD_COLUMNS, *METADATA_COLUMNS, *STORE_COLUMNS, *INDEX_COLUMNS))


def _schema(columns: tuple[Column, ...]) -> pa.Schema:
    return pa.schema([(column.name, column.type) for column in columns])


def row_of(record: Record) -> dict[str, Any]:
    """A record's fields and metadata as one row, without the columns of the store.

    What a typed column cannot hold to the letter (an integer magnitude, a key that no column has, a NaN)
    stands in `other` too, and wins there when the row is read.

    Raises TypeError for metadata that JSON has no words for.
    """
    cells: dict[str, Any] = dict.fromkeys(_TYPED)
    other: dict[str, Any] = {}
    for name, given in plain(record.metadata, f"record {record.record_id}: metadata").items():
        kind = _TYPED.get(name)
        cells |= {name: to_cell(given, kind)} if kind is not None else {}
        cell = None if kind is None else cells[name]
        if cell is None or not same(from_cell(cell, kind), given):
            other[name] = given
    start_ns = _nanoseconds(record.start_time)
    if _seconds(start_ns) != record.start_time and not math.isnan(record.start_time):
        other[START_TIME_S] = float(record.start_time)
    return _field_cells(record, start_ns) | cells | {"other": to_json(other)}


def _field_cells(record: Record, start_ns: int | None) -> dict[str, Any]:
    return {
        "record_id": record.record_id,
        "component_names": list(record.component_names),
        "sampling_rate_hz": float(record.sampling_rate_hz),
        "start_time": start_ns,
        "station_id": record.station_id or None,
        "event_id": record.event_id or None,
        "unit": record.unit,
        "arrivals": [{name: getattr(one, name) for name in _ARRIVAL_FIELDS} for one in record.arrivals],
        "labelled_phases": sorted(record.labelled_phases),
    }


def record_of(row: Mapping[str, Any], waveform: np.ndarray) -> Record:
    """The inverse of `row_of`.

    row: with its start time as nanoseconds since 1970, None where it is unknown.
    """
    typed = {name: row[name] for name in _TYPED if row[name] is not None}
    metadata = {name: from_cell(cell, _TYPED[name]) for name, cell in typed.items()}
    other = from_json(row["other"])
    start_time = other.pop(START_TIME_S, _seconds(row["start_time"]))
    return Record(
        record_id=row["record_id"],
        waveform=waveform,
        component_names=tuple(row["component_names"]),
        sampling_rate_hz=row["sampling_rate_hz"],
        start_time=start_time,
        station_id=row["station_id"] or "",
        event_id=row["event_id"] or "",
        unit=row["unit"],
        arrivals=tuple(Arrival(**arrival) for arrival in row["arrivals"]),
        labelled_phases=frozenset(row["labelled_phases"]),
        metadata=metadata | other,
    )


def _nanoseconds(time_s: float) -> int | None:
    """Whole nanoseconds, None where a column of int64 cannot hold them."""
    if not math.isfinite(time_s):
        return None
    nanoseconds = round(Fraction(time_s) * 10**9)
    return nanoseconds if abs(nanoseconds) < 2**63 else None


def _seconds(nanoseconds: int | None) -> float:
    """The float nearest to that time. It is the one that was given, from 97 days after (or before) 1970 on.

    There, two floats lie more than a nanosecond apart, and Python divides integers without another rounding.
    """
    return math.nan if nanoseconds is None else nanoseconds / 10**9
