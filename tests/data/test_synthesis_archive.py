"""The synthetic archive: read back through ObsPy's own clients, and true."""

from __future__ import annotations

import numpy as np
import obspy
import pytest
from obspy.clients.filesystem.sds import Client
from seisfm.data.earth.velocity import VelocityModel
from seisfm.data.synthesis import SynthesisConfig, synthesize_archive
from seisfm.data.synthesis.archive_files import write_day_files

START = obspy.UTCDateTime(2020, 1, 1)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return synthesize_archive(SynthesisConfig(), 4, 420.0, 4, 4, tmp_path_factory.mktemp("archive"))


def test_archive_reads_as_sds(archive):
    stream = Client(str(archive.sds)).get_waveforms("SY", "*", "*", "HH?", START, START + 420)
    assert len(stream) == 12 and {trace.stats.npts for trace in stream} == {42000}
    assert {trace.data.dtype for trace in stream} == {np.dtype("int32")}
    lines = archive.stations_csv.read_text().splitlines()
    assert lines[0].startswith("network,station,location,latitude") and len(lines) == 5


def test_response_in_stationxml_is_the_instrument(archive):
    inventory = obspy.read_inventory(str(archive.inventory))
    site = archive.sites[0]
    response = inventory.get_response(f"{site.station_id}.HHZ", START)
    frequency_hz = np.array([0.5, 2.0, 10.0, 20.0])
    found = response.get_evalresp_response_for_frequencies(frequency_hz, output="VEL")
    expected = site.instrument.gain_counts_s_m * site.instrument.response(frequency_hz, 100.0)
    np.testing.assert_allclose(np.abs(found), np.abs(expected), rtol=0.05)


def test_catalog_is_true_and_its_picks_stand_out(archive):
    """Picks agree with the velocity model's times, and energy rises there."""
    catalog = obspy.read_events(str(archive.catalog))
    model = VelocityModel.from_file(archive.velocity_model)
    stream = Client(str(archive.sds)).get_waveforms("SY", "*", "*", "HHZ", START, START + 420)
    stream.filter("highpass", freq=2.0)
    sites = {site.station_id: site for site in archive.sites}
    rises = []
    assert len(catalog) == 4
    for event in catalog:
        origin = event.preferred_origin()
        assert len(event.picks) >= 2 and len(origin.arrivals) == len(event.picks)
        assert event.focal_mechanisms and event.preferred_magnitude().magnitude_type == "Mw"
        for pick in event.picks:
            codes = pick.waveform_id
            site = sites[f"{codes.network_code}.{codes.station_code}."]
            distance_m = obspy.geodetics.gps2dist_azimuth(
                origin.latitude, origin.longitude, site.latitude_deg, site.longitude_deg
            )[0]
            expected_s = model.travel_time_s(
                distance_m / 1e3, origin.depth / 1e3, pick.phase_hint, site.elevation_m
            )
            assert pick.time - origin.time == pytest.approx(float(expected_s), abs=0.06)
            if pick.phase_hint == "P":
                trace = stream.select(station=codes.station_code)[0]
                after = trace.slice(pick.time, pick.time + 0.5).data.std()
                rises.append(after / trace.slice(pick.time - 2, pick.time - 0.1).data.std())
    assert np.mean(np.array(rises) > 1.5) > 0.8


def test_archive_is_reproducible(archive, tmp_path):
    again = synthesize_archive(SynthesisConfig(), 4, 420.0, 4, 4, tmp_path)
    assert again.events == archive.events and again.sites == archive.sites
    file = sorted(archive.sds.rglob("*HHZ.D.2020.001"))[0]
    assert (again.sds / file.relative_to(archive.sds)).read_bytes() == file.read_bytes()


def test_days_go_to_their_own_files(tmp_path):
    counts = np.zeros((3, 400), dtype=np.int32)
    write_day_files(tmp_path, "SY.S001.", counts, 1.0, float(START + 86400 - 100))
    files = sorted(path.name for path in tmp_path.rglob("*HHZ.D*") if path.is_file())
    assert files == ["SY.S001..HHZ.D.2020.001", "SY.S001..HHZ.D.2020.002"]
    lengths = [obspy.read(str(path))[0].stats.npts for path in sorted(tmp_path.rglob("*HHZ.D.2020*"))]
    assert lengths == [100, 300]


def test_too_short_an_archive(tmp_path):
    with pytest.raises(ValueError, match="needs a station and more than"):
        synthesize_archive(SynthesisConfig(), 0, 60.0, 3, 1, tmp_path)
