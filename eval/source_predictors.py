"""What can be scored for source parameters: a model, a classical reference, a dummy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import torch
import yaml
from scipy.special import i0e, i1e

from ..configs.loader import build_config
from ..data.batch import WaveformBatch
from ..data.event_types import EVENT_TYPES
from ..data.instruments.harmonization import HarmonizationConfig
from ..data.records import POLARITIES
from ..heads.event_type import EventTypeHead
from ..heads.model_folder import ModelFolder
from ..heads.polarity import at_picks
from ..heads.task_model import SeismicTaskModel
from .model_picker import evaluation_mode
from .references.phase_times import labelled_times
from .regression_metrics import circular_difference_deg
from .source_windows import SourceWindows

LEAST = 0.1
"""A distance in km below this counts as this where its logarithm is taken."""


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """A number that predictors tell under its label's name.

    std: the answer that tells its standard deviation, if any; with `log_std` that of its logarithm.
    tolerance: of the share that is `within`. edges: of the bins in which its bias is told. circular: degrees
    that wrap.
    """

    std: str
    tolerance: float
    edges: tuple[float, ...] = ()
    circular: bool = False
    log_std: bool = False

    def error(self, predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """Predicted − true in the measure of the standard deviation."""
        if self.circular:
            return circular_difference_deg(predicted, truth)
        if self.log_std:
            return np.log(np.maximum(predicted, LEAST)) - np.log(np.maximum(truth, LEAST))
        return predicted - truth


QUANTITIES: Mapping[str, Quantity] = {
    "magnitude": Quantity(std="magnitude_std", tolerance=0.3, edges=tuple(map(float, range(-1, 9)))),
    "distance_km": Quantity(
        std="distance_log_std", tolerance=10.0, edges=(0.0, 10.0, 30.0, 60.0, 100.0, 200.0), log_std=True
    ),
    "back_azimuth_deg": Quantity(std="back_azimuth_std_deg", tolerance=30.0, circular=True),
    "depth_km": Quantity(std="depth_std_km", tolerance=5.0, edges=(0.0, 5.0, 10.0, 20.0, 50.0, 200.0)),
}

CLASSES: Mapping[str, tuple[str, ...]] = {"event_type": EVENT_TYPES, "polarity": POLARITIES}
"""Classes that predictors tell as `{label}_probability` `(window, class)`."""

ANSWERS = (
    *QUANTITIES,
    *(quantity.std for quantity in QUANTITIES.values()),
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
    """A task model with heads for source parameters, asked for what `ANSWERS` names."""

    def __init__(
        self, model: SeismicTaskModel, name: str = "model", harmonization: HarmonizationConfig | None = None
    ) -> None:
        self.model = model
        self.name = name
        self.harmonization = harmonization or HarmonizationConfig()

    def predict(self, batch: WaveformBatch) -> dict[str, np.ndarray]:
        """The heads' answers, without training; polarity at the labelled P that comes first.

        Raises ValueError where no head tells any of them.
        """
        device = next(self.model.parameters()).device
        with evaluation_mode(self.model):
            output = self.model(batch.to(device))
        said = {
            name: value.double().cpu().numpy()
            for head in output.values()
            for name, value in head.items()
            if name in ANSWERS
        }
        if "back_azimuth" in output:
            kappa = output["back_azimuth"]["back_azimuth_kappa"].double().cpu().numpy()
            said["back_azimuth_std_deg"] = von_mises_std_deg(kappa)
        if "event_type" in output:
            classes = cast("EventTypeHead", self.model.heads["event_type"]).config.classes
            probability = np.zeros((len(batch), len(EVENT_TYPES)))
            places = [EVENT_TYPES.index(name) for name in classes]
            probability[:, places] = output["event_type"]["probability"].double().cpu().numpy()
            said["event_type_probability"] = probability
        if "polarity" in output:
            pick_s = torch.from_numpy(labelled_times(batch).p_s)[:, None]
            probability = output["polarity"]["probability"].cpu()
            chosen = at_picks(probability, batch.sampling_rate_hz.cpu(), pick_s)[:, 0]
            said["polarity_probability"] = chosen.double().numpy()
        if not said:
            raise ValueError(f"none of the model's heads {sorted(output)} tells any of {ANSWERS}")
        return said


def trained_harmonization(name_or_path: str | Path) -> HarmonizationConfig:
    """What was made of the windows that a saved model learned from.

    Raises FileNotFoundError for a model without its `training.yaml`, ValueError where that does not say.
    """
    folder = ModelFolder.find(name_or_path)
    papers = folder.path / "training.yaml"
    if not papers.is_file():
        raise FileNotFoundError(
            f"{folder.source} has no training.yaml: nobody knows in which unit its windows were; give the "
            "folder that a run of seisfm wrote"
        )
    settings = yaml.safe_load(papers.read_text(encoding="utf-8"))
    windows = settings.get("windows") if isinstance(settings, dict) else None
    if not isinstance(windows, dict):
        raise ValueError(f"{papers} must say how `windows` were made, found {type(windows).__name__}")
    return build_config(HarmonizationConfig, windows.get("harmonization", {}), source=str(papers))


def von_mises_std_deg(kappa: np.ndarray) -> np.ndarray:
    """The circular standard deviation √(−2 ln(I₁(κ)/I₀(κ))) of directions in degrees (Mardia & Jupp 2000)."""
    length = np.clip(i1e(kappa) / i0e(kappa), 1e-12, 1.0)
    return np.degrees(np.sqrt(-2.0 * np.log(length)))


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
            error = quantity.error(np.full_like(truth, mean), truth)
            answers |= {label: np.array(mean), quantity.std: np.sqrt(np.square(error).mean())}
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
