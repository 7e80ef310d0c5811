"""The scores of pickers as tables: counts with intervals, residuals, false picks, every arrival's outcome."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..data.records import Skipped
from .bootstrap import bootstrap_interval, sums_by_event
from .detection_scores import Detections, detection_scores
from .leakage import LeakageReport
from .peaks import PeakPicks
from .pick_metrics import (
    Matching,
    PhaseTruth,
    count_picks,
    false_picks_per_station_hour,
    match_picks,
    precision_recall_f1,
    residual_statistics,
    scored_residuals,
)
from .report import plain, to_json, write_atomically
from .scored_windows import ScoredWindows


@dataclass(frozen=True, kw_only=True)
class PickedWindows:
    """What one picker found in the scored windows.

    picks: at the lowest threshold of interest. thresholds: those in use, by phase. source: where each one
    comes from. detection: where the picker is a detector too.
    """

    name: str
    picks: PeakPicks
    thresholds: Mapping[str, float]
    source: Mapping[str, str]
    detection: Detections | None = None


@dataclass(frozen=True, kw_only=True)
class ScoreSettings:
    """The part of a protocol that turns picks into scores (see `PickingProtocolConfig`)."""

    tolerances_s: tuple[float, ...] = (0.1, 0.2, 0.5)
    search_s: float = 5.0
    outlier_s: float = 1.0
    num_resamples: int = 1000
    confidence_level: float = 0.95
    seed: int = 42


@dataclass(frozen=True, kw_only=True)
class PickingScores:
    """The scores of a model and its baselines on the same windows.

    table: one row for each picker, phase and tolerance: counts, precision, recall and F1, each with its
        interval over events (`_low`, `_high`), threshold and where that comes from, false picks per
        station-hour, and how many windows, events and stations entered.
    residuals: one row for each picker, phase and `within_s`: at the largest tolerance (conditional on a hit)
        and within the whole search; the missed ones stand beside them.
    false_picks: picks per station-hour in windows that hold no arrival.
    arrivals: every scored arrival with its residual (NaN: missed) by picker.
    detection: by picker, what `detection_scores` tells; empty where no picker is a detector.
    """

    table: pd.DataFrame
    residuals: pd.DataFrame
    false_picks: pd.DataFrame
    arrivals: pd.DataFrame
    detection: dict[str, dict[str, float]]
    leakage: LeakageReport
    num_windows: int
    num_noise_windows: int
    num_events: int
    num_stations: int
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)

    def score(self, picker: str = "model", phase: str = "P", tolerance_s: float = 0.5) -> pd.Series:
        """One row of the table. Raises KeyError, naming the rows that there are."""
        table = self.table
        named = (table.picker == picker) & (table.phase == phase)
        rows = table[named & np.isclose(table.tolerance_s, tolerance_s)]
        if rows.empty:
            known = table[["picker", "phase", "tolerance_s"]].to_records(index=False).tolist()
            raise KeyError(f"no score of {picker}, {phase}, {tolerance_s} s; there are {known}")
        return rows.iloc[0]

    def to_dict(self) -> dict[str, Any]:
        """Everything but the single arrivals, as plain JSON values."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "arrivals"}
        fields["leakage"] = dataclasses.asdict(self.leakage) | {"summary": self.leakage.summary()}
        fields["skipped"] = [dataclasses.asdict(item) for item in self.skipped]
        return plain(
            {
                name: value.to_dict(orient="records") if isinstance(value, pd.DataFrame) else value
                for name, value in fields.items()
            }
        )

    def write(self, folder: str | Path) -> Path:
        """Write `scores.json`, `picking.csv`, `residuals.csv`, `false_picks.csv` and `arrivals.csv`."""
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        tables = {
            "picking": self.table,
            "residuals": self.residuals,
            "false_picks": self.false_picks,
            "arrivals": self.arrivals,
        }
        for name, table in tables.items():
            write_atomically(target / f"{name}.csv", table.to_csv(index=False))
        write_atomically(target / "scores.json", to_json(self.to_dict()))
        return target


def make_scores(
    picked: Sequence[PickedWindows],
    windows: ScoredWindows,
    settings: ScoreSettings,
    leakage: LeakageReport,
    notes: Sequence[str] = (),
    resolved: Mapping[str, Any] | None = None,
) -> PickingScores:
    """Count and measure what several pickers found in the same windows."""
    parts = [_PhaseScores(found, phase, windows, settings) for found in picked for phase in found.thresholds]
    return PickingScores(
        table=pd.DataFrame([row for part in parts for row in part.table_rows()]),
        residuals=pd.DataFrame([row for part in parts for row in part.residual_rows()]),
        false_picks=pd.DataFrame([part.noise_row() for part in parts]),
        arrivals=pd.concat([part.arrival_table() for part in parts], ignore_index=True),
        detection={
            found.name: detection_scores(found.detection, windows, partial(_interval, settings))
            for found in picked
            if found.detection is not None
        },
        leakage=leakage,
        num_windows=len(windows),
        num_noise_windows=int(windows.is_noise.sum()),
        num_events=len(set(windows.event)),
        num_stations=len(set(windows.station)),
        skipped=windows.skipped,
        notes=tuple(notes),
        settings=dict(resolved or {}),
    )


class _PhaseScores:
    """One picker and one phase."""

    def __init__(
        self, found: PickedWindows, phase: str, windows: ScoredWindows, settings: ScoreSettings
    ) -> None:
        self.found, self.phase, self.windows, self.settings = found, phase, windows, settings
        self.truth: PhaseTruth = windows.truth(phase)
        self.picks = found.picks.above({phase: found.thresholds[phase]})
        self.matching: Matching = match_picks(
            self.truth, self.picks.window, self.picks.time_s, settings.search_s
        )
        self.names = {"picker": found.name, "phase": phase}

    def table_rows(self) -> list[dict[str, Any]]:
        return [self._table_row(tolerance_s) for tolerance_s in self.settings.tolerances_s]

    def _table_row(self, tolerance_s: float) -> dict[str, Any]:
        counts = count_picks(self.truth, self.picks.window, self.matching, tolerance_s)
        judged = self.truth.labelled
        total = counts.table[judged].sum(axis=0)
        low, high = _interval(
            self.settings, counts.table[judged], self.windows.event[judged], precision_recall_f1
        )
        row = self.names | {"tolerance_s": tolerance_s}
        for i, name in enumerate(("precision", "recall", "f1")):
            row |= {
                name: float(precision_recall_f1(total)[i]),
                f"{name}_low": low[i],
                f"{name}_high": high[i],
            }
        return row | {
            "true_positives": int(total[0]),
            "false_positives": int(total[1]),
            "misses": int(total[2]),
            "false_picks_per_station_hour": false_picks_per_station_hour(self.truth, counts),
            "threshold": self.found.thresholds[self.phase],
            "threshold_source": self.found.source[self.phase],
            "num_windows": int(judged.sum()),
            "num_events": len(set(self.windows.event[judged])),
            "num_stations": len(set(self.windows.station[judged])),
        }

    def residual_rows(self) -> list[dict[str, Any]]:
        """Conditional on a hit, then unconditional: whatever the search found."""
        rows = []
        for within_s in (max(self.settings.tolerances_s), self.settings.search_s):
            residual_s = scored_residuals(self.truth, self.matching, within_s)
            statistics = residual_statistics(residual_s, self.settings.outlier_s)
            low, high = _interval(self.settings, _error_sums(residual_s), self._scored_events(), _mean_error)
            rows.append(
                self.names
                | {"within_s": within_s}
                | statistics
                | {"mae_s_low": float(low), "mae_s_high": float(high)}
            )
        return rows

    def noise_row(self) -> dict[str, Any]:
        """Picks where nothing is to be picked."""
        quiet = self.truth.labelled & self.windows.is_noise
        hours = float(self.truth.observed_s[quiet].sum()) / 3600.0
        count = int(quiet[self.picks.window].sum())
        rate = count / hours if hours > 0 else np.nan
        return self.names | {
            "noise_station_hours": hours,
            "false_picks": count,
            "false_picks_per_station_hour": rate,
        }

    def arrival_table(self) -> pd.DataFrame:
        """Each scored arrival with what became of it."""
        wanted = self.truth.scored & self.truth.labelled[self.truth.window]
        window, pick = self.truth.window[wanted], self.matching.pick[wanted]
        probability = np.append(self.picks.probability, np.nan)[pick]
        return pd.DataFrame(
            {
                "picker": self.found.name,
                "phase": self.phase,
                "window": window,
                "event_id": self.windows.event[window],
                "station_id": self.windows.station[window],
                "arrival_s": self.truth.time_s[wanted],
                "residual_s": self.matching.residual_s[wanted],
                "probability": probability,
            }
        )

    def _scored_events(self) -> np.ndarray:
        wanted = self.truth.scored & self.truth.labelled[self.truth.window]
        return self.windows.event[self.truth.window[wanted]]


def _interval(
    settings: ScoreSettings,
    values: np.ndarray,
    event: np.ndarray,
    statistic: Callable[[np.ndarray], np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """The ends of a score's interval from values of windows or arrivals and their events."""
    sums = sums_by_event(values, event)  # type: ignore[arg-type]
    return bootstrap_interval(
        sums, statistic, settings.seed, settings.num_resamples, settings.confidence_level
    )


def _error_sums(residual_s: np.ndarray) -> np.ndarray:
    """Absolute error and 1 for what was found, 0 and 0 for a miss: `(arrival, 2)`."""
    found = np.isfinite(residual_s)
    return np.stack([np.where(found, np.abs(residual_s), 0.0), found.astype(float)], axis=1)


def _mean_error(sums: np.ndarray) -> np.ndarray:
    return np.divide(sums[:, 0], sums[:, 1], out=np.full(len(sums), np.nan), where=sums[:, 1] > 0)
