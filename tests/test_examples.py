"""The examples run as their first lines say."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
STATUS = {"two overlapping traces": "0"}
"""Where something is left to look at the command succeeds; all other bad input is a failure."""


@pytest.mark.slow
def test_bad_input_is_told_in_words(new_model: Callable, tmp_path: Path) -> None:
    new_model().save_pretrained(tmp_path / "model")
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "bad_input.py"), "--model", str(tmp_path / "model")],
        capture_output=True,
        text=True,
        check=True,
    )
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines()[2:]]
    assert len(rows) == 9
    for case, _, status, message in rows:
        assert status == STATUS.get(case, "1"), case
        assert "Traceback" not in message and len(message) > 40, case
