"""Travel times in a layered Earth: exact first arrivals, their rays, and later branches.

Units are kilometres, seconds and degrees; depth is positive down from the datum, so that a station above it
has a negative depth. Angles at the source are from the downward vertical (90 to 180 for a ray that leaves
upwards), angles at the station from the vertical.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

PHASES = ("P", "S", "Pg", "Sg", "Pn", "Sn", "PmP", "SmS")
"""P and S are first arrivals; g direct; n the head wave along the Moho; m its reflection."""

MANTLE_VP_KM_S = 7.6
"""The top of the first layer at least as fast is the Moho."""

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


@dataclass(frozen=True)
class VelocityModel:
    """Homogeneous flat layers; the first reaches up to any height, the last down to any depth.

    depth_km: tops of the layers, increasing. vp_km_s, vs_km_s: their velocities.

    A flat Earth makes rays through the mantle late: 0.08 s for P and 0.15 s for S at 150 km, less than 0.02 s
    within 50 km (checked against taup). Use taup beyond some 300 km.
    """

    depth_km: tuple[float, ...]
    vp_km_s: tuple[float, ...]
    vs_km_s: tuple[float, ...]

    def __post_init__(self) -> None:
        for name in ("depth_km", "vp_km_s", "vs_km_s"):
            object.__setattr__(self, name, tuple(float(value) for value in getattr(self, name)))
        lengths = len(self.depth_km), len(self.vp_km_s), len(self.vs_km_s)
        if len(set(lengths)) != 1 or lengths[0] == 0:
            raise ValueError(
                f"a velocity model needs as many depths as vp and vs, at least one, found {lengths}"
            )
        if not bool(np.all(np.diff(self.depth_km) > 0)):
            raise ValueError(f"layer tops must increase downwards, found {self.depth_km}")
        slow = [
            f"{vp:g}/{vs:g}" for vp, vs in zip(self.vp_km_s, self.vs_km_s, strict=True) if not vp > vs > 0
        ]
        if slow:
            raise ValueError(f"every layer needs vp > vs > 0 in km/s, found {slow}: are the columns swapped?")

    @classmethod
    def default(cls) -> VelocityModel:
        """A mean continental crust of 35 km over the mantle, for where nothing is known."""
        return cls(
            depth_km=(0.0, 1.0, 4.0, 12.0, 22.0, 35.0),
            vp_km_s=(4.5, 5.5, 6.0, 6.3, 6.7, 8.0),
            vs_km_s=(2.55, 3.18, 3.47, 3.64, 3.85, 4.5),
        )

    @classmethod
    def from_file(cls, path: str | Path) -> VelocityModel:
        """A model from `depth_km,vp_km_s,vs_km_s` CSV (by suffix .csv) or from a NonLinLoc-like layer table."""
        return cls.from_csv(path) if Path(path).suffix == ".csv" else cls.from_layer_table(path)

    @classmethod
    def from_csv(cls, path: str | Path) -> VelocityModel:
        """Layers from a CSV with the columns depth_km, vp_km_s and vs_km_s, in any order.

        Raises ValueError where a column is missing or a value is no number.
        """
        lines = [line.strip() for line in Path(path).read_text().splitlines()]
        rows = [line.split(",") for line in lines if line and not line.startswith("#")]
        columns = ["depth_km", "vp_km_s", "vs_km_s"]
        header = [name.strip() for name in rows[0]] if rows else []
        if missing := [name for name in columns if name not in header]:
            raise ValueError(
                f"{path}: a velocity model needs the columns {columns}, {missing} missing in {header}"
            )
        return cls._from_rows(path, rows[1:], [header.index(name) for name in columns])

    @classmethod
    def from_layer_table(cls, path: str | Path) -> VelocityModel:
        """Layers from rows of depth, Vp, Vp gradient, Vs, Vs gradient, density …, as NonLinLoc's LAYER lines.

        Lines that begin with # are comments and a leading word LAYER is allowed. Raises ValueError for a
        velocity gradient other than 0: layers here are homogeneous.
        """
        lines = [line.split() for line in Path(path).read_text().splitlines()]
        rows = [line[1:] if line[0] == "LAYER" else line for line in lines if line and line[0][0] != "#"]
        try:
            graded = [row for row in rows if float(row[2]) != 0 or float(row[4]) != 0]
        except (ValueError, IndexError) as error:
            raise ValueError(f"{path}: a layer is `depth vp gradient vs gradient …`; {error}") from error
        if graded:
            raise ValueError(
                f"{path}: layers must be homogeneous, found gradients in {graded[0]}: split the layer"
            )
        return cls._from_rows(path, rows, [0, 1, 3])

    @classmethod
    def _from_rows(cls, path: str | Path, rows: list[list[str]], columns: list[int]) -> VelocityModel:
        try:
            values = [[float(row[column]) for column in columns] for row in rows]
        except (ValueError, IndexError) as error:
            raise ValueError(f"{path}: depth, vp and vs must be numbers; {error}") from error
        if not values:
            raise ValueError(f"{path}: expected one line a layer, found none")
        depth_km, vp_km_s, vs_km_s = zip(*values, strict=True)
        return cls(depth_km, vp_km_s, vs_km_s)

    def to_csv(self, path: str | Path) -> None:
        """Write the layers as `from_csv` reads them."""
        rows = zip(self.depth_km, self.vp_km_s, self.vs_km_s, strict=True)
        text = "depth_km,vp_km_s,vs_km_s\n" + "".join(f"{z!r},{vp!r},{vs!r}\n" for z, vp, vs in rows)
        temporary = Path(path).with_name(Path(path).name + ".part")
        temporary.write_text(text)
        temporary.replace(path)

    def velocity_km_s(self, depth_km: ArrayLike, phase: str) -> FloatArray:
        """The velocity that a P or S wave has at some depths."""
        index = np.searchsorted(self.depth_km, np.asarray(depth_km, dtype=float), side="right") - 1
        return self._velocities(phase)[np.maximum(index, 0)]

    def travel_time_s(
        self,
        distance_km: ArrayLike,
        source_depth_km: ArrayLike,
        phase: str,
        station_elevation_m: ArrayLike = 0.0,
    ) -> FloatArray:
        """How long a phase takes from source to station; NaN where the phase does not exist.

        The arguments broadcast against each other; the answer has their common shape. `phase` is one of
        `PHASES`, ValueError otherwise.
        """
        return self.rays(distance_km, source_depth_km, phase, station_elevation_m).time_s

    def rays(
        self,
        distance_km: ArrayLike,
        source_depth_km: ArrayLike,
        phase: str,
        station_elevation_m: ArrayLike = 0.0,
    ) -> Rays:
        """The rays of a phase with time, slowness and the angles at both ends; see `travel_time_s`."""
        if phase not in PHASES:
            raise ValueError(f"phase must be one of {PHASES}, found {phase!r}")
        distance, source, elevation_m = np.broadcast_arrays(distance_km, source_depth_km, station_elevation_m)
        distance = np.abs(distance.astype(float))
        source, station = source.astype(float), -elevation_m.astype(float) / 1000.0
        path = _Paths(self, self._velocities(phase), distance.ravel(), source.ravel(), station.ravel())
        time_s, slowness, downwards = self._branch(path, phase[1:])
        return path.finish(time_s, slowness, downwards, distance.shape)

    def _branch(self, path: _Paths, branch: str) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
        """Time, slowness and whether the ray leaves downwards, for one of the branches '', g, n and m."""
        if branch == "g":
            return path.direct()
        if branch == "":
            candidates = [path.direct()]
            candidates += [path.head(layer) for layer in range(1, len(self.depth_km))]
            return _earliest(candidates)
        moho = next((i for i, vp in enumerate(self.vp_km_s) if i > 0 and vp >= MANTLE_VP_KM_S), None)
        if moho is None:
            return path.nothing()
        return path.head(moho) if branch == "n" else path.reflected(moho)

    def _velocities(self, phase: str) -> FloatArray:
        return np.array(self.vp_km_s if phase.startswith("P") else self.vs_km_s)


class _Paths:
    """Many source–station pairs in one model: arrays `(pair,)` and leg thicknesses `(pair, layer)`."""

    def __init__(
        self,
        model: VelocityModel,
        velocity: FloatArray,
        distance: FloatArray,
        source: FloatArray,
        station: FloatArray,
    ) -> None:
        self.velocity, self.distance, self.source, self.station = velocity, distance, source, station
        self.interfaces = np.array(model.depth_km[1:])
        self.upper, self.lower = np.minimum(source, station), np.maximum(source, station)

    def legs(self, upper: FloatArray, lower: FloatArray) -> FloatArray:
        """Thickness of every layer between two depths, `(pair, layer)` in km."""
        tops = np.concatenate([[-np.inf], self.interfaces])
        bottoms = np.concatenate([self.interfaces, [np.inf]])
        between = np.minimum(bottoms, lower[:, None]) - np.maximum(tops, upper[:, None])
        return np.maximum(between, 0.0)

    def layer_of(self, depth: FloatArray) -> NDArray[np.intp]:
        return np.searchsorted(self.interfaces, depth, side="right")

    def nothing(self) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
        missing = np.full(self.distance.shape, np.nan)
        return missing, missing, np.zeros(self.distance.shape, dtype=bool)

    def direct(self) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
        """The ray without turning: up to a station above the source, down to one below it."""
        thickness = self.legs(self.upper, self.lower)
        level = thickness.sum(axis=1) < MIN_LEG_KM
        thickness[level, self.layer_of(self.source)[level]] = MIN_LEG_KM
        time_s, slowness = _shoot(thickness, self.velocity, self.distance)
        return time_s, slowness, self.station > self.source

    def reflected(self, layer: int) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
        """The ray that is reflected at the top of a layer; NaN where source or station lie below it."""
        top = np.full(self.distance.shape, self.interfaces[layer - 1])
        thickness = self.legs(self.upper, top) + self.legs(self.lower, top)
        exists = self.lower < top
        thickness[~exists, layer - 1] = MIN_LEG_KM
        time_s, slowness = _shoot(thickness, self.velocity, self.distance)
        time_s, slowness = np.where(exists, time_s, np.nan), np.where(exists, slowness, np.nan)
        return time_s, slowness, np.ones(top.shape, dtype=bool)

    def head(self, layer: int) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
        """The head wave along the top of a layer; NaN nearer than critical or where a slower layer hides it."""
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


def _shoot(
    thickness: FloatArray, velocity: FloatArray, distance: FloatArray
) -> tuple[FloatArray, FloatArray]:
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


def _earliest(
    candidates: list[tuple[FloatArray, FloatArray, NDArray[np.bool_]]],
) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    times = np.stack([np.where(np.isnan(time), np.inf, time) for time, _, _ in candidates])
    first = np.argmin(times, axis=0)[None]
    columns = (np.stack(column) for column in zip(*candidates, strict=True))
    time_s, slowness, downwards = (np.take_along_axis(column, first, axis=0)[0] for column in columns)
    return time_s, slowness, downwards
