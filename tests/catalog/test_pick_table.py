"""Picks as a table and as files."""

import hashlib

import numpy as np
import obspy
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seisfm.catalog.files import replacing
from seisfm.catalog.pick_formats import read_picks, write_gamma, write_picks, write_pyocto
from seisfm.catalog.pick_table import COLUMNS, PickTable

ROWS = [
    {
        "station_id": "2C.BIT06.",
        "phase": "S",
        "time": 1546138814.123456,
        "time_uncertainty_s": 0.04,
        "probability": 0.62,
        "amplitude": 1234.5,
        "snr_db": 17.25,
        "instrument": "HH",
        "model": "seisfm-tiny",
        "model_revision": "0a1b2c",
    },
    {
        "station_id": "ON.NESJV.00",
        "phase": "P",
        "time": 1546138812.0,
        "polarity": "negative",
        "probability": 0.3,
    },
]


@pytest.fixture
def picks() -> PickTable:
    return PickTable.from_rows(ROWS)


def test_a_table_is_sorted_and_complete(picks):
    assert tuple(picks.frame.columns) == COLUMNS
    assert picks.frame["time"].is_monotonic_increasing
    assert str(picks.frame["time"].dtype) == "datetime64[ns, UTC]"
    assert picks.frame["polarity"].tolist() == ["negative", ""]
    assert np.isnan(picks.frame["amplitude"][0])


def test_an_empty_table_has_the_same_columns_and_types(picks):
    empty = PickTable.empty()
    assert len(empty) == 0
    assert empty.frame.dtypes.equals(picks.frame.dtypes)
    assert PickTable.concat([empty, empty]) == empty
    assert PickTable.concat([empty, picks]) == picks


def test_counts_by_station_and_phase(picks):
    counts = picks.counts()
    assert counts.loc["2C.BIT06.", "S"] == 1
    assert counts.loc["ON.NESJV.00", "S"] == 0


def test_between_takes_the_start_and_leaves_the_end(picks):
    assert len(picks.between(1546138812.0, 1546138814.0)) == 1
    assert len(picks.between(1546138812.000001, 1546138814.2)) == 1
    assert len(picks.between(1546138800.0, 1546138812.0)) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"phase": ""}, "every pick needs a phase"),
        ({"station_id": ""}, "every pick needs a station_id"),
        ({"probability": 1.5}, "probability must lie in 0 to 1, found 1.5"),
        ({"polarity": "up"}, r"polarity must be one of .* found \['up'\]"),
        ({"time": float("nan")}, "pick times must be"),
        ({"time": "yesterday"}, "pick times must be"),
        ({"time": None}, "every pick needs a time"),
        ({"time_uncertainty_s": -0.1}, "time_uncertainty_s must not be negative"),
        ({"colour": "red"}, r"unknown are \['colour'\]"),
    ],
)
def test_a_wrong_row_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        PickTable.from_rows([ROWS[0] | change])


def test_a_table_without_times_is_refused():
    with pytest.raises(ValueError, match=r"missing are \['time'\]"):
        PickTable(pd.DataFrame({"station_id": ["a"], "phase": ["P"]}))


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_what_is_written_is_read_back_equal(picks, tmp_path, suffix):
    path = tmp_path / f"picks{suffix}"
    write_picks(picks, path)
    assert read_picks(path) == picks
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_no_picks_are_a_file_too(tmp_path, suffix):
    write_picks(PickTable.empty(), tmp_path / f"none{suffix}")
    assert read_picks(tmp_path / f"none{suffix}") == PickTable.empty()


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 2**61),
            st.floats(0, 1),
            st.floats(-1e9, 1e9, allow_subnormal=False),
            st.sampled_from(["P", "S"]),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_csv_keeps_every_digit(tmp_path_factory, values):
    rows = [
        {
            "station_id": "NA.N.",
            "phase": phase,
            "time": pd.Timestamp(nanoseconds, unit="ns", tz="UTC"),
            "probability": probability,
            "amplitude": amplitude,
        }
        for nanoseconds, probability, amplitude, phase in values
    ]
    picks = PickTable.from_rows(rows)
    path = tmp_path_factory.mktemp("digits") / "picks.csv"
    write_picks(picks, path)
    assert read_picks(path) == picks


def test_quakeml_says_who_picked_and_how_surely(picks, tmp_path):
    write_picks(picks, tmp_path / "picks.xml")
    pick = obspy.read_events(str(tmp_path / "picks.xml"))[0].picks[1]
    assert pick.time_errors.uncertainty == 0.04
    assert pick.method_id.id == "smi:seisfm/model/seisfm-tiny/0a1b2c"
    assert pick.waveform_id.station_code == "BIT06"
    assert pick.evaluation_mode == "automatic"
    again = read_picks(tmp_path / "picks.xml").frame
    pd.testing.assert_frame_equal(
        again, picks.frame.assign(time=picks.frame["time"].dt.floor("us")), atol=1e-6
    )


def test_gamma_and_pyocto_layouts(picks, tmp_path):
    write_gamma(picks, tmp_path / "gamma.csv")
    gamma = pd.read_csv(tmp_path / "gamma.csv")
    assert gamma.columns.tolist() == ["id", "timestamp", "prob", "type", "amp"]
    assert gamma["timestamp"].tolist() == ["2018-12-30T03:00:12.000000", "2018-12-30T03:00:14.123456"]
    assert gamma["type"].tolist() == ["p", "s"]
    assert gamma["amp"].tolist() == [0.0, 1234.5]
    write_pyocto(picks, tmp_path / "pyocto.csv")
    pyocto = pd.read_csv(tmp_path / "pyocto.csv")
    assert pyocto.columns.tolist() == ["station", "phase", "time", "probability"]
    assert pyocto["time"].tolist() == [1546138812.0, 1546138814.123456]


def test_an_unknown_suffix_and_a_missing_file_are_named(picks, tmp_path):
    with pytest.raises(ValueError, match=r"found the suffix '\.docx'"):
        write_picks(picks, tmp_path / "picks.docx")
    with pytest.raises(FileNotFoundError, match="expected a file of picks"):
        read_picks(tmp_path / "absent.csv")


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "old.txt"
    path.write_text("old")
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(RuntimeError, match="disk full"), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError("disk full")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before
    assert [p.name for p in tmp_path.iterdir()] == ["old.txt"]
