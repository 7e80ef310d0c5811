"""`seisfm data convert`: any data set to a corpus."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from .outcome import Outcome, command, skipped_lines, skipped_numbers

FORMATS = ("corpus", "parquet", "seisbench")
EXAMPLE = "seisfm data convert npz_folder --kind phasenet_npz --out my_corpus --workers 2"
LISTED = 20
"""So many of what was skipped are printed; the file skipped.csv has them all."""


def add_to(app: typer.Typer) -> None:
    """Register the command under `seisfm data`."""
    command(app, "convert", EXAMPLE)(convert)


def convert(
    source: Annotated[Path, typer.Argument(help="The folder to read.")],
    kind: Annotated[str, typer.Option(help="What it is: corpus, seisbench, phasenet_npz or archive.")],
    out: Annotated[Path, typer.Option(help="The new folder. One that was begun before is gone on with.")],
    form: Annotated[
        str, typer.Option("--format", help="corpus, parquet (to publish; no random access) or seisbench.")
    ] = "corpus",
    encoding: Annotated[str, typer.Option(help="auto, auto_zstd, float32 …: see docs/data.md.")] = "auto",
    workers: Annotated[int, typer.Option(min=1, help="Processes that read and write.")] = 1,
    dataset: Annotated[str | None, typer.Option(help="Its name, where the records do not tell it.")] = None,
    licence: Annotated[str | None, typer.Option(help="Its licence, likewise.")] = None,
    citation: Annotated[str | None, typer.Option(help="How to cite it, likewise.")] = None,
    exclude: Annotated[Path | None, typer.Option(help="A CSV of record_id to leave out.")] = None,
) -> Outcome:
    """Convert waveforms with labels. What cannot be used is listed with its reason."""
    from ..data.corpus.convert import convert_to_corpus
    from ..data.corpus.shards import CorpusConfig
    from ..data.formats.seisbench_format import write_seisbench
    from ..data.sources import SourceConfig, load_records

    if form not in FORMATS:
        raise ValueError(f"the format must be one of {FORMATS}, found {form!r}")
    config = CorpusConfig(
        encoding=encoding,
        file_format="parquet" if form == "parquet" else "arrow",
        dataset=dataset,
        licence=licence,
        citation=citation,
    )
    left_out = None if exclude is None else str(exclude)
    records, skipped = load_records(SourceConfig(kind=kind, path=str(source), exclude=left_out))
    if form == "seisbench":
        write_seisbench(records, out)
        return _outcome(out, len(records), skipped)
    with _progress(len(records)) as progress:
        corpus = convert_to_corpus(records, out, config, skipped=skipped, workers=workers, progress=progress)
    return _outcome(out, len(corpus), corpus.skipped())


def _outcome(out: Path, num_records: int, skipped: list[Any]) -> Outcome:
    lines = skipped_lines(skipped[:LISTED])
    if len(skipped) > LISTED:
        lines.append(f"… and {len(skipped) - LISTED} more")
    return Outcome(
        numbers={"out": out, "num_records": num_records, "skipped": skipped_numbers(skipped)},
        lines=(*lines, f"{num_records} records, {len(skipped)} skipped: {out}"),
    )


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """A bar on the terminal, if there is one, and what moves it."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("records"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("records", total=total)
        yield lambda done: bar.update(task, completed=done)
