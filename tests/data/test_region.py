import numpy as np
import obspy
import pandas as pd
import pytest
from seisfm.data.continuous.archive import Archive
from seisfm.data.loading.window_source import WindowSource
from seisfm.data.loading.windows import WindowConfig
from seisfm.data.region.noise import NoiseConfig, noise_records
from seisfm.data.region.records import RegionConfig, make_region_records

START = pd.Timestamp("2022-03-04T05:00:00Z")
RATE_HZ = 50.0
STATIONS = pd.DataFrame(
    {
        "network": ["XX", "XX", "XX"],
        "station": ["A", "B", "C"],
        "location": "",
        "latitude_deg": [0.0, 1.0, 2.0],
        "longitude_deg": 0.0,
        "elevation_m": [10.0, 20.0, float("nan")],
        "id": ["XX.A.", "XX.B.", "XX.C."],
    }
)


def picks_table(*rows):
    """Rows of event, station, phase, seconds after START and, if need be, evaluation."""
    full = [(*row, "manual")[:5] for row in rows]
    table = pd.DataFrame(full, columns=["event_id", "station_id", "phase", "time", "evaluation"])
    return table.assign(time=START + pd.to_timedelta(table["time"], unit="s"), polarity="")


def write_minutes(folder, station, channel, seconds=(0, 900)):
    """Noise whose samples tell their own time: a ramp, so that any wrong cut shows."""
    first, last = (int(s * RATE_HZ) for s in seconds)
    data = np.arange(first, last, dtype=np.int32) + 1
    header = {"network": "XX", "station": station, "channel": channel, "sampling_rate": RATE_HZ}
    trace = obspy.Trace(data, header | {"starttime": obspy.UTCDateTime(START.timestamp()) + seconds[0]})
    trace.write(str(folder / f"{station}.{channel}.{seconds[0]}.mseed"), format="MSEED")


@pytest.fixture
def archive(tmp_path):
    for channel in ("HHZ", "HHN", "HHE", "HNZ"):
        write_minutes(tmp_path, "A", channel)
    for seconds in ((0, 300), (340, 900)):
        write_minutes(tmp_path, "B", "EHZ", seconds)
    write_minutes(tmp_path, "C", "EHZ")
    return Archive.open(tmp_path)


def reasons_of(skipped, item):
    return " | ".join(note.reason for note in skipped if item in note.item)


def test_p_and_s_of_an_event_lie_in_one_record_at_their_times(archive):
    picks = picks_table(("e1", "XX.A.", "P", 200.0), ("e1", "XX.A.", "S", 203.37))
    records, skipped = make_region_records(archive, STATIONS, picks)
    assert [record.metadata["trace_channel"] for record in records] == ["HH", "HN"]
    record = records[0]
    assert record.component_names == ("Z", "N", "E")
    assert (record.event_id, record.station_id, record.sampling_rate_hz) == ("e1", "XX.A.", RATE_HZ)
    assert record.start_time == START.timestamp() + 170.0
    assert record.duration_s == pytest.approx(30 + 3.37 + 60, abs=2 / RATE_HZ)
    assert record.arrival_s("P") == 30.0 and record.arrival_s("S") == pytest.approx(33.37, abs=1e-5)
    # The ramp holds each sample's number since START.
    np.testing.assert_array_equal(record.waveform[0], 170 * RATE_HZ + 1 + np.arange(record.waveform.shape[1]))
    assert record.labelled_phases == {"P", "S"}
    assert record.metadata["station_elevation_m"] == 10.0
    assert {note.item for note in skipped} == {"XX.B.", "XX.C."}
    assert "a station that nobody picked is not known to be quiet" in reasons_of(skipped, "XX.C.")


def test_neighbours_are_listed_as_further_events(archive):
    picks = picks_table(
        ("e1", "XX.A.", "P", 200.0),
        ("e1", "XX.A.", "S", 204.0),
        ("e2", "XX.A.", "P", 215.0),
        ("e2", "XX.A.", "S", 221.0),
        ("e3", "XX.A.", "P", 600.0),
    )
    records, _ = make_region_records(archive, STATIONS, picks)
    by_event = {record.event_id: record for record in records if record.metadata["trace_channel"] == "HH"}
    first, second = by_event["e1"], by_event["e2"]
    assert [(a.phase, a.time_s, a.event) for a in first.arrivals] == [
        ("P", 30.0, 0), ("S", 34.0, 0), ("P", 45.0, 1), ("S", 51.0, 1),
    ]  # fmt: skip
    # Its own event is event 0 although the other comes first.
    assert [(a.phase, a.time_s, a.event) for a in second.arrivals] == [
        ("P", 15.0, 1), ("S", 19.0, 1), ("P", 30.0, 0), ("S", 36.0, 0),
    ]  # fmt: skip
    assert first.labelled_phases == second.labelled_phases == {"P", "S"}
    assert by_event["e3"].labelled_phases == {"P"}


def test_a_neighbour_without_s_leaves_s_unknown(archive):
    picks = picks_table(("e1", "XX.A.", "Pg", 200.0), ("e1", "XX.A.", "Sg", 204.0), ("", "XX.A.", "P", 230.0))
    records, skipped = make_region_records(archive, STATIONS, picks)
    assert {record.event_id for record in records} == {"e1"}
    assert records[0].labelled_phases == {"P"}
    assert [a.event for a in records[0].arrivals] == [0, 0, 1]
    assert "1 picks without an event_id make no record" in reasons_of(skipped, "XX.A.")


def test_an_event_just_before_the_record_still_counts(archive):
    late = (("e1", "XX.A.", "P", 200.0), ("e1", "XX.A.", "S", 204.0))
    records, _ = make_region_records(archive, STATIONS, picks_table(("e0", "XX.A.", "P", 160.0), *late))
    assert next(record for record in records if record.event_id == "e1").labelled_phases == {"P"}
    records, _ = make_region_records(archive, STATIONS, picks_table(("e0", "XX.A.", "P", 60.0), *late))
    assert next(record for record in records if record.event_id == "e1").labelled_phases == {"P", "S"}


def test_gaps_and_edges_of_the_archive(archive):
    picks = picks_table(
        ("gap", "XX.B.", "P", 320.0),
        ("half", "XX.B.", "P", 298.0),
        ("half", "XX.B.", "S", 305.0),
        ("late", "XX.B.", "P", 5000.0),
        ("edge", "XX.B.", "P", 5.0),
    )
    records, skipped = make_region_records(archive, STATIONS, picks)
    by_event = {record.event_id: record for record in records}
    assert set(by_event) == {"half", "edge"}
    assert [a.phase for a in by_event["half"].arrivals] == ["P"]
    assert np.isnan(by_event["half"].waveform).sum() == pytest.approx(
        40 * RATE_HZ - 25 * RATE_HZ, abs=25 * RATE_HZ
    )
    assert by_event["edge"].arrival_s("P") == 5.0
    assert "the P pick lies in a gap" in reasons_of(skipped, "event gap")
    assert "the S pick lies in a gap" in reasons_of(skipped, "event half")
    assert reasons_of(skipped, "event late") == "the archive has no data around its picks"


def test_source_and_path(archive):
    events = pd.DataFrame(
        {
            "event_id": ["e1"],
            "time": [START],
            "latitude_deg": [0.0],
            "longitude_deg": [1.0],
            "depth_km": [8.0],
            "magnitude": [float("nan")],
            "magnitude_type": [""],
        }
    )
    picks = picks_table(("e1", "XX.A.", "P", 200.0), ("e2", "XX.A.", "P", 500.0))
    records, skipped = make_region_records(archive, STATIONS, picks, events)
    about = records[0].metadata
    assert about["path_back_azimuth_deg"] == pytest.approx(90.0)
    assert about["path_ep_distance_km"] == pytest.approx(111.3, abs=0.1)
    assert about["source_depth_km"] == 8.0 and "source_magnitude" not in about
    assert "events ['e2'] are not in the event table" in reasons_of(skipped, "XX.A.")
    batch = WindowSource(records[:1]).cut_at(np.array([0]), np.array([0]), WindowConfig(window_s=60.0))
    assert float(batch.labels["distance_km"]) == pytest.approx(111.3, abs=0.1)
    assert float(batch.labels["p_arrival_s"][0, 0]) == 30.0


def test_one_pick_a_phase_the_manual_one(archive):
    picks = picks_table(
        ("e1", "XX.A.", "P", 199.0, "automatic"), ("e1", "XX.A.", "P", 200.0), ("e1", "XX.A.", "P", 201.0)
    )
    records, skipped = make_region_records(archive, STATIONS, picks)
    assert [(a.time_s, a.evaluation) for a in records[0].arrivals] == [(30.0, "manual")]
    assert "the automatic P pick is one of several" in reasons_of(skipped, "event e1")


@pytest.mark.parametrize("picked", ["XX.A.", "XX.A", "A", "XX.A.00"])
def test_codes_as_far_as_they_go(archive, picked):
    records, _ = make_region_records(archive, STATIONS, picks_table(("e1", picked, "P", 200.0)))
    assert {record.station_id for record in records} == {"XX.A."}


def test_partners_that_are_missing_are_told(archive):
    picks = picks_table(("e1", "XX.Q.", "P", 200.0), ("e1", "YY.A.", "P", 200.0), ("e1", "XX.B.", "P", 200.0))
    records, skipped = make_region_records(archive, STATIONS[:1], picks)
    assert {record.station_id for record in records} == {"XX.B."}
    assert "1 picks, but no data of such a station" in reasons_of(skipped, "XX.Q.")
    assert "1 picks, but no data of such a station" in reasons_of(skipped, "YY.A.")
    assert "not in the station table" in reasons_of(skipped, "XX.B.")
    with pytest.raises(ValueError, match=r"picks lack the columns \['event_id'\]"):
        make_region_records(archive, STATIONS, picks.drop(columns="event_id"))


def test_damaged_files_are_told(archive):
    (archive.path / "A.HHZ.0.mseed").write_bytes(b"")
    records, skipped = make_region_records(archive, STATIONS, picks_table(("e1", "XX.A.", "P", 200.0)))
    assert records[0].component_names == ("N", "E")
    assert "the file is empty" in reasons_of(skipped, "A.HHZ.0.mseed")


def test_times_as_seconds_are_the_same(archive):
    picks = picks_table(("e1", "XX.A.", "P", 200.25))
    seconds = picks.assign(time=START.timestamp() + 200.25)
    one, other = (make_region_records(archive, STATIONS, table)[0][0] for table in (picks, seconds))
    assert one.arrivals == other.arrivals and one.start_time == other.start_time


def test_noise_keeps_away_from_picks_and_origins(archive):
    picks = picks_table(("e1", "XX.A.", "P", 300.0), ("", "XX.A.", "P", 450.0), ("e1", "XX.B.", "P", 840.0))
    events = pd.DataFrame({"event_id": ["e2"], "time": [START + pd.Timedelta(700, "s")]})
    records, skipped = noise_records(
        archive,
        STATIONS,
        picks,
        np.random.default_rng(0),
        events,
        noise=NoiseConfig(num_per_station=6, duration_s=30.0),
    )
    assert {record.station_id for record in records} == {"XX.A.", "XX.B."}
    for record in records:
        start = record.start_time - START.timestamp()
        busy = [700.0, *({"XX.A.": [300.0, 450.0], "XX.B.": [840.0]}[record.station_id])]
        assert all(start + 30 <= time - 120 + 0.03 or start >= time + 120 - 0.03 for time in busy)
        assert record.labelled_phases == {"P", "S"} and record.arrivals == () and record.event_id == ""
        assert np.isfinite(record.waveform).all() and record.duration_s == pytest.approx(30.0, abs=0.03)
        assert record.metadata["source_type"] == "noise"
    assert sum(record.station_id == "XX.A." for record in records) == 6
    again, _ = noise_records(
        archive,
        STATIONS,
        picks,
        np.random.default_rng(0),
        events,
        noise=NoiseConfig(num_per_station=6, duration_s=30.0),
    )
    assert [record.record_id for record in again] == [record.record_id for record in records]
    assert reasons_of(skipped, "XX.C.")


def test_noise_says_when_there_is_none(archive):
    picks = picks_table(
        *(("e1", "XX.B.", phase, t) for phase, t in (("P", 100.0), ("S", 200.0))), ("e2", "XX.A.", "P", 9.0)
    )
    records, skipped = noise_records(
        archive,
        STATIONS,
        picks,
        np.random.default_rng(0),
        noise=NoiseConfig(num_per_station=2, clearance_s=700.0),
    )
    assert {record.station_id for record in records} == {"XX.A."}
    assert "only 0 of 2 windows of noise: the others have too few data or lie within 700 s" in reasons_of(
        skipped, "XX.B."
    )


def events_table(*rows, **more):
    """Rows of event, seconds after START and latitude, on the meridian of the stations, 8 km deep."""
    table = pd.DataFrame(rows, columns=["event_id", "time", "latitude_deg"])
    times = START + pd.to_timedelta(table["time"], unit="s")
    return table.assign(time=times, longitude_deg=0.0, depth_km=8.0, **more)


PICKED = (("e1", "XX.A.", "P", 202.0), ("e1", "XX.A.", "S", 203.5))


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (("e2", 230.0, 0.1), set()),  # near, in the record
        (("e2", 230.0, 5.0), {"P", "S"}),  # 550 km away: out of reach
        (("e2", 20.0, 0.1), {"P", "S"}),  # long over
        (("e2", 155.0, 0.4), {"P"}),  # 44 km away: P is over before the record begins, S may be late
    ],
)
def test_an_event_that_nobody_picked_here_leaves_doubt(archive, other, expected):
    events = events_table(("e1", 200.0, 0.05), other)
    records, _ = make_region_records(archive, STATIONS, picks_table(*PICKED), events)
    assert {record.event_id for record in records} == {"e1"}
    assert records[0].labelled_phases == expected


def test_stations_that_nobody_picked_are_unlabelled_and_no_noise(archive):
    events = events_table(("e1", 200.0, 0.05), ("far", 500.0, 9.0))
    config = RegionConfig(include_unpicked=True, reach_km=120.0)
    picks = picks_table(*PICKED, ("e3", "XX.B.", "P", 280.0))
    records, skipped = make_region_records(archive, STATIONS, picks, events, config=config)
    by_station = {(record.station_id, record.event_id): record for record in records}
    # C lies 217 km away, B 105 km.
    assert set(by_station) == {("XX.A.", "e1"), ("XX.B.", "e1"), ("XX.B.", "e3")}
    unpicked = by_station["XX.B.", "e1"]
    assert unpicked.labelled_phases == frozenset()
    assert unpicked.metadata["path_ep_distance_km"] == pytest.approx(105.0, abs=1.0)
    assert unpicked.start_time - START.timestamp() == pytest.approx(200 + 105 / 6.2 - 30, abs=0.5)
    # The pick of another event is listed, as another event's.
    assert [(a.phase, a.event) for a in unpicked.arrivals] == [("P", 1)]
    assert not any("XX.C." in note.item and "without picks" in note.reason for note in skipped)


def test_noise_keeps_away_from_waves_that_come_late(archive):
    """An event 700 km away, whose S passes more than three minutes after its origin."""
    picks = picks_table(("e1", "XX.A.", "P", 30.0))
    events = events_table(("far", 350.0, 6.3))
    wanted = NoiseConfig(num_per_station=20, duration_s=20.0, clearance_s=20.0)
    records, _ = noise_records(archive, STATIONS, picks, np.random.default_rng(1), events, noise=wanted)
    starts = np.array([record.start_time - START.timestamp() for record in records])
    assert len(starts) > 5
    assert not ((starts > 350 - 40) & (starts < 350 + 700 / 3.5 + 20)).any()
    assert (starts < 310).any() and (starts > 650).any()


def test_what_the_catalog_says_of_the_event_and_the_pick(archive):
    magnitudes = [{"value": 2.0, "type": "ML", "author": None, "uncertainty": 0.1}]
    mechanisms = [{"strike_deg": 10.0, "dip_deg": 80.0, "rake_deg": 170.0, "author": "me"}]
    events = events_table(("e1", 200.0, 0.05), event_type="quarry blast", author="me")
    events = events.assign(magnitudes=[magnitudes], mechanisms=[mechanisms], magnitude=2.0)
    picks = picks_table(*PICKED).assign(
        polarity=["positive", ""], onset=["impulsive", ""], uncertainty_s=[0.05, np.nan], author=["net", ""]
    )
    records, _ = make_region_records(archive, STATIONS, picks, events)
    about = records[0].metadata
    assert about["source_type"] == "quarry_blast" and about["source_type_original"] == "quarry blast"
    assert about["source_magnitudes"] == magnitudes and about["source_mechanisms"] == mechanisms
    assert about["source_origin_time"] == "2022-03-04T05:03:20.000000Z" and about["source_author"] == "me"
    assert about["path_hyp_distance_km"] == pytest.approx(np.hypot(5.53, 8.01), abs=0.02)
    p, s = records[0].arrivals
    assert (p.polarity, p.onset, p.uncertainty_s, p.author) == ("positive", "impulsive", 0.05, "net")
    assert (s.polarity, s.onset, s.uncertainty_s, s.probability, s.author) == (None,) * 5


def test_an_unknown_event_type_is_told_once(archive):
    picks = picks_table(*PICKED, ("e2", "XX.A.", "P", 500.0))
    events = events_table(("e1", 200.0, 0.05), ("e2", 498.0, 0.05), event_type="blurb")
    records, skipped = make_region_records(archive, STATIONS, picks, events)
    assert all(record.metadata["source_type_original"] == "blurb" for record in records)
    assert not any("source_type" in record.metadata for record in records)
    assert [note.item for note in skipped].count("event type 'blurb'") == 1


@pytest.mark.parametrize("settings", [{"window_before_s": -1.0}, {"reach_km": 0.0}])
def test_impossible_settings_are_refused(settings):
    with pytest.raises(ValueError, match="must not be negative and reach_km be positive"):
        RegionConfig(**settings)
    with pytest.raises(ValueError, match="must not be negative and duration_s be positive"):
        NoiseConfig(duration_s=0.0)
