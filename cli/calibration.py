"""`seisfm calibrate`: answers as sure as they are right, and a sense of what is strange."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .outcome import Outcome, command, skipped_numbers, skipped_summary


def add_to(app: typer.Typer) -> None:
    """Register this module's command."""
    command(app, "calibrate", "seisfm calibrate --model MODEL --data validation_set --out calibrated")(
        calibrate
    )


def calibrate(
    model: Annotated[str, typer.Option(help="A model's folder, hub id or bundled name.")],
    out: Annotated[
        Path, typer.Option(help="Folder for the calibrated model and the report; the model's own is fine.")
    ],
    changes: Annotated[list[str] | None, typer.Argument(help="Settings to change, as key=value.")] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Labelled records that the model has not learned from; without it synthetic ones."),
    ] = None,
    kind: Annotated[str | None, typer.Option(help="What the data are, such as corpus or seisbench.")] = None,
    noise: Annotated[Path | None, typer.Option(help="A folder with records without arrivals.")] = None,
    config: Annotated[str, typer.Option(help="All of it as a YAML file.")] = "eval/calibration.yaml",
) -> Outcome:
    """Make a model's probabilities and errors honest on labelled records, and measure what that does."""
    import dataclasses

    from ..configs.loader import load_config
    from ..data.sources import SourceConfig, guess_kind
    from ..eval.calibration.config import CalibrationConfig
    from ..eval.calibration.save import run_calibration

    overrides = [*(changes or ()), f"model={model}", f"output_dir={out}"]
    settings = load_config(CalibrationConfig, config, overrides)
    given: dict[str, Any] = {
        name: (SourceConfig(kind=kind or guess_kind(folder), path=str(folder)),)
        for name, folder in (("data", data), ("noise", noise))
        if folder is not None
    }
    numbers, skipped = run_calibration(dataclasses.replace(settings, **given))
    return Outcome(
        numbers={"out": out, **numbers, "skipped": skipped_numbers(skipped)},
        lines=(
            *(_line(row) for row in numbers["summary"] if row["n"]),
            *skipped_summary(skipped, out / "calibration_skipped.csv"),
            f"wrote {out}",
        ),
    )


def _line(row: dict[str, Any]) -> str:
    before, after = (_number(row[f"error {when}"]) for when in ("before", "after"))
    return f"{row['answers']}: {row['measure']} {before} before, {after} after ({row['n']} answers)"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
