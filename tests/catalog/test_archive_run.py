"""Picking archives, by station-day, in several goes."""

from shutil import copytree

import numpy as np
import obspy
import pytest
from seisfm.catalog.archive_run import pick_archive
from seisfm.catalog.picker import Picker, PickerConfig
from seisfm.data.continuous.archive import Archive


def write_sds(stream: obspy.Stream, root) -> None:
    """Day files in SDS layout."""
    for trace in stream:
        start = trace.stats.starttime
        day = obspy.UTCDateTime(start.date)
        while day < trace.stats.endtime:
            part = trace.slice(day, day + 86400 - trace.stats.delta / 2)
            code = part.stats
            folder = root / str(day.year) / code.network / code.station / f"{code.channel}.D"
            folder.mkdir(parents=True, exist_ok=True)
            name = (
                f"{code.network}.{code.station}.{code.location}.{code.channel}.D.{day.year}.{day.julday:03d}"
            )
            part.write(str(folder / name), format="MSEED")
            day += 86400


MIDNIGHT = obspy.UTCDateTime(2018, 12, 30)
# Arrivals on either side of midnight, and one within a hundredth of a second of it.
ARRIVALS = ((45.0, 48.0), (88.3, 90.0), (120.0, 124.5))


@pytest.fixture(scope="module")
def recorded(motion, picker, tmp_path_factory):
    """A folder with an archive and all of its picks, and what was recorded and found."""
    folder, stream = tmp_path_factory.mktemp("recorded"), obspy.Stream()
    for i in range(2):
        stream += motion(
            duration_s=180.0, arrivals=ARRIVALS, station=f"ST0{i}", seed=i, start=MIDNIGHT - 90.0
        )
    write_sds(stream, folder / "sds")
    run = pick_archive(Archive.open(folder / "sds"), picker, folder / "out", show_progress=False)
    return folder, stream, run


@pytest.fixture
def archive(recorded, tmp_path):
    return Archive.open(copytree(recorded[0] / "sds", tmp_path / "sds"))


@pytest.fixture
def done(recorded, tmp_path):
    """A folder of one's own with all picks of the archive, and the run that made them."""
    return copytree(recorded[0] / "out", tmp_path / "out"), recorded[2]


def test_no_pick_is_lost_or_doubled_at_midnight(recorded, picker):
    _, stream, run = recorded
    whole = picker.classify(stream).picks
    assert run.num_computed == 4
    assert not run.errors
    assert len(run.picks) == len(whole) == 2 * 2 * len(ARRIVALS)
    for name in ("station_id", "phase"):
        assert run.picks.frame[name].tolist() == whole.frame[name].tolist()
    np.testing.assert_allclose(run.picks.time_s, whole.time_s, atol=0.005)


def test_a_second_run_computes_nothing_and_gives_the_same(archive, picker, done):
    folder, first = done
    stamps = {p: p.stat().st_mtime_ns for p in folder.rglob("*.parquet")}
    second = pick_archive(archive, picker, folder, show_progress=False)
    assert (second.num_computed, second.num_kept) == (0, 4)
    assert second.picks == first.picks
    assert stamps == {p: p.stat().st_mtime_ns for p in folder.rglob("*.parquet")}


def test_an_interrupted_run_is_taken_up(archive, picker, done):
    folder, first = done
    next(folder.rglob("*.parquet")).unlink()
    second = pick_archive(archive, picker, folder, show_progress=False)
    assert (second.num_computed, second.num_kept) == (1, 3)
    assert second.picks == first.picks


def test_only_the_wanted_stations(archive, picker, tmp_path):
    run = pick_archive(archive, picker, tmp_path / "out", stations=["XX.ST01."], show_progress=False)
    assert set(run.picks.frame["station_id"]) == {"XX.ST01."}


def test_a_station_that_the_archive_does_not_know_is_refused(archive, picker, tmp_path):
    message = r"no stations \['XX.ST01.00'\] in .*it has \['XX.ST00.', 'XX.ST01.'\]"
    with pytest.raises(ValueError, match=message):
        pick_archive(archive, picker, tmp_path / "out", stations=["XX.ST01.00"], show_progress=False)
    assert not (tmp_path / "out").exists()


def test_another_model_or_other_settings_are_refused(archive, picker, onset_model, done):
    folder, _ = done
    stricter = Picker(onset_model, PickerConfig(p_threshold=0.6, refine_shifts=2))
    with pytest.raises(
        ValueError, match=r"holds picks of another model or other settings: config was .*Give another"
    ):
        pick_archive(archive, stricter, folder, show_progress=False)
    newer = Picker(onset_model, picker.config, revision="v2")
    with pytest.raises(ValueError, match=r"model_revision was .* is now v2"):
        pick_archive(archive, newer, folder, show_progress=False)


def test_the_batch_size_may_change(archive, onset_model, done):
    larger = Picker(onset_model, PickerConfig(batch_size=32, refine_shifts=2))
    assert pick_archive(archive, larger, done[0], show_progress=False).num_computed == 0


def test_damaged_files_are_told_and_cost_only_themselves(archive, picker, tmp_path):
    for file in (tmp_path / "sds").rglob("XX.ST00..HH?.D.2018.363"):
        file.write_bytes(b"not a waveform")
    run = pick_archive(archive, picker, tmp_path / "out", show_progress=False)
    assert {"XX.ST00.", "XX.ST01."} == set(run.picks.frame["station_id"])
    damaged = [note for note in run.skipped if "2018.363" in note.item]
    assert len(damaged) == 3
    again = pick_archive(Archive.open(tmp_path / "sds"), picker, tmp_path / "out", show_progress=False)
    assert again.num_computed == 0 and set(damaged) <= set(again.skipped)


def test_a_failing_station_day_does_not_lose_the_others(archive, picker, onset_model, tmp_path):
    # A file where the station's folder of picks should be: only this station cannot be written.
    blocked = tmp_path / "out" / "picks" / "XX.ST00."
    blocked.parent.mkdir(parents=True)
    blocked.write_text("in the way")
    run = pick_archive(archive, picker, tmp_path / "out", show_progress=False)
    assert [error.item for error in run.errors] == ["XX.ST00. 2018-12-29", "XX.ST00. 2018-12-30"]
    assert set(run.picks.frame["station_id"]) == {"XX.ST01."}
    blocked.unlink()
    again = pick_archive(archive, picker, tmp_path / "out", show_progress=False)
    assert (again.num_computed, again.num_kept, again.errors) == (2, 2, [])


def test_skipped_things_are_remembered_by_later_runs(motion, picker, tmp_path):
    slow = motion(rate_hz=5.0, duration_s=60.0, codes=("LHZ",))
    write_sds(slow, tmp_path / "sds")
    opened = Archive.open(tmp_path / "sds")
    first = pick_archive(opened, picker, tmp_path / "out", show_progress=False)
    second = pick_archive(Archive.open(tmp_path / "sds"), picker, tmp_path / "out", show_progress=False)
    assert len(first.picks) == len(second.picks) == 0
    assert "sampled at 5 Hz" in first.skipped[0].reason
    assert first.skipped == second.skipped
