"""What an audit keeps of each record for the checks across records and for the figures: a few numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ...data.record_facts import facts_row
from ...data.records import Record
from .finding import Fault
from .look import Look
from .metadata_checks import distance_of, number, s_minus_p_s
from .physics import ATTENUATION, expected_log_amplitude, hypocentral_km

Row = dict[str, Any]


def row_of(look: Look) -> Row:
    """One record's row: its facts, S − P, distance, magnitude and peak motion."""
    record = look.record
    unit, scale = physical_scale(record)
    peak = look.peak()
    return facts_row(record, True) | {
        "channel": str(record.metadata.get("trace_channel", "")),
        "sampling_rate_hz": record.sampling_rate_hz,
        "num_arrivals": len(record.arrivals),
        "s_minus_p_s": s_minus_p_s(look),
        "distance_km": distance_of(record),
        "depth_km": number(record, "source_depth_km"),
        "magnitude": number(record, "source_magnitude"),
        "peak": peak * scale,
        "peak_unit": unit,
    }


def physical_scale(record: Record) -> tuple[str, float]:
    """The unit that a record's samples can be told in, and the factor that brings them there.

    Counts become physical where the sensitivity of the instrument is known.
    """
    if record.unit != "counts":
        return record.unit, 1.0
    sensitivity = record.metadata.get("trace_sensitivity")
    of_unit = record.metadata.get("trace_sensitivity_unit")
    if not sensitivity or of_unit not in ("m/s", "m/s**2"):
        return "counts", 1.0
    return str(of_unit), 1.0 / float(np.median(np.abs(sensitivity)))


def expected_of(row: Row) -> float:
    """log10 of the peak motion that the attenuation relation gives for a row, NaN where it cannot."""
    known = np.isfinite([row["magnitude"], row["distance_km"]]).all()
    if row["peak_unit"] not in ATTENUATION or not known:
        return float("nan")
    way_km = hypocentral_km(row["distance_km"], row["depth_km"])
    return expected_log_amplitude(row["magnitude"], way_km, row["peak_unit"])


def amplitude_fault(look: Look, row: Row) -> Fault | None:
    """A peak motion that no earthquake of this magnitude gives so far away: unit, gain or event."""
    if not row["distance_km"] <= look.config.max_distance_km or not row["peak"] > 0:
        return None
    orders = float(np.log10(row["peak"])) - expected_of(row)
    if not abs(orders) > look.config.amplitude_orders:
        return None
    return Fault(
        f"it peaks at {row['peak']:.3g} {row['peak_unit']}, 10^{orders:.1f} times what "
        f"M {row['magnitude']:.1f} gives at {row['distance_km']:.0f} km",
        orders,
        f"within ± {look.config.amplitude_orders:g} orders",
    )


def rows_table(rows: list[Row]) -> pd.DataFrame:
    """The rows as a table, with the amplitude that the attenuation relation expects."""
    table = pd.DataFrame(rows)
    if len(table):
        table["expected_log_peak"] = [expected_of(row) for row in rows]
    return table
