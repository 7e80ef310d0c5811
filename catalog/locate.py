"""Where an earthquake was: a damped, outlier-proof fit of layered travel times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import OptimizeResult, least_squares

from ..data.earth.velocity import VelocityModel

MIN_ARRIVALS = 4
"""Unknowns of a hypocentre."""


@dataclass(frozen=True, kw_only=True)
class LocationConfig:
    """How a hypocentre is fitted.

    p_sigma_s, s_sigma_s: what a good pick is worth, reading and velocity model together. Residuals count
        quadratically within them and linearly beyond.
    use_pick_uncertainty: add each pick's own uncertainty to that, as the root of the sum of squares: unsure
        picks then count less. Only for picks of a calibrated model, whose uncertainties are errors.
    start_depths_km: depths from which the search begins, beside the given one, since the fit has local
        minima at the layers.
    depth_km: shallowest and deepest answer.
    """

    p_sigma_s: float = 0.1
    s_sigma_s: float = 0.2
    use_pick_uncertainty: bool = False
    start_depths_km: tuple[float, ...] = (2.0, 6.0, 12.0)
    depth_km: tuple[float, float] = (0.0, 30.0)


@dataclass(frozen=True, kw_only=True)
class Located:
    """A hypocentre on the local plane, and how well it fits.

    hypocentre_km: east, north, depth. time_s: origin time, UTC seconds since 1970, such that the weighted
    mean residual is zero. residual_s: observed minus calculated, one an arrival. weight: 0 to 1, likewise.
    covariance: of east, north, depth (km) and time (s), from the assumed or, where larger, the found
    residuals; NaN where the arrivals do not fix all four. rms_s: weighted.
    """

    hypocentre_km: np.ndarray
    time_s: float
    residual_s: np.ndarray
    weight: np.ndarray
    covariance: np.ndarray
    rms_s: float

    @property
    def horizontal_uncertainty_km(self) -> float:
        """Long half axis of the one-sigma ellipse."""
        plane = self.covariance[:2, :2]
        return float(np.sqrt(np.linalg.eigvalsh(plane)[-1])) if np.isfinite(plane).all() else float("nan")


def locate_event(
    arrivals: pd.DataFrame, start_km: np.ndarray, model: VelocityModel, config: LocationConfig | None = None
) -> Located:
    """The hypocentre and origin time that explain an event's arrivals best.

    arrivals: x_km and y_km of the station, elevation_m, phase (by its first letter), time (UTC).
    start_km: east, north and depth from which the search begins.

    Geiger's method with a soft L1 loss (Geiger 1912; least_squares of SciPy, trust region), exact layered
    first arrivals and their analytic derivatives, from several depths; the best fit wins.
    """
    config = config or LocationConfig()
    if len(arrivals) < MIN_ARRIVALS:
        raise ValueError(f"a location needs at least {MIN_ARRIVALS} arrivals, found {len(arrivals)}")
    fit = _Fit(arrivals, model, config)
    depths = dict.fromkeys(np.clip([start_km[2], *config.start_depths_km], *config.depth_km).tolist())
    solutions = [fit.solve(np.array([start_km[0], start_km[1], depth])) for depth in depths]
    return fit.describe(min(solutions, key=lambda solution: solution.cost))


class _Fit:
    """One event's observations, and their misfit as a function of (east, north, depth, time)."""

    def __init__(self, arrivals: pd.DataFrame, model: VelocityModel, config: LocationConfig) -> None:
        self.model, self.config = model, config
        self.place = arrivals[["x_km", "y_km"]].to_numpy(float)
        self.elevation_m = arrivals["elevation_m"].to_numpy(float)
        self.is_p = arrivals["phase"].str.startswith("P").to_numpy(bool)
        self.sigma_s = np.where(self.is_p, config.p_sigma_s, config.s_sigma_s)
        if config.use_pick_uncertainty:
            own_s = np.nan_to_num(arrivals["time_uncertainty_s"].to_numpy(float))
            self.sigma_s = np.hypot(self.sigma_s, own_s)
        nanoseconds = arrivals["time"].astype("int64").to_numpy()
        # Seconds after the first arrival: float64 seconds since 1970 would cost the derivative its digits.
        self.first_ns = int(nanoseconds.min())
        self.observed_s = (nanoseconds - self.first_ns) / 1e9

    def solve(self, start_km: np.ndarray) -> OptimizeResult:
        travel_s, _ = self.travel(start_km)
        start = np.append(start_km, np.median(self.observed_s - travel_s))
        shallow, deep = self.config.depth_km
        return least_squares(
            lambda source: self.residual_s(source) / self.sigma_s,
            start,
            jac=lambda source: self.jacobian(source) / self.sigma_s[:, None],
            bounds=([-np.inf, -np.inf, shallow - 1e-6, -np.inf], [np.inf, np.inf, deep + 1e-6, np.inf]),
            loss="soft_l1",
            x_scale=np.array([1.0, 1.0, 1.0, 0.2]),
            max_nfev=60,
        )

    def residual_s(self, source: np.ndarray) -> np.ndarray:
        travel_s, _ = self.travel(source[:3])
        return self.observed_s - source[3] - travel_s

    def jacobian(self, source: np.ndarray) -> np.ndarray:
        _, slope = self.travel(source[:3])
        return -np.column_stack([slope, np.ones(len(slope))])

    def travel(self, hypocentre_km: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Travel times, and their change (s/km) when the source moves east, north and down."""
        offset = hypocentre_km[:2] - self.place
        distance = np.hypot(*offset.T)
        time_s, slope = np.zeros(len(distance)), np.zeros((len(distance), 3))
        for phase, mine in (("P", self.is_p), ("S", ~self.is_p)):
            if mine.any():
                rays = self.model.rays(distance[mine], hypocentre_km[2], phase, self.elevation_m[mine])
                time_s[mine] = rays.time_s
                direction = offset[mine] / np.maximum(distance[mine], 1e-9)[:, None]
                slope[mine, :2] = rays.ray_parameter_s_km[:, None] * direction
                velocity = self.model.velocity_km_s(hypocentre_km[2], phase)
                slope[mine, 2] = -np.cos(np.radians(rays.takeoff_deg)) / velocity
        return time_s, slope

    def describe(self, solution: OptimizeResult) -> Located:
        residual_s = self.residual_s(solution.x)
        weight = 1.0 / np.sqrt(1.0 + (residual_s / self.sigma_s) ** 2)
        shift_s = np.average(residual_s, weights=weight / self.sigma_s**2)
        residual_s = residual_s - shift_s
        return Located(
            hypocentre_km=solution.x[:3],
            time_s=self.first_ns / 1e9 + float(solution.x[3] + shift_s),
            residual_s=residual_s,
            weight=weight,
            covariance=self._covariance(solution.x, residual_s, weight),
            rms_s=float(np.sqrt(np.average(residual_s**2, weights=weight))),
        )

    def _covariance(self, source: np.ndarray, residual_s: np.ndarray, weight: np.ndarray) -> np.ndarray:
        scaled = self.jacobian(source) / self.sigma_s[:, None] * np.sqrt(weight)[:, None]
        normal = scaled.T @ scaled
        if np.linalg.cond(normal) > 1e12:
            return np.full((4, 4), np.nan)
        freedom = max(len(residual_s) - 4, 1)
        misfit = float(np.sum(weight * (residual_s / self.sigma_s) ** 2)) / freedom
        return np.linalg.inv(normal) * max(1.0, misfit)
