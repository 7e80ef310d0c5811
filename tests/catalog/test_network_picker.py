"""A picker of a model whose heads listen: stations of a network are picked together."""

import json
from shutil import copytree

import numpy as np
import obspy
import pandas as pd
import pytest
import torch
from seisfm.catalog.archive_run import pick_archive
from seisfm.catalog.companions import Companions
from seisfm.catalog.pick_formats import read_picks
from seisfm.catalog.picker import Picker, PickerConfig
from seisfm.catalog.station_places import places_of, station_table
from seisfm.cli import app
from seisfm.data.batch import WaveformBatch
from seisfm.data.continuous.archive import Archive
from seisfm.data.continuous.examples import uh_archive, uh_stations
from seisfm.data.records import Record
from seisfm.heads.network_attention import NetworkConfig
from seisfm.heads.network_start import with_network
from seisfm.heads.task_model import load_model
from torch import nn

START = obspy.UTCDateTime(2018, 12, 30, 3)
CODES = ("A", "B", "C", "D")
SETTINGS = {"window_s": 12.0, "refine_shifts": 1}


@pytest.fixture(scope="module")
def single():
    model = load_model("seisfm-tiny")
    # Ears come without a calibration: it was fitted to the answers of a model without.
    model.config.calibrate({})
    return model


@pytest.fixture(scope="module")
def deaf(single):
    return with_network(single, NetworkConfig(dim=16), seed=1)


@pytest.fixture(scope="module")
def listening(single):
    """Ears that are open, though nobody taught them."""
    model = with_network(single, NetworkConfig(dim=16), seed=1)
    exchange = model.heads["picking"].exchange
    nn.init.normal_(exchange.out.weight, std=0.1, generator=torch.Generator().manual_seed(3))
    return model


@pytest.fixture(scope="module")
def stations():
    return pd.DataFrame(
        {
            "id": [f"XX.{code}." for code in CODES],
            "network": "XX",
            "station": CODES,
            "location": "",
            "latitude_deg": [46.0, 46.1, 46.2, 45.9],
            "longitude_deg": [8.0, 8.2, 7.9, 8.1],
            "elevation_m": [500.0, 900.0, 100.0, 0.0],
        }
    )


@pytest.fixture(scope="module")
def stream(motion):
    """Four stations of which one has gaps, one begins later, and one has another rate and one component."""
    streams = {
        code: motion(
            duration_s=33.0,
            arrivals=((9.0 + i, 12.0 + 2 * i),),
            station=code,
            seed=i,
            rate_hz=50.0 if code == "D" else 100.0,
            codes=("EHZ",) if code == "D" else ("HHZ", "HHN", "HHE"),
        )
        for i, code in enumerate(CODES)
    }
    streams["B"].cutout(START + 18.0, START + 21.0)
    streams["C"].trim(START + 6.213)
    return obspy.Stream([trace for part in streams.values() for trace in part])


def picks(model, stream, stations=None, **settings):
    picker = Picker(model, PickerConfig(**(SETTINGS | settings)), revision="x")
    return picker.classify(stream, stations).picks.frame


def of(frame, code):
    return frame[frame["station_id"] == f"XX.{code}."].reset_index(drop=True)


def assert_alike(first, second, within_s=1e-3, within=5e-3):
    assert first[["station_id", "phase"]].equals(second[["station_id", "phase"]])
    apart_s = (first["time"] - second["time"]).dt.total_seconds().abs()
    assert apart_s.max() <= within_s
    np.testing.assert_allclose(first["probability"], second["probability"], atol=within)


@pytest.fixture(scope="module")
def together(listening, stream, stations):
    found = picks(listening, stream, stations)
    assert 6 <= len(found) <= 20
    return found


@pytest.fixture(scope="module")
def alone(listening, stream):
    return picks(listening, stream)


def test_who_listens_picks_otherwise_than_alone(alone, together):
    assert not alone[["time", "probability"]].equals(together[["time", "probability"]])


def test_who_cannot_listen_gives_the_picks_of_today(single, motion, stations):
    stream = motion(duration_s=20.0, arrivals=((9.0, 12.0),), station="A")
    stream += motion(duration_s=20.0, arrivals=((8.0, 12.0),), station="B", seed=1)
    pd.testing.assert_frame_equal(picks(single, stream, stations), picks(single, stream))


def test_ears_that_have_learned_nothing_give_the_picks_of_stations_alone_bit_for_bit(
    single, deaf, motion, stations
):
    """Also where rates, and a sample at the end, differ."""
    arrivals = ((9.0, 12.0),)
    stream = motion(duration_s=26.0, arrivals=arrivals, station="A")
    stream += motion(duration_s=26.01, arrivals=arrivals, station="B", seed=1)
    stream += motion(duration_s=26.0, arrivals=arrivals, station="D", rate_hz=200.0, seed=2)
    found = picks(deaf, stream, stations)
    assert len(found)
    pd.testing.assert_frame_equal(found, picks(single, stream))


def test_a_window_is_answered_as_a_batch_of_the_network_is(listening, stations, motion):
    """One window long: what the picker's curves say is what the model says of the network's batch."""
    stream = motion(duration_s=12.0, arrivals=((3.0, 5.0),), station="A")
    stream += motion(duration_s=12.0, arrivals=((4.0, 7.0),), station="B", seed=1)
    picker = Picker(listening, PickerConfig(**SETTINGS))
    annotated = picker.annotate(stream, stations)
    waveform = np.stack([trace.data for trace in stream]).reshape(2, 3, -1).astype(np.float32)
    batch = WaveformBatch(
        waveform=torch.from_numpy(waveform),
        sampling_rate_hz=torch.full((2,), 100.0),
        component_names=("Z", "N", "E"),
        unit=("counts", "counts"),
        event_index=torch.zeros(2, dtype=torch.int64),
        start_time=torch.full((2,), START.timestamp, dtype=torch.float64),
        station_geometry=torch.from_numpy(places_of(["XX.A.", "XX.B."], stations)[0]).float(),
    )
    with torch.no_grad():
        expected = listening(batch)["picking"]["probability"]
    for row, code in enumerate("AB"):
        curve = annotated.select(station=code, channel="seisfm_P")[0].data
        np.testing.assert_allclose(curve, expected[row, 0], atol=1e-4)


@pytest.mark.slow
def test_the_order_of_stations_is_irrelevant(listening, stream, stations, together):
    found = picks(listening, obspy.Stream(stream[::-1]), stations.iloc[::-1])
    assert_alike(found, together, within_s=1e-5)


@pytest.mark.slow
def test_the_batch_size_is_irrelevant(listening, stream, stations, together):
    assert_alike(picks(listening, stream, stations, batch_size=3), together)


def test_picks_shift_with_the_data(listening, stream, stations, together):
    later = stream.copy()
    for trace in later:
        trace.stats.starttime += 86400.25
    found = picks(listening, later, stations)
    found["time"] -= pd.Timedelta(seconds=86400.25)
    assert_alike(found, together, within_s=1e-4)


@pytest.mark.slow
def test_picks_do_not_depend_on_where_the_streams_begin(listening, stream, stations):
    """With a quarter of the windows for the second look, to within some hundredths of a second."""
    begun_later = stream.copy().trim(START + 3.37)
    first, second = (picks(listening, s, stations, refine_shifts=4) for s in (stream, begun_later))
    assert_alike(first, second, within_s=0.05, within=0.03)


def test_a_station_without_a_place_is_picked_alone_and_told(listening, stream, stations, alone):
    picker = Picker(listening, PickerConfig(**SETTINGS), revision="x")
    result = picker.classify(stream, stations[stations["station"] != "C"])
    assert [(note.item, note.reason) for note in result.skipped] == [
        ("XX.C.", "place unknown: picked by itself, without the others")
    ]
    pd.testing.assert_frame_equal(of(result.picks.frame, "C"), of(alone, "C"))
    others = obspy.Stream([trace for trace in stream if trace.stats.station != "C"])
    assert_alike(of(result.picks.frame, "A"), of(picks(listening, others, stations), "A"))


def test_without_stations_each_is_picked_alone_and_that_is_told(listening, stream):
    result = Picker(listening, PickerConfig(**SETTINGS)).classify(stream)
    assert [note.item for note in result.skipped] == ["stations"]
    assert "each is picked by itself" in result.skipped[0].reason


@pytest.mark.parametrize("settings", [{"within_km": 1.0}, {"nearest_stations": 1}])
@pytest.mark.slow
def test_stations_out_of_reach_are_picked_alone(listening, motion, stations, settings):
    stream = motion(duration_s=25.0, arrivals=((9.0, 12.0),), station="A")
    stream += motion(duration_s=25.0, arrivals=((8.0, 12.0),), station="B", seed=1)
    found = picks(listening, stream, stations, **settings)
    pd.testing.assert_frame_equal(found, picks(listening, stream))


@pytest.mark.slow
def test_more_stations_than_share_an_exchange_listen_to_the_nearest(listening, stream, stations):
    """B is nearest to A, so that with two at most A listens to B alone."""
    pair = obspy.Stream([trace for trace in stream if trace.stats.station in "AD"])
    found = picks(listening, stream, stations, nearest_stations=2)
    assert_alike(of(found, "A"), of(picks(listening, pair, stations), "A"))


def test_an_inventory_and_a_file_of_stations_are_taken(stations, tmp_path):
    inventory = obspy.Inventory(
        networks=[
            obspy.core.inventory.Network(
                "XX",
                stations=[
                    obspy.core.inventory.Station(
                        row.station, row.latitude_deg, row.longitude_deg, row.elevation_m
                    )
                    for row in stations.itertuples()
                ],
            )
        ]
    )
    inventory.write(str(tmp_path / "stations.xml"), format="STATIONXML")
    for given in (inventory, tmp_path / "stations.xml"):
        pd.testing.assert_frame_equal(station_table(given)[stations.columns], stations, check_dtype=False)
    with pytest.raises(ValueError, match="must be a table with the columns"):
        station_table(stations.drop(columns="latitude_deg"))


def test_places_are_found_by_id_else_by_code_and_an_unknown_elevation_is_told(stations):
    stations = stations.assign(elevation_m=[np.nan, 1.0, 2.0, 3.0])
    places, notes = places_of(["XX.A.00", "XX.B.", "YY.A."], stations)
    np.testing.assert_array_equal(places, [[46.0, 8.0, 0.0], [46.1, 8.2, 1.0], [np.nan] * 3])
    assert [(note.item, note.reason) for note in notes] == [("XX.A.00", "elevation unknown: taken as 0 m")]


def record(station_id, channel):
    return Record(
        record_id=f"{station_id}.{channel}",
        waveform=np.zeros((1, 10), np.float32),
        component_names=("Z",),
        sampling_rate_hz=100.0,
        start_time=0.0,
        station_id=station_id,
        metadata={"trace_channel": channel},
    )


def test_a_record_listens_to_one_instrument_of_each_other_station():
    records = [record("XX.A.", "HN"), record("XX.A.", "HH"), record("XX.B.", "HH"), record("XX.B.10", "HN")]
    places = np.array([[46.0, 8.0, 0.0]] * 2 + [[46.1, 8.0, 0.0]] * 2)
    companions = Companions(records, places, nearest=12, within_km=50.0)
    everyone = range(4)
    assert [companions.of(number, everyone) for number in everyone] == [(0, 2), (1, 2), (1, 2), (1, 3)]
    assert companions.of(2, {0, 2}) == (0, 2)


@pytest.mark.parametrize("settings", [{"nearest_stations": 0}, {"within_km": -1.0}])
def test_impossible_settings_are_refused(settings):
    with pytest.raises(ValueError, match="nearest_stations must be at least 1 and within_km not negative"):
        PickerConfig(**settings)


@pytest.fixture(scope="module")
def archive(stream, tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive")
    stream.write(str(folder / "all.mseed"), format="MSEED")
    return folder


@pytest.fixture(scope="module")
def archived(listening, stations, archive, tmp_path_factory):
    """The folder of a finished run, and what it found."""
    folder = tmp_path_factory.mktemp("out")
    picker = Picker(listening, PickerConfig(**SETTINGS, refine=False), revision="x")
    found = pick_archive(Archive.open(archive), picker, folder, places=stations, show_progress=False)
    return folder, picker, found


def test_an_archive_is_picked_as_its_stream_is(archived, stream, stations):
    _, picker, found = archived
    assert (found.num_computed, found.errors) == (4, [])
    assert_alike(found.picks.frame, picker.classify(stream, stations).picks.frame)


def test_an_interrupted_run_on_an_archive_ends_as_one_that_was_not(archived, archive, stations, tmp_path):
    folder, picker, whole = archived
    half = copytree(folder, tmp_path / "half")
    next(half.rglob("XX.B./*.parquet")).unlink()
    resumed = pick_archive(Archive.open(archive), picker, half, places=stations, show_progress=False)
    assert resumed.picks == whole.picks and resumed.num_computed == 4
    again = pick_archive(Archive.open(archive), picker, half, places=stations, show_progress=False)
    assert again.picks == whole.picks and (again.num_computed, again.num_kept) == (0, 4)


def test_picks_of_a_network_that_stood_elsewhere_are_not_mixed_with_others(archived, archive, stations):
    folder, picker, _ = archived
    moved = stations.assign(latitude_deg=stations["latitude_deg"] + 0.1)
    for places in (moved, None):
        with pytest.raises(ValueError, match=r"other settings: .*network was .*, is now"):
            pick_archive(Archive.open(archive), picker, folder, places=places, show_progress=False)


@pytest.mark.slow
def test_a_station_that_cannot_be_written_costs_only_itself(archive, single, stations, tmp_path):
    """Of untrained ears and no second look: only the files count."""
    model = with_network(single, NetworkConfig(dim=16), seed=1)
    picker = Picker(model, PickerConfig(**SETTINGS, refine=False), revision="x")
    blocked = tmp_path / "picks" / "XX.B."
    blocked.parent.mkdir()
    blocked.write_text("in the way")
    run = pick_archive(Archive.open(archive), picker, tmp_path, places=stations, show_progress=False)
    assert [error.item for error in run.errors] == ["XX.B. 2018-12-30"]
    blocked.unlink()
    again = pick_archive(Archive.open(archive), picker, tmp_path, places=stations, show_progress=False)
    assert (again.num_computed, again.errors) == (4, [])


@pytest.fixture
def demo(listening, tmp_path):
    """A folder with the model, the demo's archive of four stations, and where they stand."""
    listening.save_pretrained(tmp_path / "model")
    (tmp_path / "archive").mkdir()
    stream = uh_archive()
    stream.trim(stream[0].stats.starttime, stream[0].stats.starttime + 60.0)
    stream.write(str(tmp_path / "archive" / "uh.mseed"), format="MSEED")
    uh_stations().to_csv(tmp_path / "stations.csv", index=False)
    return tmp_path, stream


def command(*arguments):
    with pytest.raises(SystemExit) as end:
        app([str(argument) for argument in arguments], prog_name="seisfm")
    return end.value.code or 0


@pytest.mark.slow
def test_the_pick_command_picks_stations_together(listening, demo):
    folder, stream = demo
    told = ("--model", folder / "model", "--stations", folder / "stations.csv")
    assert command("pick", folder / "archive", *told, "--out", folder / "picks.parquet") == 0
    found = Picker(listening).classify(stream, uh_stations()).picks.frame
    written = read_picks(folder / "picks.parquet").frame
    assert len(found) and written["station_id"].equals(found["station_id"])
    np.testing.assert_allclose(written["probability"], found["probability"], atol=1e-4)


def test_the_catalog_command_picks_stations_together(listening, demo):
    folder, stream = demo
    settings = {
        "archive": folder / "archive",
        "stations": folder / "stations.csv",
        "model": folder / "model",
        "output_dir": folder / "catalog",
        "picker.refine": "false",
        "show_progress": "false",
    }
    given = [f"{key}={value}" for key, value in settings.items()]
    assert command("catalog", "catalog/few_stations.yaml", *given) == 0
    found = Picker(listening, PickerConfig(refine=False)).classify(stream, uh_stations()).picks.frame
    written = read_picks(folder / "catalog" / "picks.parquet").frame
    assert len(found) and written["station_id"].equals(found["station_id"])
    assert json.loads((folder / "catalog" / "picks" / "picking.json").read_text())["network"]
