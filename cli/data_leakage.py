"""`seisfm data leakage`: has a model, or a training set, seen what it is to be scored on?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .outcome import Outcome, command, skipped_lines, skipped_numbers

if TYPE_CHECKING:
    from ..data.records import Skipped
    from ..eval.leakage import Known

EXAMPLE = "seisfm data leakage test_corpus MODEL_DIR --out leaking.csv"


def add_to(app: typer.Typer) -> None:
    """Register the command under `seisfm data`."""
    command(app, "leakage", EXAMPLE)(leakage)


def leakage(
    scored: Annotated[Path, typer.Argument(help="The records that scores are made of.")],
    trained: Annotated[str, typer.Argument(help="Training data, or a model: folder, name or hub id.")],
    out: Annotated[Path | None, typer.Option(help="List the leaking records: record_id, reason.")] = None,
    within_s: Annotated[float, typer.Option(help="Origins so near are one earthquake.")] = 2.0,
    within_km: Annotated[float, typer.Option(help="Epicentres so near are one earthquake.")] = 25.0,
    kind: Annotated[str | None, typer.Option(help="What the records are, where files do not tell.")] = None,
) -> Outcome:
    """Compare a test set with training data by event, origin, record, samples, station and time.

    Ends with status 1 where anything leaks, or where nothing is known of the training data. The file of
    --out can be given to a source as `exclude`.
    """
    from dataclasses import asdict

    from ..data.record_facts import record_facts
    from ..data.sources import open_records
    from ..eval.leakage import LeakageConfig, leakage_report, leaking_records

    records, skipped = open_records(scored, kind)
    facts = record_facts(records, hashes=True)
    known, more = _training_data(trained)
    config = LeakageConfig(within_s=within_s, within_km=within_km)
    report = leakage_report(facts, known, config)
    leaking = leaking_records(facts, known, config)
    if out is not None:
        _write(out, leaking)
    numbers = asdict(report) | {"leaks": report.leaks, "num_scored": len(facts), "num_leaking": len(leaking)}
    count = f"{len(leaking)} of {len(facts)} records leak" if report.known else "nothing could be compared"
    return Outcome(
        numbers=numbers | {"skipped": skipped_numbers([*skipped, *more])},
        lines=(
            *skipped_lines([*skipped, *more]),
            *([] if report.leaks or not report.known else [report.summary()]),
            count,
            *([f"wrote {out}"] if out else []),
        ),
        failures=(report.summary(),) if report.leaks or not report.known else (),
    )


def _training_data(trained: str) -> tuple[Known, list[Skipped]]:
    """What a model's folder tells of its training data, or the facts of a data set."""
    from ..data.record_facts import record_facts
    from ..data.sources import open_records
    from ..data.splitting.fingerprints import read_fingerprints
    from ..heads.model_folder import ModelFolder

    path = Path(trained).expanduser()
    if (
        path.is_dir()
        and not (path / "config.json").is_file()
        and not (path / "adapter_config.json").is_file()
    ):
        records, skipped = open_records(path)
        return record_facts(records, hashes=True), skipped
    folder = ModelFolder.find(trained)
    return read_fingerprints(folder.path, folder.source), []


def _write(out: Path, leaking: list[Skipped]) -> None:
    import pandas as pd

    from ..eval.report import write_atomically

    table = pd.DataFrame([(item.item, item.reason) for item in leaking], columns=["record_id", "reason"])
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out, table.to_csv(index=False))
