import datetime
import os
from pathlib import Path

import numpy as np
import obspy
import pytest
from seisfm.data.continuous.archive import Archive, StationDay, read_waveforms

MIDNIGHT = obspy.UTCDateTime(2021, 1, 1)
REAL_DATA = Path(os.environ.get("SEISFM_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))


def day_of_data(station="AAA", channel="HHZ", start=MIDNIGHT - 600, npts=1200, location="00"):
    data = np.random.default_rng(0).integers(-1000, 1000, npts).astype(np.int32)
    header = {"network": "XX", "station": station, "location": location, "channel": channel}
    return obspy.Trace(data, {**header, "starttime": start, "sampling_rate": 1.0})


def write_sds(root, trace):
    cut = trace.stats.starttime
    while cut < trace.stats.endtime:
        midnight = obspy.UTCDateTime(cut.date) + 86400
        part = trace.slice(cut, midnight - trace.stats.delta)
        s = part.stats
        folder = root / f"{cut.year}" / s.network / s.station / f"{s.channel}.D"
        folder.mkdir(parents=True, exist_ok=True)
        part.write(str(folder / f"{part.id}.D.{cut.year}.{cut.julday:03d}"), format="MSEED")
        cut = midnight


@pytest.fixture
def sds(tmp_path):
    for channel in ("HHZ", "HHN"):
        write_sds(tmp_path, day_of_data(channel=channel))
    write_sds(tmp_path, day_of_data(station="BBB", location="", start=MIDNIGHT + 10))
    return tmp_path


@pytest.fixture
def folder(tmp_path):
    for channel in ("HHZ", "HHN"):
        day_of_data(channel=channel).write(str(tmp_path / f"{channel} [raw].mseed"), format="MSEED")
    day_of_data(station="BBB", location="", start=MIDNIGHT + 10).write(str(tmp_path / "b.sac"), format="SAC")
    return tmp_path


@pytest.mark.parametrize("kind", ["sds", "folder"])
def test_sds_and_folder_are_read_alike(kind, request):
    archive = Archive.open(request.getfixturevalue(kind))
    assert archive.station_ids == ["XX.AAA.00", "XX.BBB."]
    assert archive.station_days() == [
        StationDay(station_id="XX.AAA.00", day=datetime.date(2020, 12, 31)),
        StationDay(station_id="XX.AAA.00", day=datetime.date(2021, 1, 1)),
        StationDay(station_id="XX.BBB.", day=datetime.date(2021, 1, 1)),
    ]
    stream = archive.read("XX.AAA.00", MIDNIGHT.timestamp - 30, MIDNIGHT.timestamp + 30).merge()
    assert sorted(trace.id for trace in stream) == ["XX.AAA.00.HHN", "XX.AAA.00.HHZ"]
    np.testing.assert_array_equal(stream[0].data, day_of_data().data[570:631])
    assert len(archive.read("XX.AAA.00", 0.0, 10.0)) == 0
    assert archive.skipped == []


@pytest.mark.parametrize("kind", ["sds", "folder"])
def test_a_day_with_its_halo(kind, request):
    archive = Archive.open(request.getfixturevalue(kind))
    day = StationDay(station_id="XX.AAA.00", day=datetime.date(2021, 1, 1))
    assert archive.read_day(day).merge()[0].stats.starttime == MIDNIGHT
    assert archive.read_day(day, halo_s=45).merge()[0].stats.starttime == MIDNIGHT - 45


def test_a_damaged_day_costs_itself_alone(sds):
    broken = sds / "2021" / "XX" / "AAA" / "HHN.D" / "XX.AAA.00.HHN.D.2021.001"
    broken.write_bytes(b"")
    archive = Archive.open(sds)
    for _ in range(2):
        stream = archive.read("XX.AAA.00", MIDNIGHT, MIDNIGHT + 20)
        assert [trace.id for trace in stream] == ["XX.AAA.00.HHZ"]
    assert [(note.item, note.reason) for note in archive.skipped] == [
        (str(broken), "the file is empty (0 bytes)")
    ]


def test_unknown_station_lists_the_known(sds):
    with pytest.raises(KeyError, match=r"no station 'XX.CCC.'.*XX.AAA.00"):
        Archive.open(sds).read("XX.CCC.", 0.0, 1.0)


def test_times_in_the_wrong_order(sds):
    with pytest.raises(ValueError, match="start_time must lie before end_time"):
        Archive.open(sds).read("XX.AAA.00", 10.0, 1.0)


def test_no_archive_says_what_was_expected(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected a folder of waveform files, or an SDS tree"):
        Archive.open(tmp_path / "absent")
    (tmp_path / "notes.txt").write_text("nothing here")
    with pytest.raises(ValueError, match=r"no waveforms in .*notes.txt: not a waveform format"):
        Archive.open(tmp_path)


def test_missing_file_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no waveforms at .*absent.mseed"):
        read_waveforms(tmp_path / "absent.mseed")


def test_files_and_folders_together(folder):
    (folder / "readme.txt").write_text("by hand")
    (folder / ".DS_Store").write_text("hidden")
    stream, skipped = read_waveforms([folder, folder / "b.sac"])
    assert len(stream) == 4
    assert [(Path(s.item).name, s.reason) for s in skipped] == [
        ("readme.txt", "not a waveform format that ObsPy knows")
    ]


def test_empty_and_corrupt_files_give_a_reason(tmp_path):
    (tmp_path / "empty.mseed").write_bytes(b"")
    whole = tmp_path / "whole.mseed"
    day_of_data().write(str(whole), format="MSEED", reclen=512)
    (tmp_path / "corrupt.mseed").write_bytes(whole.read_bytes()[:48] + b"\xff" * 464)
    stream, skipped = read_waveforms(tmp_path)
    assert [trace.stats.npts for trace in stream] == [1200]
    reasons = {Path(note.item).name: note.reason for note in skipped}
    assert set(reasons) == {"empty.mseed", "corrupt.mseed"}
    assert all("\n" not in reason for reason in reasons.values())


@pytest.mark.parametrize("cut", [1, 100, 500])
def test_truncated_miniseed_keeps_what_is_readable_and_says_so(tmp_path, cut):
    path = tmp_path / "cut.mseed"
    day_of_data().write(str(path), format="MSEED", reclen=512)
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    stream, skipped = read_waveforms(path)
    num_kept = stream[0].stats.npts
    assert 0 < num_kept < 1200
    np.testing.assert_array_equal(stream[0].data, day_of_data().data[:num_kept])
    assert "read in part" in skipped[0].reason and "truncated" in skipped[0].reason


def test_records_of_several_lengths_are_not_called_truncated(tmp_path):
    parts = []
    for i, length in enumerate((4096, 512)):
        path = tmp_path / f"{length}.mseed"
        day_of_data(start=MIDNIGHT + 1200 * i).write(str(path), format="MSEED", reclen=length)
        parts.append(path.read_bytes())
        path.unlink()
    (tmp_path / "mixed.mseed").write_bytes(b"".join(parts))
    stream, skipped = read_waveforms(tmp_path)
    assert skipped == []
    assert sum(trace.stats.npts for trace in stream) == 2400


@pytest.mark.skipif(
    not (REAL_DATA / "iceland_continuous").is_dir(), reason="needs SEISFM_DATA/iceland_continuous"
)
def test_iceland_folder():
    archive = Archive.open(REAL_DATA / "iceland_continuous")
    assert len(archive.station_ids) == 20
    stream = archive.read(
        "2C.BIT06.", obspy.UTCDateTime(2018, 12, 30, 3, 1), obspy.UTCDateTime(2018, 12, 30, 3, 2)
    )
    assert [len(trace) for trace in stream] == [12001] * 3
