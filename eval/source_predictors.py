"""What can be scored for source parameters: a model, a classical reference, a dummy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import nn

from ..data.batch import WaveformBatch
from ..data.event_types import EVENT_TYPES
from ..data.instruments.harmonization import HarmonizationConfig
from ..data.records import POLARITIES
from .model_picker import evaluation_mode
from .regression_metrics import circular_difference_deg
from .source_windows import SourceWindows


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """A number that predictors tell under its label's name.

    sigma: the answer that tells its standard deviation, if any. tolerance: of the share that is `within`.
    edges: of the bins in which its bias is told. circular: degrees that wrap.
    """

    sigma: str
    tolerance: float
    edges: tuple[float, ...] = ()
    circular: bool = False


QUANTITIES: Mapping[str, Quantity] = {
    "magnitude": Quantity(sigma="magnitude_sigma", tolerance=0.3, edges=tuple(map(float, range(-1, 9)))),
    "distance_km": Quantity(
        sigma="distance_sigma_km", tolerance=10.0, edges=(0.0, 10.0, 30.0, 60.0, 100.0, 200.0)
    ),
    "back_azimuth_deg": Quantity(sigma="back_azimuth_sigma_deg", tolerance=30.0, circular=True),
    "depth_km": Quantity(sigma="depth_sigma_km", tolerance=5.0, edges=(0.0, 5.0, 10.0, 20.0, 50.0, 200.0)),
}

CLASSES: Mapping[str, tuple[str, ...]] = {"event_type": EVENT_TYPES, "polarity": POLARITIES}
"""Classes that predictors tell as `{label}_probability` `(window, class)`."""

ANSWERS = (
    *QUANTITIES,
    *(quantity.sigma for quantity in QUANTITIES.values()),
    *(f"{label}_probability" for label in CLASSES),
)


class SourcePredictor(Protocol):
    """What can be scored: a head in a model, or a classical reference.

    harmonization: what windows it wants. `predict` gives some of `ANSWERS`, window first, NaN where it has
    none; and perhaps `reason`, `(window,)`, why it has none.
    """

    name: str
    harmonization: HarmonizationConfig

    def predict(self, batch: WaveformBatch) -> Mapping[str, np.ndarray]:
        """The answers for each window of a batch."""


class ModelPredictor:
    """A task model whose heads tell some of `ANSWERS` under these names."""

    def __init__(
        self, model: nn.Module, name: str = "model", harmonization: HarmonizationConfig | None = None
    ) -> None:
        self.model = model
        self.name = name
        self.harmonization = harmonization or HarmonizationConfig()

    def predict(self, batch: WaveformBatch) -> dict[str, np.ndarray]:
        """The heads' answers, without training.

        Raises ValueError where no head tells any of them.
        """
        device = next(self.model.parameters()).device
        with evaluation_mode(self.model):
            output: Mapping[str, Mapping[str, torch.Tensor]] = self.model(batch.to(device))
        answers = {
            name: value.double().cpu().numpy()
            for head in output.values()
            for name, value in head.items()
            if name in ANSWERS
        }
        if not answers:
            raise ValueError(f"none of the model's heads {sorted(output)} tells any of {ANSWERS}")
        return answers


class SourceDummy:
    """Says the same of every window: the mean of other windows, or how often each class occurred there."""

    name = "dummy (mean)"
    harmonization = HarmonizationConfig()

    def __init__(self, answers: Mapping[str, np.ndarray]) -> None:
        self.answers = dict(answers)

    @classmethod
    def fit(cls, windows: SourceWindows) -> SourceDummy:
        """The means and shares of labelled windows; what is labelled nowhere has no answer."""
        answers: dict[str, np.ndarray] = {}
        for label, quantity in QUANTITIES.items():
            truth = windows.truth(label)
            truth = truth[np.isfinite(truth)]
            if not len(truth):
                continue
            mean = _circular_mean_deg(truth) if quantity.circular else truth.mean()
            error = circular_difference_deg(truth, mean) if quantity.circular else truth - mean
            answers |= {label: np.array(mean), quantity.sigma: np.sqrt(np.square(error).mean())}
        for label, classes in CLASSES.items():
            truth = windows.truth(label)
            counts = np.bincount(truth[truth >= 0], minlength=len(classes))
            if counts.sum():
                answers[f"{label}_probability"] = counts / counts.sum()
        return cls(answers)

    def predict(self, batch: WaveformBatch) -> dict[str, np.ndarray]:
        """The same for each window."""
        return {
            name: np.broadcast_to(value, (len(batch), *value.shape)) for name, value in self.answers.items()
        }


def _circular_mean_deg(angles_deg: np.ndarray) -> float:
    radians = np.radians(angles_deg)
    return float(np.degrees(np.arctan2(np.sin(radians).mean(), np.cos(radians).mean())) % 360.0)
