"""`seisfm data`: making and converting data sets."""

from __future__ import annotations

import typer

from . import (
    data_check,
    data_convert,
    data_leakage,
    data_noise,
    data_plot,
    data_region,
    data_split,
    data_synthesize,
)

app = typer.Typer(help="Make and convert data sets.", no_args_is_help=True, rich_markup_mode=None)


def add_to(parent: typer.Typer) -> None:
    """Register this module's commands under `seisfm data`."""
    data_convert.add_to(app)
    data_region.add_to(app)
    data_noise.add_to(app)
    data_check.add_to(app)
    data_split.add_to(app)
    data_leakage.add_to(app)
    data_plot.add_to(app)
    data_synthesize.add_to(app)
    parent.add_typer(app, name="data")
