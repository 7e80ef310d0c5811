import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from seisfm.data.records import Record
from seisfm.data.splitting.fingerprints import (
    FINGERPRINTS,
    fingerprints_of,
    read_fingerprints,
    write_fingerprints,
)


def make_record(name, seed=0):
    waveform = np.random.default_rng(seed).normal(size=(1, 100)).astype(np.float32)
    return Record(record_id=name, waveform=waveform, component_names=("Z",), sampling_rate_hz=10.0)


def test_a_model_carries_its_own_training_data_and_its_bases(tmp_path):
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    for folder in (first, second, third):
        folder.mkdir()
    write_fingerprints(
        fingerprints_of({"train": [make_record("a")], "validation": [make_record("b")]}), first
    )
    write_fingerprints(fingerprints_of({"train": [make_record("c")]}, first), second)
    known = fingerprints_of({"train": [make_record("d")], "noise": [make_record("d")]}, second)
    write_fingerprints(known, third)
    found = read_fingerprints(third)
    assert found.facts.record_id.tolist() == ["d", "c", "a", "b"] and found.missing == ()
    assert found.stage.tolist() == [
        "train", "base model, train", "base model, train", "base model, validation",
    ]  # fmt: skip
    assert [file.name for file in third.iterdir()] == [FINGERPRINTS]


def test_what_is_unknown_stays_unknown_down_the_line(tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    known = fingerprints_of({"train": [make_record("a")]}, tmp_path / "old", "the base model owner/old")
    write_fingerprints(known, tmp_path / "new")
    later = fingerprints_of({"train": [make_record("b")]}, tmp_path / "new")
    assert later.missing == ("the base model owner/old has no training_data.parquet",)
    assert len(later) == 2


def test_a_damaged_or_foreign_file_is_refused(tmp_path):
    (tmp_path / FINGERPRINTS).write_bytes(b"PAR1 and then nothing")
    with pytest.raises(ValueError, match=r"cannot be read .*fetch it again"):
        read_fingerprints(tmp_path)
    pq.write_table(pa.table({"x": [1]}), tmp_path / FINGERPRINTS)
    with pytest.raises(ValueError, match=r"expected .*seisfm training data.*found"):
        read_fingerprints(tmp_path)
