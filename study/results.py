"""All that a study has found so far, as two tables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from .config import StudyConfig
from .plan import folder_of, runs_of
from .runs import DONE, baseline_file, is_done

COLUMNS = ["arm", "seed", "num_events", "set", "phase", "metric", "value"]
COST_COLUMNS = ["arm", "seed", "stage", "set", "num_events", "windows", "seconds", "teraflops"]
BASELINE = "STA/LTA"
"""A picker that learns nothing: its rows have no seed and no number of events."""


def results(study: StudyConfig) -> pd.DataFrame:
    """A row for each arm, seed, number of events, set, phase and metric of the runs that are done."""
    return pd.DataFrame(list(_score_rows(study)), columns=COLUMNS)


def costs(study: StudyConfig) -> pd.DataFrame:
    """A row for each run that is done."""
    rows = [
        {"arm": run.arm.name, "seed": run.seed, "stage": run.stage, "num_events": run.num_events}
        | {"set": run.one.name if run.one else None}
        | _report(folder_of(study, run) / DONE)["cost"]
        for run in runs_of(study)
        if is_done(study, run)
    ]
    return pd.DataFrame(rows, columns=COST_COLUMNS)


def _score_rows(study: StudyConfig) -> Iterator[dict[str, Any]]:
    for one in study.sets_here:
        file = baseline_file(study, one)
        for row in _report(file)["scores"] if file.exists() else ():
            yield {"arm": BASELINE, "seed": None, "num_events": None, "set": one.name} | row
    for run in runs_of(study):
        if run.one is None or not is_done(study, run):
            continue
        who = {"arm": run.arm.name, "seed": run.seed, "num_events": run.num_events, "set": run.one.name}
        for row in _report(folder_of(study, run) / DONE)["scores"]:
            yield who | row


def _report(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text(encoding="utf-8"))
