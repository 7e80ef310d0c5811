"""What an audit finds: one sentence about one record, with the number behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

SEVERITIES = ("error", "warning")
"""An error is wrong and training can exclude it; a warning is unusual, or wrong for some tasks alone."""

COLUMNS = ("record_id", "check", "severity", "at_s", "value", "expected", "message")


class Fault(NamedTuple):
    """What a check says of a record: a sentence, the number it rests on, what that should be, and where."""

    message: str
    value: float = float("nan")
    expected: str = ""
    at_s: float = float("nan")


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """A fault of a record, by the check that found it.

    severity: error or warning. value: the number that was found, in the unit that `expected` names.
    at_s: where in the record, seconds after its first sample; NaN where it is no matter of one place.
    """

    record_id: str
    check: str
    severity: str
    message: str
    value: float = float("nan")
    expected: str = ""
    at_s: float = float("nan")


def findings_table(findings: list[Finding]) -> pd.DataFrame:
    """One row a finding, with the columns of `COLUMNS`."""
    columns = {name: [getattr(finding, name) for finding in findings] for name in COLUMNS}
    return pd.DataFrame(columns).astype({"value": float, "at_s": float})
