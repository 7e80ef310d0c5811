"""How large the event is: the magnitude head."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .groups import mean_of_groups
from .regression import RegressionConfig, RegressionHead

BALANCE_FROM = -1.0
BALANCE_STEP = 0.5
BALANCE_BINS = 18
"""Bins of magnitude that count the same where balanced: below −0.5, … in steps of 0.5, 7.5 and above."""


@dataclass(frozen=True, kw_only=True)
class MagnitudeConfig(RegressionConfig):
    """How magnitudes are learned; see `RegressionConfig`.

    balanced: half units of magnitude count the same in the loss, however rare. Large events are otherwise
        underestimated, since next to all that a catalog teaches is small (Gutenberg & Richter 1944).
    """

    typical: float = 2.0
    spread: float = 1.5
    least_std: float = 0.05
    balanced: bool = False


class MagnitudeHead(RegressionHead):
    """The magnitude of the event that a window shows, from its amplitude and everything else.

    `predict` gives `magnitude` and `magnitude_std` `(window,)`, of the type that the labels were of.
    """

    config_class = MagnitudeConfig
    config: MagnitudeConfig
    label = "magnitude"

    def predict(self, output: dict[str, Tensor], observed: Tensor | None) -> dict[str, Tensor]:
        """Magnitude and its standard deviation."""
        return {"magnitude": output["mean"], "magnitude_std": output["std"]}

    def average(self, nll: Tensor, target: Tensor, known: Tensor) -> Tensor:
        """The mean over all labelled windows, or over the bins of magnitude that occur."""
        if not self.config.balanced:
            return super().average(nll, target, known)
        position = ((target.nan_to_num() - BALANCE_FROM) / BALANCE_STEP).floor().clamp(0, BALANCE_BINS - 1)
        bins = torch.arange(BALANCE_BINS, device=target.device)[:, None]
        return mean_of_groups(nll, (position == bins) & known)
