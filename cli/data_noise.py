"""`seisfm data noise-bank`: real noise from an archive."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .outcome import Outcome, command, skipped_lines, skipped_numbers

EXAMPLE = "seisfm data noise-bank SDS --stations stations.xml --catalog catalog.xml --out noise_bank"
LISTED = 10
"""So many of what was skipped are printed; the file skipped.csv has them all."""


def add_to(app: typer.Typer) -> None:
    """Register the command under `seisfm data`."""
    command(app, "noise-bank", EXAMPLE)(noise_bank)


def noise_bank(
    archive: Annotated[Path, typer.Argument(help="Continuous waveforms: an SDS tree or a folder.")],
    out: Annotated[Path, typer.Option(help="The new corpus. One that was begun before is gone on with.")],
    catalog: Annotated[
        Path | None, typer.Option(help="Events, with their picks where it holds some: QuakeML, a table, …")
    ] = None,
    picks: Annotated[Path | None, typer.Option(help="Picks, where the catalog has none.")] = None,
    stations: Annotated[Path | None, typer.Option(help="StationXML, or a table.")] = None,
    duration_s: Annotated[float, typer.Option(help="Length of the windows.")] = 60.0,
    per_station: Annotated[int | None, typer.Option(min=1, help="At most so many; all if not given.")] = None,
    before_s: Annotated[float, typer.Option(help="Kept free before a pick or an origin.")] = 10.0,
    after_s: Annotated[float, typer.Option(help="Kept free after a pick or an event's last S.")] = 120.0,
    veto: Annotated[bool, typer.Option(help="Leave out what looks like an unlisted event.")] = True,
    unit: Annotated[str, typer.Option(help="Of the samples: counts, m/s, m/s**2 or unknown.")] = "counts",
    licence: Annotated[str | None, typer.Option(help="Of the data.")] = None,
) -> Outcome:
    """Cut an archive's noise, with known events left out and unlisted ones vetoed."""
    from ..data.continuous.archive import Archive
    from ..data.corpus.convert import convert_to_corpus
    from ..data.corpus.shards import CorpusConfig
    from ..data.records import Skipped
    from ..data.synthesis.noise_bank import NoiseBankConfig, cut_noise, read_known
    from ..data.synthesis.noise_veto import VetoConfig

    config = NoiseBankConfig(
        duration_s=duration_s,
        max_per_station=per_station,
        clearance_s=(before_s, after_s),
        veto=VetoConfig() if veto else None,
        unit=unit,
    )
    waveforms, known = Archive.open(archive), read_known(stations, picks, catalog)
    skipped: list[Skipped] = list(waveforms.skipped)
    records = cut_noise(waveforms, known, skipped, config)
    corpus = convert_to_corpus(records, out, CorpusConfig(licence=licence), skipped=skipped)
    left_out = corpus.skipped()
    more = [f"… and {len(left_out) - LISTED} more: {out / 'skipped.csv'}"] if len(left_out) > LISTED else []
    counted = f"{len(corpus)} windows of noise, {len(left_out)} skipped: {out}"
    return Outcome(
        numbers={"out": out, "num_records": len(corpus), "skipped": skipped_numbers(left_out)},
        lines=(*skipped_lines(left_out[:LISTED]), *more, counted),
    )
