"""How amplitudes fall with distance: −log10 A₀ of a local magnitude scale, given or fitted."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True, kw_only=True)
class Attenuation:
    """−log10 A₀ = geometric · log10(R / reference_km) + anelastic_per_km · (R − reference_km) + reference.

    R is the hypocentral distance. The defaults are those of Hutton & Boore (1987, BSSA 77, eq. 5) for
    southern California: 1 mm at 100 km is magnitude 3, as is 10 mm at 17 km.
    """

    geometric: float = 1.110
    anelastic_per_km: float = 0.00189
    reference_km: float = 100.0
    reference: float = 3.0

    def __post_init__(self) -> None:
        if not self.reference_km > 0:
            raise ValueError(f"reference_km must be positive, found {self.reference_km}")

    def correction(self, hypocentral_km: ArrayLike) -> np.ndarray:
        """What is added to log10 of the amplitude in mm; distances below 1 km count as 1 km."""
        distance_km = np.maximum(np.asarray(hypocentral_km, dtype=float), 1.0)
        return (
            self.geometric * np.log10(distance_km / self.reference_km)
            + self.anelastic_per_km * (distance_km - self.reference_km)
            + self.reference
        )


def hypocentral_km(distance_km: ArrayLike, depth_km: ArrayLike, assumed_depth_km: float) -> np.ndarray:
    """Straight distance to the source; where its depth is unknown (NaN), the assumed one counts."""
    depth = np.asarray(depth_km, dtype=float)
    return np.hypot(distance_km, np.where(np.isnan(depth), assumed_depth_km, depth))


@dataclass(frozen=True, kw_only=True)
class MagnitudeFit:
    """A fitted scale: the attenuation, what each station adds, and the standard deviation of a residual."""

    attenuation: Attenuation
    station_constants: dict[str, float]
    sigma: float


def fit_scale(
    log10_amplitude: np.ndarray,
    away_km: np.ndarray,
    station: np.ndarray,
    magnitude: np.ndarray,
    prior: Attenuation,
    slopes: bool,
    per_station: bool,
) -> MagnitudeFit:
    """Least squares of magnitude − log10 A: constants, and the two slopes where asked for.

    away_km: hypocentral distance. slopes: without them the prior's shape stays. per_station: the level is one
    constant a station, and one that was not fitted has none; else it is the relation's own `reference`.

    Raises ValueError where there are not more amplitudes than unknowns.
    """
    names, which = np.unique(
        station.astype(np.str_) if per_station else np.zeros(len(station)), return_inverse=True
    )
    columns = [(which == i).astype(float) for i in range(len(names))]
    shape = replace(prior, geometric=1.0, anelastic_per_km=0.0, reference=0.0)
    if slopes:
        columns += [shape.correction(away_km), np.maximum(away_km, 1.0) - prior.reference_km]
    if len(magnitude) <= len(columns):
        raise ValueError(
            f"a fit of {len(columns)} unknowns needs {len(columns) + 1} amplitudes or more, "
            f"found {len(magnitude)}: give more records, or fit no slopes"
        )
    level = replace(prior, reference=0.0)
    target = magnitude - log10_amplitude - (0.0 if slopes else level.correction(away_km))
    design = np.stack(columns, axis=1)
    solution = np.linalg.lstsq(design, target, rcond=None)[0]
    residual = target - design @ solution
    if slopes:
        level = replace(level, geometric=float(solution[-2]), anelastic_per_km=float(solution[-1]))
    constants = dict(zip(names.tolist(), solution[: len(names)].tolist(), strict=True))
    return MagnitudeFit(
        attenuation=level if per_station else replace(level, reference=float(solution[0])),
        station_constants=constants if per_station else {},
        sigma=float(np.sqrt(np.square(residual).sum() / (len(target) - len(columns)))),
    )
