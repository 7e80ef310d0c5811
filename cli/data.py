"""`seisfm data`: making and converting data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import data_check, data_convert, data_leakage, data_noise, data_plot, data_region, data_split
from .outcome import Outcome, command

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
    command(app, "synthesize", "seisfm data synthesize --events 100 --seed 1 --out synthetic_set")(synthesize)
    example = "seisfm data synthesize-archive --stations 6 --minutes 30 --events 20 --out synthetic_region"
    command(app, "synthesize-archive", example)(synthesize_continuous)
    parent.add_typer(app, name="data")


def synthesize(
    out: Annotated[Path, typer.Option(help="The new folder, in SeisBench's format.")],
    events: Annotated[int, typer.Option(min=1, help="How many earthquakes.")] = 100,
    seed: Annotated[int, typer.Option(help="The same seed gives the same earthquakes.")] = 0,
) -> Outcome:
    """Make physical synthetic seismograms with complete labels."""
    from ..data.formats.seisbench_format import write_seisbench
    from ..data.synthesis import SynthesisConfig, synthesize_records

    records = synthesize_records(SynthesisConfig(), seed, events)
    write_seisbench(records, out)
    return Outcome(
        numbers={"out": out, "num_records": len(records), "num_events": events, "seed": seed},
        lines=(f"{len(records)} records of {events} events: {out}",),
    )


def synthesize_continuous(
    out: Annotated[Path, typer.Option(help="The new folder.")],
    stations: Annotated[int, typer.Option(min=1, help="How many stations.")] = 6,
    minutes: Annotated[float, typer.Option(help="Length of the archive.")] = 30.0,
    events: Annotated[int, typer.Option(min=1, help="How many earthquakes.")] = 20,
    seed: Annotated[int, typer.Option(help="The same seed gives the same earthquakes.")] = 0,
) -> Outcome:
    """Make a synthetic network's continuous archive: SDS, StationXML, true QuakeML and velocity model."""
    from ..data.synthesis import SynthesisConfig, synthesize_archive

    if out.exists():
        raise FileExistsError(f"{out} exists already: give a new folder, or remove it first")
    made = synthesize_archive(SynthesisConfig(), seed, 60.0 * minutes, stations, events, out)
    names = ("sds", "inventory", "stations_csv", "catalog", "velocity_model")
    files = {name: getattr(made, name) for name in names}
    return Outcome(
        numbers={**files, "num_stations": len(made.sites), "num_events": len(made.events), "seed": seed},
        lines=tuple(f"{name}  {path}" for name, path in files.items()),
    )
