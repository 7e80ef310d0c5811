"""`seisfm study`: which pretraining is worth its cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from .outcome import Outcome, command, skipped_lines, skipped_numbers

if TYPE_CHECKING:
    from ..study.config import StudyConfig


def add_to(app: typer.Typer) -> None:
    """Register this module's command."""
    command(app, "study", "seisfm study study/pretraining.yaml output_dir=runs/study --dry-run")(study)


def study(
    config: Annotated[str, typer.Argument(help="A YAML file, or the name of a shipped one.")],
    changes: Annotated[list[str] | None, typer.Argument(help="Settings to change, as key=value.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell the runs and how long they take.")] = False,
) -> Outcome:
    """Compare ways of pretraining: arms × seeds × numbers of labelled events × sets, under one budget.

    Goes on where it was stopped. Processes with seeds of their own (seeds=[0,1]) may share a study; a last
    call with all seeds puts their results together.
    """
    from ..configs.loader import load_config
    from ..study.config import StudyConfig
    from ..study.run import run_study

    settings = load_config(StudyConfig, config, changes or ())
    if dry_run:
        return _planned(settings)
    result = run_study(settings)
    return Outcome(
        numbers={
            "output_dir": result.output_dir,
            "results": result.results.to_dict("records"),
            "costs": result.costs.to_dict("records"),
            "skipped": skipped_numbers(result.skipped),
        },
        lines=(*skipped_lines(result.skipped), f"wrote {result.output_dir}"),
    )


def _planned(settings: StudyConfig) -> Outcome:
    from ..study.estimate import estimate_study

    estimate = estimate_study(settings)
    return Outcome(numbers=estimate.to_dict(), lines=estimate.lines())
