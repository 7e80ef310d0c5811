import json
import math
import re
from dataclasses import fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seisfm.data.corpus.schema import COLUMNS, arrow_schema, index_schema, record_of, row_of
from seisfm.data.records import Record

STORED = {"num_samples": 50, "num_missing": 0, "content_hash": "", "encoding": "float32", "waveform": b""}


def through_arrow(record: Record) -> tuple[dict, Record]:
    """The row as Arrow hands it out, and the record made of it."""
    table = pa.Table.from_pylist([row_of(record) | STORED], schema=arrow_schema())
    at = table.schema.get_field_index("start_time")
    table = table.set_column(at, "start_time", table["start_time"].cast(pa.int64()))
    (row,) = table.to_pylist()
    return row, record_of(row, record.waveform)


def test_records_of_every_kind_come_back(kinds, assert_same_record):
    for record in kinds:
        assert_same_record(through_arrow(record)[1], record)


def test_what_has_a_column_stands_in_it(kinds):
    row, _ = through_arrow(kinds[0])
    assert row["other"] is None
    for name, value in kinds[0].metadata.items():
        if name in ("trace_snr_db", "trace_offset_counts"):
            assert row[name] == [{"name": key, "value": number} for key, number in value.items()]
        elif name not in ("source_magnitudes", "source_mechanisms"):
            assert row[name] == value
    assert row["source_magnitudes"][1] == {"value": 1.3, "type": "Mw", "author": None, "uncertainty": None}


def test_unknown_is_null(record_of_number):
    row, _ = through_arrow(record_of_number(station_id="", event_id="", start_time=math.nan))
    for name in ("station_id", "event_id", "start_time", "source_magnitude", "other"):
        assert row[name] is None
    row, _ = through_arrow(record_of_number(metadata={"source_depth_km": math.nan}))
    assert row["source_depth_km"] is None


def test_a_value_of_another_type_is_in_its_column_and_exact_in_other(record_of_number):
    row, record = through_arrow(record_of_number(metadata={"source_magnitude": 3}))
    assert row["source_magnitude"] == 3.0
    assert json.loads(row["other"]) == {"source_magnitude": 3}
    assert type(record.metadata["source_magnitude"]) is int


def test_other_is_strict_json(kinds):
    def refuse(constant):
        raise AssertionError(constant)

    row, _ = through_arrow(kinds[1])
    assert json.loads(row["other"], parse_constant=refuse)["source_depth_km"] == {"$number": "nan"}


def test_numpy_becomes_plain(record_of_number):
    metadata = {
        "source_magnitude": np.float64(1.5),
        "rms": np.float32(0.25),
        "gaps": np.arange(3),
        "pair": (1, "a"),
    }
    _, record = through_arrow(record_of_number(metadata=metadata))
    assert record.metadata == {"source_magnitude": 1.5, "rms": 0.25, "gaps": [0, 1, 2], "pair": [1, "a"]}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text().filter(lambda k: not k.startswith("$")), inner),
    max_leaves=10,
)
NAMES = st.sampled_from([column.name for column in COLUMNS]) | st.text().filter(
    lambda k: not k.startswith("$")
)


@settings(max_examples=50, deadline=None)
@given(metadata=st.dictionaries(NAMES, JSON, max_size=8))
def test_any_metadata_come_back(metadata):
    record = Record(
        record_id="a",
        waveform=np.zeros((1, 2), np.float32),
        component_names=("Z",),
        sampling_rate_hz=1.0,
        metadata=metadata,
    )
    found = through_arrow(record)[1].metadata
    assert json.dumps(found, sort_keys=True) == json.dumps(metadata, sort_keys=True)


@given(st.floats(allow_nan=False))
def test_any_time_comes_back(start_time):
    record = Record(
        record_id="a",
        waveform=np.zeros((1, 2), np.float32),
        component_names=("Z",),
        sampling_rate_hz=1.0,
        start_time=start_time,
    )
    assert through_arrow(record)[1].start_time == start_time


@given(st.floats(8.4e6, 9.2e9) | st.floats(-9.2e9, -8.4e6))
def test_the_times_of_seismology_need_the_column_alone(start_time):
    record = Record(
        record_id="a",
        waveform=np.zeros((1, 2), np.float32),
        component_names=("Z",),
        sampling_rate_hz=1.0,
        start_time=start_time,
    )
    row, found = through_arrow(record)
    assert row["other"] is None
    assert found.start_time == start_time


@pytest.mark.parametrize(
    ("metadata", "error", "message"),
    [
        (
            {"when": np.datetime64("2020-01-01", "ns").astype(object).__class__},
            TypeError,
            "record 0: metadata must be",
        ),
        ({"picture": b"\x00"}, TypeError, "must be a number, text, .* found bytes: convert it first"),
        ({"table": {1: 2}}, TypeError, "names must be text, found 1"),
        ({"$start_time_s": 1.0}, ValueError, r"no name may begin with \$, found '\$start_time_s'"),
    ],
)
def test_what_no_column_can_hold_is_refused(record_of_number, metadata, error, message):
    with pytest.raises(error, match=message):
        row_of(record_of_number(metadata=metadata))


def test_every_field_of_a_record_has_a_column():
    names = {column.name for column in COLUMNS}
    assert len(names) == len(COLUMNS)
    assert {field.name for field in fields(Record)} - {"metadata"} <= names
    assert set(arrow_schema().names) | set(index_schema().names) == names
    assert set(arrow_schema().names) - set(index_schema().names) == {"waveform"}


def test_the_documented_schema_is_the_schema():
    text = (Path(__file__).parents[3] / "docs" / "data.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \| (.+) \|$", text, re.M)
    assert rows == [(c.name, documented(c.type), c.place, c.meaning) for c in COLUMNS]


def documented(kind: pa.DataType) -> str:
    return str(kind).replace("item: ", "").replace("element: ", "")
