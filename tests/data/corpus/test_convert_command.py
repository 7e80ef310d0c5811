"""`seisfm data convert`, as it is called."""

import json
import os
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from seisfm.cli import app
from seisfm.data.corpus.corpus import Corpus
from seisfm.data.formats.seisbench_format import SeisBenchDataset, write_seisbench

REAL_DATA = Path(os.environ.get("SEISFM_DATA", Path(__file__).parents[3] / ".." / "shared" / "data"))


def call(capsys: pytest.CaptureFixture[str], line: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        app(shlex.split(line), prog_name="seisfm")
    printed = capsys.readouterr()
    return int(end.value.code or 0), printed.out, printed.err


@pytest.fixture
def source(record_of_number, tmp_path) -> Path:
    write_seisbench([record_of_number(number) for number in range(5)], tmp_path / "set")
    return tmp_path / "set"


def test_to_a_corpus_to_parquet_and_back(source, tmp_path, capsys, assert_same_record):
    steps = [
        f"{source} --kind seisbench --out {tmp_path / 'a'}",
        f"{tmp_path / 'a'} --kind corpus --format parquet --encoding auto_zstd --out {tmp_path / 'b'}",
        f"{tmp_path / 'b'} --kind corpus --format seisbench --out {tmp_path / 'c'}",
    ]
    for step in steps:
        status, out, err = call(capsys, f"data convert {step}")
        assert (status, err) == (0, "")
        assert "5 records, 0 skipped" in out
    for one, other in zip(SeisBenchDataset(tmp_path / "c"), SeisBenchDataset(source), strict=True):
        assert_same_record(one, other)


def test_what_is_told_and_left_out(source, tmp_path, capsys):
    (tmp_path / "exclude.csv").write_text("record_id,reason\nrecord 3,dead\n")
    line = (
        f"data convert {source} --kind seisbench --out {tmp_path / 'a'} --exclude {tmp_path / 'exclude.csv'} "
        "--dataset Mine --licence CC0-1.0 --citation 'Me (2024)' --json"
    )
    status, out, _ = call(capsys, line)
    results = json.loads(out)
    assert (status, results["num_records"]) == (0, 4)
    assert results["skipped"][0]["reason"] == "1 of 5 records are excluded by it"
    metadata = Corpus(tmp_path / "a")[0].metadata
    assert metadata == {"dataset": "Mine", "licence": "CC0-1.0", "citation": "Me (2024)"}


@pytest.mark.parametrize(
    ("options", "message"),
    [("--format tape", "the format must be one of"), ("--encoding mp3", "the encoding must be one of")],
)
def test_wrong_choices_are_told(source, tmp_path, capsys, options, message):
    status, _, err = call(capsys, f"data convert {source} --kind seisbench --out {tmp_path / 'a'} {options}")
    assert status == 1
    assert message in err
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("kind", "folder"),
    [
        ("phasenet_npz", "ncedc_phasenet"),
        ("phasenet_npz", "ncedc_denoiser"),
        ("seisbench", "chile_seisbench/chunkeddummydataset"),
        ("archive", "iceland_continuous"),
    ],
)
def test_real_sets_come_back(kind, folder, tmp_path, capsys, assert_same_record):
    from seisfm.data.sources import SourceConfig, load_records  # noqa: PLC0415

    if not (REAL_DATA / folder).is_dir():
        pytest.skip(f"needs SEISFM_DATA/{folder}")
    path = REAL_DATA / folder
    line = f"data convert {path} --kind {kind} --out {tmp_path / 'a'} --encoding auto_zstd"
    assert call(capsys, line)[0] == 0
    corpus = Corpus(tmp_path / "a")
    records, _ = load_records(SourceConfig(kind=kind, path=str(path)))
    assert len(corpus) == len(records)
    for position in np.linspace(0, len(records) - 1, 20).astype(int).tolist():
        assert_same_record(corpus[position], records[position])


def test_the_documented_conversion_runs(source, tmp_path, monkeypatch):
    text = (Path(__file__).parents[3] / "docs" / "data.md").read_text(encoding="utf-8")
    (code,) = (
        block for block in re.findall(r"```python\n(.*?)```", text, re.S) if "convert_to_corpus" in block
    )
    source.rename(tmp_path / "my_seisbench_set")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "docs/data.md", "exec"), {})
    assert Corpus("my_corpus")[0].metadata == {"dataset": "My network", "licence": "CC-BY-4.0"}
