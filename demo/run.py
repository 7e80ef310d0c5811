"""The demonstration: what it does, in order. Each stage is a function of `stages.py`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from ..eval.report import Report
from . import page, stages
from .config import DemoConfig


def run_demo(config: DemoConfig) -> dict[str, Any]:
    """Pretrain, fine-tune, score, publish, reload, pick, associate, report. Returns the report's numbers.

    A demonstration that was stopped goes on where it was: data that are there are not made again, and
    training resumes from its checkpoint.
    """
    folder = Path(config.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    report, clock = Report("seisfm demonstration"), _Clock()
    page.introduction(report)
    with clock.stage("synthetic earthquakes"):
        corpus = stages.make_corpus(folder / "data", config)
        page.corpus(report, corpus)
    with clock.stage("pretraining"):
        pretrained = stages.pretrain_encoder(folder / "pretrained", corpus, config)
        page.pretraining(report, pretrained)
    with clock.stage("fine-tuning with LoRA"):
        tuned = stages.finetune_picker(folder / "adapter", pretrained.output_dir, corpus, config)
        page.finetuning(report, tuned)
    with clock.stage("scores before and after"):
        scores = stages.score_before_and_after(tuned, pretrained.output_dir, corpus, config)
        page.scores(report, scores, corpus)
    with clock.stage("publishing and loading again"):
        model_dir = stages.publish_merged(folder, tuned, scores["after"])
        page.publishing(report, model_dir)
    with clock.stage("real local earthquakes"):
        page.picks(report, stages.pick_examples(model_dir))
        page.catalog(report, stages.small_catalog(folder, model_dir))
    with clock.stage("a real region"):
        page.region(report, stages.adapt_to_real_records(folder / "region", model_dir, config))
    page.timing(report, clock.table())
    written = report.write(folder / "report.html")
    clock.console.print(f"wrote {written}")
    return {"report": str(written), "model": str(model_dir), "total_s": clock.total_s()}


class _Clock:
    """Says which stage runs, and remembers how long each took."""

    def __init__(self) -> None:
        self.console = Console(stderr=True)
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.console.print(f"[bold]{len(self.seconds) + 1}. {name}[/bold]")
        begin = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - begin
        self.console.print(f"   {self.seconds[name]:.0f} s")

    def total_s(self) -> float:
        return sum(self.seconds.values())

    def table(self) -> pd.DataFrame:
        rows = [*self.seconds.items(), ("in all", self.total_s())]
        return pd.DataFrame(rows, columns=["stage", "wall time (s)"]).round(0)
