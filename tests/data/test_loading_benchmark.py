import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "loading.py"


@pytest.mark.slow
def test_the_loading_benchmark_runs_at_small_scale(tmp_path):
    """Two cases on a hundred records: rates, memory and a figure come out."""
    command = [sys.executable, SCRIPT, "--data", tmp_path / "data", "--out", tmp_path / "out"]
    command += ["--records", "100", "--windows", "256", "--repetitions", "2", "--threads", "1"]
    command += ["--cases", "ours", "raw_int32"]
    done = subprocess.run(
        [str(word) for word in command],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "out" / "loading.json").read_text())
    assert [row["case"] for row in result["summary"]] == ["ours", "raw_int32"]
    assert all(
        0 < row["per_cpu_s"][0] <= row["per_cpu_s"][1] <= row["per_cpu_s"][2] for row in result["summary"]
    )
    assert all(len(run["memory_mb"]) == 3 and run["num_windows"] == 256 for run in result["runs"])
    assert (tmp_path / "out" / "loading.png").stat().st_size > 1000
