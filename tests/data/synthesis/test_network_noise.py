"""Noise of a network without a catalog: what all of it feels is cut out, what one station feels is not."""

import os
from pathlib import Path

import numpy as np
import obspy
import pytest
from obspy import UTCDateTime
from seisfm.data.continuous.archive import Archive
from seisfm.data.synthesis.network_noise import (
    QUIET_BY,
    CoincidenceConfig,
    NetworkNoiseConfig,
    coincident_picks,
    cut_network_noise,
)
from seisfm.data.synthesis.noise_bank import NoiseBankConfig

START = UTCDateTime(2021, 3, 4, 5)
RATE_HZ = 50.0
DATA = Path(os.environ.get("SEISFM_DATA", Path(__file__).parents[3] / ".." / "shared" / "data"))


def make_archive(folder: Path, num_stations: int = 5, alone_s: float | None = None) -> Archive:
    """White noise of some stations for 4 minutes; at 100 s all feel an event, at `alone_s` one."""
    generator = np.random.default_rng(0)
    folder.mkdir()
    decay = np.exp(-np.arange(round(8 * RATE_HZ)) / (2.0 * RATE_HZ))
    for number in range(num_stations):
        counts = generator.normal(size=round(240 * RATE_HZ)) * 100.0
        for begin_s in (100.0 + 0.5 * number, *((alone_s,) if alone_s and number == 0 else ())):
            first = round(begin_s * RATE_HZ)
            counts[first : first + len(decay)] += 1500.0 * decay * generator.normal(size=len(decay))
        header = {"network": "XX", "station": f"S{number}", "channel": "HHZ", "starttime": START}
        trace = obspy.Trace(counts.astype(np.int32), header | {"sampling_rate": RATE_HZ})
        trace.write(str(folder / f"S{number}.mseed"), format="MSEED")
    return Archive.open(folder)


def test_an_event_is_told_to_every_station_with_its_end(tmp_path):
    archive = make_archive(tmp_path / "archive", alone_s=180.0)
    picks = coincident_picks(archive, [])
    assert sorted(picks.station_id.unique()) == archive.station_ids
    assert len(picks.event_id.unique()) == 1, "what one station feels is no event"
    begin, end = (picks[picks.phase == phase].time.iloc[0] - START.timestamp for phase in ("P", "S"))
    assert begin == pytest.approx(101.0, abs=1.5) and 102.0 < end < 115.0


def test_noise_is_clear_of_the_event_at_all_stations(tmp_path):
    archive = make_archive(tmp_path / "archive")
    skipped = []
    bank = NoiseBankConfig(duration_s=20.0, clearance_s=(5.0, 20.0), veto=None)
    found = list(cut_network_noise(archive, skipped, NetworkNoiseConfig(bank=bank)))
    assert {record.station_id for record in found} == set(archive.station_ids)
    for record in found:
        begin_s = record.start_time - START.timestamp
        assert begin_s + record.duration_s <= 97.0 or begin_s >= 120.0
        assert record.arrivals == () and record.labelled_phases == {"P", "S"}
        assert record.metadata["trace_quiet_by"] == QUIET_BY
    assert len(found) == 5 * (4 + 5)


def test_too_few_stations_are_told_and_leave_it_to_the_veto(tmp_path):
    archive = make_archive(tmp_path / "archive", num_stations=3)
    skipped = []
    bank = NoiseBankConfig(duration_s=20.0)
    found = list(cut_network_noise(archive, skipped, NetworkNoiseConfig(bank=bank)))
    assert len(found) > 20
    assert any("the energy rises" in one.reason or "kurtosis" in one.reason for one in skipped)
    assert coincident_picks(archive, skipped).empty
    assert any("only 3 of the 4 stations that it takes" in one.reason for one in skipped)


def test_short_and_slow_traces_are_told(tmp_path):
    archive = make_archive(tmp_path / "archive")
    skipped = []
    coincident_picks(archive, skipped, CoincidenceConfig(lta_s=200.0))
    assert len([one for one in skipped if "too few for an average of 200 s" in one.reason]) == 5
    skipped.clear()
    coincident_picks(archive, skipped, CoincidenceConfig(band_hz=(23.0, 24.0)))
    assert len([one for one in skipped if "50 Hz are too few for 23 Hz" in one.reason]) == 5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"least_stations": 1}, "least_stations must be 2 or more, found 1"),
        ({"band_hz": (5.0, 2.0)}, "band_hz must rise"),
        ({"sta_s": 20.0}, "sta_s must lie below lta_s"),
        ({"off": 9.0}, "off below on"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        CoincidenceConfig(**settings)


@pytest.mark.slow
@pytest.mark.skipif(not (DATA / "iceland_continuous").is_dir(), reason="needs SEISFM_DATA/iceland_continuous")
def test_five_minutes_of_iceland_hold_events_and_noise():
    archive = Archive.open(DATA / "iceland_continuous")
    assert coincident_picks(archive, []).event_id.nunique() >= 4
    found = list(cut_network_noise(archive, []))
    assert len({record.station_id for record in found}) >= 10
    assert all(record.duration_s == pytest.approx(15.0, abs=1.5) for record in found)
