"""`seisfm data check`: what is wrong with a data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .outcome import Outcome, command, skipped_lines

if TYPE_CHECKING:
    from rich.progress import Progress

EXAMPLE = "seisfm data check my_corpus --against test_corpus --out checked"


def add_to(app: typer.Typer) -> None:
    """Register the command under `seisfm data`."""
    command(app, "check", EXAMPLE)(check)


def check(
    path: Annotated[Path, typer.Argument(help="A corpus or another data set.")],
    out: Annotated[Path, typer.Option(help="The folder for the report, findings.csv and exclude.csv.")],
    kind: Annotated[str | None, typer.Option(help="What the data are, where the files do not tell.")] = None,
    against: Annotated[
        list[Path] | None, typer.Option(help="Another set, of which nothing may occur in this one.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that read and look.")] = 1,
    strict: Annotated[
        bool, typer.Option("--strict", help="End with status 1 where an error is found.")
    ] = False,
    settings: Annotated[
        list[str] | None, typer.Argument(help="Thresholds, as spike_ratio=10: see docs/audit.md.")
    ] = None,
) -> Outcome:
    """Look for faults of waveforms, labels and metadata, and write a report and a list to exclude."""
    from ..configs.loader import build_config
    from ..data.sources import open_records
    from ..eval.audit.config import AuditConfig
    from ..eval.audit.page import write_page
    from ..eval.audit.run import audit
    from ..eval.audit.tables import summary, write_tables

    config = build_config(AuditConfig, {}, settings or (), source="the check")
    records, skipped = open_records(path, kind)
    others = [open_records(other) for other in against or ()]
    skipped = [*skipped, *(item for _, items in others for item in items)]
    with _progress() as progress:
        task = progress.add_task("checking", total=len(records))
        result = audit(
            records,
            config,
            against=[other for other, _ in others],
            skipped=skipped,
            workers=workers,
            progress=lambda done: progress.update(task, completed=done),
        )
    written = write_tables(result, out)
    report = write_page(result, records, out / "report.html", path.name)
    counts = summary(result)
    errors = f"{counts['num_errors']} errors in {counts['num_excluded']} of {len(records)} records"
    return Outcome(
        numbers=counts | written | {"report": report},
        lines=(
            *skipped_lines(skipped),
            *(f"{name}  {count}" for name, count in counts["records_by_check"].items()),
            f"{errors}, {counts['num_warnings']} warnings: {report}",
        ),
        failures=(errors,) if strict and result.num_errors else (),
    )


def _progress() -> Progress:
    """On stderr, so that stdout holds the results alone."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True))
