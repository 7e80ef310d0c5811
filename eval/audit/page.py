"""The page that tells what an audit found: counts, examples, and physics with its outliers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ...data.records import Record
from ..report import Report
from .figures import (
    amplitude_figure,
    counts_amplitude_figure,
    counts_figure,
    example_figure,
    s_minus_p_figure,
)
from .finding import Finding
from .registry import AMPLITUDE, CHECKS
from .run import AuditResult
from .set_checks import counts_limit, counts_residual
from .tables import check_table, summary

MAX_SKIPPED = 50


def write_page(
    result: AuditResult, records: Sequence[Record], path: str | Path, title: str, num_examples: int = 2
) -> Path:
    """One HTML file with everything, and its numbers as JSON beside it.

    records: those that were audited; the examples, `num_examples` of each kind, are read again.
    """
    report = Report(f"Data check: {title}")
    report.numbers(**summary(result))
    checks = check_table(result)
    _overview(report, result, checks)
    _examples(report, result, records, checks, num_examples)
    _s_minus_p(report, result)
    _amplitudes(report, result)
    _skipped(report, result)
    return report.write(path)


def _overview(report: Report, result: AuditResult, checks: pd.DataFrame) -> None:
    counts = summary(result)
    report.section("What was found")
    report.text(
        f"{counts['num_records']} records were read once and looked at in {len(CHECKS)} ways. "
        f"{counts['num_excluded']} of them have an error, something that is wrong and that training can "
        "leave out (exclude.csv). A warning is unusual, or wrong for some tasks alone.\n\n"
        "Every finding is in findings.csv, with the number that it rests on and what that should have been."
    )
    if not len(checks):
        report.text("Nothing was found.")
        return
    report.figure(
        counts_figure(checks),
        "Records by check; a record can be in several.",
        "Bars: " + ", ".join(f"{row.check} {row.records}" for row in checks.itertuples()),
    )
    report.table(checks, "Findings by check; share is of all records.")


def _examples(
    report: Report, result: AuditResult, records: Sequence[Record], checks: pd.DataFrame, num_examples: int
) -> None:
    if not len(checks) or not len(result.rows):
        return
    position = dict(zip(result.rows["record_id"], result.rows["position"], strict=True))
    report.section("Examples")
    for name in checks["check"]:
        of_check = [finding for finding in result.findings if finding.check == name]
        for finding in _spread([f for f in of_check if f.record_id in position], num_examples):
            record = records[int(position[finding.record_id])]
            caption = f"{name} ({finding.severity}): {CHECKS[name].meaning}."
            if finding.expected:
                caption += f" Expected: {finding.expected}."
            report.figure(example_figure(record, finding), caption, f"{record.record_id}: {finding.message}")


def _s_minus_p(report: Report, result: AuditResult) -> None:
    rows = result.rows
    report.section("S − P against distance")
    known = np.isfinite(rows["s_minus_p_s"] * rows["distance_km"]) if len(rows) else np.zeros(0, bool)
    report.text(f"Both are known of {int(known.sum())} of {len(rows)} records.")
    if known.any():
        flagged = _flagged(result, "s_minus_p", "phase_order")
        report.figure(
            s_minus_p_figure(rows, flagged, result.config),
            "S − P of each record. The band is what any crust and any depth to 60 km allow; a record of "
            "known depth is judged by its own, narrower one.",
            f"S − P against distance of {int(known.sum())} records, {len(flagged)} of them marked",
        )


def _amplitudes(report: Report, result: AuditResult) -> None:
    rows, config = result.rows, result.config
    report.section("Amplitude against magnitude and distance")
    physical = np.isfinite(rows["expected_log_peak"]) & (rows["peak"] > 0) if len(rows) else np.zeros(0, bool)
    residual = counts_residual(rows, config)
    report.text(
        f"{int(physical.sum())} records are in physical units, or can be told in them, with a magnitude, a "
        f"distance and a peak above the noise; {int(np.isfinite(residual).sum())} in counts were compared "
        "with the set's own regression on magnitude and distance."
    )
    if physical.any():
        flagged = _flagged(result, AMPLITUDE)
        report.figure(
            amplitude_figure(rows, flagged, config),
            f"Peak motion above {config.band_hz[0]:g} Hz over the relation of Atkinson (2015), far beyond "
            "its range: only factors of hundreds mean anything.",
            f"Ratio of observed to expected peak of {int(physical.sum())} records",
        )
    if np.isfinite(residual).any():
        flagged = _flagged(result, "amplitude_outlier")
        report.figure(
            counts_amplitude_figure(rows, residual, counts_limit(residual, config), flagged),
            "Peak in counts over what the set's other records give, stations with their own level.",
            f"Residual of the peak in counts of {int(np.isfinite(residual).sum())} records",
        )


def _skipped(report: Report, result: AuditResult) -> None:
    if result.skipped:
        report.section("What the reader left out")
        rows = [(item.item, item.reason) for item in result.skipped[:MAX_SKIPPED]]
        caption = f"{len(result.skipped)} in all; summary.json lists every one."
        report.table(pd.DataFrame(rows, columns=["item", "reason"]), caption)


def _flagged(result: AuditResult, *checks: str) -> set[str]:
    return {finding.record_id for finding in result.findings if finding.check in checks}


def _spread(findings: list[Finding], number: int) -> list[Finding]:
    """Some of them, from all over the set."""
    places = np.linspace(0, len(findings) - 1, min(number, len(findings))).astype(int)
    return [findings[place] for place in dict.fromkeys(places.tolist())]
