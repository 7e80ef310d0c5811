"""Hugging Face's `datasets` opens a corpus without our code, without a network, whole or in a stream."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from seisfm.data.corpus.card import DECODE
from seisfm.data.corpus.codec import ENCODINGS
from seisfm.data.corpus.convert import write_corpus
from seisfm.data.corpus.shards import CorpusConfig

# In a process of its own: `datasets` reads its settings from the environment when it is imported.
CHECK = """
import sys
import numpy as np
import pyarrow as pa
from datasets import load_dataset

folder, suffix, cache = sys.argv[1:4]

def waveform_of(row):
    {decode}
    return waveform

def check(rows, number):
    rows = list(rows)
    assert len(rows) == number, len(rows)
    for row in rows:
        expected = np.load(f"{{folder}}.{{row['record_id']}}.npy")
        np.testing.assert_array_equal(waveform_of(row), expected)
    assert rows[0]["arrivals"][0]["phase"] == "P" and rows[0]["source_magnitude"] == 1.1
    assert rows[0]["start_time"].year == 2018

check(load_dataset(folder, split="train", cache_dir=cache), 7)
check(load_dataset(folder, split="train", streaming=True), 7)
kind = {{"arrow": "arrow", "parquet": "parquet"}}[suffix]
files = f"{{folder}}/shards/*.{{suffix}}"
check(load_dataset(kind, data_files=files, split="train", cache_dir=cache), 7)
check(load_dataset(kind, data_files=files, split="train", streaming=True), 7)
"""


def indented(text: str, spaces: int) -> str:
    return text.replace("\n", "\n" + " " * spaces)


def decode_each() -> str:
    branches = [f'if row["encoding"] == "{name}":\n    {indented(DECODE[name], 4)}' for name in ENCODINGS]
    return indented("\n".join(branches), 4)


@pytest.mark.parametrize(("file_format", "encoding"), [("arrow", "auto"), ("parquet", "auto_zstd")])
def test_datasets_opens_it(kinds, tmp_path, file_format, encoding):
    import numpy as np  # noqa: PLC0415

    folder = tmp_path / "corpus"
    config = CorpusConfig(records_per_shard=3, file_format=file_format, encoding=encoding)
    for record in write_corpus(kinds, folder, config):
        np.save(f"{folder}.{record.record_id}.npy", record.waveform)
    offline = {"HF_DATASETS_OFFLINE": "1", "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")}
    code = CHECK.format(decode=decode_each())
    command = [sys.executable, "-c", code, str(folder), file_format, str(tmp_path / "cache")]
    done = subprocess.run(command, env=os.environ | offline, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_card_shows_how_to_decode_what_is_there(kinds, tmp_path):
    write_corpus(kinds, tmp_path / "corpus")
    card = (tmp_path / "corpus" / "README.md").read_text()
    assert 'where row["encoding"] is float32\n' in card and 'where row["encoding"] is int32\n' in card
    assert "zstd" not in card.split("```")[1]


def test_the_documentation_shows_the_same_decoding():
    text = (Path(__file__).parents[3] / "docs" / "data.md").read_text(encoding="utf-8")
    for encoding in ENCODINGS:
        (block,) = re.findall(rf"^`{encoding}`.*?\n+```python\n(.*?)```", text, re.S | re.M)
        assert block.strip() == DECODE[encoding]
