"""What every objective of pretraining is: a model and a batch in, a loss out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from torch import Tensor, nn

from ...data.batch import WaveformBatch
from ...data.loading.window_random import WindowRandom
from ...foundation.backbones.base import Backbone
from ...foundation.features import init_module
from ...foundation.processes import mean_over_all, talks_to_others, this_process_alone

__all__ = [
    "Objective",
    "draws",
    "init_objective",
    "mean_over_all",
    "talks_to_others",
    "this_process_alone",
]


class Objective(nn.Module, ABC):
    """One question that is put to a backbone, with the parts that only this question needs.

    Those parts (decoders, quantizers, a teacher) are trained beside the model and thrown away after it. The
    model is handed in at each call, so that several objectives can share one.

    All chance comes from the batch's keys (`draws`), and every mean is one over the windows of all processes
    (`mean_over_all`): a run on two processes has the losses of one with twice the batch.

    config_class: its settings, a frozen dataclass.
    """

    config_class: ClassVar[type]

    @abstractmethod
    def __init__(self, model: Backbone, config: Any) -> None:
        """The objective for a model. Raises ValueError for one that it cannot be put to."""
        super().__init__()

    @abstractmethod
    def forward(self, model: Backbone, batch: WaveformBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a batch, and figures for the log. Dropout alone knows of training."""

    def trivial_loss(self, model: Backbone, batch: WaveformBatch) -> Tensor | None:
        """What an answer costs that knows nothing of the waveform; None where there is no such answer."""
        return None

    def after_update(self, model: Backbone) -> None:
        """Called after each update of the weights, in every process."""


def init_objective(objective: Objective, std: float) -> None:
    """Initial weights of an objective's own layers, made as those of a model are."""
    for module in objective.modules():
        init_module(module, std)


def draws(batch: WaveformBatch, name: str) -> WindowRandom:
    """The random numbers of a batch's windows for one use.

    Raises ValueError for a batch whose windows have no keys: its masks could not be repeated.
    """
    if batch.window_key is None:
        raise ValueError(
            "pretraining draws from the windows' keys, and this batch has none: take it from a WindowLoader "
            "or from fixed_windows, or give it keys by `with_window_key`"
        )
    return WindowRandom(batch.window_key).derive(name)
