"""What the stations of several events tell about their sources: the input of a mechanism network."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class EventObservations:
    """First motions, S/P ratios and directions, all `(event, station)`, events padded to the same length.

    polarity: probability of up minus that of down, −1 to 1; NaN where nobody looked.
    log10_sp_ratio: of S over P amplitude; NaN where not measured.
    azimuth_deg, takeoff_deg: of the P ray at the source, the latter from the downward vertical.
    observed: bool, False for padding, whose other values mean nothing.

    Raises ValueError for other shapes, a polarity beyond ±1, or an observed station without a direction.
    """

    polarity: Tensor
    log10_sp_ratio: Tensor
    azimuth_deg: Tensor
    takeoff_deg: Tensor
    observed: Tensor

    def __post_init__(self) -> None:
        shapes = {field.name: tuple(getattr(self, field.name).shape) for field in fields(self)}
        if len(set(shapes.values())) != 1 or self.observed.ndim != 2 or self.observed.dtype != torch.bool:
            raise ValueError(
                "observations are (event, station) and observed is bool, "
                f"found {shapes} {self.observed.dtype}"
            )
        if bool((self.polarity.abs() > 1).logical_and(self.observed).any()):
            raise ValueError("polarity is the probability of up minus that of down: it lies within −1 and 1")
        placed = self.azimuth_deg.isfinite() & self.takeoff_deg.isfinite()
        if not bool((placed | ~self.observed).all()):
            raise ValueError("every observed station needs an azimuth and a take-off angle: leave it out")

    def rotated(self, angle_deg: Tensor) -> EventObservations:
        """The same with all directions turned clockwise about the vertical, by an angle for each event."""
        return replace(self, azimuth_deg=self.azimuth_deg + angle_deg[:, None])

    def ordered(self, order: Tensor) -> EventObservations:
        """The same with the stations `(station,)` in another order, or some of them."""
        return type(self)(**{field.name: getattr(self, field.name)[:, order] for field in fields(self)})
