import numpy as np
import obspy
import pytest
from obspy.core.inventory import Channel, Inventory, Network, Response, Station
from seisfm.data.continuous.inventory import ChannelBook
from seisfm.data.records import Record

CHANGE = obspy.UTCDateTime("2021-06-01")


def make_channel(name, azimuth, dip, start, end, gain, latitude, units="M/S"):
    pole = 2 * np.pi * complex(-0.7, 0.7)
    response = Response.from_paz(
        [0.0, 0.0], [pole, pole.conjugate()], gain, stage_gain_frequency=10.0,
        normalization_frequency=10.0, input_units=units, output_units="COUNTS",
    )  # fmt: skip
    return Channel(
        name, "", latitude=latitude, longitude=8.0, elevation=500.0, depth=0.0, azimuth=azimuth, dip=dip,
        sample_rate=100.0, start_date=start, end_date=end, response=response,
    )  # fmt: skip


def make_inventory():
    """A station that moved by a degree and got another seismometer."""
    first, last = obspy.UTCDateTime("2020-01-01"), obspy.UTCDateTime("2025-01-01")
    directions = {"HHZ": (0.0, -90.0), "HH1": (20.0, 0.0), "HH2": (110.0, 0.0)}
    channels = [
        make_channel(name, *angles, start, end, gain, latitude)
        for name, angles in directions.items()
        for start, end, gain, latitude in ((first, CHANGE, 1e9, 46.0), (CHANGE, last, 2e9, 47.0))
    ]
    station = Station("A", latitude=46.0, longitude=8.0, elevation=500.0, channels=channels)
    return Inventory([Network("XX", stations=[station])])


def make_record(time, unit="counts", station_id="XX.A.", components=("Z", "1", "2")):
    return Record(
        record_id="r",
        waveform=np.zeros((len(components), 10), dtype=np.float32),
        component_names=components,
        sampling_rate_hz=100.0,
        start_time=obspy.UTCDateTime(time).timestamp,
        station_id=station_id,
        unit=unit,
        metadata={"trace_channel": "HH"},
    )


@pytest.mark.parametrize(("time", "gain", "latitude"), [("2021-01-01", 1e9, 46.0), ("2022-01-01", 2e9, 47.0)])
def test_a_record_finds_the_epoch_of_its_time(time, gain, latitude):
    skipped = []
    about = ChannelBook(make_inventory()).about(make_record(time), skipped)
    assert not skipped
    assert about["station_latitude_deg"] == latitude and about["station_elevation_m"] == 500.0
    assert (
        about["trace_sensitivity"] == pytest.approx([gain] * 3, rel=1e-3)
        and about["trace_sensitivity_unit"] == "m/s"
    )
    assert about["trace_component_azimuth_deg"] == [0.0, 20.0, 110.0]
    assert about["trace_component_dip_deg"] == [-90.0, 0.0, 0.0]
    assert about["station_instrument"] == "broadband" and about["trace_response_state"] == "raw"
    assert about["station_epoch_end" if latitude < 47 else "station_epoch_start"] == str(CHANGE)
    assert len(about["trace_response"]["poles"]) == 2


def test_samples_in_physical_units_get_no_sensitivity():
    about = ChannelBook(make_inventory()).about(make_record("2022-01-01", unit="m/s"), [])
    assert "trace_component_dip_deg" in about and "trace_sensitivity" not in about
    assert "trace_response" not in about and "trace_response_state" not in about


def test_what_the_inventory_does_not_know_is_told():
    skipped = []
    book = ChannelBook(make_inventory())
    about = book.about(make_record("2022-01-01", station_id="XX.B."), skipped)
    assert about == {"station_instrument": "broadband", "trace_response_state": "raw"}
    assert "not in the inventory" in skipped[-1].reason
    book.about(make_record("2022-01-01", components=("Z", "N")), skipped)
    assert "XX.A..HHN: not in the inventory at 2022" in skipped[-1].reason


def test_a_folder_of_inventories_is_one(tmp_path):
    make_inventory().write(str(tmp_path / "XX.A.xml"), format="STATIONXML")
    obspy.read_inventory().write(str(tmp_path / "more.xml"), format="STATIONXML")
    book = ChannelBook.read(tmp_path)
    assert book.about(make_record("2022-01-01"), [])["station_latitude_deg"] == 47.0
    assert "station_latitude_deg" in book.about(make_record("2012-01-01", station_id="GR.FUR."), [])


def test_components_whose_codes_are_no_names_are_looked_up_by_their_codes():
    inventory = make_inventory()
    for channel, code in zip(inventory[0][0], ("UD", "UD", "NS", "NS", "EW", "EW"), strict=True):
        channel.code = code
    record = make_record(CHANGE - 10, components=("Z", "N", "E"))
    record.metadata.update(trace_channel="", trace_component_codes=["UD", "NS", "EW"])
    about = ChannelBook(inventory).about(record, [])
    assert about["trace_component_azimuth_deg"] == [0.0, 20.0, 110.0]
