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
    log10_snr: of P amplitude over the noise before it; NaN, or None for all, where not measured.
    waveform: vertical motion `(event, station, sample)` with the P pick in the middle, in any unit, up
        positive; NaN in a station without one. None where no network asks for it.

    Raises ValueError for other shapes, a polarity beyond ±1, or an observed station without a direction.
    """

    polarity: Tensor
    log10_sp_ratio: Tensor
    azimuth_deg: Tensor
    takeoff_deg: Tensor
    observed: Tensor
    log10_snr: Tensor | None = None
    waveform: Tensor | None = None

    def __post_init__(self) -> None:
        shapes = {name: tuple(value.shape) for name, value in self._given().items()}
        cut = shapes.pop("waveform", None)
        if len({*shapes.values()}) != 1 or self.observed.ndim != 2 or self.observed.dtype != torch.bool:
            raise ValueError(
                "observations are (event, station) and observed is bool, "
                f"found {shapes} {self.observed.dtype}"
            )
        if cut is not None and (len(cut) != 3 or cut[:2] != tuple(self.observed.shape)):
            raise ValueError(f"waveform is (event, station, sample), found {cut} for {shapes['observed']}")
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
        return replace(self, **{name: value[:, order] for name, value in self._given().items()})

    def events(self, chosen: slice) -> EventObservations:
        """Some of the events."""
        return replace(self, **{name: value[chosen] for name, value in self._given().items()})

    def _given(self) -> dict[str, Tensor]:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}
