"""What an event's stations saw, and where on the focal sphere they lie as far as that is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ...data.mechanism.observations import EventObservations


@dataclass(frozen=True, kw_only=True)
class FirstMotions:
    """The readings of one event, with their directions in several trials of take-off geometry.

    polarity: `(station,)`, 1 up, −1 down, 0 unknown. impulsive: bool `(station,)`; others weigh half in
    misfit and station ratio. log10_sp_ratio: `(station,)` S over P amplitude, NaN where not measured.
    azimuth_deg, takeoff_deg: `(trial, station)` from the source, the take-off angle from the downward
    vertical; the first trial is the best estimate.

    Raises ValueError for other shapes, another polarity, or an angle that is not finite.
    """

    polarity: Tensor
    impulsive: Tensor
    log10_sp_ratio: Tensor
    azimuth_deg: Tensor
    takeoff_deg: Tensor

    def __post_init__(self) -> None:
        shapes = {name: tuple(getattr(self, name).shape) for name in self.__dataclass_fields__}
        stations, trials = self.polarity.shape[:1], self.azimuth_deg.shape[:1]
        want = dict.fromkeys(shapes, tuple(stations)) | dict.fromkeys(
            ("azimuth_deg", "takeoff_deg"), (*trials, *stations)
        )
        if shapes != want or not trials or trials[0] < 1:
            raise ValueError(f"readings are (station,) and angles (trial, station), found {shapes}")
        if not bool(torch.isin(self.polarity, self.polarity.new_tensor([-1, 0, 1])).all()):
            raise ValueError(
                f"polarity is 1 up, −1 down or 0 unknown, found {self.polarity.unique().tolist()}"
            )
        if not bool((self.azimuth_deg.isfinite() & self.takeoff_deg.isfinite()).all()):
            raise ValueError("every station needs an azimuth and a take-off angle: leave out those without")

    @property
    def num_polarities(self) -> int:
        """How many first motions are known."""
        return int((self.polarity != 0).sum())

    @property
    def num_ratios(self) -> int:
        """How many S/P ratios are known."""
        return int(self.log10_sp_ratio.isfinite().sum())


def azimuthal_gap_deg(azimuth_deg: Tensor) -> float:
    """The widest angle `(station,)` without a station; 360 for one station or none."""
    if azimuth_deg.numel() < 2:
        return 360.0
    ordered = (azimuth_deg % 360.0).sort().values
    return float(torch.cat([ordered.diff(), ordered[:1] + 360.0 - ordered[-1:]]).max())


def takeoff_gap_deg(takeoff_deg: Tensor) -> float:
    """The widest range between 0 and 90 degrees without a take-off angle `(station,)`.

    A ray up and its opposite down see the same, so both count from the nearer pole, as HASH does.
    """
    folded = torch.minimum(takeoff_deg, 180.0 - takeoff_deg).sort().values
    ends = folded.new_tensor([0.0]), folded.new_tensor([90.0])
    return float(torch.cat([ends[0], folded, ends[1]]).diff().max())


def observations_of(motions: Sequence[FirstMotions]) -> EventObservations:
    """Several events as a network reads them: directions of the first trial, padded to the most stations."""
    columns = {
        "polarity": [one.polarity.where(one.polarity != 0, torch.nan) for one in motions],
        "log10_sp_ratio": [one.log10_sp_ratio for one in motions],
        "azimuth_deg": [one.azimuth_deg[0] for one in motions],
        "takeoff_deg": [one.takeoff_deg[0] for one in motions],
        "observed": [torch.ones(len(one.polarity), dtype=torch.bool) for one in motions],
    }
    padded = {name: pad_sequence(values, batch_first=True) for name, values in columns.items()}
    observed = padded.pop("observed")
    return EventObservations(**{name: value.float() for name, value in padded.items()}, observed=observed)
