"""The scores of a detector: events told from noise, found by overlap, and false alarms in hours of noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from ..data.batch import WaveformBatch
from ..heads.targets import detection_targets
from .detection_metrics import intervals_above, match_intervals, roc_auc
from .pick_metrics import precision_recall_f1
from .scored_windows import ScoredWindows

MIN_OVERLAP = 0.3
"""A detection is a hit where it and the labelled event share this part of their joint extent or more."""

Interval = Callable[[np.ndarray, np.ndarray, Callable[[np.ndarray], np.ndarray]], tuple]
"""From values `(window, column)`, their events and a statistic to the ends of a confidence interval."""


@dataclass(frozen=True, kw_only=True)
class Detections:
    """What a detector says of some windows.

    highest: `(window,)`, its highest probability. intervals_s: for each window `(interval, 2)`, start and end
    in seconds after the first sample of each stretch at or above `threshold`.
    """

    highest: np.ndarray
    intervals_s: tuple[np.ndarray, ...]
    threshold: float


def find_detections(probability: torch.Tensor, sampling_rate_hz: float, threshold: float) -> Detections:
    """The detections in probabilities `(window, sample)`; NaN is where nothing was observed."""
    curves = probability.float().cpu().nan_to_num(nan=0.0).numpy()
    return Detections(
        highest=curves.max(axis=-1),
        intervals_s=tuple(intervals_above(curve, sampling_rate_hz, threshold) for curve in curves),
        threshold=threshold,
    )


def join_detections(parts: list[Detections]) -> Detections:
    """Detections of several lots of windows, one after the other."""
    return Detections(
        highest=np.concatenate([part.highest for part in parts]),
        intervals_s=tuple(interval for part in parts for interval in part.intervals_s),
        threshold=parts[0].threshold,
    )


def detection_scores(found: Detections, windows: ScoredWindows, interval: Interval) -> dict[str, float]:
    """How well events are detected.

    `auc`: does a window's highest probability tell windows with a P from noise. `precision`, `recall`, `f1`,
    with intervals over events: detections against the labelled events, P to S + 1.4 (S − P) within the window
    (of events that overlap, the union), a hit sharing `MIN_OVERLAP` of the joint extent. Only windows where
    both phases of every event are labelled count. `false_alarms_per_hour`: detections in noise windows by
    their hours of data.
    """
    truth = [labelled for batch in windows.batches for labelled in labelled_intervals(batch)]
    judged = np.array([labelled is not None for labelled in truth])
    counts = np.array(
        [
            (0, 0, 0) if labelled is None else match_intervals(intervals_s, labelled, MIN_OVERLAP)
            for intervals_s, labelled in zip(found.intervals_s, truth, strict=True)
        ]
    )
    total = counts.sum(axis=0)
    low, high = interval(counts[judged], windows.event[judged], precision_recall_f1)
    scores = _separation(found.highest, windows) | {
        "threshold": found.threshold,
        "min_overlap": MIN_OVERLAP,
        "num_judged_windows": int(judged.sum()),
    }
    for i, name in enumerate(("precision", "recall", "f1")):
        scores |= {name: float(precision_recall_f1(total)[i]), f"{name}_low": low[i], f"{name}_high": high[i]}
    names = ("true_positives", "false_positives", "misses")
    scores |= {name: int(count) for name, count in zip(names, total, strict=True)}
    return scores | _false_alarms(found, windows)


def labelled_intervals(batch: WaveformBatch) -> list[np.ndarray | None]:
    """Where events shake each window, `(interval, 2)` in seconds; None where the labels do not tell.

    Stretches without data are left out: a detector says nothing there.
    """
    rate_hz = batch.sampling_rate_hz.double()
    time_s = (torch.arange(batch.num_samples) / rate_hz[:, None]).float()
    inside, known = detection_targets(batch, time_s)
    shaken = (inside.bool() & batch.observed.any(dim=1)).float().numpy()
    return [
        intervals_above(curve, rate, 0.5) if tells else None
        for curve, rate, tells in zip(shaken, rate_hz.tolist(), known.all(dim=1).tolist(), strict=True)
    ]


def _separation(highest: np.ndarray, windows: ScoredWindows) -> dict[str, float]:
    truth = windows.truth("P")
    holds_event = np.zeros(len(windows), dtype=bool)
    holds_event[truth.window[truth.scored]] = True
    event, noise = highest[holds_event], highest[windows.is_noise]
    return {"auc": roc_auc(event, noise), "num_event_windows": len(event), "num_noise_windows": len(noise)}


def _false_alarms(found: Detections, windows: ScoredWindows) -> dict[str, float]:
    quiet = np.flatnonzero(windows.is_noise)
    hours = float(windows.truth("P").observed_s[quiet].sum()) / 3600.0
    count = sum(len(found.intervals_s[window]) for window in quiet)
    rate = count / hours if hours > 0 else np.nan
    return {"false_alarms": count, "noise_station_hours": hours, "false_alarms_per_hour": rate}
