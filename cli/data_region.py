"""`seisfm data convert-region`: an archive and a catalog of one's own to a corpus."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .outcome import Outcome, command, skipped_lines, skipped_numbers

EXAMPLE = "seisfm data convert-region SDS --stations stations.xml --picks catalog.xml --out my_region"
LISTED = 20
"""So many of what was skipped are printed; the file skipped.csv has them all."""


def add_to(app: typer.Typer) -> None:
    """Register the command under `seisfm data`."""
    command(app, "convert-region", EXAMPLE)(convert_region)


def convert_region(
    archive: Annotated[Path, typer.Argument(help="Continuous waveforms: an SDS tree or a folder.")],
    stations: Annotated[Path, typer.Option(help="StationXML, or a table.")],
    picks: Annotated[Path, typer.Option(help="QuakeML, Nordic, HypoInverse archive, or a table.")],
    out: Annotated[Path, typer.Option(help="The new corpus. One that was begun before is gone on with.")],
    events: Annotated[Path | None, typer.Option(help="Likewise, where the picks' file has none.")] = None,
    unpicked: Annotated[
        bool, typer.Option("--unpicked", help="Also events at stations that did not pick them, unlabelled.")
    ] = False,
    reach_km: Annotated[float, typer.Option(help="How far an event that nobody picked may be seen.")] = 150.0,
    noise: Annotated[int, typer.Option(min=0, help="Windows of noise of each station.")] = 10,
    unit: Annotated[str, typer.Option(help="Of the samples: counts, m/s, m/s**2 or unknown.")] = "counts",
    licence: Annotated[str | None, typer.Option(help="Of the data.")] = None,
    seed: Annotated[int, typer.Option(help="Decides where the noise is taken.")] = 0,
) -> Outcome:
    """Convert an archive and a catalog to labelled records and noise. What cannot be used is listed."""
    from ..data.corpus.convert import convert_to_corpus
    from ..data.corpus.shards import CorpusConfig
    from ..data.records import Skipped
    from ..data.region.noise import NoiseConfig
    from ..data.region.records import RegionConfig
    from ..data.region.source import RegionFiles, iterate_region

    files = RegionFiles(
        stations=str(stations),
        picks=str(picks),
        events=None if events is None else str(events),
        records=RegionConfig(include_unpicked=unpicked, reach_km=reach_km, unit=unit),
        noise=NoiseConfig(num_per_station=noise),
    )
    skipped: list[Skipped] = []
    records = iterate_region(archive, files, seed, skipped)
    corpus = convert_to_corpus(records, out, CorpusConfig(licence=licence), skipped=skipped)
    left_out = corpus.skipped()
    more = [f"… and {len(left_out) - LISTED} more: {out / 'skipped.csv'}"] if len(left_out) > LISTED else []
    return Outcome(
        numbers={"out": out, "num_records": len(corpus), "skipped": skipped_numbers(left_out)},
        lines=(
            *skipped_lines(left_out[:LISTED]),
            *more,
            f"{len(corpus)} records, {len(left_out)} skipped: {out}",
        ),
    )
