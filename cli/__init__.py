"""The `seisfm` command. Each subcommand is thin: read the arguments, call one function, print the result.

What a command needs is imported inside of it, so that `--help` answers at once.
"""

from __future__ import annotations

from typing import Annotated

import typer

from ..version import __version__
from . import calibration, data, evaluation, sharing, study, training, use

app = typer.Typer(
    name="seisfm",
    help="Seismic foundation models: from waveforms to picks and catalogs, and from your data to your model.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    epilog="\b\nExample:\n  seisfm demo --out demo_output",
)
use.add_to(app)
training.add_to(app)
evaluation.add_to(app)
calibration.add_to(app)
study.add_to(app)
data.add_to(app)
sharing.add_to(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"seisfm {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line and end with its status: 0 when all succeeded, 1 for failures, 2 for wrong use."""
    app(prog_name="seisfm")
