"""How deep the event is: the depth head."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from .regression import RegressionConfig, RegressionHead


@dataclass(frozen=True, kw_only=True)
class DepthConfig(RegressionConfig):
    """How depths are learned; see `RegressionConfig`, here in km."""

    typical: float = 10.0
    spread: float = 10.0
    least_std: float = 0.2


class DepthHead(RegressionHead):
    """The depth of the event that a window shows, positive down.

    `predict` gives `depth_km` and `depth_std_km` `(window,)`. One station alone tells little of it: the
    standard deviation says how little.
    """

    config_class = DepthConfig
    config: DepthConfig
    label = "depth_km"

    def predict(self, output: dict[str, Tensor], observed: Tensor | None) -> dict[str, Tensor]:
        """Depth and its standard deviation, in km."""
        return {"depth_km": output["mean"], "depth_std_km": output["std"]}
