"""What a training has cost: windows, seconds, operations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def training_cost(folder: Path, batch_windows: int) -> dict[str, float]:
    """Windows seen, seconds and 10¹² operations of a training, from the log that it wrote.

    Also of one that was stopped and resumed. Seconds are those in the loop, with loading and without
    validations; they hold for one machine and what else it had to do, operations do not depend on that.

    batch_windows: of one update.
    """
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    reports = [line for line in lines if "windows_per_s" in line]
    cost = {"windows": 0.0, "seconds": 0.0, "teraflops": 0.0}
    before = 0
    for report in reports:
        windows = (report["step"] - before) * batch_windows
        seconds = windows / report["windows_per_s"]
        cost["windows"] += windows
        cost["seconds"] += seconds
        cost["teraflops"] += report["tflops"] * seconds
        before = report["step"]
    return cost


def no_cost() -> dict[str, Any]:
    """That of an encoder that nobody trained."""
    return {"windows": 0.0, "seconds": 0.0, "teraflops": 0.0}
