"""`seisfm eval`: how good a model is, beside baselines and with confidence intervals."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .outcome import Outcome, command, skipped_lines, skipped_numbers

app = typer.Typer(help="Score a model on labelled data.", no_args_is_help=True, rich_markup_mode=None)
SHOWN = ("picker", "phase", "tolerance_s", "precision", "recall", "f1", "f1_low", "f1_high")
"""Columns that fit on a screen; the whole table is written."""


def add_to(parent: typer.Typer) -> None:
    """Register this module's commands under `seisfm eval`."""
    example = "seisfm eval picks --model MODEL --data test_set --validation valid_set --out scores seed=1"
    command(app, "picks", example)(picks)
    parent.add_typer(app, name="eval")


def picks(
    model: Annotated[str, typer.Option(help="A model's folder, hub id or bundled name.")],
    data: Annotated[Path, typer.Option(help="A folder with labelled records.")],
    out: Annotated[Path, typer.Option(help="Folder for the scores (JSON and CSV).")],
    changes: Annotated[list[str] | None, typer.Argument(help="Settings to change, as key=value.")] = None,
    kind: Annotated[str, typer.Option(help="What the data are: seisbench or phasenet_npz.")] = "seisbench",
    validation: Annotated[Path | None, typer.Option(help="Records that choose the thresholds.")] = None,
    train: Annotated[
        Path | None, typer.Option(help="What the model has seen, for the leakage report.")
    ] = None,
    config: Annotated[str, typer.Option(help="The protocol: a YAML file.")] = "eval/picking.yaml",
) -> Outcome:
    """Score P and S picks, with a positional dummy and STA/LTA beside the model."""
    from ..configs.loader import load_config
    from ..data.sources import SourceConfig, load_all
    from ..eval.picking_protocol import PickingProtocolConfig, evaluate_picking
    from ..heads.task_model import load_model

    protocol = load_config(PickingProtocolConfig, config, changes or ())
    folders = {"validation_records": validation, "train_records": train}
    others = {
        name: load_all([SourceConfig(kind=kind, path=str(folder))])[0]
        for name, folder in folders.items()
        if folder is not None
    }
    records, skipped = load_all([SourceConfig(kind=kind, path=str(data))])
    scores = evaluate_picking(load_model(model), records, protocol, **others)
    scores.write(out)
    return Outcome(
        numbers={"out": out, **scores.to_dict(), "unread": skipped_numbers(skipped)},
        lines=(
            scores.table[list(SHOWN)].round(3).to_string(index=False),
            scores.leakage.summary(),
            *scores.notes,
            *skipped_lines([*skipped, *scores.skipped]),
            f"wrote {out}",
        ),
    )
