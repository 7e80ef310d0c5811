"""A network as a picker, and any picker over the windows of a protocol: without labels, without training."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import torch
from torch import nn

from ..data.batch import WaveformBatch
from .baselines import PHASES, WindowPicker
from .detection_scores import Detections, find_detections, join_detections
from .peaks import PeakPicks, join_picks, pick_peaks
from .scored_windows import ScoredWindows

LOWEST_THRESHOLD = 0.05
"""Everything is picked at this probability or below, and filtered with the threshold in use afterwards."""


class ModelPicker:
    """A network with a picking head as a picker."""

    name = "model"

    def __init__(
        self,
        model: nn.Module,
        thresholds: Mapping[str, float],
        min_separation_s: float,
        detection_threshold: float = 0.5,
    ) -> None:
        self.model = model
        self.detection_threshold = detection_threshold
        self.default_thresholds: Mapping[str, float] = dict(thresholds)
        self.min_separation_s = min_separation_s

    def __call__(self, batch: WaveformBatch) -> PeakPicks:
        """The picks of each window."""
        return self.run(batch)[0]

    def run(self, batch: WaveformBatch) -> tuple[PeakPicks, Detections | None]:
        """The picks, and the detections where the model has such a head.

        Raises ValueError where the model has no picking head.
        """
        device = next(self.model.parameters()).device
        with evaluation_mode(self.model):
            output: Mapping[str, Mapping[str, torch.Tensor]] = self.model(batch.to(device))
        if "picking" not in output:
            raise ValueError(
                f"the model has heads {sorted(output)} and none for picking: fine-tune it with that head"
            )
        rate_hz = float(batch.sampling_rate_hz[0])
        lowest = dict.fromkeys(PHASES, min(LOWEST_THRESHOLD, *self.default_thresholds.values()))
        picks = pick_peaks(output["picking"]["probability"], rate_hz, lowest, self.min_separation_s)
        if "detection" not in output:
            return picks, None
        probability = output["detection"]["probability"]
        return picks, find_detections(probability, rate_hz, self.detection_threshold)


@contextlib.contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Without dropout and gradients inside; afterwards the model is as it was."""
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(was_training)


def run_picker(picker: WindowPicker, windows: ScoredWindows) -> tuple[PeakPicks, Detections | None]:
    """A picker's picks of all windows (numbered through), and a model's detections.

    The picker never sees labels or event ids.
    """
    parts: list[PeakPicks] = []
    detections: list[Detections | None] = []
    first = 0
    for batch in windows.batches:
        blind = batch.replace(labels={}, event_id=None)
        if isinstance(picker, ModelPicker):
            picks, detection = picker.run(blind)
        else:
            picks, detection = picker(blind), None
        parts.append(picks.shifted(first))
        detections.append(detection)
        first += len(batch)
    known = [detection for detection in detections if detection is not None]
    return join_picks(parts), join_detections(known) if len(known) == len(detections) else None
