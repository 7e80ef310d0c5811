"""How far away the event is: the distance head."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..data.batch import WaveformBatch
from .regression import RegressionConfig, RegressionHead


@dataclass(frozen=True, kw_only=True)
class DistanceConfig(RegressionConfig):
    """How epicentral distances are learned; see `RegressionConfig`, here for the natural log of km.

    least_km: shorter distances count as this one, since a logarithm has no zero.
    """

    typical: float = 3.5
    spread: float = 1.0
    least_std: float = 0.02
    least_km: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.least_km > 0:
            raise ValueError(f"least_km must be positive, found {self.least_km}")


class DistanceHead(RegressionHead):
    """The epicentral distance of the event that a window shows.

    `predict` gives `distance_km` `(window,)`, the median, and `distance_log_std`, the standard deviation of
    its natural logarithm: 0.1 is 10 %.
    """

    config_class = DistanceConfig
    config: DistanceConfig
    label = "distance_km"

    def predict(self, output: dict[str, Tensor], observed: Tensor | None) -> dict[str, Tensor]:
        """Distance in km, and the standard deviation of its logarithm."""
        return {"distance_km": output["mean"].exp(), "distance_log_std": output["std"]}

    def target(self, batch: WaveformBatch) -> Tensor:
        """The logarithm of the distance."""
        return super().target(batch).clamp(min=self.config.least_km).log()
