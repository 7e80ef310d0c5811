"""Label efficiency and cost, as figures."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..eval.figures import GREY, new_figure
from .config import StudyConfig, StudySet
from .intervals import over_seeds
from .results import BASELINE
from .tables import PHASES, select, values_of

MARKERS = "osD^vP*X"


def efficiency_figure(study: StudyConfig, one: StudySet, found: pd.DataFrame) -> Figure:
    """F1 of P and of S against the number of labelled events, a line an arm, with its interval over seeds."""
    figure, axes = new_figure(5.2, columns=len(PHASES), sharey=True)
    for panel, phase in zip(axes, PHASES, strict=True):
        scores = select(found, one.name, phase, f"f1@{study.tolerance_s:g}s")
        for number, arm in enumerate(study.arms):
            _line(panel, study.budgets_of(one), scores, arm.name, number)
        for value in scores[scores.arm == BASELINE]["value"]:
            panel.axhline(value, color=GREY, lw=1.2, ls=(0, (2, 2)), label=BASELINE)
        budgets = study.budgets_of(one)
        panel.set_xscale("log")
        panel.set_xticks(budgets, [str(count) for count in budgets])
        panel.set_xticks([], minor=True)
        panel.set(xlabel="labelled events", ylim=(0, 1))
        panel.set_title(phase, loc="left")
        panel.grid(alpha=0.25)
    axes[0].set_ylabel(f"F1 within {study.tolerance_s:g} s")
    handles = axes[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=3, fontsize=10, frameon=False)
    return figure


def _line(panel: Axes, budgets: tuple[int, ...], scores: pd.DataFrame, arm: str, number: int) -> None:
    means = [over_seeds(values_of(scores, arm, count)) for count in budgets]
    middle = np.array([mean.mean for mean in means])
    half = np.nan_to_num(np.array([mean.half_width for mean in means]))
    color = colormaps["tab10"](number % 10)
    panel.plot(budgets, middle, marker=MARKERS[number % len(MARKERS)], ms=5, color=color, label=arm)
    panel.fill_between(budgets, middle - half, middle + half, color=color, alpha=0.13, lw=0)


def cost_figure(study: StudyConfig, costs: pd.DataFrame) -> Figure:
    """The operations of each arm's pretraining: all have seen as many windows."""
    own = costs[costs.stage == "pretraining"].groupby("arm").teraflops.mean()
    names = [arm.name for arm in study.arms if arm.name in own]
    figure, (axes,) = new_figure(1.2 + 0.32 * len(names))
    axes.barh(names[::-1], [own[name] for name in names[::-1]], color=GREY, height=0.6)
    axes.set_xlabel("10¹² operations of a pretraining")
    axes.grid(axis="x", alpha=0.25)
    return figure
