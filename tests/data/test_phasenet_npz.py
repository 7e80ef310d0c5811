import os
from pathlib import Path

import numpy as np
import pytest
from seisfm.data.formats.phasenet_npz import read_phasenet_npz

REAL_DATA = Path(os.environ.get("SEISFM_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))


def write(folder, name, channels="HHE_HHN_HHZ", **fields):
    data = np.random.default_rng(0).normal(size=(9001, 3))
    np.savez(
        folder / f"{name}.npz", **{"data": data, "itp": 3000, "its": 3500, "channels": channels, **fields}
    )
    return data


def test_columns_become_rows_and_the_name_the_time(tmp_path):
    data = write(tmp_path, "NC_ABC_2012082505145960_02")
    (record,), skipped = read_phasenet_npz(tmp_path)
    assert skipped == []
    assert record.component_names == ("E", "N", "Z")
    np.testing.assert_array_equal(record.waveform, data[:6500].T.astype(np.float32))
    assert record.station_id == "NC.ABC.02"
    assert record.start_time == pytest.approx(1345871699.60 - 30, abs=1e-6)
    assert (record.arrival_s("P"), record.arrival_s("S")) == (30.0, 35.0)
    assert record.labelled_phases == {"P", "S"}


def test_vertical_alone_is_one_row(tmp_path):
    data = write(tmp_path, "NC_ABC_2012082505145960", channels="EHZ")
    (record,), _ = read_phasenet_npz(tmp_path)
    assert record.component_names == ("Z",)
    np.testing.assert_array_equal(record.waveform[0], data[:6500, 2].astype(np.float32))


def test_without_s_nothing_is_said_about_s(tmp_path):
    np.savez(
        tmp_path / "NC_ABC_2012082505145960.npz", data=np.ones((9001, 3)), itp=3000, channels="HHE_HHN_HHZ"
    )
    (record,), _ = read_phasenet_npz(tmp_path)
    assert record.labelled_phases == {"P"}
    assert record.duration_s == 60.0


def test_stations_within_seconds_share_an_event(tmp_path):
    for name in (
        "NC_A_2012082505145960",
        "NC_B_2012082505150260",
        "NC_C_2012082505155000",
        "NC_D_2012082505250000",
    ):
        write(tmp_path, name)
    records, _ = read_phasenet_npz(tmp_path)
    assert [record.event_id for record in records] == ["p20120825T051459"] * 3 + ["p20120825T052500"]


def test_damaged_files_are_told(tmp_path):
    write(tmp_path, "NC_GOOD_2012082505145960")
    write(tmp_path, "unnamed")
    write(tmp_path, "NC_SHAPE_2012082505145960", data=np.ones((100, 2)))
    write(tmp_path, "NC_LATE_2012082505145960", its=9999)
    write(tmp_path, "NC_ORDER_2012082505145960", channels="HHZ_HHN_HHE")
    write(tmp_path, "NC_PICKLE_2012082505145960", data=np.array([{}], dtype=object))
    (tmp_path / "NC_CUT_2012082505145960.npz").write_bytes(b"PK\x03\x04 not really")
    (tmp_path / "NC_EMPTY_2012082505145960.npz").write_bytes(b"")
    records, skipped = read_phasenet_npz(tmp_path)
    assert [record.station_id for record in records] == ["NC.GOOD."]
    reasons = {Path(note.item).stem.removeprefix("NC_").split("_")[0]: note.reason for note in skipped}
    assert set(reasons) == {"unnamed", "SHAPE", "LATE", "ORDER", "PICKLE", "CUT", "EMPTY"}
    assert "must be NET_STA_" in reasons["unnamed"]
    assert "data must be (sample, 3)" in reasons["SHAPE"] and "data must be (sample, 3)" in reasons["ORDER"]
    assert "arrivals must lie in its 9001 samples" in reasons["LATE"]
    assert "allow_pickle" in reasons["PICKLE"]


def test_an_empty_folder_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected a folder of PhaseNet records"):
        read_phasenet_npz(tmp_path)


@pytest.mark.skipif(not (REAL_DATA / "ncedc_phasenet").is_dir(), reason="needs SEISFM_DATA/ncedc_phasenet")
def test_northern_california():
    records, skipped = read_phasenet_npz(REAL_DATA / "ncedc_phasenet")
    assert (len(records), skipped) == (154, [])
    assert sum(record.component_names == ("Z",) for record in records) == 39
    assert {record.arrival_s("P") for record in records} == {30.0}
    assert len({record.event_id for record in records}) == 154
    delays = [record.arrival_s("S") - record.arrival_s("P") for record in records]
    assert min(delays) > 0.3 and max(delays) < 14
    assert all(np.isfinite(record.waveform).all() for record in records)


@pytest.mark.skipif(not (REAL_DATA / "ncedc_denoiser").is_dir(), reason="needs SEISFM_DATA/ncedc_denoiser")
def test_denoiser_set_has_no_word_on_s():
    records, skipped = read_phasenet_npz(REAL_DATA / "ncedc_denoiser")
    assert (len(records), skipped) == (99, [])
    assert {record.labelled_phases for record in records} == {frozenset({"P"})}
