"""What an audit leaves on disk: findings, the list that training can exclude, and counts."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd

from ..report import to_json, write_atomically
from .finding import findings_table
from .registry import CHECKS
from .run import AuditResult


def check_table(result: AuditResult) -> pd.DataFrame:
    """One row a check that found something, errors and frequent ones first."""
    records: dict[str, set[str]] = {}
    for finding in result.findings:
        records.setdefault(finding.check, set()).add(finding.record_id)
    severity = {finding.check: finding.severity for finding in result.findings}
    rows = [
        {
            "check": name,
            "severity": severity[name],
            "records": len(ids),
            "share": len(ids) / result.num_records,
            "what it means": CHECKS[name].meaning,
        }
        for name, ids in records.items()
    ]
    columns = ["check", "severity", "records", "share", "what it means"]
    table = pd.DataFrame(rows, columns=columns)
    return table.sort_values(["severity", "records"], ascending=[True, False]).reset_index(drop=True)


def exclude_table(result: AuditResult) -> pd.DataFrame:
    """The records that training can leave out, each once, with every error as its reason."""
    reasons: dict[str, list[str]] = {}
    for finding in result.findings:
        if finding.severity == "error":
            reasons.setdefault(finding.record_id, []).append(f"{finding.check}: {finding.message}")
    rows = [(record_id, "; ".join(of_record)) for record_id, of_record in reasons.items()]
    return pd.DataFrame(rows, columns=["record_id", "reason"])


def summary(result: AuditResult) -> dict[str, Any]:
    """The counts, for machines."""
    checks = check_table(result)
    severities = Counter(finding.severity for finding in result.findings)
    return {
        "num_records": result.num_records,
        "num_readable": len(result.rows),
        "num_findings": len(result.findings),
        "num_errors": severities["error"],
        "num_warnings": severities["warning"],
        "num_excluded": len(exclude_table(result)),
        "records_by_check": dict(zip(checks["check"], checks["records"], strict=True)),
        "skipped": [{"item": item.item, "reason": item.reason} for item in result.skipped],
    }


def write_tables(result: AuditResult, folder: str | Path) -> dict[str, Path]:
    """Write findings.parquet, findings.csv, exclude.csv and summary.json, each whole or not at all.

    findings: record_id, check, severity, value, expected, message. exclude: record_id, reason; a source's
    `exclude` reads it. A name that several records share excludes all of them.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    names = ("findings.parquet", "findings.csv", "exclude.csv", "summary.json")
    paths = {Path(name).stem if name != names[0] else "findings_parquet": target / name for name in names}
    table = findings_table(result.findings)
    partial = target / f".{names[0]}.{os.getpid()}.tmp"
    table.to_parquet(partial, index=False)
    partial.replace(paths["findings_parquet"])
    write_atomically(paths["findings"], table.to_csv(index=False, lineterminator="\n"))
    write_atomically(paths["exclude"], exclude_table(result).to_csv(index=False, lineterminator="\n"))
    write_atomically(paths["summary"], to_json(summary(result)))
    return paths
