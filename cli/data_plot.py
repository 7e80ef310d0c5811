"""`seisfm data plot`: look at a data set before anything learns from it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .outcome import Outcome, command, skipped_lines, skipped_numbers

EXAMPLE = "seisfm data plot my_corpus --out figures"


def add_to(app: typer.Typer) -> None:
    """Register the command under `seisfm data`."""
    command(app, "plot", EXAMPLE)(plot)


def plot(
    path: Annotated[Path, typer.Argument(help="A corpus or another data set.")],
    out: Annotated[Path, typer.Option(help="Folder for the page and the figures (PNG).")],
    examples: Annotated[int, typer.Option(min=0, help="Records drawn with their labels.")] = 12,
    measured: Annotated[int, typer.Option(min=0, help="Records whose signal-to-noise is measured.")] = 2000,
    seed: Annotated[int, typer.Option(help="Of the choice of both.")] = 0,
    kind: Annotated[str | None, typer.Option(help="What the data are, where the files do not tell.")] = None,
) -> Outcome:
    """Draw a map, magnitudes, distances, S − P, signal-to-noise, rates, classes and example records."""
    from ..data.sources import open_records
    from ..eval.data_page import DataPageConfig, write_data_page

    records, skipped = open_records(path, kind)
    config = DataPageConfig(num_examples=examples, num_measured=measured, seed=seed)
    page = write_data_page(records, out, path.resolve().name, config)
    figures = sorted(out.glob("*.png"))
    return Outcome(
        numbers={
            "page": page,
            "figures": figures,
            "num_records": len(records),
            "skipped": skipped_numbers(skipped),
        },
        lines=(*skipped_lines(skipped), f"{len(records)} records, {len(figures)} figures: {page}"),
    )
