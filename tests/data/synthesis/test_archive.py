"""The synthetic archive: read back through ObsPy's own clients, and true."""

from __future__ import annotations

import numpy as np
import obspy
import pandas as pd
import pytest
import torch
from obspy.clients.filesystem.sds import Client
from seisfm.data.earth.velocity import VelocityModel
from seisfm.data.synthesis import SynthesisConfig, synthesize_archive
from seisfm.data.synthesis.archive_files import channel_prefix, write_day_files
from seisfm.data.synthesis.archive_network import ArchiveInstrument, ArchiveNetwork, ArchiveStation
from seisfm.data.synthesis.disturbances import DisturbanceConfig
from seisfm.data.synthesis.network_health import HealthConfig

START = obspy.UTCDateTime(2020, 1, 1)
SITE = ArchiveStation(
    station_id="SY.S001.",
    latitude_deg=46.0,
    longitude_deg=8.0,
    elevation_m=0.0,
    instrument=ArchiveInstrument(sensor="broadband", corner_hz=0.01, damping=0.7, gain_counts_s_m=1e9),
)


CALM = SynthesisConfig(disturbances=DisturbanceConfig(share=0.0))
"""So that what rises at a pick is the event."""


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return synthesize_archive(CALM, 4, 420.0, 4, 4, tmp_path_factory.mktemp("archive"))


def test_archive_reads_as_sds(archive):
    stream = Client(str(archive.sds)).get_waveforms("SY", "*", "*", "*", START, START + 420)
    assert len(stream) == 12 and {trace.stats.npts for trace in stream} == {42000}
    assert {trace.data.dtype for trace in stream} == {np.dtype("int32")}
    lines = archive.stations_csv.read_text().splitlines()
    assert lines[0].startswith("network,station,location,latitude") and len(lines) == 5


def test_response_in_stationxml_is_the_instrument(archive):
    inventory = obspy.read_inventory(str(archive.inventory))
    network = ArchiveNetwork(CALM, 4, 4)
    frequency_hz = np.array([0.5, 2.0, 10.0, 20.0])
    made = network.instrument.response(torch.from_numpy(frequency_hz).float()).numpy()
    for number, site in enumerate(archive.sites):
        prefix = channel_prefix(site.instrument.sensor, 100.0)
        response = inventory.get_response(f"{site.station_id}.{prefix}Z", START)
        found = response.get_evalresp_response_for_frequencies(frequency_hz, output="VEL")
        expected = site.instrument.gain_counts_s_m * made[number]
        np.testing.assert_allclose(np.abs(found), np.abs(expected), rtol=0.05)


def test_catalog_is_true_and_its_picks_stand_out(archive):
    """Picks agree with the velocity model's times, and energy rises there."""
    catalog = obspy.read_events(str(archive.catalog))
    model = VelocityModel.from_file(archive.velocity_model)
    stream = Client(str(archive.sds)).get_waveforms("SY", "*", "*", "??Z", START, START + 420)
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
    again = synthesize_archive(CALM, 4, 420.0, 4, 4, tmp_path)
    assert again.events == archive.events and again.sites == archive.sites
    file = sorted(archive.sds.rglob("*Z.D.2020.001"))[0]
    assert (again.sds / file.relative_to(archive.sds)).read_bytes() == file.read_bytes()


def test_days_go_to_their_own_files(tmp_path):
    """The first day's file ends with it; what was not observed is a gap, not a number."""
    counts = np.zeros((3, 400), dtype=np.float32)
    counts[:, 200:250] = np.nan
    write_day_files(tmp_path, SITE, counts, 1.0, float(START + 86400 - 100))
    files = sorted(path.name for path in tmp_path.rglob("*BHZ.D*") if path.is_file())
    assert files == ["SY.S001..BHZ.D.2020.001", "SY.S001..BHZ.D.2020.002"]
    days = [obspy.read(str(path)) for path in sorted(tmp_path.rglob("*BHZ.D.2020*"))]
    assert [[trace.stats.npts for trace in day] for day in days] == [[100], [100, 150]]


def test_too_short_an_archive(tmp_path):
    with pytest.raises(ValueError, match="needs a station and more than"):
        synthesize_archive(SynthesisConfig(), 0, 60.0, 3, 1, tmp_path)


def test_a_station_that_fails_says_so(tmp_path):
    """Outages are gaps in the data and in the list, and no pick lies in one."""
    health = HealthConfig(outage_share=0.4, outage_s=(20.0, 60.0), sick_share=1.0)
    made = synthesize_archive(SynthesisConfig(health=health), 4, 420.0, 4, 6, tmp_path)
    listed = pd.read_csv(made.health)
    assert set(listed["station_id"]) == {site.station_id for site in made.sites}
    outages = listed[listed["what"] == "outage"]
    stream = Client(str(made.sds)).get_waveforms("SY", "*", "*", "??Z", START, START + 420)
    for site in made.sites:
        code = site.station_id.split(".")[1]
        own = outages[outages["station_id"] == site.station_id]
        spans = [
            (obspy.UTCDateTime(a), obspy.UTCDateTime(b))
            for a, b in zip(own["begin"], own["end"], strict=True)
        ]
        for trace in stream.select(station=code):
            assert not any(
                a + 0.02 < trace.stats.endtime and b - 0.02 > trace.stats.starttime for a, b in spans
            )
        for event in made.events:
            for arrival in event.arrivals.get(site.station_id, ()):
                if arrival.phase == "P":
                    assert not any(a <= START + arrival.time_s < b for a, b in spans)
    recorded_s = sum(trace.stats.npts for trace in stream) / 100 / 4
    assert 0.35 < recorded_s / 420 < 0.85


def test_a_day_has_no_seams_where_its_pieces_meet(tmp_path, monkeypatch):
    """The same noise in pieces of one hour and in one piece, to float tolerance."""
    config = SynthesisConfig(sampling_rate_hz=20.0, disturbances=DisturbanceConfig(share=0.0))
    whole = synthesize_archive(config, 1, 7400.0, 1, 1, tmp_path / "whole")
    monkeypatch.setattr("seisfm.data.synthesis.archive.HOURS_AT_ONCE", 1)
    pieces = synthesize_archive(config, 1, 7400.0, 1, 1, tmp_path / "pieces")
    assert whole.events == pieces.events
    for file in whole.sds.rglob("*.001"):
        first, second = (
            obspy.read(str(part))[0].data for part in (file, pieces.sds / file.relative_to(whole.sds))
        )
        assert np.abs(first - second).max() <= max(2, 1e-5 * np.abs(first).max())
