"""`seisfm card` and `seisfm publish`: describing a model and giving it to others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .outcome import Outcome, command

Licence = Annotated[
    str | None, typer.Option("--license", help="Of the weights, as an SPDX name such as apache-2.0.")
]
DataLicence = Annotated[
    str | None,
    typer.Option("--data-license", help="Of training data whose licence the run's settings do not tell."),
]


def add_to(app: typer.Typer) -> None:
    """Register this module's commands."""
    command(app, "card", "seisfm card runs/picker --license apache-2.0")(card)
    command(app, "publish", "seisfm publish runs/picker --to models/picker --license apache-2.0")(publish)


def card(
    model_dir: Annotated[Path, typer.Argument(help="A model's folder.")],
    licence: Licence = None,
    data_licence: DataLicence = None,
) -> Outcome:
    """Write the model card (README.md) from what the run has left: settings, scores, input contract."""
    from ..hub.card import write_card

    path = write_card(model_dir, licence, data_licence)
    return Outcome(numbers={"card": path}, lines=(f"wrote {path}",))


def publish(
    model_dir: Annotated[Path, typer.Argument(help="A model's folder.")],
    to: Annotated[str, typer.Option(help="A folder, or hub:OWNER/NAME for a repository on the hub.")],
    licence: Licence = None,
    data_licence: DataLicence = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
) -> Outcome:
    """Check a model, write its card, and publish it to a folder or to the hub."""
    from ..hub.publish import publish as run

    published = run(model_dir, to, licence=licence, data_licence=data_licence, force=force)
    lines = [f"{digest}  {name}" for name, digest in published.sha256.items()]
    return Outcome(
        numbers={"location": published.location, "sha256": published.sha256},
        lines=(*lines, f"published {published.location}"),
    )
