"""Rays in flat homogeneous layers: direct, head waves, reflections; vectorized over source–station pairs.

The geometry behind `velocity.VelocityModel`, which is what other parts call.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Branch = tuple[FloatArray, FloatArray, NDArray[np.bool_]]
"""Of every pair: travel time (s), ray parameter (s/km), and whether the ray leaves downwards."""

MIN_LEG_KM = 1e-6
NEWTON_STEPS = 40


@dataclass(frozen=True)
class Rays:
    """Rays from sources to stations, one an entry of every array; NaN where the branch does not exist.

    time_s: travel time. ray_parameter_s_km: horizontal slowness. takeoff_deg: at the source, 0 is down.
    incidence_deg: at the station, 0 is vertical.
    """

    time_s: FloatArray
    ray_parameter_s_km: FloatArray
    takeoff_deg: FloatArray
    incidence_deg: FloatArray


class RayPaths:
    """Many source–station pairs in one model: arrays `(pair,)` and leg thicknesses `(pair, layer)`.

    interfaces: depths in km between layers. velocity: of one wave type, km/s, one more than interfaces.
    distance, source depth, station depth: km, `(pair,)`.
    """

    def __init__(
        self,
        interfaces: FloatArray,
        velocity: FloatArray,
        distance: FloatArray,
        source: FloatArray,
        station: FloatArray,
    ) -> None:
        self.velocity, self.distance, self.source, self.station = velocity, distance, source, station
        self.interfaces = interfaces
        self.upper, self.lower = np.minimum(source, station), np.maximum(source, station)

    def legs(self, upper: FloatArray, lower: FloatArray) -> FloatArray:
        """Thickness of every layer between two depths, `(pair, layer)` in km."""
        tops = np.concatenate([[-np.inf], self.interfaces])
        bottoms = np.concatenate([self.interfaces, [np.inf]])
        between = np.minimum(bottoms, lower[:, None]) - np.maximum(tops, upper[:, None])
        return np.maximum(between, 0.0)

    def layer_of(self, depth: FloatArray) -> NDArray[np.intp]:
        """The index of the layer that each depth lies in; an interface belongs to the lower one."""
        return np.searchsorted(self.interfaces, depth, side="right")

    def nothing(self) -> Branch:
        """The branch that exists for no pair."""
        missing = np.full(self.distance.shape, np.nan)
        return missing, missing, np.zeros(self.distance.shape, dtype=bool)

    def direct(self) -> Branch:
        """The ray without turning: up to a station above the source, down to one below it."""
        thickness = self.legs(self.upper, self.lower)
        level = thickness.sum(axis=1) < MIN_LEG_KM
        thickness[level, self.layer_of(self.source)[level]] = MIN_LEG_KM
        time_s, slowness = shoot(thickness, self.velocity, self.distance)
        return time_s, slowness, self.station > self.source

    def reflected(self, layer: int) -> Branch:
        """The ray that is reflected at the top of a layer; NaN where source or station lie below it."""
        top = np.full(self.distance.shape, self.interfaces[layer - 1])
        thickness = self.legs(self.upper, top) + self.legs(self.lower, top)
        exists = self.lower < top
        thickness[~exists, layer - 1] = MIN_LEG_KM
        time_s, slowness = shoot(thickness, self.velocity, self.distance)
        time_s, slowness = np.where(exists, time_s, np.nan), np.where(exists, slowness, np.nan)
        return time_s, slowness, np.ones(top.shape, dtype=bool)

    def head(self, layer: int) -> Branch:
        """The head wave along the top of a layer; NaN nearer than critical or hidden by a layer as fast."""
        top = np.full(self.distance.shape, self.interfaces[layer - 1])
        thickness = self.legs(self.upper, top) + self.legs(self.lower, top)
        slowness = 1.0 / self.velocity[layer]
        crossed = (thickness > 0) & (self.velocity >= self.velocity[layer])
        cosine = np.sqrt(np.maximum(1.0 - (slowness * self.velocity) ** 2, 1e-12))
        critical_km = (thickness * slowness * self.velocity / cosine).sum(axis=1)
        time_s = self.distance * slowness + (thickness * cosine / self.velocity).sum(axis=1)
        exists = (self.lower <= top) & ~crossed.any(axis=1) & (self.distance >= critical_km)
        time_s = np.where(exists, time_s, np.nan)
        return time_s, np.where(exists, slowness, np.nan), np.ones(top.shape, dtype=bool)

    def finish(
        self, time_s: FloatArray, slowness: FloatArray, downwards: NDArray[np.bool_], shape: tuple[int, ...]
    ) -> Rays:
        """Angles at both ends, and everything in the caller's shape."""
        # A ray that leaves along an interface belongs to the slower side: hence the clip.
        sine = np.clip(slowness * self.velocity[self.layer_of(self.source)], 0.0, 1.0)
        takeoff = np.degrees(np.arcsin(sine))
        takeoff = np.where(downwards, takeoff, 180.0 - takeoff)
        sine = np.clip(slowness * self.velocity[self.layer_of(self.station)], 0.0, 1.0)
        incidence = np.degrees(np.arcsin(sine))
        return Rays(*(values.reshape(shape) for values in (time_s, slowness, takeoff, incidence)))


def shoot(thickness: FloatArray, velocity: FloatArray, distance: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Time and slowness of the ray that covers a distance through layers `(pair, layer)`.

    With t the tangent of the angle in the fastest layer crossed, X(t) = Σ h v t / √(V² (1 + t²) − v² t²) is
    increasing and concave, so that Newton's method from t = 0 converges from below for every geometry.
    T = Σ h / (v √(1 − p² v²)).
    """
    fastest = np.where(thickness > 0, velocity, 0.0).max(axis=1, keepdims=True)
    ratio = np.minimum(velocity / fastest, 1.0)
    tangent = np.zeros((len(distance), 1))
    for _ in range(NEWTON_STEPS):
        spread = 1.0 + (1.0 - ratio**2) * tangent**2
        reached = (thickness * ratio * tangent / np.sqrt(spread)).sum(axis=1, keepdims=True)
        slope = (thickness * ratio / spread**1.5).sum(axis=1, keepdims=True)
        step = (distance[:, None] - reached) / slope
        tangent = tangent + step
        if bool(np.all(np.abs(step) <= 1e-12 * (1.0 + tangent))):
            break
    secant = np.sqrt(1.0 + tangent**2)
    cosine = np.sqrt(1.0 + (1.0 - ratio**2) * tangent**2) / secant
    return (thickness / (velocity * cosine)).sum(axis=1), (tangent / (secant * fastest))[:, 0]


def earliest(
    candidates: list[Branch],
) -> Branch:
    """Of several branches, for each pair the one that comes first; NaN only where none exists."""
    times = np.stack([np.where(np.isnan(time), np.inf, time) for time, _, _ in candidates])
    first = np.argmin(times, axis=0)[None]
    columns = (np.stack(column) for column in zip(*candidates, strict=True))
    time_s, slowness, downwards = (np.take_along_axis(column, first, axis=0)[0] for column in columns)
    return time_s, slowness, downwards
