"""`seisfm data split` and `seisfm data leakage` on real files, in this process."""

import json
import os
import shlex
from pathlib import Path

import pandas as pd
import pytest
from seisfm.cli import app
from seisfm.data.corpus.convert import write_corpus
from seisfm.data.corpus.shards import CorpusConfig
from seisfm.data.formats.seisbench_format import write_seisbench
from seisfm.data.records import Subset
from seisfm.data.sources import SourceConfig, load_records, open_records
from seisfm.data.splitting.fingerprints import fingerprints_of, write_fingerprints
from seisfm.data.splitting.split_sides import SplitConfig
from seisfm.data.synthesis import SynthesisConfig, synthesize_records

REAL = Path(os.environ.get("SEISFM_DATA", Path(__file__).parents[3] / "shared" / "data"))
NCEDC = REAL / "ncedc_phasenet"


def call(capsys, line: str):
    with pytest.raises(SystemExit) as end:
        app(shlex.split(line), prog_name="seisfm")
    printed = capsys.readouterr()
    return int(end.value.code or 0), printed.out, printed.err


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "corpus"
    write_corpus(synthesize_records(SynthesisConfig(), 0, 12), folder, CorpusConfig())
    return folder


def test_a_split_is_written_and_counted_and_is_the_one_of_a_source(corpus, tmp_path, capsys):
    out = tmp_path / "tables" / "split.csv"
    line = f"data split {corpus} --fractions train=0.5,test=0.5 --seed 3 --out {out} --json"
    status, printed, _ = call(capsys, line)
    found = json.loads(printed)
    table = pd.read_csv(out)
    assert status == 0 and list(table.columns) == ["record_id", "side"]
    assert found["sides"]["train"]["records"] == (table.side == "train").sum()
    assert found["sides"]["train"]["events"] + found["sides"]["test"]["events"] == 12
    assert found["leakage"]["test with train"].startswith("No leakage found")
    split = SplitConfig(fractions={"train": 0.5, "test": 0.5}, seed=3)
    part, _ = load_records(SourceConfig(kind="corpus", path=str(corpus), part="train", split=split))
    assert [record.record_id for record in part] == table.record_id[table.side == "train"].tolist()


def test_wrong_splits_are_told_in_one_line(corpus, tmp_path, capsys):
    for options, message in (
        ("--fractions train", "fractions are written train=0.7,test=0.3, found 'train'"),
        ("--by colour", "kind of a split must be one of"),
        ("block=3", "unknown key ['block']; SplitConfig knows"),
    ):
        status, _, error = call(capsys, f"data split {corpus} --out {tmp_path / 'x.csv'} {options}")
        assert status == 1 and message in error and error.count("\n") == 1


def test_leaks_are_listed_and_end_with_status_1(corpus, tmp_path, capsys):
    records, _ = open_records(corpus)
    write_seisbench(Subset(records, [0, 1]), tmp_path / "test_set")
    out = tmp_path / "leaking.csv"
    status, printed, error = call(capsys, f"data leakage {tmp_path / 'test_set'} {corpus} --out {out}")
    assert status == 1 and "2 of 2 records leak" in printed and "LEAKAGE" in error
    assert pd.read_csv(out).record_id.tolist() == [records[0].record_id, records[1].record_id]
    clean, skipped = load_records(SourceConfig(kind="corpus", path=str(corpus), exclude=str(out)))
    assert len(clean) == len(records) - 2 and skipped


def test_a_model_is_asked_what_it_has_seen(corpus, new_model, tmp_path, capsys):
    new_model().save_pretrained(tmp_path / "model")
    line = f"data leakage {corpus} {tmp_path / 'model'}"
    status, printed, error = call(capsys, line)
    assert status == 1 and "nothing could be compared" in printed
    assert "Leakage unknown" in error and "has no training_data.parquet" in error
    other = synthesize_records(SynthesisConfig(), 99, 2)
    renamed = [record for record in other if record.event_id not in set(open_records(corpus)[0].event_keys())]
    write_fingerprints(fingerprints_of({"train": renamed or other}), tmp_path / "model")
    status, printed, _ = call(capsys, f"{line} --json")
    found = json.loads(printed)
    assert found["known"] and found["leaks"] == (status == 1) == bool(found["num_leaking"])
    write_fingerprints(fingerprints_of({"train": open_records(corpus)[0]}), tmp_path / "model")
    status, printed, _ = call(capsys, f"{line} --json")
    found = json.loads(printed)
    assert status == 1 and found["num_leaking"] == found["num_scored"] == len(open_records(corpus)[0])


def test_a_folder_of_anything_is_no_data_set(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(ValueError, match=r"nothing in .* tells what kind .*corpus.json.*or say the kind"):
        open_records(tmp_path)


@pytest.mark.skipif(not NCEDC.is_dir(), reason=f"real data not found at {NCEDC}; set SEISFM_DATA")
def test_the_two_real_sets_share_no_record(capsys):
    status, printed, _ = call(capsys, f"data leakage {REAL / 'ncedc_denoiser'} {NCEDC}")
    assert status == 0 and "0 of 99 records leak" in printed
