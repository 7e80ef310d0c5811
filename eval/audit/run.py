"""An audit of a whole data set: every record read once, a few numbers kept of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from multiprocessing import get_context

import pandas as pd

from ...data.record_facts import RecordFacts, record_facts
from ...data.records import Record, Skipped
from .config import AuditConfig
from .finding import Fault, Finding
from .look import Look
from .registry import AMPLITUDE, UNREADABLE, Check, checks_of, finding_of
from .rows import Row, amplitude_fault, row_of, rows_table

READING_ERRORS = (ValueError, OSError, KeyError)
_RECORDS_AT_ONCE = 64


@dataclass(frozen=True, kw_only=True)
class AuditResult:
    """What was found in a data set.

    findings: all of them, those of single records first.
    rows: one row a readable record: facts, S − P, distance, magnitude, peak (see `rows.row_of`), and
        `position`, where it stands in the set.
    num_records: that were looked at, readable or not. skipped: what the reader left out.
    """

    findings: list[Finding]
    rows: pd.DataFrame
    num_records: int
    config: AuditConfig
    skipped: list[Skipped] = field(default_factory=list)

    @property
    def num_errors(self) -> int:
        """Findings of severity error."""
        return sum(finding.severity == "error" for finding in self.findings)


def audit(
    records: Sequence[Record],
    config: AuditConfig | None = None,
    *,
    against: Sequence[Sequence[Record]] = (),
    skipped: Iterable[Skipped] = (),
    workers: int = 1,
    progress: Callable[[int], None] | None = None,
) -> AuditResult:
    """Look for everything that `registry.CHECKS` knows in a data set.

    Each waveform is read once; what is kept of a record is one row of numbers and its findings. `records`
    must travel to other processes for more than one worker. `progress` is called with the number done.

    against: other sets, of which nothing may occur in this one.

    Raises ValueError for a check that there is not, or where there is no record.
    """
    config = config or AuditConfig()
    across = checks_of("set", config)
    if not len(records):
        raise ValueError("expected at least one record to check, found none")
    findings: list[Finding] = []
    rows: list[Row] = []
    for done, (row, found) in enumerate(_looked_at(records, config, workers), 1):
        findings += found
        rows += [] if row is None else [row]
        if progress is not None:
            progress(done)
    table = rows_table(rows)
    if rows:
        facts = RecordFacts.from_rows(rows)
        findings += _placed(across, facts, table, config)
        for other in against:
            known = record_facts(other, hashes=True)
            findings += _placed(checks_of("against", config), facts, known, config)
    return AuditResult(
        findings=findings, rows=table, num_records=len(records), config=config, skipped=list(skipped)
    )


def audit_record(
    records: Sequence[Record], config: AuditConfig, position: int
) -> tuple[Row | None, list[Finding]]:
    """One record's row, None where it cannot be read, and what is wrong with it by itself."""
    try:
        record = records[position]
    except READING_ERRORS as error:
        fault = Fault(f"{type(error).__name__}: {error}")
        if UNREADABLE in config.ignore:
            return None, []
        return None, [finding_of(UNREADABLE, _name(records, position), fault, config)]
    look = Look(record, config)
    found = []
    for check in checks_of("record", config):
        if check.look is not None and (fault := check.look(look)) is not None:
            found.append(finding_of(check.name, record.record_id, fault, config))
    row = row_of(look)
    if AMPLITUDE not in config.ignore and (size := amplitude_fault(look, row)) is not None:
        found.append(finding_of(AMPLITUDE, record.record_id, size, config))
    return row | {"position": position}, found


def _name(records: Sequence[Record], position: int) -> str:
    """The name of a record that cannot be read: from the set's own tables, or else its number."""
    if hasattr(records, "record_facts"):
        return str(record_facts(records).record_id[position])
    return f"#{position}"


def _placed(
    checks: list[Check], facts: RecordFacts, other: pd.DataFrame | RecordFacts, config: AuditConfig
) -> Iterator[Finding]:
    for check in checks:
        assert check.look is not None
        for place, fault in check.look(facts, other, config):
            yield finding_of(check.name, facts.record_id[place], fault, config)


def _looked_at(
    records: Sequence[Record], config: AuditConfig, workers: int
) -> Iterator[tuple[Row | None, list[Finding]]]:
    """Rows and findings in the order of the records, as they are done."""
    positions = range(len(records))
    if workers == 1:
        yield from map(partial(audit_record, records, config), positions)
        return
    chunks = [positions[first : first + _RECORDS_AT_ONCE] for first in positions[::_RECORDS_AT_ONCE]]
    with _pool(records, config, workers) as pool:
        yield from chain.from_iterable(pool.map(_audit_chunk, chunks))


@contextmanager
def _pool(records: Sequence[Record], config: AuditConfig, workers: int) -> Iterator[ProcessPoolExecutor]:
    # A forked copy of a process that runs torch's threads can hang; a fresh one cannot.
    context = get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=_open, initargs=(records, config)) as pool:
        yield pool


_OPENED: list[tuple[Sequence[Record], AuditConfig]] = []
"""In a worker: the data set, which travels to it once."""


def _open(records: Sequence[Record], config: AuditConfig) -> None:
    _OPENED[:] = [(records, config)]


def _audit_chunk(positions: range) -> list[tuple[Row | None, list[Finding]]]:
    records, config = _OPENED[0]
    return [audit_record(records, config, position) for position in positions]
