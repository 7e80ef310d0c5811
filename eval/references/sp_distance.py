"""Epicentral distance from the time between P and S, in a layered Earth at depths that are assumed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...data.batch import WaveformBatch
from ...data.earth.velocity import VelocityModel
from ...data.instruments.harmonization import HarmonizationConfig
from .excerpts import Answers
from .phase_times import TimesOf, labelled_times


@dataclass(frozen=True, kw_only=True)
class SpDistanceConfig:
    """What is assumed of sources, and how well picks are known.

    depths_km: depths of equal weight. Their spread of distances is the answer's uncertainty, together with
        `sp_sigma_s`, the standard deviation of S − P, and `velocity_sigma`, that of velocities relative to
        the model's, which goes into distance in proportion.
    max_distance_km, spacing_km: of the table that is inverted.
    """

    depths_km: tuple[float, ...] = (1.0, 3.0, 6.0, 9.0, 12.0, 15.0)
    sp_sigma_s: float = 0.2
    velocity_sigma: float = 0.05
    max_distance_km: float = 300.0
    spacing_km: float = 0.25

    def __post_init__(self) -> None:
        if not self.depths_km or min(self.depths_km) < 0:
            raise ValueError(f"depths_km must be one or more, none negative, found {self.depths_km}")
        if not 0 < self.spacing_km < self.max_distance_km:
            raise ValueError(
                f"spacing_km must lie between 0 and max_distance_km, found {self.spacing_km} and "
                f"{self.max_distance_km}"
            )


class SpDistance:
    """Distance where the S − P time of first arrivals, which grows with distance, equals the measured one.

    A depth at which even a source right below the station would have a longer S − P is left out, so that near
    sources are not called deep. Where no depth is left, there is no answer.
    """

    name = "S − P"
    harmonization = HarmonizationConfig()

    def __init__(
        self,
        config: SpDistanceConfig | None = None,
        velocity_model: VelocityModel | None = None,
        times: TimesOf = labelled_times,
    ) -> None:
        self.config = config or SpDistanceConfig()
        self.times = times
        model = velocity_model or VelocityModel.default()
        self._grid_km = np.arange(0.0, self.config.max_distance_km, self.config.spacing_km)
        depth_km = np.asarray(self.config.depths_km)[:, None]
        s_s, p_s = (model.travel_time_s(self._grid_km, depth_km, phase) for phase in "SP")
        # Where branches change, S − P of first arrivals may fall for a few hundred metres: the inverse wants
        # a function, and an error of that size is far below that of the depth.
        self._sp_s = np.maximum.accumulate(s_s - p_s, axis=1)

    def predict(self, batch: WaveformBatch) -> Answers:
        """`distance_km`, `distance_log_std` (of its natural logarithm) and `reason`, each `(window,)`."""
        times = self.times(batch)
        return self.from_times(times.s_s - times.p_s)

    def from_times(self, sp_s: np.ndarray) -> Answers:
        """The same from S − P in seconds, NaN where P or S is unknown."""
        low, high = self.config.sp_sigma_s * np.array([-1.0, 1.0])
        per_depth = self._invert(sp_s)
        known = np.isfinite(per_depth)
        count = np.maximum(known.sum(axis=0), 1)
        mean_km = np.where(known, per_depth, 0.0).sum(axis=0) / count
        spread = np.where(known, per_depth - mean_km, 0.0)
        # The slope from one standard deviation to either side, whichever of them exists.
        with_later, with_earlier = self._invert(sp_s + high), self._invert(sp_s + low)
        step = np.fmax(np.abs(with_later - per_depth), np.abs(per_depth - with_earlier))
        step_km = np.where(known & np.isfinite(step), step, 0.0).max(axis=0)
        model_km = self.config.velocity_sigma * mean_km
        std_km = np.sqrt(np.square(spread).sum(axis=0) / count + step_km**2 + model_km**2)
        answered = known.any(axis=0)
        return {
            "distance_km": np.where(answered, mean_km, np.nan),
            "distance_log_std": np.where(answered, std_km / np.maximum(mean_km, 1e-3), np.nan),
            "reason": self._reasons(sp_s, answered),
        }

    def _invert(self, sp_s: np.ndarray) -> np.ndarray:
        """The distance at each depth, `(depth, window)`, NaN where the depth cannot have that S − P."""
        found = np.stack([np.interp(sp_s, curve, self._grid_km) for curve in self._sp_s])
        possible = (sp_s >= self._sp_s[:, :1]) & (sp_s <= self._sp_s[:, -1:])
        return np.where(possible, found, np.nan)

    def _reasons(self, sp_s: np.ndarray, answered: np.ndarray) -> np.ndarray:
        shortest_s, longest_s = self._sp_s[:, 0].min(), self._sp_s[:, -1].max()
        reasons = np.full(len(sp_s), "", dtype=object)
        for window in np.flatnonzero(~answered):
            if np.isnan(sp_s[window]):
                reasons[window] = "no pair of P and S picks"
            else:
                reasons[window] = (
                    f"S − P of {sp_s[window]:.2f} s is outside of {shortest_s:.2f} to {longest_s:.2f} s, "
                    "which the assumed depths allow"
                )
        return reasons
