"""Travel times in a layered Earth: exact first arrivals, their rays, and later branches.

Units are kilometres, seconds and degrees; depth is positive down from the datum, so that a station above it
has a negative depth. Angles at the source are from the downward vertical (90 to 180 for a ray that leaves
upwards), angles at the station from the vertical.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from .layered_rays import Branch, FloatArray, RayPaths, Rays, earliest

PHASES = ("P", "S", "Pg", "Sg", "Pn", "Sn", "PmP", "SmS")
"""P and S are first arrivals; g direct; n the head wave along the Moho; m its reflection."""

MANTLE_VP_KM_S = 7.6
"""The top of the first layer at least as fast is the Moho."""


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
        """A model from a CSV (by its suffix) with named columns, or from a NonLinLoc-like layer table."""
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
        path = RayPaths(
            np.array(self.depth_km[1:]),
            self._velocities(phase),
            distance.ravel(),
            source.ravel(),
            station.ravel(),
        )
        time_s, slowness, downwards = self._branch(path, phase[1:])
        return path.finish(time_s, slowness, downwards, distance.shape)

    def _branch(self, path: RayPaths, branch: str) -> Branch:
        """The rays of one of the branches '' (the first arrival), g, n and mP."""
        if branch == "g":
            return path.direct()
        if branch == "":
            candidates = [path.direct()]
            candidates += [path.head(layer) for layer in range(1, len(self.depth_km))]
            return earliest(candidates)
        moho = next((i for i, vp in enumerate(self.vp_km_s) if i > 0 and vp >= MANTLE_VP_KM_S), None)
        if moho is None:
            return path.nothing()
        return path.head(moho) if branch == "n" else path.reflected(moho)

    def _velocities(self, phase: str) -> FloatArray:
        return np.array(self.vp_km_s if phase.startswith("P") else self.vs_km_s)


class TravelTimeTable:
    """First-arrival times of P and S by interpolation: for the many calls of association and location.

    What is interpolated (linearly in distance and depth) is time over the straight length of the way: it
    varies slowly even near the source, where time itself has a corner. With the default grid 99 % of them
    are within 10 ms of the exact ones, and the worst, where branches cross, some 0.04 s: see `max_error_s`.
    """

    def __init__(
        self,
        model: VelocityModel,
        max_distance_km: float,
        max_depth_km: float,
        spacing_km: float = 0.5,
        min_depth_km: float = 0.0,
    ) -> None:
        if not (max_distance_km > 0 and max_depth_km > min_depth_km and spacing_km > 0):
            raise ValueError(
                "a table needs a positive distance and spacing, and max_depth_km below min_depth_km, found "
                f"{max_distance_km}, {spacing_km}, {min_depth_km} to {max_depth_km}"
            )
        self.model, self.spacing_km = model, spacing_km
        self.max_distance_km, self.min_depth_km, self.max_depth_km = (
            max_distance_km,
            min_depth_km,
            max_depth_km,
        )
        # Half a cell off in distance: the way from a source at the station has no length to divide by.
        self._distances = (np.arange(np.ceil(max_distance_km / spacing_km) + 2) - 0.5) * spacing_km
        self._depths = (
            min_depth_km + np.arange(np.ceil((max_depth_km - min_depth_km) / spacing_km) + 1) * spacing_km
        )
        self._slowness = {phase: self._mean_slowness(phase) for phase in "PS"}

    def _mean_slowness(self, phase: str) -> FloatArray:
        distance, depth = np.meshgrid(self._distances, self._depths, indexing="ij")
        return self.model.travel_time_s(distance, depth, phase) / np.hypot(distance, depth)

    def travel_time_s(
        self,
        distance_km: ArrayLike,
        source_depth_km: ArrayLike,
        phase: str,
        station_elevation_m: ArrayLike = 0.0,
    ) -> FloatArray:
        """Times like `VelocityModel.travel_time_s`, for P and S alone.

        Elevation adds h cos(i) / v of the top layer, with the incidence i from the slope of the table. Raises
        ValueError outside of the table.
        """
        distance, depth, elevation_m = np.broadcast_arrays(distance_km, source_depth_km, station_elevation_m)
        slowness, along, _ = self._interpolate(np.abs(distance.astype(float)), depth.astype(float), phase)
        length = np.hypot(distance, depth)
        horizontal = along * length + slowness * np.abs(distance) / np.maximum(length, 1e-9)
        top = float(self.model.velocity_km_s(self._depths[0], phase))
        cosine = np.sqrt(np.maximum(1.0 - (horizontal * top) ** 2, 0.0))
        return slowness * length + elevation_m / 1000.0 * cosine / top

    def gradient_s_km(
        self, distance_km: ArrayLike, source_depth_km: ArrayLike, phase: str
    ) -> tuple[FloatArray, FloatArray]:
        """How the time grows with distance and with depth, in s/km: what a locator linearizes with."""
        distance, depth = np.broadcast_arrays(
            np.asarray(distance_km, dtype=float), np.asarray(source_depth_km, dtype=float)
        )
        slowness, along, down = self._interpolate(distance, depth, phase)
        length = np.maximum(np.hypot(distance, depth), 1e-9)
        return along * length + slowness * distance / length, down * length + slowness * depth / length

    def _interpolate(
        self, distance: FloatArray, depth: FloatArray, phase: str
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Mean slowness and its derivatives by distance and depth, bilinear."""
        if phase not in self._slowness:
            raise ValueError(f"a table holds the phases P and S, found {phase!r}: ask the VelocityModel")
        self._check_inside(distance, depth)
        table = self._slowness[phase]
        column = (distance - self._distances[0]) / self.spacing_km
        row = (depth - self._depths[0]) / self.spacing_km
        i = np.clip(column.astype(int), 0, table.shape[0] - 2)
        j = np.clip(row.astype(int), 0, table.shape[1] - 2)
        x, z = column - i, row - j
        near, far = (
            table[i, j] * (1 - z) + table[i, j + 1] * z,
            table[i + 1, j] * (1 - z) + table[i + 1, j + 1] * z,
        )
        upper, lower = (
            table[i, j] * (1 - x) + table[i + 1, j] * x,
            table[i, j + 1] * (1 - x) + table[i + 1, j + 1] * x,
        )
        return near * (1 - x) + far * x, (far - near) / self.spacing_km, (lower - upper) / self.spacing_km

    def _check_inside(self, distance: FloatArray, depth: FloatArray) -> None:
        if bool(np.any(distance > self.max_distance_km + 1e-6)):
            raise ValueError(
                f"the table ends at {self.max_distance_km:g} km, found {np.max(distance):g} km: make it wider"
            )
        low, high = self.min_depth_km - 1e-6, self.max_depth_km + 1e-6
        if bool(np.any((depth < low) | (depth > high))):
            raise ValueError(
                f"the table covers depths of {self.min_depth_km:g} to {self.max_depth_km:g} km, found "
                f"{np.min(depth):g} to {np.max(depth):g} km: make it deeper"
            )

    def max_error_s(self, generator: np.random.Generator, num_pairs: int = 2000) -> float:
        """The largest difference from exact times over random pairs inside the table."""
        distance = generator.uniform(0.0, self.max_distance_km, num_pairs)
        depth = generator.uniform(self.min_depth_km, self.max_depth_km, num_pairs)
        errors = [
            np.abs(
                self.travel_time_s(distance, depth, phase) - self.model.travel_time_s(distance, depth, phase)
            )
            for phase in "PS"
        ]
        return float(np.max(errors))

    def write_pyocto(self, path: str | Path) -> None:
        """Write exact times in the file that PyOcto's `VelocityModel1D(path)` reads.

        Its layout is a struct `iid` (number of distances, of depths, spacing in km), then P and S times, each
        float64 `(distance, depth)` from zero on. PyOcto 0.1.4 takes no negative depths.
        """
        distance_km = np.arange(0.0, self.max_distance_km + self.spacing_km, self.spacing_km)
        depth_km = np.arange(0.0, self.max_depth_km + self.spacing_km, self.spacing_km)
        times = [self.model.travel_time_s(distance_km[:, None], depth_km, phase) for phase in "PS"]
        temporary = Path(path).with_name(Path(path).name + ".part")
        with temporary.open("wb") as file:
            file.write(struct.pack("iid", len(distance_km), len(depth_km), self.spacing_km))
            for table in times:
                file.write(table.astype(np.float64).tobytes())
        temporary.replace(path)
