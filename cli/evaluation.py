"""`seisfm eval`: how good a model is, beside baselines and with confidence intervals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .outcome import Outcome, command, skipped_lines, skipped_numbers

if TYPE_CHECKING:
    from ..eval.picking_run import PickingRunConfig

app = typer.Typer(help="Score a model on labelled data.", no_args_is_help=True, rich_markup_mode=None)
SHOWN = ("picker", "phase", "tolerance_s", "precision", "recall", "f1", "f1_low", "f1_high")
"""Columns that fit on a screen; the whole table is written."""


def add_to(parent: typer.Typer) -> None:
    """Register this module's commands under `seisfm eval`."""
    example = "seisfm eval picks --model MODEL --data test_set --validation valid_set --out scores seed=1"
    command(app, "picks", example)(picks)
    command(app, "run", "seisfm eval run eval/ncedc.yaml model=MODEL output_dir=scores")(run)
    parent.add_typer(app, name="eval")


def run(
    config: Annotated[str, typer.Argument(help="A YAML file, or the name of a shipped one.")],
    changes: Annotated[list[str] | None, typer.Argument(help="Settings to change, as key=value.")] = None,
) -> Outcome:
    """Score picks as one YAML says: model, test, validation and training records, protocol."""
    from ..configs.loader import load_config
    from ..eval.picking_run import PickingRunConfig

    return _scored(load_config(PickingRunConfig, config, changes or ()))


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
    from ..data.sources import SourceConfig
    from ..eval.picking_protocol import PickingProtocolConfig
    from ..eval.picking_run import PickingRunConfig

    def source(folder: Path | None) -> tuple[SourceConfig, ...]:
        return () if folder is None else (SourceConfig(kind=kind, path=str(folder)),)

    protocol = load_config(PickingProtocolConfig, config, changes or ())
    return _scored(
        PickingRunConfig(
            model=model,
            test=source(data),
            output_dir=str(out),
            validation=source(validation),
            train=source(train),
            protocol=protocol,
        )
    )


def _scored(config: PickingRunConfig) -> Outcome:
    from ..eval.picking_run import run_picking_evaluation

    scores, skipped = run_picking_evaluation(config)
    return Outcome(
        numbers={"out": config.output_dir, **scores.to_dict(), "unread": skipped_numbers(skipped)},
        lines=(
            scores.table[list(SHOWN)].round(3).to_string(index=False),
            *(_detection_line(name, found) for name, found in scores.detection.items()),
            scores.leakage.summary(),
            *scores.notes,
            *skipped_lines([*skipped, *scores.skipped]),
            f"wrote {config.output_dir}",
        ),
    )


def _detection_line(name: str, found: dict[str, float]) -> str:
    names = ("precision", "recall", "f1", "auc", "false_alarms_per_hour")
    return f"{name} as a detector: " + ", ".join(f"{key} {found[key]:.3g}" for key in names)
