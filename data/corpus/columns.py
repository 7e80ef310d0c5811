"""The index of a corpus as the columns that labels are made of, and as a look-up of positions."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..batch import UNITS
from ..event_types import event_type_codes
from ..record_facts import utc_times
from ..record_table import (
    FAMILIES,
    SOURCE_LABELS,
    STATION_GEOMETRY,
    ArrivalColumns,
    RecordTable,
    component_rows,
)


def table_of_index(index: pa.Table) -> RecordTable:
    """The table of a corpus's records: that of the records, with start times in whole nanoseconds."""
    index = index.combine_chunks()
    start_time = _seconds(index["start_time"])
    return RecordTable.from_columns(
        _arrivals(index["arrivals"]),
        record_id=_texts(index["record_id"]),
        station_id=_texts(index["station_id"]),
        event_id=_texts(index["event_id"]),
        unit=np.array([UNITS.index(unit) for unit in index["unit"].to_pylist()], dtype=np.int8),
        num_samples=index["num_samples"].to_numpy(),
        sampling_rate_hz=index["sampling_rate_hz"].to_numpy(),
        start_time=start_time,
        component_rows=component_rows(index["component_names"].to_pylist()),
        labelled=_labelled(index["labelled_phases"].to_pylist()),
        station_geometry=_numbers(index, STATION_GEOMETRY),
        source=_numbers(index, tuple(SOURCE_LABELS.values())),
        event_type=event_type_codes(index["source_type"].to_pylist()),
        origin_s=utc_times(index["source_origin_time"]) - start_time,
    )


class Lookup:
    """The positions at which each value of a column stands."""

    def __init__(self, column: pa.ChunkedArray):
        encoded = column.combine_chunks().dictionary_encode()
        codes = pc.fill_null(encoded.indices, -1).to_numpy()
        self._order = np.argsort(codes, kind="stable")
        self._sorted = codes[self._order]
        self._codes = {value: code for code, value in enumerate(encoded.dictionary.to_pylist())}

    def positions(self, value: str) -> np.ndarray:
        """Where the value stands, int64, rising; empty where it does not."""
        code = self._codes.get(value)
        if code is None:
            return np.zeros(0, dtype=np.int64)
        first, last = np.searchsorted(self._sorted, [code, code + 1])
        return self._order[first:last]


def _texts(column: pa.ChunkedArray) -> np.ndarray:
    return np.array(pc.fill_null(column, "").to_pylist(), dtype=object)


def _seconds(column: pa.ChunkedArray) -> np.ndarray:
    """Whole seconds and the rest apart: nanoseconds since 1970 are more than a float can count."""
    known = pc.is_valid(column).to_numpy()
    nanoseconds = pc.fill_null(column.cast(pa.int64()), 0).to_numpy()
    return np.where(known, nanoseconds // 10**9 + (nanoseconds % 10**9) / 1e9, np.nan)


def _labelled(phases: list[list[str]]) -> np.ndarray:
    rows = [[family in named for family in FAMILIES] for named in phases]
    return np.array(rows, dtype=bool).reshape(-1, len(FAMILIES))


def _numbers(index: pa.Table, names: tuple[str, ...]) -> np.ndarray:
    columns = [pc.fill_null(index[name], float("nan")).to_numpy() for name in names]
    return np.stack(columns, axis=1).astype(np.float32)


def _arrivals(column: pa.ChunkedArray) -> ArrivalColumns:
    owners = pc.list_parent_indices(column).to_pylist()
    flat = pc.list_flatten(column).combine_chunks()
    fields = (flat.field(name).to_pylist() for name in ("event", "phase", "time_s", "polarity"))
    return ArrivalColumns.of(zip(owners, *fields, strict=True))
