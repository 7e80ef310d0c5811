"""All of a study, as one YAML says it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import Any

from ..data.sources import SourceConfig
from ..eval.picking_protocol import PickingProtocolConfig
from ..pretrain.objectives.registry import objective_config

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+.-]*")


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way of making the encoder that is fine-tuned.

    name: in tables, and of its folders.
    objectives, objective_weights: of its pretraining, as `PretrainConfig` has them. No objective: the
        encoder stays as it is born, with random weights.
    overrides: further changes to the pretraining, as on a command line: `training.learning_rate=3e-4`. What
        makes arms comparable (data, windows, architecture, number of steps) cannot be changed.
    """

    name: str
    objectives: dict[str, dict[str, Any]] = field(default_factory=dict)
    objective_weights: dict[str, float] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class StudySet:
    """Earthquakes that the encoders meet after pretraining: some to learn picks from, others to be scored on.

    train: the labelled events that the budgets draw from. validation: choose the best weights and the
        thresholds; the same for all arms, seeds and budgets. test: are scored.
    budgets: numbers of labelled events; those of the study where none are given.
    needs: an environment variable; where it is not set, the set is left out, and the study says so.
    """

    name: str
    train: tuple[SourceConfig, ...]
    validation: tuple[SourceConfig, ...]
    test: tuple[SourceConfig, ...]
    budgets: tuple[int, ...] = ()
    needs: str | None = None

    @property
    def sides(self) -> dict[str, tuple[SourceConfig, ...]]:
        """The sources by side."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    @property
    def is_here(self) -> bool:
        """Whether what it needs is there."""
        return self.needs is None or bool(os.environ.get(self.needs))


@dataclass(frozen=True, kw_only=True)
class StudyConfig:
    """All of a study: every arm, with every seed, is fine-tuned on every budget of every set, and scored.

    output_dir: gets a folder for each run, and `results.csv`, `costs.csv`, `table.md` and figures.
    pretraining: what all arms have in common, as in a `PretrainConfig`; the arms bring the objectives.
    finetuning: as in a `FinetuneConfig`; method, heads, windows and steps are the same for all.
    seeds: of the first weights, the masks, the order of the data, and of which events are labelled.
    budgets: numbers of labelled events. Of one seed, the events of a smaller budget are among those of a
        larger one, and all arms have the same.
    protocol: how picks are scored; thresholds come from a set's validation side.
    tolerance_s: of the scores in table and figures; one of the protocol's.
    reference: the arm that the others are compared with, seed by seed.
    """

    output_dir: str
    arms: tuple[Arm, ...]
    sets: tuple[StudySet, ...]
    pretraining: dict[str, Any]
    finetuning: dict[str, Any]
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    budgets: tuple[int, ...] = (5, 20, 100)
    protocol: PickingProtocolConfig = field(default_factory=PickingProtocolConfig)
    tolerance_s: float = 0.5
    reference: str = "none"

    def __post_init__(self) -> None:
        names = [arm.name for arm in self.arms]
        _check_names("arm", names)
        _check_names("set", [one.name for one in self.sets])
        if self.reference not in names:
            raise ValueError(f"reference must be one of the arms {names}, found {self.reference!r}")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds must be one or more, each once, found {self.seeds}")
        for budgets in (self.budgets, *(self.budgets_of(one) for one in self.sets)):
            if not budgets or min(budgets) < 1 or list(budgets) != sorted(set(budgets)):
                raise ValueError(f"budgets must be 1 or more and rise, found {budgets}")
        if self.tolerance_s not in self.protocol.tolerances_s:
            raise ValueError(
                f"tolerance_s must be one of the protocol's {self.protocol.tolerances_s}, "
                f"found {self.tolerance_s}"
            )
        # A typing error in an objective shows before any arm is trained.
        for arm in self.arms:
            for name, settings in arm.objectives.items():
                objective_config(name, settings)

    def budgets_of(self, one: StudySet) -> tuple[int, ...]:
        """The numbers of labelled events of a set."""
        return one.budgets or self.budgets

    @property
    def sets_here(self) -> tuple[StudySet, ...]:
        """The sets whose data are there."""
        return tuple(one for one in self.sets if one.is_here)


def _check_names(kind: str, names: list[str]) -> None:
    """Names become folders, and there must be one of each."""
    if not names or len(set(names)) < len(names):
        raise ValueError(f"each {kind} needs a name of its own, and there must be one or more, found {names}")
    for name in names:
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"{kind} names become folders: letters, digits and + - _ . alone, found {name!r}"
            )
