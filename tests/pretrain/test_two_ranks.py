"""Two processes are one with twice the batch, for every objective; and what happens when one of them dies."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("two_ranks_run.py")
_spec = importlib.util.spec_from_file_location("two_ranks_run", SCRIPT)
two_ranks_run = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(two_ranks_run)

NAMES = tuple(two_ranks_run.ours.SETTINGS)


def losses(folder):
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    """What two processes left, what they said, and how long they lived on after one of them was killed."""
    folder = tmp_path_factory.mktemp("two")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run(
        [*command, str(SCRIPT), str(folder)],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"},
        check=False,
    )
    ended = time.time()
    killed = re.search(r"killed at ([\d.]+)", done.stdout)
    assert killed, done.stderr
    return folder, done, ended - float(killed.group(1))


@pytest.fixture(scope="module")
def one_process(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one")
    for name in NAMES:
        two_ranks_run.run(name, folder / name)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_two_processes_have_the_losses_of_one_with_twice_the_batch(name, two_processes, one_process):
    folder, _, _ = two_processes
    together, apart = losses(one_process / name), losses(folder / name)
    assert len(together) == two_ranks_run.NUM_UPDATES
    assert apart == pytest.approx(together, abs=1e-5)
    assert len(set(together)) == len(together)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_one_process_goes_on_with_the_same_windows_where_two_were(name, two_processes, one_process, tmp_path):
    folder = tmp_path / name
    shutil.copytree(two_processes[0] / name, folder)
    shutil.rmtree(folder / "checkpoints" / "step-000020")
    assert two_ranks_run.run(name, folder).resumed_from == 10
    assert losses(folder)[-10:] == pytest.approx(losses(one_process / name)[10:], abs=1e-5)


@pytest.mark.slow
def test_a_killed_process_ends_the_others_with_an_error_within_seconds(two_processes):
    folder, done, seconds = two_processes
    assert done.returncode != 0 and seconds < 20
    assert "Signal 9 (SIGKILL)" in done.stderr and "two_ranks_run.py FAILED" in done.stderr
    assert len(losses(folder / "killed")) <= 4 and not (folder / "killed" / "checkpoints").exists()
