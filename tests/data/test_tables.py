import logging
import os
from pathlib import Path

import obspy
import pandas as pd
import pytest
from obspy.core import event as quakeml
from seisfm.data.formats.catalogs.columns import EVENT_COLUMNS, PICK_COLUMNS
from seisfm.data.formats.tables import (
    STATION_COLUMNS,
    read_events,
    read_picks,
    read_stations,
    station_id_of_codes,
)

REAL_DATA = Path(os.environ.get("SEISFM_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
TIME = pd.Timestamp("2020-01-31T23:59:59.5Z")

STATION_DIALECTS = {
    "plain": "network,station,latitude,longitude,elevation\nXX,001,64.5,-21.25,414\n",
    "seisbench": (
        "station_network_code,station_code,"
        "station_latitude_deg,station_longitude_deg,station_elevation_m\n"
        "XX,001,64.5,-21.25,414\n"
    ),
    "pyocto": "id,latitude,longitude,elevation\nXX.001.,64.5,-21.25,414\n",
    "seed": "station;lat;lon;elevation(km)\nXX.001..HHZ;64.5;-21.25;0.414\n",
    "fdsn": "#Network | Station | Latitude | Longitude | Elevation | SiteName\nXX|001|64.5|-21.25|414|hill\n",
    "blanks": "network station latitude longitude elevation\nXX   001   64.5   -21.25   414\n",
    "marked": "\ufeffNetwork,Station,Location,Latitude,Longitude,Elevation\nXX,001,,64.5,-21.25,414\n",
}


@pytest.mark.parametrize("dialect", STATION_DIALECTS)
def test_station_dialects_say_the_same(tmp_path, dialect):
    path = tmp_path / "stations.csv"
    path.write_text(STATION_DIALECTS[dialect], encoding="utf-8")
    stations = read_stations(path)
    assert tuple(stations.columns) == STATION_COLUMNS
    assert stations.iloc[0].tolist() == ["XX", "001", "", 64.5, -21.25, 414.0, "XX.001."]


def test_a_station_without_elevation_or_network(tmp_path):
    path = tmp_path / "stations.csv"
    path.write_text("station,lat,lon\nABC,1,2\n")
    (row,) = read_stations(path).itertuples()
    assert (row.id, row.network, row.latitude_deg) == ("ABC", "", 1.0)
    assert pd.isna(row.elevation_m)


def test_station_xml(tmp_path):
    inventory = obspy.read_inventory()
    inventory.write(str(tmp_path / "stations.xml"), format="STATIONXML")
    stations = read_stations(tmp_path / "stations.xml")
    assert set(stations["id"]) == {"GR.FUR.", "GR.WET.", "BW.RJOB."}
    assert stations.set_index("id").loc["BW.RJOB.", "elevation_m"] == 860.0


def test_station_xml_without_channels(tmp_path):
    inventory = obspy.read_inventory()
    for network in inventory:
        for station in network:
            station.channels = []
    inventory.write(str(tmp_path / "stations.xml"), format="STATIONXML")
    assert set(read_stations(tmp_path / "stations.xml")["id"]) == {"GR.FUR.", "GR.WET.", "BW.RJOB."}


def test_a_moved_station_counts_at_its_last_place_and_is_told(tmp_path, caplog):
    path = tmp_path / "stations.csv"
    path.write_text("network,station,latitude,longitude,elevation\nXX,A,1,2,3\nXX,A,1.5,2,3\nXX,A,1.5,2,3\n")
    with caplog.at_level(logging.WARNING):
        (row,) = read_stations(path).itertuples()
    assert row.latitude_deg == 1.5
    assert "XX.A. stands at several places" in caplog.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,x(km),y(km),z(km)\nA,1,2,3\n", r"lacks \['latitude_deg', 'longitude_deg'\]: expected one of"),
        ("latitude,longitude\n1,2\n", "must name the stations: expected columns network and station, or id"),
        ("station,latitude,longitude\nA,north,2\n", "column latitude_deg must hold numbers"),
        ("", r"is empty \(0 bytes\): expected stations as StationXML or CSV"),
    ],
)
def test_bad_station_tables(tmp_path, text, message):
    path = tmp_path / "stations.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_stations(path)


def test_absent_files(tmp_path):
    for read in (read_stations, read_picks, read_events):
        with pytest.raises(
            FileNotFoundError, match=r"no file .*absent.csv: expected (stations|picks|events) as"
        ):
            read(tmp_path / "absent.csv")


PICK_DIALECTS = {
    "seisbench": (
        "station,time,start_time,end_time,probability,phase,polarity,polarity_probability\n"
        "XX.001.00,2020-01-31T23:59:59.500000Z,,,0.9,P,positive,0.8\n"
    ),
    "gamma": "id,timestamp,prob,type,amp,polarity\nXX.001.00.HHZ,2020-01-31T23:59:59.500,0.9,p,1e-6,U\n",
    "pyocto": "station,phase,time,polarity\nXX.001.00,P,1580515199.5,1\n",
    "ours": "station_id,phase,time,probability,polarity\nXX.001.00,P,2020-01-31T23:59:59.5Z,0.9,positive\n",
    "columns": "network,station,location,phase,time,polarity\nXX,001,00,P,2020-01-31 23:59:59.5,up\n",
}


@pytest.mark.parametrize("dialect", PICK_DIALECTS)
def test_pick_dialects_say_the_same(tmp_path, dialect):
    path = tmp_path / "picks.csv"
    path.write_text(PICK_DIALECTS[dialect])
    picks = read_picks(path)
    assert tuple(picks.columns) == PICK_COLUMNS
    first = picks.iloc[0]
    assert first.tolist()[:7] == ["", "XX.001.00", "P", TIME, "positive", "unknown", ""]
    assert pd.isna(first["uncertainty_s"]) and first["author"] == ""
    assert first["probability"] == 0.9 or dialect in ("pyocto", "columns")


def test_how_sure_how_sharp_and_by_whom(tmp_path):
    path = tmp_path / "picks.csv"
    path.write_text("station,phase,time,onset,uncertainty,prob,agency\nXX.A,P,1580515199.5,I,0.05,,UUSS\n")
    (row,) = read_picks(path).itertuples()
    assert (row.onset, row.uncertainty_s, row.author) == ("impulsive", 0.05, "UUSS")
    assert pd.isna(row.probability)


def test_picks_of_no_event_and_rejected_ones(tmp_path, caplog):
    path = tmp_path / "picks.csv"
    path.write_text(
        "event_index,id,timestamp,type,evaluation\n"
        "7,A.B.,2020-01-02T00:00:00,S,manual\n"
        "-1,A.B.,2020-01-01T00:00:00,P,automatic\n"
        "7,A.B.,2020-01-03T00:00:00,P,rejected\n"
    )
    with caplog.at_level(logging.WARNING):
        picks = read_picks(path)
    assert picks["event_id"].tolist() == ["", "7"]
    assert picks["evaluation"].tolist() == ["automatic", "manual"]
    assert "1 rejected picks are left out" in caplog.text


def test_bad_pick_tables(tmp_path):
    path = tmp_path / "picks.csv"
    path.write_text("station,when\nA,1\n")
    with pytest.raises(
        ValueError, match=r"lacks \['phase', 'time'\].*'timestamp'.*found \['station', 'when'\]"
    ):
        read_picks(path)
    path.write_text("station,phase,time\nA,P,noon\n")
    with pytest.raises(ValueError, match=r"expected a UTC time such as .* found 'noon'"):
        read_picks(path)
    other = tmp_path / "picks.bin"
    other.write_text("neither a table nor a catalog")
    with pytest.raises(ValueError, match="no event format that ObsPy reads"):
        read_picks(other)


def catalog():
    time = obspy.UTCDateTime(TIME.timestamp())
    station = quakeml.WaveformStreamID(network_code="XX", station_code="001", location_code="00")
    p = quakeml.Pick(
        time=time,
        time_errors={"uncertainty": 0.04},
        waveform_id=station,
        phase_hint="P",
        polarity="negative",
        onset="impulsive",
        evaluation_mode="manual",
        creation_info=quakeml.CreationInfo(agency_id="UUSS"),
    )
    s = quakeml.Pick(
        time=time + 3,
        time_errors={"lower_uncertainty": 0.1, "upper_uncertainty": 0.2},
        waveform_id=station,
        evaluation_mode="automatic",
        method_id="smi:local/picker/1",
    )
    bad = quakeml.Pick(time=time + 1, waveform_id=station, phase_hint="P", evaluation_status="rejected")
    nameless = quakeml.Pick(time=time + 2, waveform_id=station)
    arrivals = [quakeml.Arrival(pick_id=s.resource_id, phase="Sg")]
    origin = quakeml.Origin(time=time - 5, latitude=1.0, longitude=2.0, depth=7500.0, arrivals=arrivals)
    event = quakeml.Event(picks=[p, s, bad, nameless], origins=[origin])
    event.magnitudes = [
        quakeml.Magnitude(mag=3.25, magnitude_type="ML", mag_errors={"uncertainty": 0.2}),
        quakeml.Magnitude(mag=3.4, magnitude_type="Mw"),
    ]
    event.event_type = "quarry blast"
    planes = [quakeml.NodalPlane(strike=s, dip=60.0, rake=-90.0) for s in (210.0, 30.0)]
    event.focal_mechanisms = [
        quakeml.FocalMechanism(
            nodal_planes=quakeml.NodalPlanes(
                nodal_plane_1=planes[0], nodal_plane_2=planes[1], preferred_plane=2
            )
        )
    ]
    return obspy.Catalog([event, quakeml.Event()])


def test_quakeml(tmp_path, caplog):
    path = tmp_path / "catalog.xml"
    known = catalog()
    known.write(str(path), format="QUAKEML")
    event_id = known[0].resource_id.id
    with caplog.at_level(logging.WARNING):
        picks, events = read_picks(path), read_events(path)
    assert picks[list(PICK_COLUMNS[:7])].to_numpy().tolist() == [
        [event_id, "XX.001.00", "P", TIME, "negative", "manual", "impulsive"],
        [event_id, "XX.001.00", "Sg", TIME + pd.Timedelta(3, "s"), "", "automatic", ""],
    ]
    assert picks["uncertainty_s"].tolist() == [0.04, pytest.approx(0.15)]
    assert picks["author"].tolist() == ["UUSS", "smi:local/picker/1"]
    (event,) = events.to_dict("records")
    known = {
        "event_id": event_id,
        "time": TIME - pd.Timedelta(5, "s"),
        "latitude_deg": 1.0,
        "longitude_deg": 2.0,
    }
    known |= {"depth_km": 7.5, "magnitude": 3.25, "magnitude_type": "ML", "event_type": "quarry blast"}
    known |= {
        "author": "",
        "mechanisms": [{"strike_deg": 30.0, "dip_deg": 60.0, "rake_deg": -90.0, "author": None}],
    }
    assert {key: event[key] for key in known} == known
    assert event["magnitudes"] == [
        {"value": 3.25, "type": "ML", "author": None, "uncertainty": 0.2},
        {"value": 3.4, "type": "Mw", "author": None, "uncertainty": None},
    ]
    for told in ("names no phase", "has no origin", "1 rejected"):
        assert told in caplog.text


@pytest.mark.parametrize(
    "text",
    [
        "time,latitude,longitude,depth,mag,magType,id\n2020-01-31T23:59:59.500Z,1,2,7.5,3.25,ML,e1\n",
        "event_index,time,latitude,longitude,depth(m),magnitude,magnitude_type\n"
        "e1,2020-01-31T23:59:59.5,1,2,7500,3.25,ML\n",
        "event_id,time,latitude_deg,longitude_deg,depth_km,magnitude,magnitude_type\n"
        "e1,1580515199.5,1,2,7.5,3.25,ML\n",
    ],
)
def test_event_dialects_say_the_same(tmp_path, text):
    path = tmp_path / "events.csv"
    path.write_text(text)
    events = read_events(path)
    assert tuple(events.columns) == EVENT_COLUMNS
    assert events.iloc[0].tolist()[:7] == ["e1", TIME, 1.0, 2.0, 7.5, 3.25, "ML"]
    magnitude = {"value": 3.25, "type": "ML", "author": None, "uncertainty": None}
    assert events["magnitudes"].tolist() == [[magnitude]]


def test_codes():
    assert station_id_of_codes("XX.A") == "XX.A."
    assert station_id_of_codes("XX.A.00.HHZ") == "XX.A.00"
    assert station_id_of_codes("A") == "A"


needs_real_data = pytest.mark.skipif(not REAL_DATA.is_dir(), reason="needs SEISFM_DATA")


@needs_real_data
def test_real_stations():
    stations = read_stations(REAL_DATA / "iceland_continuous" / "stations.csv")
    assert len(stations) == 20
    assert stations.iloc[0].tolist() == ["2C", "BIT06", "", 64.049, -21.267, 414.0, "2C.BIT06."]
    xml = REAL_DATA / "events_groundmotion" / "fdsn" / "ci38445975" / "CI.MIKB.xml"
    assert read_stations(xml)["id"].tolist() == ["CI.MIKB."]


@needs_real_data
def test_real_events():
    events = read_events(REAL_DATA / "chile_seisbench" / "chunkeddummydataset" / "raw_catalog.csv")
    assert len(events) == 18236
    assert events.loc[0, ["magnitude", "magnitude_type"]].tolist() == [1.426, "ML"]
    assert events["time"].is_monotonic_increasing
    (event,) = read_events(REAL_DATA / "california_mw" / "datetime.csv").itertuples()
    assert (event.event_id, event.magnitude, event.magnitude_type) == ("40191336", 4.31, "Mw")
