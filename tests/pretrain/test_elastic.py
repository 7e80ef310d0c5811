"""A run goes on with another number of processes as if nothing had changed, its weights shared out or not."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file
from seisfm.foundation.checkpoints import CheckpointError

SCRIPT = Path(__file__).with_name("elastic_run.py")
_spec = importlib.util.spec_from_file_location("elastic_run", SCRIPT)
elastic_run = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(elastic_run)


def losses(folder, name="loss"):
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [line[name] for line in lines if name in line]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken")
    elastic_run.run(folder)
    assert len(losses(folder)) == 20
    return folder


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    """What two processes left: `sharded` at step 15, `killed` at step 10."""
    folder = tmp_path_factory.mktemp("two")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run(
        [*command, str(SCRIPT), str(folder)],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"},
        check=False,
    )
    assert done.returncode != 0 and "SIGKILL" in done.stderr, done.stderr
    assert done.stdout.count("broken off after 15") == 2, done.stderr
    return folder


def assert_same_run(folder, other):
    assert losses(folder) == pytest.approx(losses(other), abs=1e-5)
    assert losses(folder, "validation_loss") == pytest.approx(losses(other, "validation_loss"), abs=1e-5)


@pytest.mark.slow
def test_a_run_of_two_processes_that_was_killed_goes_on_in_one(two_processes, unbroken):
    folder = two_processes / "killed"
    _, result = elastic_run.run(folder)
    assert result.resumed_from == 10
    assert_same_run(folder, unbroken)


@pytest.mark.slow
def test_shared_out_weights_train_break_off_and_go_on_in_one_process(two_processes, unbroken):
    folder = two_processes / "sharded"
    names = {path.name for path in (folder / "checkpoints/step-000015").iterdir()}
    parts = {f"{n}-0000{i}-of-00002.safetensors" for n in ("objective", "optimizer", "ema") for i in (1, 2)}
    assert names == parts | {"state.json"}
    # Each process wrote its half of the rows.
    tensors = [
        load_file(folder / f"checkpoints/step-000015/objective-0000{i}-of-00002.safetensors") for i in (1, 2)
    ]
    assert all(len(part["model.encoder.layers.0.attention.query.weight"]) == 8 for part in tensors)
    _, result = elastic_run.run(folder)
    assert result.resumed_from == 15
    assert_same_run(folder, unbroken)


@pytest.mark.slow
def test_a_checkpoint_without_one_of_its_parts_is_named(two_processes, tmp_path):
    folder = two_processes / "sharded"
    (tmp_path / "checkpoints").symlink_to(tmp_path / "copy")
    (tmp_path / "copy/step-000015").mkdir(parents=True)
    for file in (folder / "checkpoints/step-000015").iterdir():
        if file.name != "ema-00002-of-00002.safetensors":
            (tmp_path / "copy/step-000015" / file.name).symlink_to(file)
    with pytest.raises(CheckpointError, match=r"ema has the parts \[1\] of 2.*delete it"):
        elastic_run.run(tmp_path)


def test_accumulation_takes_the_place_of_processes(tmp_path):
    seen = []

    class Recorder(elastic_run.Pretraining):
        def forward(self, batch):
            seen.extend(batch.window_key.tolist() if self.training else [])
            return super().forward(batch)

    def recorder():
        objective = elastic_run.pretraining()
        objective.__class__ = Recorder
        return objective

    for accumulation in (1, 2):
        objective = recorder()
        elastic_run.run(
            tmp_path / str(accumulation),
            accumulation=accumulation,
            objective=objective,
            max_steps=5,
        )
    assert seen[:40] == seen[40:] and len(set(seen)) == 40


def test_an_update_of_another_size_is_refused(unbroken):
    with pytest.raises(
        CheckpointError, match=re.escape("is of updates of 8 windows, and batch_size 3 ×") + ".*choose"
    ):
        elastic_run.run(unbroken, batch_size=3)


@pytest.mark.parametrize("ranks", [2, 4])
def test_every_update_has_the_same_windows_on_any_number_of_ranks(ranks):
    alone = elastic_run.loader(8, 0, 1)
    shared = [elastic_run.loader(8 // ranks, rank, ranks) for rank in range(ranks)]
    for update in range(6):
        keys = sorted(alone.batch(update).window_key.tolist())
        assert sorted(k for part in shared for k in part.batch(update).window_key.tolist()) == keys
