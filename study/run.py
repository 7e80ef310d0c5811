"""A whole study: all of its runs, one after the other, and what they found."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from ..configs.loader import save_config
from ..data.records import Skipped
from ..eval.report import write_atomically
from .config import StudyConfig
from .figures import cost_figure, efficiency_figure
from .plan import Run, check_equal_budgets, pretrain_config, runs_of
from .records import StudyData, check_apart
from .results import costs, results
from .runs import Runner, is_done
from .tables import table_page


@dataclass(frozen=True, kw_only=True)
class StudyResult:
    """What a study found, where it wrote it, and what was left out."""

    output_dir: Path
    results: pd.DataFrame
    costs: pd.DataFrame
    skipped: tuple[Skipped, ...]


def run_study(study: StudyConfig) -> StudyResult:
    """Do all runs that are not done yet, and write `results.csv`, `costs.csv`, `table.md` and figures.

    One that was stopped goes on where it was, in the middle of a training too. Several processes may work on
    one study at a time, with seeds of their own (`seeds=[0,1,2]`); a last call with all seeds gathers them.

    Raises ValueError for arms that are not comparable and for test events that anything could learn from,
    before the first run, and what `Runner.do` raises.
    """
    check_equal_budgets(study)
    folder = Path(study.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    data = StudyData(folder=folder / "data")
    for line in check_apart(study, data, pretrain_config(study, study.arms[0], study.seeds[0])):
        print(line, flush=True)
    skipped = skipped_sets(study)
    for item in skipped:
        print(f"skipped {item.item}: {item.reason}", flush=True)
    runner = Runner(study, data)
    _do_all(study, runner)
    for one in study.sets_here:
        runner.score_baseline(one)
    save_config(study, folder / "study.yaml")
    return write_results(study, skipped)


def write_results(study: StudyConfig, skipped: tuple[Skipped, ...] = ()) -> StudyResult:
    """Write what the runs that are done have found; each file whole or not at all."""
    folder, found, spent = Path(study.output_dir), results(study), costs(study)
    write_atomically(folder / "results.csv", found.to_csv(index=False))
    write_atomically(folder / "costs.csv", spent.to_csv(index=False))
    write_atomically(folder / "table.md", table_page(study, found, spent))
    figures = {f"efficiency-{one.name}": efficiency_figure(study, one, found) for one in study.sets_here}
    for name, figure in {**figures, "cost": cost_figure(study, spent)}.items():
        unfinished = folder / f".{name}.png"
        figure.savefig(unfinished, dpi=150)
        unfinished.replace(folder / f"{name}.png")
    return StudyResult(output_dir=folder, results=found, costs=spent, skipped=skipped)


def skipped_sets(study: StudyConfig) -> tuple[Skipped, ...]:
    """The sets whose data are not here."""
    return tuple(
        Skipped(f"the set {one.name}", f"the environment variable {one.needs} is not set")
        for one in study.sets
        if not one.is_here
    )


def _do_all(study: StudyConfig, runner: Runner) -> None:
    runs = list(runs_of(study))
    clock = Clock([run for run in runs if not is_done(study, run)])
    for number, run in enumerate(runs, start=1):
        was_done, began_s = is_done(study, run), time.perf_counter()
        runner.do(run)
        if not was_done:
            clock.note(run, time.perf_counter() - began_s)
            print(f"[{number}/{len(runs)}] {run}: {clock}", flush=True)


@dataclass
class Clock:
    """How long the runs take, and how long what is left will: by what runs of the same kind have taken."""

    waiting: list[Run]
    _took_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    _last_s: float = 0.0

    def note(self, run: Run, took_s: float) -> None:
        """A run is done."""
        self.waiting.remove(run)
        self._took_s[run.kind].append(took_s)
        self._last_s = took_s

    @property
    def left_s(self) -> float:
        """Seconds until all is done; a kind of run that was not met yet takes as long as the mean."""
        mean_s = {kind: sum(times) / len(times) for kind, times in self._took_s.items()}
        usual_s = sum(mean_s.values()) / len(mean_s) if mean_s else 0.0
        return sum(mean_s.get(run.kind, usual_s) for run in self.waiting)

    def __str__(self) -> str:
        return f"{self._last_s:.0f} s, about {self.left_s / 60:.0f} min left"
