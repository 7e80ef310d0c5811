"""What the heads share that answer with one number a window and its standard deviation."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import initialization as init

from ..data.batch import WaveformBatch
from ..foundation.features import FeatureSpec, SeismicFeatures
from ..foundation.processes import mean_over_all
from .base import Head
from .calibration import StdFactor
from .measured_arrivals import MeasuredArrivals
from .window_summary import WindowSummary, in_full_precision

UNIT_SOFTPLUS = 0.5413
"""softplus(UNIT_SOFTPLUS) = 1."""


@dataclass(frozen=True, kw_only=True)
class RegressionConfig:
    """How one number a window is learned.

    hidden: width of the layers. looks: learned attentions over the window, see `WindowSummary`.
    typical, spread: mean and standard deviation that an untrained head answers with, in the unit of what is
        regressed. least_std: a standard deviation below which it never says to be sure.
    arrival_weight: of the part of the loss that teaches where P and S are, see `MeasuredArrivals`.
    """

    hidden: int = 64
    looks: int = 2
    typical: float = 0.0
    spread: float = 1.0
    least_std: float = 0.05
    arrival_weight: float = 0.1

    def __post_init__(self) -> None:
        if min(self.hidden, self.looks) < 1 or self.arrival_weight < 0:
            raise ValueError(
                "hidden and looks must be at least 1 and arrival_weight not negative, "
                f"found {self.hidden}, {self.looks} and {self.arrival_weight}"
            )
        if not 0 < self.least_std < self.spread:
            raise ValueError(
                "least_std must be positive and below spread, "
                f"found {self.least_std} and spread {self.spread}"
            )


class RegressionHead(Head):
    """One number a window with a standard deviation, by the likelihood of a Gaussian (Nix & Weigend 1994).

    It rests on what is measured at P and S, on learned looks at the whole window, and on the gain.

    label: the name of what is learned among the batch's labels.
    """

    calibration_class = StdFactor
    label: ClassVar[str]

    def __init__(self, spec: FeatureSpec, config: RegressionConfig) -> None:
        super().__init__(spec, config)
        self.config = config
        self.summary = WindowSummary(spec, config.hidden, config.looks, with_gain=True)
        self.measured = MeasuredArrivals(spec)
        self.hidden = nn.Linear(self.summary.width + self.measured.width, config.hidden)
        self.answer = nn.Linear(config.hidden, 2)

    def init_prior(self) -> None:
        """Begin near the typical answer, whatever the window."""
        init.normal_(self.answer.weight, std=0.02)

    def forward(self, features: SeismicFeatures) -> dict[str, Tensor]:
        """Mean and standard deviation `(window,)` of what is regressed, float32 under mixed precision too,
        and log attention `(window, token, 2)` of the looks for P and S.
        """
        with in_full_precision(features["tokens"]):
            figures, looks = self.measured(features)
            summary = self.summary(features)
            known = torch.cat((summary, figures.to(summary.dtype)), dim=1)
            raw = self.answer(F.gelu(self.hidden(known))).float()
        mean = self.config.typical + self.config.spread * raw[:, 0]
        std = self.config.least_std + self.config.spread * F.softplus(raw[:, 1] + UNIT_SOFTPLUS)
        return {"mean": mean, "std": std, "looks": looks}

    @abstractmethod
    def predict(self, output: dict[str, Tensor], observed: Tensor | None) -> dict[str, Tensor]:
        """The answer `(window,)` under a name with its unit, and its standard deviation."""

    def target(self, batch: WaveformBatch) -> Tensor:
        """What `mean` should be, `(window,)`, NaN where unknown."""
        return window_label(batch, self.label)

    def average(self, nll: Tensor, target: Tensor, known: Tensor) -> Tensor:
        """The mean of `nll` `(window,)` over all processes' labelled windows."""
        return mean_over_all(torch.where(known, nll, 0.0).sum(), known.sum())

    def loss(
        self, output: dict[str, Tensor], batch: WaveformBatch, features: SeismicFeatures
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Negative log likelihood above its lowest possible value, so that 0 is perfect and surely so, and
        the looks' part.
        """
        target = self.target(batch)
        known = target.isfinite()
        nll = gaussian_nll(output, torch.where(known, target, 0.0), self.config.least_std)
        loss = self.average(nll, target, known)
        if self.config.arrival_weight > 0:
            misplaced = self.measured.looks.misplaced(output["looks"], batch, features, known)
            loss = loss + self.config.arrival_weight * misplaced
        return loss, {"loss": loss.detach(), "labelled_share": known.float().mean()}


def window_label(batch: WaveformBatch, name: str) -> Tensor:
    """A float label `(window,)`; NaN in all windows where the batch does not have it."""
    unknown = batch.waveform.new_full((len(batch),), torch.nan)
    return batch.labels.get(name, unknown).to(unknown)


def gaussian_nll(output: dict[str, Tensor], target: Tensor, least_std: float) -> Tensor:
    """log(std / least_std) + ((target − mean) / std)² / 2, `(window,)`: never negative.

    A constant apart from −log of the density. Where losses are weighed by their size, a negative one would
    have no bound.
    """
    mean, std = output["mean"], output["std"]
    return (std / least_std).log() + 0.5 * ((target - mean) / std).square()
