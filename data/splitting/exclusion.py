"""Records that a list says to leave out."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from ..record_facts import record_facts
from ..records import Record, Skipped, Subset

COLUMN = "record_id"


def read_excluded(path: str | Path) -> set[str]:
    """The ids in a CSV with a column record_id, or in a file with one id a line.

    Raises ValueError for a table without that column.
    """
    lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    header = next(csv.reader(lines[:1]), [])
    if COLUMN in header:
        return {row[COLUMN] for row in csv.DictReader(lines)}
    if len(header) > 1:
        raise ValueError(
            f"{path} must have a column {COLUMN}, or one id a line without commas, found {header}"
        )
    return {line.strip() for line in lines} - {""}


def leave_out(records: Sequence[Record], path: str | Path) -> tuple[Subset, Skipped]:
    """The records that the list does not name, and how many it took away."""
    excluded = read_excluded(path)
    names = record_facts(records).record_id
    kept = [position for position, name in enumerate(names) if name not in excluded]
    left_out = len(names) - len(kept)
    return Subset(records, kept), Skipped(str(path), f"{left_out} of {len(names)} records are excluded by it")
