"""A catalog as CSV, QuakeML, HypoInverse and NonLinLoc files."""

import numpy as np
import obspy
import pandas as pd
import pytest
from seisfm.catalog.events import ARRIVAL_COLUMNS, EVENT_COLUMNS, Catalog
from seisfm.catalog.location_formats import write_hypoinverse, write_nonlinloc
from seisfm.catalog.pick_table import COLUMNS
from seisfm.catalog.quakeml import KM_PER_DEGREE, write_quakeml


def arrival(event_id, station_id, phase, time, **more):
    unknown = dict.fromkeys(COLUMNS, np.nan) | dict.fromkeys(("instrument", "polarity", "model_revision"), "")
    fit = {"residual_s": 0.02, "weight": 0.9, "distance_km": 5.0, "azimuth_deg": 120.0}
    picked = {"model": "seisfm-tiny", "probability": 0.7, "time_uncertainty_s": 0.05}
    return (
        unknown
        | fit
        | picked
        | {"event_id": event_id, "station_id": station_id, "phase": phase, "time": time}
        | more
    )


@pytest.fixture
def catalog() -> Catalog:
    events = [
        {
            "event_id": "a",
            "time": "2018-12-30T03:00:59.996Z",
            "latitude_deg": 64.05,
            "longitude_deg": -21.25,
            "depth_km": 4.5,
            "horizontal_uncertainty_km": 0.3,
            "depth_uncertainty_km": 0.7,
            "time_uncertainty_s": 0.04,
            "rms_s": 0.06,
            "azimuthal_gap_deg": 101.0,
            "nearest_station_km": 3.2,
            "num_stations": 2,
            "num_p": 2,
            "num_s": 1,
        },
        {
            "event_id": "b",
            "time": "2018-12-30T03:05:01Z",
            "latitude_deg": -33.999999,
            "longitude_deg": 12.0,
            "depth_km": 10.0,
            "horizontal_uncertainty_km": np.nan,
            "depth_uncertainty_km": np.nan,
            "time_uncertainty_s": np.nan,
            "rms_s": 0.1,
            "azimuthal_gap_deg": 360.0,
            "nearest_station_km": 9.0,
            "num_stations": 1,
            "num_p": 1,
            "num_s": 0,
        },
    ]
    arrivals = [
        arrival(
            "a",
            "2C.BIT06.",
            "P",
            "2018-12-30T03:01:01.256Z",
            instrument="HH",
            polarity="negative",
            amplitude=12.5,
        ),
        arrival("a", "2C.BIT06.", "S", "2018-12-30T03:01:02.5Z", instrument="HH", probability=0.45),
        arrival("a", "ON.NESJV.00", "P", "2018-12-30T03:00:59.999Z", probability=0.1),
        arrival("b", "XX.LONGER.", "P", "2018-12-30T03:05:03Z", probability=np.nan),
    ]
    return Catalog(pd.DataFrame(events), pd.DataFrame(arrivals))


def test_csv_is_read_back_equal(catalog, tmp_path):
    catalog.write_csv(tmp_path / "events.csv", tmp_path / "arrivals.csv")
    again = Catalog.read_csv(tmp_path / "events.csv", tmp_path / "arrivals.csv")
    pd.testing.assert_frame_equal(again.events, catalog.events, check_exact=True)
    pd.testing.assert_frame_equal(again.arrivals, catalog.arrivals, check_exact=True)


def test_an_empty_catalog_is_written_and_read(tmp_path):
    Catalog.empty().write_csv(tmp_path / "events.csv", tmp_path / "arrivals.csv")
    again = Catalog.read_csv(tmp_path / "events.csv", tmp_path / "arrivals.csv")
    assert len(again) == 0
    assert again.events.columns.tolist() == list(EVENT_COLUMNS)
    assert again.arrivals.columns.tolist() == list(ARRIVAL_COLUMNS)
    assert again.events.dtypes.equals(Catalog.empty().events.dtypes)
    write_quakeml(Catalog.empty(), tmp_path / "none.xml")
    assert len(obspy.read_events(str(tmp_path / "none.xml"))) == 0


def test_quakeml_round_trip(catalog, tmp_path):
    write_quakeml(catalog, tmp_path / "catalog.xml")
    events = obspy.read_events(str(tmp_path / "catalog.xml"))
    assert len(events) == 2
    first, origin = events[0], events[0].preferred_origin()
    assert first.resource_id.id == "smi:seisfm/event/a"
    assert origin.time == obspy.UTCDateTime("2018-12-30T03:00:59.996")
    assert (origin.latitude, origin.longitude, origin.depth) == (64.05, -21.25, 4500.0)
    assert origin.depth_errors.uncertainty == pytest.approx(700)
    assert origin.origin_uncertainty.horizontal_uncertainty == pytest.approx(300)
    assert (origin.quality.azimuthal_gap, origin.quality.used_phase_count) == (101.0, 3)
    assert events[1].preferred_origin().time_errors.uncertainty is None
    table = catalog.arrivals_of("a")
    for row, arrived in zip(table.to_dict("records"), origin.arrivals, strict=True):
        pick = arrived.pick_id.get_referred_object()
        assert pick.waveform_id.station_code == row["station_id"].split(".")[1]
        assert pick.phase_hint == arrived.phase == row["phase"]
        assert pick.time.ns == pd.Timestamp(row["time"]).value
        assert pick.method_id.id == "smi:seisfm/model/seisfm-tiny/unknown"
        assert arrived.time_residual == row["residual_s"]
        assert arrived.azimuth == row["azimuth_deg"]
        assert arrived.distance * KM_PER_DEGREE == pytest.approx(row["distance_km"])


def test_hypoinverse_columns(catalog, tmp_path):
    write_hypoinverse(catalog, tmp_path / "phases.arc")
    lines = (tmp_path / "phases.arc").read_text().splitlines()
    assert len(lines) == (1 + 2 + 1) + (1 + 1 + 1)
    summary, first, second, end, other = lines[0], lines[1], lines[2], lines[3], lines[4]
    assert summary[:16] == "2018123003005999"  # cut, so that no minute has 60.00 seconds
    assert (summary[16:23], summary[23:31], summary[31:36]) == ("64  300", " 21 1500", "  450")
    assert int(summary[136:146]) == 1
    assert other[16:23] == "33S5999"
    assert other[23:31] == " 12E   0"
    # Arrivals in order of time: NESJV first, P only; then BIT06 with P and S.
    assert (first[:5], first[5:7], first[13:17], first[111:113]) == ("NESJV", "ON", " P 4", "00")
    assert (first[17:29], first[29:34]) == ("201812300300", " 6000")
    assert (second[:5], second[5:7], second[9:12]) == ("BIT06", "2C", "HHZ")
    assert second[13:17] == " PD1"
    assert (second[17:29], second[29:34]) == ("201812300301", "  126")
    assert (second[41:46], second[46:48], second[49]) == ("  250", " S", "2")
    assert int(end) == 1
    assert lines[5][:5] == "LONGE"
    assert lines[5][16] == "0"


def test_nonlinloc_observations_hold_every_pick(catalog, tmp_path):
    paths = write_nonlinloc(catalog, tmp_path / "obs")
    assert [path.name for path in paths] == ["a.obs", "b.obs"]
    lines = [line.split() for line in paths[0].read_text().splitlines() if " GAU " in line]
    assert sorted((line[0], line[4], line[5].lower()) for line in lines) == [
        ("BIT06", "P", "d"),
        ("BIT06", "S", "?"),
        ("NESJV", "P", "?"),
    ]
    assert lines[0][6:9] == ["20181230", "0301", "1.2560"]
    assert float(lines[0][10]) == 0.05


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda e, a: (e.assign(event_id="a"), a), "event ids must differ"),
        (lambda e, a: (e[e["event_id"] == "a"], a), r"arrivals of \['b'\]"),
        (lambda e, a: (e.drop(columns="rms_s"), a), r"missing are \['rms_s'\]"),
        (lambda e, a: (e, a.assign(colour="red")), r"unknown are \['colour'\]"),
    ],
)
def test_a_broken_catalog_is_refused(catalog, break_it, message):
    with pytest.raises(ValueError, match=message):
        Catalog(*break_it(catalog.events, catalog.arrivals))
