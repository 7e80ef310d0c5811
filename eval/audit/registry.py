"""Every check by its name: what it means, how bad it is, and the function that looks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import label_checks, metadata_checks, set_checks, waveform_checks
from .config import AuditConfig
from .finding import SEVERITIES, Fault, Finding

UNREADABLE = "unreadable"
AMPLITUDE = "amplitude"


@dataclass(frozen=True, kw_only=True)
class Check:
    """One check.

    scope: record (one record by itself), set (records against each other) or against (another set).
    severity: errors are listed in exclude.csv, warnings are not.
    look: `(Look) -> Fault | None` of scope record; `(facts, rows or other facts, config)` giving
        `(position, Fault)` of the others. None where the audit itself sees it in passing.
    """

    name: str
    scope: str
    severity: str
    look: Callable[..., Any] | None
    meaning: str


def _checks(scope: str, severity: str, *functions: Callable[..., Any]) -> list[Check]:
    return [
        Check(
            name=function.__name__,
            scope=scope,
            severity=severity,
            look=function,
            meaning=str(function.__doc__).strip().splitlines()[0].rstrip("."),
        )
        for function in functions
    ]


_w, _l, _m, _s = waveform_checks, label_checks, metadata_checks, set_checks

_ALL = [
    Check(
        name=UNREADABLE,
        scope="record",
        severity="error",
        look=None,
        meaning="A record that cannot be read at all",
    ),
    *_checks("record", "error", _w.infinite, _w.empty, _w.dead_component, _w.filled_gap, _w.clipped),
    *_checks("record", "warning", _w.weak_component, _w.gap, _w.spike),
    *_checks("record", "error", _l.phase_order, _l.repeated_label, _l.label_outside, _l.label_in_gap),
    *_checks("record", "error", _l.label_without_onset),
    *_checks("record", "warning", _l.phase_outside, _l.unlabelled_onset, _l.polarity),
    *_checks("record", "error", _m.s_minus_p, _m.travel_time, _m.distance, _m.unit, _m.position),
    *_checks("record", "error", _m.start_time, _m.sampling_rate),
    *_checks("record", "warning", _m.back_azimuth, _m.no_station, _m.no_position, _m.no_start_time),
    Check(
        name=AMPLITUDE,
        scope="record",
        severity="error",
        look=None,
        meaning="A peak motion that no event of this magnitude gives at this distance",
    ),
    *_checks("set", "error", _s.duplicate_id, _s.duplicate_waveform),
    *_checks("set", "warning", _s.overlapping_record, _s.duplicate_event, _s.amplitude_outlier),
    *_checks("against", "error", _s.shared_waveform),
    *_checks("against", "warning", _s.shared_time, _s.shared_event),
]

CHECKS: dict[str, Check] = {check.name: check for check in _ALL}


def checks_of(scope: str, config: AuditConfig) -> list[Check]:
    """The checks of a scope that are to be made.

    Raises ValueError where the configuration names a check that there is not.
    """
    unknown = sorted({*config.ignore, *config.only_warn} - CHECKS.keys())
    if unknown:
        raise ValueError(f"there is no check {unknown}: known are {sorted(CHECKS)}")
    return [check for check in CHECKS.values() if check.scope == scope and check.name not in config.ignore]


def finding_of(check: str, record_id: str, fault: Fault, config: AuditConfig) -> Finding:
    """A fault with the check's name, and its severity unless the configuration softens it."""
    return Finding(
        record_id=record_id,
        check=check,
        severity=SEVERITIES[1] if check in config.only_warn else CHECKS[check].severity,
        message=fault.message,
        value=fault.value,
        expected=fault.expected,
        at_s=fault.at_s,
    )
