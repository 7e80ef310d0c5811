"""An epoch is complete after a kill and on other ranks: real processes over one corpus."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pytest
from seisfm.data.corpus.convert import write_corpus
from seisfm.data.corpus.shards import CorpusConfig
from seisfm.data.records import Arrival, Record

NUM_RECORDS, GLOBAL_BATCH, EPOCHS = 48, 8, 2

RANK = """
import dataclasses, hashlib, json, sys, time
from seisfm.data.corpus.corpus import Corpus
from seisfm.data.loading.augmentation import AugmentationConfig
from seisfm.data.loading.loader import WindowLoader
from seisfm.data.loading.sampler import SamplerState
from seisfm.data.loading.windows import WindowConfig

corpus, log, state, rank, world_size, batch, last, pause_s = json.loads(sys.argv[1])
windows = WindowConfig(window_s=4.0, margin_s=0.5)
ranks = {"rank": rank, "world_size": world_size}
loader = WindowLoader(Corpus(corpus), windows, AugmentationConfig(), batch, 3, **ranks)
index = loader.index(SamplerState(**state))
with open(log, "a") as file:
    for index, batch in enumerate(loader.batches(index), start=index):
        if loader.sampler.window(loader.state(index)) >= last:
            break
        seen = [hashlib.sha256(w.numpy().tobytes()).hexdigest() for w in batch.waveform]
        after = dataclasses.asdict(loader.state(index + 1))
        file.write(json.dumps({"windows": seen, "records": batch.event_id, "next": after}) + "\\n")
        file.flush()
        time.sleep(pause_s)
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    rng = np.random.default_rng(0)
    records = [
        Record(
            record_id=str(i),
            event_id=str(i),
            waveform=rng.standard_normal((3, 1200)).astype(np.float32),
            component_names=("Z", "N", "E"),
            sampling_rate_hz=100.0,
            arrivals=(Arrival(phase="P", time_s=5.0), Arrival(phase="S", time_s=6.0)),
            labelled_phases=frozenset({"P", "S"}),
        )
        for i in range(NUM_RECORDS)
    ]
    folder = tmp_path_factory.mktemp("data") / "corpus"
    write_corpus(records, folder, CorpusConfig(records_per_shard=10))
    return folder


def start(corpus, log, rank, world_size, state, pause_s=0.0):
    last = NUM_RECORDS * EPOCHS
    settings = [str(corpus), str(log), state, rank, world_size, GLOBAL_BATCH // world_size, last, pause_s]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-c", RANK, json.dumps(settings)], env=env)


def run(corpus, folder, world_size, state):
    """All ranks to the end; what each wrote, batch by batch."""
    folder.mkdir()
    logs = [folder / f"{rank}.jsonl" for rank in range(world_size)]
    processes = [start(corpus, log, rank, world_size, state) for rank, log in enumerate(logs)]
    assert [process.wait(timeout=120) for process in processes] == [0] * world_size
    return [read(log) for log in logs]


def read(log):
    # A killed process may leave half a line.
    return [json.loads(line) for line in log.read_text().splitlines() if line.endswith("}")]


def windows(ranks):
    return Counter(seen for batches in ranks for batch in batches for seen in batch["windows"])


@pytest.mark.slow
def test_one_two_and_four_ranks_and_a_killed_run_see_the_same_windows(corpus, tmp_path):
    begin = {"seed": 3, "epoch": 0, "position": 0}
    whole = run(corpus, tmp_path / "one", 1, begin)
    expected = windows(whole)
    assert len(expected) == sum(expected.values()) == NUM_RECORDS * EPOCHS
    met = Counter(record for batch in whole[0] for record in batch["records"])
    assert set(met.values()) == {EPOCHS} and len(met) == NUM_RECORDS
    assert windows(run(corpus, tmp_path / "two", 2, begin)) == expected
    assert windows(run(corpus, tmp_path / "four", 4, begin)) == expected
    log = tmp_path / "killed.jsonl"
    process = start(corpus, log, 0, 1, begin, pause_s=0.2)
    while not log.exists() or len(read(log)) < 3:
        assert process.poll() is None, "the process ended by itself"
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = read(log)
    assert 0 < len(before) < len(whole[0])
    after = run(corpus, tmp_path / "resumed", 2, before[-1]["next"])
    assert windows([before, *after]) == expected
