"""Noise read piece by piece, thresholds at a false-alarm rate, and pieces with a hidden event set aside."""

import dataclasses

import numpy as np
import obspy
import pytest
from seisfm.data.loading.windows import WindowConfig
from seisfm.eval.peaks import make_picks
from seisfm.eval.quiet_noise import (
    noise_windows,
    read_noise,
    station_hours,
    thresholds_for_rate,
    without_events,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three files of 40 s of noise with an arrival-like jump at 30 s, one of 5 s, and one that is none."""
    folder = tmp_path_factory.mktemp("noise")
    rng = np.random.default_rng(0)
    for number, duration_s in enumerate((40, 40, 40, 5)):
        data = rng.normal(size=duration_s * 100).astype(np.float32)
        data[3000:] *= 50
        header = {"network": "XX", "station": f"N{number}", "channel": "HHZ", "sampling_rate": 100.0}
        obspy.Trace(data, header).write(str(folder / f"file{number}.mseed"), format="MSEED")
    (folder / "readme.txt").write_text("no waveform")
    return folder


def test_only_the_quiet_seconds_are_read_in_whole_pieces(folder):
    records, skipped = read_noise(folder, quiet_s=30.0, piece_s=14.0)
    assert [record.record_id for record in records] == [f"file{i}/{k}" for i in range(3) for k in range(2)]
    assert all(record.waveform.shape == (1, 1400) and abs(record.waveform).max() < 6 for record in records)
    assert len({record.event_id for record in records}) == 3
    assert records[1].start_time - records[0].start_time == pytest.approx(14.0)
    reasons = {item.item.rpartition("/")[2]: item.reason for item in skipped}
    assert reasons["file3.mseed"] == "shorter than a piece of 14 s"
    assert "readme.txt" in reasons


def test_each_piece_is_a_window_of_noise_with_its_hours(folder):
    windows = noise_windows(read_noise(folder, 30.0, 14.0)[0], WindowConfig(window_s=14.0))
    assert len(windows) == 6 and windows.is_noise.all()
    assert station_hours(windows) == pytest.approx(6 * 14 / 3600)


def test_nothing_to_read_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected a folder of waveform files"):
        read_noise(tmp_path / "nowhere", 30.0, 10.0)
    with pytest.raises(ValueError, match=r"no noise of 10 s in .*: found 0 files"):
        read_noise(tmp_path, 30.0, 10.0)


def picks_of(heights, phase="P"):
    count = len(heights)
    return make_picks(np.arange(count), [phase] * count, np.ones(count), heights, np.zeros(count))


@pytest.mark.parametrize(("rate", "left"), [(1.0, 2), (1.5, 3), (3.0, 6)])
def test_the_threshold_is_the_lowest_that_the_rate_allows(rate, left):
    heights = np.random.default_rng(0).uniform(0.05, 1.0, size=50)
    found = thresholds_for_rate(picks_of(heights), 2.0, {"P": rate}, lowest=0.05)
    assert (heights >= found["P"]).sum() == left
    assert found["P"] == pytest.approx(np.sort(heights)[-left - 1])


def test_quiet_pickers_keep_the_lowest_threshold_and_silent_ones_have_none():
    found = thresholds_for_rate(picks_of([0.4, 0.6]), 2.0, {"P": 1.5, "S": 1.5}, lowest=0.05)
    assert found == {"P": 0.05}


def test_too_little_noise_is_refused():
    with pytest.raises(ValueError, match=r"1.5 picks of P an hour need 0.67 hours of noise or more, found"):
        thresholds_for_rate(picks_of([0.4]), 0.5, {"P": 1.5}, lowest=0.05)


def test_pieces_with_a_sharp_onset_are_set_aside(folder):
    records, _ = read_noise(folder, 40.0, 10.0)
    assert len(records) == 12
    joined = [
        dataclasses.replace(record, waveform=np.concatenate([record.waveform, scale * record.waveform], 1))
        for record, scale in zip(records[:6], (1, 1, 30, 1, 30, 1), strict=True)
    ]
    kept = without_events(joined, 5.0, WindowConfig(window_s=20.0))
    assert [record.record_id for record in kept] == [records[i].record_id for i in (0, 1, 3, 5)]
