"""`seisfm data split`: who learns from what."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .outcome import Outcome, command, skipped_lines, skipped_numbers

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from ..data.record_facts import RecordFacts
    from ..eval.leakage import LeakageReport

EXAMPLE = (
    "seisfm data split my_corpus --by event --fractions train=0.7,validation=0.1,test=0.2 --out split.csv"
)


def add_to(app: typer.Typer) -> None:
    """Register the command under `seisfm data`."""
    command(app, "split", EXAMPLE)(split)


def split(
    path: Annotated[Path, typer.Argument(help="A corpus or another data set.")],
    out: Annotated[Path, typer.Option(help="The table to write: record_id, side.")],
    by: Annotated[str, typer.Option(help="event, time_block, time, region or station.")] = "event",
    fractions: Annotated[
        str, typer.Option(help="Sides and their shares.")
    ] = "train=0.7,validation=0.1,test=0.2",
    seed: Annotated[int, typer.Option(help="Another seed gives another split.")] = 0,
    changes: Annotated[
        list[str] | None, typer.Argument(help="Further settings, as block_s=86400: see docs/splits.md.")
    ] = None,
    kind: Annotated[str | None, typer.Option(help="What the data are, where the files do not tell.")] = None,
) -> Outcome:
    """Divide a data set so that its sides share nothing, and tell what they share nevertheless."""
    from ..configs.loader import build_config
    from ..data.record_facts import record_facts
    from ..data.sources import open_records
    from ..data.splitting.split_sides import SplitConfig
    from ..data.splitting.splits import assign_sides

    settings = {"kind": by, "fractions": _shares(fractions), "seed": seed}
    config = build_config(SplitConfig, settings, changes or (), source="the split")
    records, skipped = open_records(path, kind)
    facts = record_facts(records)
    sides = assign_sides(facts, config)
    _write(out, facts, sides)
    counts = {name: _counts(facts.select(sides == name)) for name in dict.fromkeys([*config.sides, *sides])}
    leaks = dict(_leakage(facts, sides, config.sides))
    return Outcome(
        numbers={
            "out": out,
            "sides": counts,
            "leakage": {pair: report.summary() for pair, report in leaks.items()},
            "skipped": skipped_numbers(skipped),
        },
        lines=(
            *skipped_lines(skipped),
            *(f"{name}: " + ", ".join(f"{n} {what}" for what, n in c.items()) for name, c in counts.items()),
            *(f"{pair}: {report.summary()}" for pair, report in leaks.items()),
            f"wrote {out}",
        ),
    )


def _shares(text: str) -> dict[str, float]:
    """`train=0.7,test=0.3` as a dict. Raises ValueError for anything else."""
    pairs = [part.partition("=") for part in text.split(",")]
    try:
        return {name.strip(): float(share) for name, _, share in pairs}
    except ValueError:
        raise ValueError(f"fractions are written train=0.7,test=0.3, found {text!r}") from None


def _counts(facts: RecordFacts) -> dict[str, Any]:
    return {
        "records": len(facts),
        "events": len(set(facts.event_keys)),
        "stations": len(set(facts.station_id) - {""}),
    }


def _leakage(
    facts: RecordFacts, sides: np.ndarray, names: tuple[str, ...]
) -> Iterator[tuple[str, LeakageReport]]:
    """What each later side shares with each earlier one: test with train, validation with train."""
    from ..eval.leakage import leakage_report

    for number, name in enumerate(names):
        for earlier in names[:number]:
            pair = facts.select(sides == name), facts.select(sides == earlier)
            if all(map(len, pair)):
                yield f"{name} with {earlier}", leakage_report(*pair)


def _write(out: Path, facts: RecordFacts, sides: np.ndarray) -> None:
    import pandas as pd

    from ..eval.report import write_atomically

    out.parent.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame({"record_id": facts.record_id, "side": sides})
    write_atomically(out, table.to_csv(index=False))
