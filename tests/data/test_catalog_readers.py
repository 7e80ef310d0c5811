import logging
import os
from pathlib import Path

import numpy as np
import obspy
import pandas as pd
import pytest
from obspy.core import event as quakeml
from seisfm.data.formats.tables import read_events, read_picks

REAL_DATA = Path(os.environ.get("SEISFM_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))

# Klein (2002): columns are counted from 1.
HEADER = {1: "202001312359", 13: "5450", 17: "34 1446", 24: "118E3606", 32: " 2132", 37: "246", 71: "250",
          122: "L", 118: "D", 123: "W", 124: "260", 137: "      4711", 147: "L", 148: "246"}  # fmt: skip
P_LINE = {1: "ABC", 6: "XX", 9: "Z", 10: "HHZ", 14: "IP", 16: "D", 17: "1", 18: "202001312359", 30: " 5950"}
BOTH = P_LINE | {16: "U", 17: "0", 42: " 6237", 47: "ES", 50: "2", 112: "00"}
BAD = P_LINE | {1: "DEF", 17: "4"}


def line(columns):
    text = [" "] * 160
    for first, cell in columns.items():
        text[first - 1 : first - 1 + len(cell)] = cell
    return "".join(text).rstrip()


def write_archive(path, *lines):
    path.write_text("".join(f"{one}\n" for one in (*lines, " " * 62 + "      4711")))
    return path


def test_a_hypoinverse_archive(tmp_path, caplog):
    lines = [
        line(HEADER),
        "$1",
        line(P_LINE),
        "$",
        line(BOTH),
        line(BAD),
        line(P_LINE | {14: "  ", 1: "AMP"}),
    ]
    path = write_archive(tmp_path / "hyp.arc", *lines)
    with caplog.at_level(logging.WARNING):
        picks, events = read_picks(path), read_events(path)
    second = pd.Timestamp("2020-01-31T23:59:00Z") + pd.to_timedelta([59.5, 59.5, 62.37], unit="s")
    assert picks["time"].tolist() == second.tolist()
    assert picks[["event_id", "station_id", "phase", "polarity", "onset"]].to_numpy().tolist() == [
        ["4711", "XX.ABC.", "P", "negative", "impulsive"],
        ["4711", "XX.ABC.00", "P", "positive", "impulsive"],
        ["4711", "XX.ABC.00", "S", "", "emergent"],
    ]
    assert "1 rejected picks are left out" in caplog.text
    assert picks["uncertainty_s"].isna().all()
    (event,) = events.to_dict("records")
    assert event["time"] == pd.Timestamp("2020-01-31T23:59:54.5Z")
    assert event["latitude_deg"] == pytest.approx(34 + 14.46 / 60)
    assert event["longitude_deg"] == pytest.approx(118 + 36.06 / 60)
    assert (event["depth_km"], event["magnitude"], event["magnitude_type"]) == (21.32, 2.46, "ML")
    assert [(one["value"], one["type"]) for one in event["magnitudes"]] == [
        (2.46, "ML"), (2.5, "Md"), (2.6, "Mw"),
    ]  # fmt: skip


def test_the_south_and_the_west(tmp_path):
    path = write_archive(tmp_path / "hyp.arc", line(HEADER | {19: "S", 27: " "}))
    (event,) = read_events(path).itertuples()
    assert event.latitude_deg < 0 and event.longitude_deg < 0


def test_broken_archives_are_told(tmp_path):
    with pytest.raises(ValueError, match=r"hyp.arc, line 2 is no line of a Y2000 archive: 'XX.ABC P 2020'"):
        read_picks(write_archive(tmp_path / "hyp.arc", line(HEADER), "XX.ABC P 2020"))
    with pytest.raises(ValueError, match=r"hyp.arc, line 1 is no Y2000 header: "):
        read_events(write_archive(tmp_path / "hyp.arc", line(HEADER | {32: "12a45"})))


def test_nordic(tmp_path, caplog):
    """As SEISAN writes it, by ObsPy's writer."""
    time = obspy.UTCDateTime("2020-01-31T23:59:59.5")
    station = quakeml.WaveformStreamID(network_code="XX", station_code="ABC", channel_code="HHZ")
    pick = quakeml.Pick(
        time=time, waveform_id=station, phase_hint="P", polarity="positive", onset="impulsive"
    )
    pick.evaluation_mode = "manual"
    origin = quakeml.Origin(time=time - 5, latitude=1.0, longitude=2.0, depth=7500.0)
    event = quakeml.Event(
        picks=[pick], origins=[origin], magnitudes=[quakeml.Magnitude(mag=2.5, magnitude_type="ML")]
    )
    event.creation_info = quakeml.CreationInfo(agency_id="TES")
    origin.creation_info = quakeml.CreationInfo(agency_id="TES")
    path = tmp_path / "31-2359-54L.S202001"
    event.write(str(path), format="NORDIC", userid="TEST", evtype="L", wavefiles=["none"], high_accuracy=True)
    picks, events = read_picks(path), read_events(path)
    (row,) = picks.itertuples()
    assert row.station_id.split(".")[1] == "ABC" and row.phase == "P"
    assert row.time == pd.Timestamp("2020-01-31T23:59:59.5Z")
    assert (row.polarity, row.onset) == ("positive", "impulsive")
    assert events["magnitude"].tolist() == [2.5]
    # The format has no event ids: the origin time names the event, in both tables and at each reading.
    assert picks["event_id"].tolist() == events["event_id"].tolist() == ["20200131T235954.500000"]


needs_real_data = pytest.mark.skipif(not REAL_DATA.is_dir(), reason="needs SEISFM_DATA")


@needs_real_data
def test_a_real_archive_of_southern_california(tmp_path):
    """Northridge's aftershocks, as HypoInverse's archive, and the same events in the format before it."""
    path = REAL_DATA / "northridge_hash" / "north4.phase"
    picks, events = read_picks(path), read_events(path)
    assert len(events) == 24 and set(picks["event_id"]) == set(events["event_id"])
    assert events["latitude_deg"].between(34.1, 34.5).all()
    assert events["longitude_deg"].between(-119.0, -118.2).all()
    assert picks["phase"].value_counts().to_dict() == {"P": 1585, "S": 299}
    origin = events.set_index("event_id")["time"]
    travel_s = (picks["time"] - picks["event_id"].map(origin)).dt.total_seconds()
    assert travel_s.between(0.0, 60.0).mean() > 0.99


@needs_real_data
def test_a_real_list_of_italy():
    events = read_events(REAL_DATA / "italy_picks" / "hypoinverse_answers" / "catalog.sum")
    assert len(events) == 60 and events["event_id"].is_unique
    first = events.iloc[0]
    assert first["time"] == pd.Timestamp("2016-10-14T00:00:08.88Z")
    assert first[["latitude_deg", "longitude_deg", "depth_km", "magnitude"]].tolist() == [
        42.8124,
        13.2169,
        8.38,
        0.93,
    ]
    assert first["magnitude_type"] == "ML" and np.isfinite(events["magnitude"]).sum() >= 55
    with pytest.raises(
        ValueError, match=r"holds no Y2000 archive of HypoInverse \(.arc\): a list of events has no"
    ):
        read_picks(REAL_DATA / "italy_picks" / "hypoinverse_answers" / "catalog.sum")
