import os
import pickle
from dataclasses import fields
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from seisfm.data.formats.seisbench_columns import utc_seconds, utc_text
from seisfm.data.formats.seisbench_format import SeisBenchDataset, write_seisbench
from seisfm.data.records import Arrival, Record

REAL_DATA = Path(os.environ.get("SEISFM_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
CHILE = REAL_DATA / "chile_seisbench" / "chunkeddummydataset"


def record(number=0, components="ZNE", num_samples=500, **changes):
    waveform = np.random.default_rng(number).normal(size=(len(components), num_samples)).astype(np.float32)
    values = {
        "record_id": f"record {number}",
        "waveform": waveform,
        "component_names": tuple(components),
        "sampling_rate_hz": 100.0,
        "start_time": 1_545_965_999.123_456_7 + number,
        "station_id": "NA.001.00",
        "event_id": "0042",
        "unit": "counts",
        "arrivals": (Arrival(phase="P", time_s=1.2345678912345, polarity="negative", evaluation="manual"),),
        "labelled_phases": frozenset({"P"}),
    }
    return Record(**(values | changes))


def assert_equal(one, other):
    for name in (f.name for f in fields(Record)):
        np.testing.assert_equal(getattr(one, name), getattr(other, name), err_msg=name)
    assert one.waveform.tobytes() == other.waveform.tobytes()
    assert {k: type(v) for k, v in one.metadata.items()} == {k: type(v) for k, v in other.metadata.items()}


def test_round_trip_bit_for_bit(tmp_path):
    gap = np.ones((3, 500), np.float32)
    gap[1], gap[0, 10:20] = np.nan, np.nan
    several = tuple(
        Arrival(phase=phase, time_s=t, event=event, evaluation="automatic")
        for phase, t, event in (("P", 0.5, 0), ("S", 0.9, 0), ("Pn", 2.0, 1), ("P", 2.7, 1), ("P", 4.999, 2))
    )
    metadata = {
        "source_magnitude": 3,
        "source_depth_km": 0.1 + 0.2,
        "split": "train",
        "note": 'comma, "quote" and\nline',
        "code": "007",
        "clipped": False,
        "empty": "",
        "unknown": None,
        "trace_offset_counts": {"Z": 2.0e9},
        "nothing": float("nan"),
    }
    records = [
        record(0),
        record(1, components="Z12", sampling_rate_hz=250.0, unit="m/s**2", metadata=metadata),
        record(2, waveform=gap, arrivals=several, labelled_phases=frozenset({"P", "S", "Pn"})),
        record(3, components="Z", num_samples=77, station_id="", event_id="", arrivals=()),
        record(4, components="H", start_time=float("nan"), station_id="alone", labelled_phases=frozenset()),
        record(5, metadata={"source_magnitude": 3.5}, start_time=0.1234567890123),
    ]
    write_seisbench(iter(records), tmp_path / "set")
    dataset = SeisBenchDataset(tmp_path / "set")
    assert len(dataset) == len(records)
    for one, other in zip(records, dataset, strict=True):
        assert_equal(one, other)
    for one, other in zip(records[-2:], dataset[-2:], strict=True):
        assert_equal(one, other)
    assert_equal(records[1], pickle.loads(pickle.dumps(dataset))[1])


def test_writing_twice_through_disk_is_the_same_file(tmp_path):
    write_seisbench([record(i) for i in range(3)], tmp_path / "a")
    write_seisbench(SeisBenchDataset(tmp_path / "a"), tmp_path / "b")
    assert (tmp_path / "a" / "metadata.csv").read_bytes() == (tmp_path / "b" / "metadata.csv").read_bytes()


def test_what_seisbench_would_find(tmp_path):
    records = [record(i, num_samples=500 + 100 * (i % 2)) for i in range(4)]
    records[0].waveform[2] = np.nan
    write_seisbench(records, tmp_path / "set")
    table = pd.read_csv(tmp_path / "set" / "metadata.csv", dtype={"station_location_code": str})
    assert table["trace_name"].tolist() == [
        f"bucket{i % 2}${i // 2},:3,:{500 + 100 * (i % 2)}" for i in range(4)
    ]
    assert table["trace_P_arrival_sample"].round(6).tolist() == [123.456789] * 4
    assert table["trace_P_status"].tolist() == ["manual"] * 4
    assert table["trace_P_polarity"].tolist() == ["negative"] * 4
    assert table["trace_start_time"][0] == "2018-12-28T02:59:59.1234567Z"
    assert table["station_location_code"].tolist() == ["00"] * 4
    with h5py.File(tmp_path / "set" / "waveforms.hdf5") as file:
        assert {name: dataset.shape for name, dataset in file["data"].items()} == {
            "bucket0": (2, 3, 500),
            "bucket1": (2, 3, 600),
        }
        assert not file["data/bucket0"][0, 2].any()
        found = {key: value[()] for key, value in file["data_format"].items()}
    assert found["dimension_order"] == b"CW" and found["component_order"] == b"ZNE"
    assert found["sampling_rate"] == 100 and found["unit"] == b"counts"


def foreign(folder, rows, data, name="", **data_format):
    folder.mkdir(exist_ok=True)
    pd.DataFrame(rows).to_csv(folder / f"metadata{name}.csv", index=False)
    with h5py.File(folder / f"waveforms{name}.hdf5", "w") as file:
        for key, value in data.items():
            file[f"data/{key}"] = value
        for key, value in (
            {"dimension_order": "CW", "component_order": "ZNE", "sampling_rate": 50} | data_format
        ).items():
            if value is not None:
                file[f"data_format/{key}"] = value
    return folder


def test_plain_dataset_names_in_the_other_order(tmp_path):
    data = np.random.default_rng(0).normal(size=(400, 3))
    data[:, 1] = 0
    row = {
        "trace_name": "a",
        "station_network_code": "NA",
        "station_code": "01",
        "trace_p_arrival_sample": 100,
        "trace_p_status": "manual",
        "trace_polarity": "positive",
        "trace_s_arrival_sample": "",
        "source_magnitude": 2.5,
        "receiver": "",
    }
    folder = foreign(tmp_path / "set", [row], {"a": data}, dimension_order="WC", unit="mps")
    (found,) = SeisBenchDataset(folder)
    np.testing.assert_array_equal(found.waveform[[0, 2]], data.T[[0, 2]].astype(np.float32))
    assert np.isnan(found.waveform[1]).all()
    assert (found.station_id, found.unit, found.sampling_rate_hz) == ("NA.01.", "m/s", 50)
    assert found.arrivals == (Arrival(phase="P", time_s=2.0, polarity="positive", evaluation="manual"),)
    assert found.labelled_phases == {"P", "S"}
    assert found.metadata == {"trace_polarity": "positive", "source_magnitude": 2.5}
    assert SeisBenchDataset(folder, labelled_phases=["P"])[0].labelled_phases == {"P"}


def test_crustal_branches_label_their_family(tmp_path):
    row = {"trace_name": "a", "trace_Pg_arrival_sample": 5, "trace_Pn_arrival_sample": None}
    folder = foreign(tmp_path / "set", [row], {"a": np.ones((3, 10))})
    assert SeisBenchDataset(folder)[0].labelled_phases == {"P", "Pg", "Pn"}


def test_rate_and_components_of_the_trace_win(tmp_path):
    rows = [
        {"trace_name": "a", "trace_sampling_rate_hz": 200, "trace_component_order": "Z12"},
        {"trace_name": "b$1,:2,:7", "trace_sampling_rate_hz": 40, "trace_component_order": "ZH"},
    ]
    folder = foreign(tmp_path / "set", rows, {"a": np.ones((3, 10)), "b": np.ones((2, 3, 9))})
    one, other = SeisBenchDataset(folder)
    assert (one.sampling_rate_hz, one.component_names) == (200, ("Z", "1", "2"))
    assert (other.sampling_rate_hz, other.component_names, other.waveform.shape) == (40, ("Z", "H"), (2, 7))


def test_chunks_follow_each_other(tmp_path):
    for name in "01":
        foreign(tmp_path, [{"trace_name": "a"}], {"a": np.full((3, 4), 1 + int(name))}, name=name)
    (tmp_path / "chunks").write_text("0\n1\n")
    assert [found.waveform[0, 0] for found in SeisBenchDataset(tmp_path)] == [1, 2]


@pytest.mark.skipif(not CHILE.is_dir(), reason="needs SEISFM_DATA/chile_seisbench")
def test_chile_chunks():
    dataset = SeisBenchDataset(CHILE)
    assert len(dataset) == 200
    first = dataset[0]
    with h5py.File(CHILE / "waveforms0.hdf5") as file:
        np.testing.assert_array_equal(first.waveform, file["data/bucket0"][0].astype(np.float32))
    assert (first.sampling_rate_hz, first.duration_s, first.component_names) == (20, 60, ("Z", "N", "E"))
    assert (first.station_id, first.unit, first.arrivals) == ("CX.PB01.", "counts", ())
    assert first.labelled_phases == frozenset()
    assert first.start_time == 1167615765.08
    assert first.metadata["source_magnitude"] == 1.353 and first.metadata["split"] == "train"
    assert dataset[100].metadata["source_magnitude"] == 1.679
    assert dataset[-1].waveform.shape == (3, 1200)


@pytest.mark.skipif(not CHILE.is_dir(), reason="needs SEISFM_DATA/chile_seisbench")
def test_chile_through_our_own_format(tmp_path):
    records = SeisBenchDataset(CHILE)[::10]
    write_seisbench(records, tmp_path / "set")
    for one, other in zip(records, SeisBenchDataset(tmp_path / "set"), strict=True):
        assert_equal(one, other)


def test_edited_arrivals_are_noticed(tmp_path):
    write_seisbench([record()], tmp_path / "set")
    path = tmp_path / "set" / "metadata.csv"
    table = pd.read_csv(path, dtype=str)
    table["trace_P_arrival_sample"] = "200.0"
    table.to_csv(path, index=False)
    with pytest.raises(ValueError, match=r"record 0: trace_arrivals and .* disagree on \['P'\]"):
        SeisBenchDataset(tmp_path / "set")[0]
    table.drop(columns="trace_arrivals").to_csv(path, index=False)
    assert SeisBenchDataset(tmp_path / "set")[0].arrival_s("P") == 2.0


def test_nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"expected waveforms.hdf5 and metadata.csv"):
        SeisBenchDataset(tmp_path)
    (tmp_path / "chunks").write_text("_a")
    with pytest.raises(FileNotFoundError, match=r"lacks \['waveforms_a.hdf5', 'metadata_a.csv'\]"):
        SeisBenchDataset(tmp_path)
    (tmp_path / "chunks").unlink()
    foreign(tmp_path, [{"trace_name": "a"}], {"a": np.ones((3, 4))}, name="0")
    (tmp_path / "metadata1.csv").touch()
    with pytest.raises(FileNotFoundError, match=r"lacks \['waveforms1.hdf5'\]"):
        SeisBenchDataset(tmp_path)


@pytest.mark.parametrize(
    ("row", "changes", "message"),
    [
        ({"trace_name": "a"}, {"dimension_order": None}, "component_order and dimension_order"),
        ({"trace_name": "a"}, {"dimension_order": "XYZ"}, "component_order and dimension_order"),
        ({"trace_name": "a"}, {"component_order": None}, "component_order and dimension_order"),
        ({"trace_name": "a", "trace_component_order": ""}, {"component_order": None}, "tells the components"),
        ({"name": "a"}, {}, "must have a column trace_name"),
        ({"trace_name": "b"}, {}, "has no trace 'b'"),
        ({"trace_name": "a$0;:3"}, {}, "must look like bucket0"),
        ({"trace_name": "a$0,,1"}, {}, "must look like bucket0"),
        ({"trace_name": "a"}, {"component_order": "Z"}, "must have 1 components, found shape"),
        ({"trace_name": "a"}, {"sampling_rate": None}, "nothing tells the sampling rate"),
        ({"trace_name": "a", "trace_start_time": "noon"}, {}, "expected a UTC time"),
    ],
)
def test_what_is_wrong_with_a_set_is_said(tmp_path, row, changes, message):
    folder = foreign(tmp_path / "set", [row], {"a": np.ones((3, 10))}, **changes)
    with pytest.raises(ValueError, match=message):
        list(SeisBenchDataset(folder))


def test_writing_spoils_nothing(tmp_path):
    write_seisbench([record()], tmp_path / "set")
    with pytest.raises(FileExistsError, match="exists already"):
        write_seisbench([record(1)], tmp_path / "set")
    assert SeisBenchDataset(tmp_path / "set")[0].record_id == "record 0"
    with pytest.raises(ValueError, match="at least one record"):
        write_seisbench([], tmp_path / "none")
    with pytest.raises(ValueError, match=r"metadata \['source_id'\] are told by its fields"):
        write_seisbench([record(metadata={"source_id": 1})], tmp_path / "none")
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


@given(st.floats(-1e9, 4e9).filter(lambda time_s: time_s == 0 or abs(time_s) > 1e-6))
def test_times_survive_as_text(time_s):
    assert utc_seconds(utc_text(time_s)) == time_s


@pytest.mark.parametrize(
    "text",
    [
        "2007/01/01 01:42:45.08",
        "2007-01-01T01:42:45.08Z",
        "2007-01-01T03:42:45.08+02:00",
        "2007-01-01 01:42:45.08",
    ],
)
def test_dialects_of_time(text):
    assert utc_seconds(text) == 1167615765.08
