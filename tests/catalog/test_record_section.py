"""Record sections of whatever an archive holds."""

import pandas as pd
import pytest
from seisfm.catalog.report import record_section
from seisfm.data.continuous.archive import Archive
from seisfm.data.earth.velocity import VelocityModel

STATIONS = pd.DataFrame(
    {
        "network": ["XX", "XX"],
        "station": ["ST01", "ST02"],
        "latitude_deg": [46.0, 46.1],
        "longitude_deg": [8.0, 8.0],
        "elevation_m": [400.0, float("nan")],
    }
)
NO_ARRIVALS = pd.DataFrame({"station_id": [], "phase": [], "time": []}).astype("str")


@pytest.fixture
def event(motion):
    start = motion()[0].stats.starttime
    time = pd.Timestamp((start + 25).datetime, tz="UTC")
    return {"time": time, "latitude_deg": 46.05, "longitude_deg": 8.1, "depth_km": 5.0}


def test_a_station_whose_rate_changes_is_shown_with_its_first(motion, event, tmp_path):
    first = motion(duration_s=30.0)
    later = motion(duration_s=30.0, rate_hz=50.0, start=first[0].stats.endtime + 0.01)
    (first + later).write(str(tmp_path / "day.mseed"), format="MSEED")
    archive = Archive.open(tmp_path)
    figure, count = record_section(event, NO_ARRIVALS, STATIONS, archive, VelocityModel.default())
    assert figure is not None and count == 1


def test_an_archive_without_a_vertical_has_no_record_section(motion, event, tmp_path):
    motion(codes=("HHN", "HHE")).write(str(tmp_path / "day.mseed"), format="MSEED")
    archive = Archive.open(tmp_path)
    assert record_section(event, NO_ARRIVALS, STATIONS, archive, VelocityModel.default()) == (None, 0)
