import pickle

import h5py
import numpy as np
import pytest
from seisfm.data.formats.diting import DiTing
from seisfm.data.records import event_keys
from seisfm.data.splitting.splits import split_by_event

COLUMNS = (
    "part,key,ev_id,mag_type,evmag,net,sta_id,dis,baz,st_mag,p_pick,p_clarity,p_motion,s_pick,P_residual"
)
ROWS = {
    0: [
        "0,000001.0001,77,Ml,2.5,XJ,12,35.5,-90.0,2.4,1500,I,U,1700,0.1",
        # A spreadsheet has taken the zeros away.
        "0,12.3,77,ms, 3.1,XJ,13,80,370,nan,1500,E,D,2000,",
    ],
    1: ["1,000100.0001,78,Ml,nan,YN,4,10,0,nan,1000, I , N ,,"],
}
KEYS = {0: ["000001.0001", "000012.3000"], 1: ["000100.0001"]}


@pytest.fixture
def folder(tmp_path):
    """Two parts; each sample tells its place and component, and one component is dead."""
    for part, keys in KEYS.items():
        with h5py.File(tmp_path / f"DiTing330km_part_{part}.hdf5", "w") as file:
            for key in keys:
                data = np.arange(9000)[:, None] + np.array([0.25, 0.5, 0.75])
                data[:, 2] = 0.0 if part else data[:, 2]
                file[f"earthquake/{key}"] = data
        # As pandas writes it, with the row numbers in front.
        lines = [f"{number},{row}" for number, row in enumerate(ROWS[part])]
        text = "\n".join([f",{COLUMNS}", *lines])
        (tmp_path / f"DiTing330km_part_{part}.csv").write_text(text + "\n")
    return tmp_path


def test_records_of_all_parts(folder):
    records = DiTing(folder)
    assert len(records) == 3 and records.skipped == []
    assert (
        event_keys(records)
        == [record.event_id for record in records]
        == ["diting/77", "diting/77", "diting/78"]
    )
    first, second, third = records
    assert first.record_id == "diting/0/000001.0001" and second.record_id == "diting/0/000012.3000"
    assert first.component_names == ("Z", "N", "E") and first.sampling_rate_hz == 50.0
    assert [(a.phase, a.time_s, a.polarity, a.onset, a.evaluation) for a in first.arrivals] == [
        ("P", 30.0, "positive", "impulsive", "manual"), ("S", 34.0, None, None, "manual"),
    ]  # fmt: skip
    assert (second.arrivals[0].polarity, second.arrivals[0].onset) == ("negative", "emergent")
    # 30 s after S, and no more.
    assert first.waveform.shape == (3, 1700 + 1500)
    np.testing.assert_array_equal(first.waveform[:, 7], [7.25, 7.5, 7.75])
    assert third.labelled_phases == {"P"} and np.isnan(third.waveform[2]).all()
    assert third.arrivals[0].polarity is None and third.arrivals[0].onset == "impulsive"


def test_metadata(folder):
    first, second, third = DiTing(folder)
    assert first.station_id == "XJ.12." and first.unit == "unknown" and np.isnan(first.start_time)
    known = {"source_magnitude": 2.5, "source_magnitude_type": "ML", "path_ep_distance_km": 35.5}
    known |= {
        "path_back_azimuth_deg": 270.0,
        "source_type": "earthquake",
        "st_mag": 2.4,
        "P_residual": 0.1,
    }
    assert first.metadata.items() >= known.items()
    assert (
        second.metadata["source_magnitude_type"] == "Ms" and second.metadata["path_back_azimuth_deg"] == 10.0
    )
    assert "st_mag" not in second.metadata and "P_residual" not in second.metadata
    assert "source_magnitude" not in third.metadata


def test_other_tables_and_whole_records(folder, tmp_path):
    light = tmp_path / "DiTing330km_light.csv"
    rows = [
        ROWS[0][0],
        ROWS[1][0],
        "5,1.1,9,Ml,1,XJ,1,1,1,1,100,I,U,200,0",
        "0,2.2,9,Ml,1,XJ,1,1,1,1,,I,U,,0",
    ]
    light.write_text("\n".join([COLUMNS, *rows]))
    records = DiTing(folder, tables=[light], keep_after_s=None)
    assert [record.waveform.shape[1] for record in records] == [9000, 9000]
    assert {note.item: note.reason for note in records.skipped} == {
        "DiTing 2.2": "neither P nor S is picked",
        "DiTing 1.1": f"its part is not in {folder}",
    }


def test_it_splits_and_travels(folder):
    records = DiTing(folder)
    assert records[0].waveform.size
    again = pickle.loads(pickle.dumps(records))
    np.testing.assert_array_equal(again[1].waveform, records[1].waveform)
    sides = split_by_event(records, {"train": 0.5, "test": 0.5}, seed=0)
    assert sum(len(side) for side in sides.values()) == 3
    with pytest.raises(IndexError):
        records[3]


def test_faults_are_told(folder, tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"no DiTing in .*: expected files such as DiTing330km_part_0.hdf5"
    ):
        DiTing(tmp_path / "nowhere")
    table = folder / "DiTing330km_part_1.csv"
    for row, message in (
        (
            "1,9.9,78,Ml,1,YN,4,10,0,1,1000,I,N,1500,0",
            r"has no earthquake/000009.9000, which its table names",
        ),
        (
            "1,100.0001,78,Ml,1,YN,4,10,0,1,9000,I,N,,0",
            r"picks of earthquake/000100.0001 must lie in its 9000",
        ),
        ("1,100.0001,78,Ml,1,YN,4,10,0,1,30.5,I,N,,0", r"p_pick must be a whole number of samples at 50 Hz"),
        ("1,100.0001,78,Ml,big,YN,4,10,0,1,1000,I,N,,0", r"evmag must be a number, found 'big'"),
    ):
        table.write_text(f"{COLUMNS}\n{row}\n")
        with pytest.raises(ValueError, match=message):
            DiTing(folder)[2]
    table.write_text("part,key\n1,2\n")
    with pytest.raises(ValueError, match=r"lacks the columns \['ev_id', 'p_pick', 's_pick'\] of DiTing"):
        DiTing(folder)
    table.unlink()
    with pytest.raises(FileNotFoundError, match=r"no table .*part_1.csv: expected the CSV file"):
        DiTing(folder)


def test_a_wrong_shape_is_told(folder):
    with h5py.File(folder / "DiTing330km_part_1.hdf5", "r+") as file:
        del file["earthquake/000100.0001"]
        file["earthquake/000100.0001"] = np.zeros((3, 9000))
    with pytest.raises(ValueError, match=r"earthquake/000100.0001 must be \(sample, 3\), found \(3, 9000\)"):
        DiTing(folder)[2]
