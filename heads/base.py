"""What every head is: features in, one task's prediction out, and that prediction's loss beside it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from torch import Tensor, nn

from ..data.batch import WaveformBatch
from ..foundation.features import FeatureSpec, SeismicFeatures
from .calibration import Calibration, Uncalibrated
from .time_axis import TimeGrid


class Head(nn.Module, ABC):
    """One thing that a model says about a window.

    A head knows the width and rate of the features (`FeatureSpec`) and the batch, never a particular encoder.

    config_class: its settings, a frozen dataclass.
    calibration_class: what makes its answers as sure as they are right, fitted after training; the identity
        for a head whose answers are taken as they are.
    grid: where the last dimension of its outputs lies in time, for dense heads; None for one answer a window.
    """

    config_class: ClassVar[type]
    calibration_class: ClassVar[type[Calibration]] = Uncalibrated
    grid: TimeGrid | None = None

    @abstractmethod
    def __init__(self, spec: FeatureSpec, config: Any) -> None:
        super().__init__()

    @abstractmethod
    def forward(self, features: SeismicFeatures) -> dict[str, Tensor]:
        """Raw outputs (logits), at the head's own grid where it has one."""

    @abstractmethod
    def predict(self, output: dict[str, Tensor], observed: Tensor | None) -> dict[str, Tensor]:
        """The outputs in physical terms.

        output: of `forward`; for a dense head on any time axis `(window, …, sample)`.
        observed: bool `(window, sample)` on that axis: nothing is predicted where there are no data.
        """

    @abstractmethod
    def loss(
        self, output: dict[str, Tensor], batch: WaveformBatch, features: SeismicFeatures
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss on what is labelled, and figures for the log.

        A batch without a label of this head gives exactly zero, with a gradient of exactly zero.
        """

    def init_prior(self) -> None:
        """Set the head's own parameters so that, untrained, it already expects rare things to be rare.

        transformers calls it for heads that own a parameter directly, not only through their layers.
        """
