"""How a picker is scored: seeded windows with noise, thresholds from other data, baselines beside it.

The rules, against the traps that make published scores incomparable: windows are shifted at random; noise
counts; a threshold is chosen on validation events or given, never on the scored ones; every score has an
interval from resampled events, and stands beside a dummy that knows only positions and beside STA/LTA.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from torch import nn

from ..data.loading.windows import WindowConfig
from ..data.record_facts import RecordFacts, record_facts
from ..data.records import Record
from ..data.splitting.fingerprints import Fingerprints
from .baselines import PHASES, PositionalDummy, StaLtaPicker, WindowPicker
from .leakage import leakage_report
from .model_picker import ModelPicker, run_picker
from .picking_scores import PickedWindows, PickingScores, ScoreSettings, make_scores
from .scored_windows import ScoredWindows, scored_windows
from .thresholds import choose_thresholds


@dataclass(frozen=True, kw_only=True)
class PickingProtocolConfig:
    """What is scored, and how.

    windows_per_record: windows at random places around each record's arrivals.
    noise_windows: windows from each record's part before its first arrival (ending `noise_guard_s` ahead of
        it), and from each noise record.
    tolerances_s: largest |pick − label| of a hit.
    thresholds: lowest probability of a pick by phase, where no validation records are given.
    detection_threshold: lowest probability of a detection.
    selection_tolerance_s: at which the F1 of the validation records chooses thresholds.
    search_s: a label's pick is looked for within this for residuals; one off by more than `outlier_s` is an
        outlier.
    num_resamples, confidence_level: of the bootstrap over events.
    """

    window_s: float = 30.0
    sampling_rate_hz: float = 100.0
    components: tuple[str, ...] = ("Z", "N", "E")
    windows_per_record: int = 1
    noise_windows: int = 1
    noise_guard_s: float = 2.0
    tolerances_s: tuple[float, ...] = (0.1, 0.2, 0.5)
    thresholds: dict[str, float] = field(default_factory=lambda: {"P": 0.3, "S": 0.3})
    detection_threshold: float = 0.5
    selection_tolerance_s: float = 0.5
    min_separation_s: float = 0.5
    search_s: float = 5.0
    outlier_s: float = 1.0
    num_resamples: int = 1000
    confidence_level: float = 0.95
    batch_size: int = 32
    seed: int = 42

    def __post_init__(self) -> None:
        if not self.tolerances_s or min(self.tolerances_s) <= 0 or max(self.tolerances_s) > self.search_s:
            raise ValueError(
                f"tolerances_s must be above 0 and within search_s ({self.search_s:g} s), "
                f"found {self.tolerances_s}"
            )
        if set(self.thresholds) != set(PHASES):
            raise ValueError(f"thresholds must name {PHASES}, found {sorted(self.thresholds)}")
        if not 0.0 < self.detection_threshold <= 1.0:
            raise ValueError(
                f"detection_threshold must be above 0 and at most 1, found {self.detection_threshold}"
            )

    def score_settings(self) -> ScoreSettings:
        """The part that turns picks into scores."""
        return ScoreSettings(
            **{f.name: getattr(self, f.name) for f in dataclasses.fields(ScoreSettings)},
        )

    def cut(self, records: Sequence[Record], noise_records: Sequence[Record] = ()) -> ScoredWindows:
        """The windows of this protocol."""
        windows = WindowConfig(
            window_s=self.window_s, sampling_rate_hz=self.sampling_rate_hz, components=self.components
        )
        return scored_windows(
            records,
            noise_records,
            windows,
            seed=self.seed,
            windows_per_record=self.windows_per_record,
            noise_windows=self.noise_windows,
            noise_guard_s=self.noise_guard_s,
            batch_size=self.batch_size,
        )


def evaluate_picking(
    model: nn.Module,
    records: Sequence[Record],
    config: PickingProtocolConfig,
    *,
    validation_records: Sequence[Record] = (),
    noise_records: Sequence[Record] = (),
    train_records: Sequence[Record] = (),
    fingerprints: Fingerprints | None = None,
) -> PickingScores:
    """Score a model's P and S picks on records, beside a positional dummy and STA/LTA.

    model: a task model with a picking head.
    validation_records: choose the thresholds of every picker; without them the given ones apply.
    noise_records: further windows without arrivals.
    train_records: what the model has seen: for the leakage report, and for the dummy's positions.
    fingerprints: what the model's folder tells of that, for the leakage report.

    Raises ValueError where validation records share an event with the scored ones.
    """
    known = record_facts(records, hashes=True)
    _refuse_shared_events(known, validation_records)
    test = config.cut(records, noise_records)
    validation = config.cut(validation_records) if validation_records else None
    dummy, notes = _fit_dummy(train_records, test, config)
    pickers: list[WindowPicker] = [
        ModelPicker(model, config.thresholds, config.min_separation_s, config.detection_threshold),
        StaLtaPicker(),
        dummy,
    ]
    picked = []
    for picker in pickers:
        thresholds, source = choose_thresholds(picker, validation, config.selection_tolerance_s)
        picks, detection = run_picker(picker, test)
        picked.append(
            PickedWindows(
                name=picker.name, picks=picks, thresholds=thresholds, source=source, detection=detection
            )
        )
    leakage = leakage_report(known, _training_data(train_records, fingerprints))
    return make_scores(picked, test, config.score_settings(), leakage, notes, dataclasses.asdict(config))


def _training_data(
    records: Sequence[Record], fingerprints: Fingerprints | None
) -> Sequence[Record] | Fingerprints:
    """All that is known of what a model has seen: the records given, and what its folder tells."""
    if fingerprints is None:
        return records
    given = record_facts(records, hashes=True)
    return Fingerprints(
        facts=RecordFacts.concatenate([given, fingerprints.facts]),
        stage=np.concatenate([np.full(len(given), "train", dtype=object), fingerprints.stage]),
        missing=fingerprints.missing,
    )


def _fit_dummy(
    train_records: Sequence[Record], test: ScoredWindows, config: PickingProtocolConfig
) -> tuple[PositionalDummy, list[str]]:
    if train_records:
        train = config.cut(train_records)
        return PositionalDummy.fit(train.batches), []
    note = "No training records given: the positional dummy was fitted on the scored windows, in its favour."
    return PositionalDummy.fit(test.batches), [note]


def _refuse_shared_events(records: RecordFacts, validation_records: Sequence[Record]) -> None:
    overlap = leakage_report(records, validation_records)
    shared = overlap.shared_event_ids or overlap.shared_record_ids or overlap.shared_waveforms
    if shared:
        raise ValueError(
            f"validation and scored records share {len(shared)} events or records ({', '.join(shared[:3])}): "
            "thresholds would be chosen on the test set; split by event first"
        )
