"""What a corpus says of itself, quickly, and what it says when it is damaged."""

import json
import os
import pickle
from dataclasses import fields
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from seisfm.data.corpus.convert import write_corpus
from seisfm.data.corpus.corpus import Corpus
from seisfm.data.corpus.shards import CorpusConfig
from seisfm.data.loading.window_source import WindowSource
from seisfm.data.loading.windows import WindowConfig
from seisfm.data.record_table import RecordTable
from seisfm.data.records import Subset, event_keys, waveform_hash
from seisfm.data.splitting.splits import split_by_event


@pytest.fixture
def corpus(kinds, tmp_path) -> Corpus:
    return write_corpus(kinds, tmp_path / "corpus", CorpusConfig(records_per_shard=3))


def test_floats_are_a_view_of_the_file(corpus, kinds):
    first, second = corpus.waveform(0), corpus.waveform(0, 10, 20)
    assert np.shares_memory(first, second)
    assert not first.flags.writeable
    np.testing.assert_array_equal(second, kinds[0].waveform[:, 10:20])
    record = corpus[0]
    record.waveform[:] = 0
    np.testing.assert_array_equal(corpus.waveform(0), kinds[0].waveform)


@pytest.mark.parametrize("encoding", ["float32", "auto", "auto_zstd"])
def test_a_window_is_a_part_of_its_record(kinds, tmp_path, encoding):
    corpus = write_corpus(kinds, tmp_path / "corpus", CorpusConfig(encoding=encoding))
    for position, record in enumerate(kinds):
        np.testing.assert_array_equal(corpus.waveform(position, 5, 25), record.waveform[:, 5:25])
        np.testing.assert_array_equal(corpus.waveform(position, 40), record.waveform[:, 40:])


def test_places_lead_to_the_samples(corpus, kinds):
    places = corpus.places
    for position, record in enumerate(kinds):
        begin, size = places.offset[position], record.waveform.size
        samples = corpus.buffers[places.shard[position]][begin : begin + size]
        if places.encoding[position] == 1:
            samples = samples.view(np.int32)
        observed = ~np.isnan(record.waveform.ravel())
        np.testing.assert_array_equal(samples[observed], record.waveform.ravel()[observed])
        assert places.has_gaps[position] == (not observed.all())


def test_the_index_finds_events_and_stations(corpus, kinds):
    assert corpus.record_ids() == [record.record_id for record in kinds]
    assert corpus.event_keys() == event_keys(corpus) == event_keys(kinds)
    assert corpus.positions_of_event("event 2").tolist() == [4, 5]
    assert corpus.positions_of_station("NA.001.00").tolist() == [1, 4]
    assert corpus.positions_of_event("nowhere").tolist() == corpus.positions_of_event("").tolist() == []
    assert corpus.index["content_hash"].to_pylist() == [waveform_hash(record) for record in corpus]


def test_the_table_is_that_of_the_records(corpus, kinds):
    found, expected = corpus.record_table(), RecordTable.from_records(kinds)
    for field in fields(RecordTable):
        one, other = getattr(found, field.name), getattr(expected, field.name)
        assert one.dtype == other.dtype, field.name
        if field.name == "start_time":  # a column of whole nanoseconds
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-9)
        else:
            np.testing.assert_array_equal(one, other, err_msg=field.name)


def test_a_side_of_a_split_reads_no_waveform(corpus, kinds):
    sides = split_by_event(corpus, {"a": 0.5, "b": 0.5}, seed=3)
    expected = split_by_event(kinds, {"a": 0.5, "b": 0.5}, seed=3)
    assert "buffers" not in corpus.__dict__
    for name, side in sides.items():
        assert [record.record_id for record in side] == [record.record_id for record in expected[name]]
    assert isinstance(corpus[2:4], Subset)
    assert [record.record_id for record in corpus[2:4]] == ["record 2", "record 3"]


def test_windows_are_those_of_the_records(corpus, kinds):
    windows = WindowConfig(window_s=0.3, margin_s=0.05)
    positions, starts = np.array([0, 2, 6, 4]), np.array([3, -2, 20, 40])
    found = WindowSource(corpus).cut_at(positions, starts, windows)
    expected = WindowSource(kinds).cut_at(positions, starts, windows)
    assert found.waveform.numpy().tobytes() == expected.waveform.numpy().tobytes()
    assert found.labels.keys() == expected.labels.keys()


def test_it_travels_as_its_path(corpus, kinds, assert_same_record, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    near = Corpus("corpus")
    near.waveform(0)
    content = pickle.dumps(near)
    assert len(content) < 500
    monkeypatch.chdir("/")
    assert_same_record(pickle.loads(content)[2], kinds[2])


def test_a_forked_process_reads_on(corpus, kinds):
    corpus.waveform(0)
    child = os.fork()
    if not child:
        os._exit(not np.array_equal(corpus.waveform(3), kinds[3].waveform))
    assert os.waitpid(child, 0)[1] == 0


def test_parquet_has_no_memory_to_look_at(kinds, tmp_path):
    corpus = write_corpus(kinds, tmp_path / "corpus", CorpusConfig(file_format="parquet"))
    with pytest.raises(ValueError, match="is of Parquet shards: convert it to Arrow ones"):
        corpus.buffers  # noqa: B018
    assert (corpus.places.offset == -1).all()
    back = write_corpus(corpus, tmp_path / "again")
    assert back.index["content_hash"] == corpus.index["content_hash"]


def first_shard(corpus: Corpus) -> Path:
    return corpus.path / "shards" / "shard-00000.arrow"


def test_a_shard_that_was_cut_short(corpus):
    shard = first_shard(corpus)
    shard.write_bytes(shard.read_bytes()[:-8])
    with pytest.raises(ValueError, match=r"shard-00000.arrow should have \d+ bytes, found \d+: it was cut"):
        Corpus(corpus.path)


def test_a_shard_that_is_gone(corpus):
    first_shard(corpus).unlink()
    with pytest.raises(FileNotFoundError, match=r"has lost its shard .*shard-00000.arrow"):
        Corpus(corpus.path)


def test_a_flipped_bit_is_found_by_its_hash(corpus):
    content = bytearray(first_shard(corpus).read_bytes())
    content[corpus.places.offset[0] * 4] ^= 1
    first_shard(corpus).write_bytes(content)
    with pytest.raises(ValueError, match=r"\['shard-00000.arrow'\] differ from what was written"):
        Corpus(corpus.path).verify()


def test_an_index_that_is_gone_or_damaged(corpus):
    index = corpus.path / "index.parquet"
    content = index.read_bytes()
    index.write_bytes(content[:-20])
    with pytest.raises(ValueError, match=r"index.parquet is damaged"):
        Corpus(corpus.path)
    index.unlink()
    with pytest.raises(FileNotFoundError, match=r"has lost its index.parquet"):
        Corpus(corpus.path)


def test_an_index_of_another_corpus(corpus):
    index = corpus.path / "index.parquet"
    pq.write_table(pq.read_table(index).slice(0, 2), index)
    with pytest.raises(ValueError, match=r"has 2 records, corpus.json 7: the corpus is damaged"):
        Corpus(corpus.path)


def change_index(corpus: Corpus, column: str, value: object) -> None:
    index = corpus.path / "index.parquet"
    table = pq.read_table(index)
    at = table.schema.get_field_index(column)
    changed = [value, *table[column].to_pylist()[1:]]
    pq.write_table(table.set_column(at, column, [changed]).cast(table.schema), index)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("encoding", "mp3", r"this version knows the encodings .* found 'mp3': update seisfm"),
        ("offset", 7, "does not begin at a multiple of 4 bytes: convert the corpus again"),
    ],
)
def test_an_index_that_makes_no_sense(corpus, column, value, message):
    change_index(corpus, column, value)
    with pytest.raises(ValueError, match=message):
        Corpus(corpus.path)


@pytest.mark.parametrize(("key", "value"), [("version", 99), ("format", "something else")])
def test_a_corpus_of_another_version(corpus, key, value):
    summary = corpus.path / "corpus.json"
    summary.write_text(json.dumps(json.loads(summary.read_text()) | {key: value}))
    with pytest.raises(ValueError, match=r"expected seisfm corpus of version 1, found .*: update seisfm"):
        Corpus(corpus.path)


def test_a_folder_without_a_corpus(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no corpus in .*: expected a folder with corpus.json"):
        Corpus(tmp_path)
