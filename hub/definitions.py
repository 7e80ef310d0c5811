"""What the scores on a card mean: a number without its definition compares with nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

DEFINITIONS = {
    "precision": "share of the picks within `tolerance_s` of a labelled arrival, one pick to an arrival.",
    "recall": "share of the labelled arrivals that have a pick within `tolerance_s`.",
    "f1": "2 · precision · recall / (precision + recall).",
    "false_picks_per_station_hour": "picks without an arrival in an hour of one station's record.",
    "roc_auc": "chance that a window with an event scores above one without (area under the ROC curve).",
    "auc": "chance that a window with an event scores above one without (area under the ROC curve).",
    "false_alarms_per_hour": "detections in an hour of one station's noise.",
    "mae_s": "mean |pick − label| in seconds over arrivals that have a pick; see recall for the misses.",
    "mad_s": "median |residual − median residual| in seconds.",
    "mean_s": "mean pick − label in seconds: the bias.",
    "std_s": "standard deviation of pick − label in seconds.",
    "outlier_share": "share of the residuals beyond 1 s.",
    "detection": "of events, not picks: a hit shares `min_overlap` of the joint extent of detection and "
    "event, which lasts from P to S + 1.4 (S − P).",
    "held_out": "on fixed windows of events that were not trained on.",
    "held_out_at_start": "the same before the first update.",
    "held_out_without_knowledge": "the same for an answer that knows nothing of the waveform (zeros).",
    "loss": "the training objective; comparable only between models of one objective.",
    "validation": "on the events held out to choose the checkpoint; not a test score.",
}
"""By the last or any part of a score's name. Intervals are percentiles over resampled events."""


STAGES = ("detection", "held_out", "held_out_at_start", "held_out_without_knowledge", "loss", "validation")
"""Those that say what was scored, or compare with no other model: no metrics in the hub's sense."""


def defined(metrics: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The names among some metrics that have a definition, with it, in the order of `DEFINITIONS`."""
    present = set(_names(metrics))
    yield from ((name, meaning) for name, meaning in DEFINITIONS.items() if name in present)


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key)
            yield from _names(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _names(item)
