"""`seisfm eval`: how good a model is, beside baselines and with confidence intervals."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .outcome import Outcome, command

app = typer.Typer(help="Score a model on labelled data.", no_args_is_help=True, rich_markup_mode=None)


def add_to(parent: typer.Typer) -> None:
    """Register this module's commands under `seisfm eval`."""
    command(
        app, "picks", "seisfm eval picks --model MODEL --data test_set --kind seisbench --out runs/scores"
    )(picks)
    parent.add_typer(app, name="eval")


def picks(
    model: Annotated[str, typer.Option(help="A model's folder, hub id or bundled name.")],
    data: Annotated[Path, typer.Option(help="A folder with labelled records.")],
    out: Annotated[Path, typer.Option(help="Folder for the scores (JSON and CSV).")],
    kind: Annotated[str, typer.Option(help="What the data are: seisbench or phasenet_npz.")] = "seisbench",
    seed: Annotated[int, typer.Option(help="Of the windows' positions and the confidence intervals.")] = 0,
) -> Outcome:
    """Score P and S picks, with a positional dummy and STA/LTA beside the model."""
    from ..data.sources import SourceConfig, load_all
    from ..eval.picking_protocol import PickingProtocolConfig, evaluate_picking
    from ..heads.task_model import load_model

    records, skipped = load_all([SourceConfig(kind=kind, path=str(data))])
    scores = evaluate_picking(load_model(model), records, PickingProtocolConfig(seed=seed))
    scores.write(out)
    return Outcome(
        numbers={"out": out, "num_skipped": len(skipped), "table": scores.table.to_dict(orient="records")},
        lines=(scores.table.to_string(index=False), f"{len(skipped)} records skipped; wrote {out}"),
    )
