"""How large the demonstration is."""

from __future__ import annotations

import os
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class DemoConfig:
    """How large the demonstration is.

    output_dir: gets the data, the models, the catalog, `report.html` and `report.json`.
    num_events: synthetic earthquakes to learn from; num_scored_events: others to choose thresholds, and
        as many again to score.
    pretraining, finetuning, region: configurations of the runs, and `key=value` changes to them.
    data_folder: real records to fine-tune on and score, where it exists: `$SEISFM_DATA`.
    workers: processes that make earthquakes.
    """

    output_dir: str = "demo_output"
    num_events: int = 600
    num_scored_events: int = 40
    seed: int = 1
    pretraining: str = "pretrain/demo.yaml"
    pretraining_changes: tuple[str, ...] = ()
    finetuning: str = "finetune/demo.yaml"
    finetuning_changes: tuple[str, ...] = ()
    region: str = "finetune/demo_region.yaml"
    region_changes: tuple[str, ...] = ()
    data_folder: str | None = field(default_factory=lambda: os.environ.get("SEISFM_DATA", "../shared/data"))
    workers: int = 2
