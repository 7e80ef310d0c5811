"""`seisfm data synthesize` and its kin, `-archive`, `-gather`, `-fit`: a synthetic Earth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .outcome import Outcome, command, skipped_lines, skipped_numbers

if TYPE_CHECKING:
    from ..data.synthesis import SynthesisConfig, SyntheticArchive

FORMATS = ("corpus", "seisbench")
GATHER_S = 150.0

Region = Annotated[str, typer.Option(help="A shipped region: crustal, volcanic, subduction …")]
ConfigFile = Annotated[Path | None, typer.Option(help="A YAML of your own, instead of a region.")]
Changes = Annotated[list[str] | None, typer.Argument(help="Changes of the configuration, key.sub=value.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same earthquakes.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands under `seisfm data`."""
    command(app, "synthesize", "seisfm data synthesize --events 100 --seed 1 --out synthetic_set")(synthesize)
    example = "seisfm data synthesize-archive --stations 6 --minutes 30 --events 20 --out synthetic_region"
    command(app, "synthesize-archive", example)(synthesize_continuous)
    example = "seisfm data synthesize-gather --stations 20 --region volcanic --out one_event"
    command(app, "synthesize-gather", example)(gather)
    example = "seisfm data synthesize-fit my_corpus --kind corpus --region crustal --out my_region.yaml"
    command(app, "synthesize-fit", example)(fit)


def synthesize(
    out: Annotated[Path, typer.Option(help="The new folder.")],
    events: Annotated[int, typer.Option(min=1, help="How many events.")] = 100,
    seed: Seed = 0,
    region: Region = "crustal",
    config: ConfigFile = None,
    form: Annotated[str, typer.Option("--format", help="corpus or seisbench.")] = "seisbench",
    workers: Annotated[int, typer.Option(min=1, help="Processes that make them.")] = 1,
    changes: Changes = None,
) -> Outcome:
    """Make physical synthetic seismograms with complete labels."""
    from ..data.corpus.convert import write_corpus
    from ..data.corpus.shards import CorpusConfig
    from ..data.formats.seisbench_format import write_seisbench
    from ..data.synthesis import synthesize_records

    if form not in FORMATS:
        raise ValueError(f"the format must be one of {FORMATS}, found {form!r}")
    records = synthesize_records(_config(region, config, changes), seed, events, workers=workers)
    if form == "corpus":
        write_corpus(records, out, CorpusConfig(dataset="seisfm synthesis"))
    else:
        write_seisbench(records, out)
    return Outcome(
        numbers={"out": out, "num_records": len(records), "num_events": events, "seed": seed},
        lines=(f"{len(records)} records of {events} events: {out}",),
    )


def synthesize_continuous(
    out: Annotated[Path, typer.Option(help="The new folder.")],
    stations: Annotated[int, typer.Option(min=1, help="How many stations.")] = 6,
    minutes: Annotated[float, typer.Option(help="Length of the archive; a day is 1440.")] = 30.0,
    events: Annotated[int, typer.Option(min=1, help="How many events.")] = 20,
    seed: Seed = 0,
    region: Region = "crustal",
    config: ConfigFile = None,
    changes: Changes = None,
) -> Outcome:
    """Make a synthetic network's continuous archive: SDS, StationXML, true QuakeML and velocity model.

    When events happen, and how stations fail, say the keys seismicity and health of the configuration.
    """
    from ..data.synthesis import synthesize_archive

    _refuse_existing(out)
    world = _config(region, config, changes)
    return _archive_outcome(synthesize_archive(world, seed, 60.0 * minutes, stations, events, out), seed)


def gather(
    out: Annotated[Path, typer.Option(help="The new folder.")],
    stations: Annotated[int, typer.Option(min=1, help="How many stations.")] = 20,
    seed: Seed = 0,
    region: Region = "crustal",
    config: ConfigFile = None,
    changes: Changes = None,
) -> Outcome:
    """Make one event as many stations see it: SDS, StationXML, true QuakeML and velocity model."""
    from ..data.synthesis import synthesize_archive

    _refuse_existing(out)
    world = _config(region, config, changes)
    return _archive_outcome(synthesize_archive(world, seed, GATHER_S, stations, 1, out), seed)


def fit(
    source: Annotated[Path, typer.Argument(help="A few real records with P and S picks.")],
    out: Annotated[Path, typer.Option(help="The new YAML.")],
    kind: Annotated[str, typer.Option(help="What they are: corpus, seisbench, phasenet_npz …")] = "corpus",
    seed: Seed = 0,
    region: Region = "crustal",
    config: ConfigFile = None,
    synthetic: Annotated[int, typer.Option(min=50, help="Synthetic records in each round.")] = 600,
    changes: Changes = None,
) -> Outcome:
    """Narrow a region's ranges to what a few real records show: `synthesize --config` then works for them."""
    from ..configs.loader import save_config
    from ..data.sources import open_records
    from ..data.synthesis.fit import fit_config

    if out.exists():
        raise FileExistsError(f"{out} exists already: give a new name, or remove it first")
    records, skipped = open_records(source, kind)
    fitted = fit_config(records, _config(region, config, changes), seed, synthetic)
    save_config(fitted.config, out)
    skipped = [*skipped, *fitted.skipped]
    return Outcome(
        numbers={
            "out": out,
            "num_records": fitted.num_records,
            "measured": fitted.rows(),
            "skipped": skipped_numbers(skipped),
        },
        lines=(*skipped_lines(skipped), *fitted.lines(), f"fitted to {fitted.num_records} records: {out}"),
    )


def _config(region: str, file: Path | None, changes: list[str] | None) -> SynthesisConfig:
    from ..data.synthesis import SynthesisConfig

    return SynthesisConfig.open(region if file is None else file, changes or ())


def _refuse_existing(out: Path) -> None:
    if out.exists():
        raise FileExistsError(f"{out} exists already: give a new folder, or remove it first")


def _archive_outcome(made: SyntheticArchive, seed: int) -> Outcome:
    names = ("sds", "inventory", "stations_csv", "catalog", "velocity_model", "health")
    files = {name: getattr(made, name) for name in names}
    return Outcome(
        numbers={**files, "num_stations": len(made.sites), "num_events": len(made.events), "seed": seed},
        lines=tuple(f"{name}  {path}" for name, path in files.items()),
    )
