"""Corpora are written whole or not at all, go on where they were stopped, by any number of workers."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from seisfm.data.corpus.convert import convert_to_corpus, write_corpus
from seisfm.data.corpus.corpus import Corpus
from seisfm.data.corpus.shards import CorpusConfig
from seisfm.data.formats.seisbench_format import SeisBenchDataset, write_seisbench
from seisfm.data.records import Record, Skipped

TEN = CorpusConfig(records_per_shard=10)


def hashes(folder: Path) -> dict[str, str]:
    """Every file of a folder, with the hash of its bytes."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def source(record_of_number, tmp_path_factory) -> Path:
    """A set in SeisBench's format, which is read record by record."""
    folder = tmp_path_factory.mktemp("source") / "set"
    write_seisbench([record_of_number(number, num_samples=200) for number in range(35)], folder)
    return folder


@pytest.fixture(scope="module")
def whole(source, tmp_path_factory) -> dict[str, str]:
    """The files of a corpus that one process wrote at once."""
    folder = tmp_path_factory.mktemp("whole") / "corpus"
    convert_to_corpus(SeisBenchDataset(source), folder, TEN)
    return hashes(folder)


@pytest.mark.parametrize("file_format", ["arrow", "parquet"])
@pytest.mark.parametrize("encoding", ["float32", "float32_zstd", "auto", "auto_zstd"])
def test_all_records_come_back(kinds, assert_same_record, tmp_path, encoding, file_format):
    config = CorpusConfig(encoding=encoding, records_per_shard=3, file_format=file_format)
    corpus = write_corpus(iter(kinds), tmp_path / "corpus", config)
    assert len(corpus) == len(kinds)
    for found, record in zip(corpus, kinds, strict=True):
        assert_same_record(found, record)
    for number in (5, 0, -1, 3):
        assert_same_record(corpus[number], kinds[number])
    corpus.verify()


def test_what_lies_in_the_folder(whole):
    shards = [f"shards/shard-{number:05d}.arrow" for number in range(4)]
    assert sorted(whole) == ["README.md", "corpus.json", "index.parquet", *shards, "skipped.csv"]


def test_counts_become_integers_where_they_are_whole(kinds, tmp_path):
    corpus = write_corpus(kinds, tmp_path / "corpus")
    assert corpus.index["encoding"].to_pylist() == ["float32"] * 2 + ["int32"] + ["float32"] * 3 + ["int32"]
    assert corpus.summary["encodings"] == {"float32": 5, "int32": 2}


def test_a_shard_is_written_in_batches(record_of_number, assert_same_record, monkeypatch, tmp_path):
    monkeypatch.setattr("seisfm.data.corpus.shards.BATCH_BYTES", 5000)
    records = [record_of_number(number) for number in range(30)]
    for file_format in ("arrow", "parquet"):
        corpus = write_corpus(records, tmp_path / file_format, CorpusConfig(file_format=file_format))
        for number in (29, 0, 15):
            assert_same_record(corpus[number], records[number])
    with pa.ipc.open_file(tmp_path / "arrow" / "shards" / "shard-00000.arrow") as file:
        assert file.num_record_batches == 4


def test_workers_write_the_same_bytes(source, whole, tmp_path):
    done: list[int] = []
    folder = tmp_path / "corpus"
    convert_to_corpus(SeisBenchDataset(source), folder, TEN, workers=2, progress=done.append)
    assert hashes(folder) == whole
    assert done == [10, 20, 30, 35]


@pytest.mark.slow
def test_workers_are_sent_what_lies_in_memory(source, whole, tmp_path):
    convert_to_corpus(list(SeisBenchDataset(source)), tmp_path / "corpus", TEN, workers=2)
    assert hashes(tmp_path / "corpus") == whole


DEADLY = """
import os, signal, sys
from seisfm.data.corpus.convert import convert_to_corpus
from seisfm.data.formats.seisbench_format import SeisBenchDataset

class Deadly(SeisBenchDataset):
    def __getitem__(self, index):
        os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    try:
        convert_to_corpus(Deadly(sys.argv[1]), sys.argv[2], workers=2)
    except OSError as error:
        sys.exit(str(error))
"""


@pytest.mark.slow
def test_a_dead_worker_is_told(source, tmp_path):
    (tmp_path / "deadly.py").write_text(DEADLY)
    command = [sys.executable, str(tmp_path / "deadly.py"), str(source), str(tmp_path / "corpus")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "a worker died, perhaps for lack of memory" in ended.stderr
    assert "it goes on after 0 records" in ended.stderr


SLOW = """
import sys, time
from collections.abc import Sequence
from seisfm.data.corpus.convert import convert_to_corpus
from seisfm.data.corpus.shards import CorpusConfig
from seisfm.data.formats.seisbench_format import SeisBenchDataset

class Slow(SeisBenchDataset):
    def __getitem__(self, index):
        time.sleep(0.02)
        return super().__getitem__(index)

convert_to_corpus(Slow(sys.argv[1]), sys.argv[2], CorpusConfig(records_per_shard=10))
"""


def test_a_killed_conversion_goes_on_and_gives_the_same_bytes(source, whole, tmp_path):
    folder = tmp_path / "corpus"
    process = subprocess.Popen([sys.executable, "-c", SLOW, str(source), str(folder)])
    second = folder / "parts" / "part-00001.parquet"
    until = time.monotonic() + 60
    # Half a shard later: a third one is being written.
    while not second.is_file() and time.monotonic() < until:
        time.sleep(0.005)
    time.sleep(0.1)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (folder / "corpus.json").exists()
    with pytest.raises(FileNotFoundError, match="is not finished: run its conversion again, it goes on"):
        Corpus(folder)
    before = {path.name: path.stat().st_mtime_ns for path in (folder / "shards").glob("shard*")}
    assert {"shard-00000.arrow", "shard-00001.arrow"} <= before.keys()
    convert_to_corpus(SeisBenchDataset(source), folder, TEN)
    assert hashes(folder) == whole
    after = {path.name: path.stat().st_mtime_ns for path in (folder / "shards").glob("shard*")}
    assert {name: after[name] for name in ("shard-00000.arrow", "shard-00001.arrow")} == {
        name: before[name] for name in ("shard-00000.arrow", "shard-00001.arrow")
    }


class Failing(Sequence[Record]):
    """Records of which some cannot be read, or all from somewhere on for a reason that is not theirs."""

    def __init__(self, records, unreadable=(), until=None):
        self.records, self.unreadable, self.until = records, unreadable, until

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Record:  # type: ignore[override]
        if self.until is not None and index >= self.until:
            raise RuntimeError("the disk is gone")
        if index in self.unreadable:
            raise ValueError("a damaged trace")
        return self.records[index]


def test_an_error_on_the_way_leaves_what_is_done(record_of_number, tmp_path):
    records = [record_of_number(number) for number in range(25)]
    with pytest.raises(RuntimeError, match="the disk is gone"):
        write_corpus(Failing(records, until=15), tmp_path / "corpus", TEN)
    assert [path.name for path in (tmp_path / "corpus" / "shards").iterdir()] == ["shard-00000.arrow"]
    write_corpus(records, tmp_path / "corpus", TEN)
    write_corpus(records, tmp_path / "at once", TEN)
    assert hashes(tmp_path / "corpus") == hashes(tmp_path / "at once")


def test_a_shard_that_was_cut_short_is_made_again(record_of_number, tmp_path):
    records = [record_of_number(number) for number in range(25)]
    with pytest.raises(RuntimeError, match="the disk is gone"):
        write_corpus(Failing(records, until=15), tmp_path / "corpus", TEN)
    shard = tmp_path / "corpus" / "shards" / "shard-00000.arrow"
    shard.write_bytes(shard.read_bytes()[:-100])
    write_corpus(records, tmp_path / "corpus", TEN).verify()


def test_what_cannot_be_read_is_listed(record_of_number, tmp_path):
    records = [record_of_number(number) for number in range(25)]
    skipped = [Skipped("a.sac", "it is empty")]
    corpus = convert_to_corpus(Failing(records, {3, 12}), tmp_path / "corpus", TEN, skipped=skipped)
    assert corpus.record_ids() == [f"record {number}" for number in range(25) if number not in (3, 12)]
    assert corpus.summary["num_skipped"] == 3
    assert (tmp_path / "corpus" / "skipped.csv").read_text() == (
        "item,reason\na.sac,it is empty\nrecord 3,ValueError: a damaged trace\n"
        "record 12,ValueError: a damaged trace\n"
    )


def test_nothing_is_no_corpus(record_of_number, tmp_path):
    with pytest.raises(ValueError, match=r"at least one record for a corpus, found none$"):
        write_corpus([], tmp_path / "corpus")
    with pytest.raises(ValueError, match=r"found none; the first of 2 skipped: .*a damaged trace"):
        write_corpus(Failing([record_of_number(), record_of_number()], {0, 1}), tmp_path / "corpus")
    assert not (tmp_path / "corpus").exists()


def stopped(records, folder):
    """A conversion that ended after its first shard."""
    with pytest.raises(RuntimeError, match="the disk is gone"):
        write_corpus(Failing(records, until=15), folder, TEN)


def test_a_folder_of_something_else_is_refused(record_of_number, tmp_path):
    records = [record_of_number(number) for number in range(25)]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(FileExistsError, match="exists already: give a new folder"):
        write_corpus(records, tmp_path / "mine")
    write_corpus(records, tmp_path / "done")
    with pytest.raises(FileExistsError, match="is a finished corpus already"):
        write_corpus(records, tmp_path / "done")
    stopped(records, tmp_path / "begun")
    with pytest.raises(FileExistsError, match="unfinished corpus of another configuration"):
        write_corpus(records, tmp_path / "begun", replace(TEN, encoding="float32"))


@pytest.mark.parametrize("change", ["shorter", "others"])
def test_other_records_do_not_go_on_with_a_corpus(record_of_number, tmp_path, change):
    records = [record_of_number(number) for number in range(25)]
    stopped(records, tmp_path / "begun")
    given = {"shorter": records[:5], "others": [record_of_number(number + 100) for number in range(25)]}
    with pytest.raises(ValueError, match="was begun with other records"):
        write_corpus(given[change], tmp_path / "begun", TEN)


def test_the_configuration_tells_what_records_do_not(record_of_number, tmp_path):
    config = CorpusConfig(dataset="A", licence="MIT", citation="B (2020)")
    records = [record_of_number(0), record_of_number(1, metadata={"licence": "CC0-1.0"})]
    corpus = write_corpus(records, tmp_path / "corpus", config)
    assert corpus[0].metadata == {"dataset": "A", "licence": "MIT", "citation": "B (2020)"}
    assert corpus[1].metadata["licence"] == "CC0-1.0"
    assert corpus.summary["sources"] == [
        {"dataset": "A", "licence": licence, "citation": "B (2020)", "num_records": 1}
        for licence in ("CC0-1.0", "MIT")
    ]
    card = (tmp_path / "corpus" / "README.md").read_text()
    assert "license_name: CC0-1.0, MIT" in card
    assert "| A | MIT | B (2020) | 1 |" in card


def test_an_encoding_that_would_lose_something_names_the_record(record_of_number, tmp_path):
    with pytest.raises(ValueError, match="record 0: int32 needs whole numbers"):
        write_corpus([record_of_number()], tmp_path / "corpus", CorpusConfig(encoding="int32"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"encoding": "mp3"}, "the encoding must be one of"),
        ({"file_format": "tar"}, r"the file format must be one of \('arrow', 'parquet'\), found 'tar'"),
        ({"records_per_shard": 0}, "records_per_shard must be at least 1, found 0"),
    ],
)
def test_configurations_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        CorpusConfig(**settings)


def test_workers_are_one_or_more(kinds, tmp_path):
    with pytest.raises(ValueError, match="workers must be at least 1, found 0"):
        convert_to_corpus(kinds, tmp_path / "corpus", workers=0)


def test_a_generator_is_not_read_ahead_of_its_shard(record_of_number, tmp_path):
    read: list[int] = []

    def records() -> Iterator[Record]:
        for number in range(25):
            read.append(number)
            yield record_of_number(number)

    def check(done: int) -> None:
        assert len(read) == done

    convert_to_corpus(records(), tmp_path / "corpus", TEN, progress=check)
    assert np.array_equal(read, range(25))
