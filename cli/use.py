"""`seisfm demo`, `seisfm pick` and `seisfm catalog`: using a model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .outcome import Outcome, command, scalars, skipped_lines, skipped_numbers

if TYPE_CHECKING:
    from ..catalog.picker import PickResult
    from ..data.records import Skipped

PICK_SUFFIXES = (".csv", ".parquet", ".xml", ".qml", ".quakeml")


def add_to(app: typer.Typer) -> None:
    """Register this module's commands."""
    command(app, "demo", "seisfm demo --out demo_output")(demo)
    command(app, "pick", "seisfm pick day.mseed more_waveforms --model MODEL --out picks.csv")(pick)
    command(
        app,
        "catalog",
        "seisfm catalog catalog/local.yaml archive=SDS stations=stations.xml model=MODEL output_dir=catalog",
    )(catalog)


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the models, figures and the report.")] = Path(
        "demo_output"
    ),
) -> Outcome:
    """Everything at small scale: pretrain, fine-tune, pick, locate and report, in minutes on a CPU."""
    from ..demo import DemoConfig, run_demo

    numbers = run_demo(DemoConfig(output_dir=str(out)))
    return Outcome(numbers=numbers, lines=tuple(scalars(numbers)))


def pick(
    inputs: Annotated[
        list[Path], typer.Argument(help="Waveform files, or folders of them, that ObsPy reads.")
    ],
    model: Annotated[str, typer.Option(help="A model's folder, hub id or bundled name.")],
    out: Annotated[Path, typer.Option(help="Picks: .csv, .parquet, or .xml/.qml for QuakeML.")],
    p_threshold: Annotated[
        float | None, typer.Option(help="Least probability of a P pick; the model's own, or 0.3.")
    ] = None,
    s_threshold: Annotated[
        float | None, typer.Option(help="Least probability of an S pick; the model's own, or 0.3.")
    ] = None,
    revision: Annotated[str | None, typer.Option(help="Which revision of the model on the hub.")] = None,
    stations: Annotated[
        Path | None,
        typer.Option(
            help="StationXML or CSV: stations are picked together by a model that listens to others."
        ),
    ] = None,
) -> Outcome:
    """Pick P and S arrivals in waveform files.

    Ends with status 1 where a file could not be read in full, or where nothing was left to look at.
    """
    if out.suffix.lower() not in PICK_SUFFIXES:
        raise typer.BadParameter(
            f"picks are written to {', '.join(PICK_SUFFIXES)}; found {out}", param_hint="--out"
        )
    from ..catalog.pick_formats import write_picks
    from ..catalog.picker import Picker
    from ..data.continuous.archive import read_waveforms
    from ..data.formats.tables import read_stations

    picker = Picker.from_pretrained(model, revision, p_threshold=p_threshold, s_threshold=s_threshold)
    stream, unread = read_waveforms(inputs)
    result = picker.classify(stream, None if stations is None else read_stations(stations))
    write_picks(result.picks, out)
    failures = [f"{entry.item}: {entry.reason}" for entry in unread]
    if not result.num_records:
        failures.append(f"nothing to pick: {len(stream)} traces read, none of them usable")
    return Outcome(
        numbers=_pick_numbers(result, unread, out),
        lines=tuple(_pick_lines(result, out)),
        failures=tuple(failures),
    )


def _pick_numbers(result: PickResult, unread: Sequence[Skipped], out: Path) -> dict[str, Any]:
    counts = result.picks.counts()
    return {
        "out": out,
        "num_picks": len(result.picks),
        "num_detections": len(result.detections),
        "picks_per_station": counts.to_dict(orient="index"),
        "skipped": skipped_numbers([*unread, *result.skipped]),
    }


def _pick_lines(result: PickResult, out: Path) -> list[str]:
    lines = []
    for station, counts in result.picks.counts().iterrows():
        lines.append(f"{station}  " + "  ".join(f"{count} {phase}" for phase, count in counts.items()))
    lines += skipped_lines(result.skipped)
    return [*lines, f"{len(result.picks)} picks and {len(result.detections)} detections: {out}"]


def catalog(
    config: Annotated[str, typer.Argument(help="A YAML file, or the name of a shipped one.")],
    changes: Annotated[list[str] | None, typer.Argument(help="Settings to change, as key=value.")] = None,
) -> Outcome:
    """From an archive to a catalog: picks, association, location and a report. Resumes where it stopped.

    With mechanisms.method=grid_search also focal mechanisms, from the first motions of P.
    """
    from ..catalog.run import CatalogConfig, run_catalog
    from ..configs.loader import load_config

    result = run_catalog(load_config(CatalogConfig, config, changes or ()))
    summary = json.loads((result.output_dir / "summary.json").read_text(encoding="utf-8"))
    return Outcome(
        numbers={"output_dir": result.output_dir, **summary},
        lines=(*scalars(summary), f"wrote {result.output_dir}"),
        failures=tuple(f"{error.item}: {error.reason}" for error in result.errors),
    )
