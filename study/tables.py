"""The results as tables that people read: means over seeds, differences to the reference, and costs."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from .config import StudyConfig, StudySet
from .intervals import MeanOverSeeds, over_seeds, paired
from .results import BASELINE

PHASES = ("P", "S")

ABOUT = """\
Mean over seeds with its 95 % interval (Student's t); {seeds} seeds unless a cell says otherwise. F1 within
{tolerance_s:g} s, thresholds from validation events. The interval holds what seeds decide: first weights,
masks, order, and which events are labelled; the test events are the same for all. Differences are between
runs of the same seed; bold where the interval is clear of 0 (one table has many cells: some are clear by
chance)."""


def table_page(study: StudyConfig, found: pd.DataFrame, costs: pd.DataFrame) -> str:
    """All tables of a study as Markdown."""
    metric = f"f1@{study.tolerance_s:g}s"
    parts = [ABOUT.format(seeds=len(study.seeds), tolerance_s=study.tolerance_s)]
    for one in study.sets_here:
        for phase in PHASES:
            scores = select(found, one.name, phase, metric)
            parts.append(f"### {one.name}, {phase}: F1 by number of labelled events")
            parts.append(_score_table(study, one, scores))
            parts.append(f"### {one.name}, {phase}: difference of F1 to `{study.reference}`")
            parts.append(_difference_table(study, one, scores))
    parts += ["### Cost of a pretraining", cost_table(study, costs)]
    return "\n\n".join(parts) + "\n"


def select(found: pd.DataFrame, set_name: str, phase: str, metric: str) -> pd.DataFrame:
    """The rows of one set, phase and metric."""
    chosen = (found.set == set_name) & (found.phase == phase) & (found.metric == metric)
    return found[chosen]


def values_of(scores: pd.DataFrame, arm: str, num_events: int) -> pd.Series:
    """The values of an arm at a number of events, by seed."""
    rows = scores[(scores.arm == arm) & (scores.num_events == num_events)]
    return rows.set_index("seed")["value"].astype(float)


def _score_table(study: StudyConfig, one: StudySet, scores: pd.DataFrame) -> str:
    def cell(arm: str, num_events: int) -> str:
        return _with_count(over_seeds(values_of(scores, arm, num_events)), study)

    table = _by_arm(study, one, [arm.name for arm in study.arms], cell)
    baseline = scores[scores.arm == BASELINE]["value"]
    note = f"{BASELINE}, which learns nothing: {over_seeds(baseline)}"
    return f"{table}\n\n{note}" if len(baseline) else table


def _difference_table(study: StudyConfig, one: StudySet, scores: pd.DataFrame) -> str:
    def cell(arm: str, num_events: int) -> str:
        difference = paired(
            values_of(scores, arm, num_events), values_of(scores, study.reference, num_events)
        )
        text = _with_count(difference, study)
        return f"**{text}**" if difference.excludes_zero else text

    return _by_arm(study, one, [arm.name for arm in study.arms if arm.name != study.reference], cell)


def _by_arm(study: StudyConfig, one: StudySet, arms: list[str], cell: Callable[[str, int], str]) -> str:
    budgets = study.budgets_of(one)
    return _markdown(
        ["arm", *(f"{count} events" for count in budgets)],
        [[arm, *(cell(arm, count) for count in budgets)] for arm in arms],
    )


def cost_table(study: StudyConfig, costs: pd.DataFrame) -> str:
    """Windows, operations and seconds of each arm's pretraining."""
    rows = []
    for arm in study.arms:
        own = costs[(costs.arm == arm.name) & (costs.stage == "pretraining")]
        if len(own):
            rows.append(
                [arm.name, *(f"{own[name].mean():.4g}" for name in ("windows", "teraflops", "seconds"))]
            )
    return _markdown(["arm", "windows", "10¹² operations", "seconds (machine shared)"], rows)


def _with_count(mean: MeanOverSeeds, study: StudyConfig) -> str:
    return str(mean) if mean.count in (0, len(study.seeds)) else f"{mean} (n = {mean.count})"


def _markdown(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
