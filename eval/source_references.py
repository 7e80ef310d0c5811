"""Which classical references stand beside the heads, fitted on labelled windows where they learn anything."""

from __future__ import annotations

from collections.abc import Sequence

from .references.ar_picker import ArPicker
from .references.first_motion import FirstMotion
from .references.local_magnitude import LocalMagnitude, single_station_distance
from .references.phase_times import PickedTimes
from .references.polarization import PolarizationBackAzimuth
from .references.ratio_discriminant import RatioDiscriminant, RatioDiscriminantConfig
from .references.sp_distance import SpDistance
from .source_predictors import SourcePredictor
from .source_windows import SourceWindows

BLIND: dict[str, str] = {
    "magnitude": "ML, fitted; AR picks, S − P distance",
    "distance_km": "S − P; AR picks",
    "back_azimuth_deg": "P polarization; AR picks",
    "event_type": "P/S ratio, 4 bands; AR picks",
    "polarity": "first motion",
}
"""By label, the reference that is told no more than a model is: the samples, and for polarity P."""


def named(predictor: SourcePredictor, name: str) -> SourcePredictor:
    """The same predictor under another name."""
    predictor.name = name
    return predictor


def fitted_references(
    train: SourceWindows, classes: Sequence[str] = ("earthquake", "quarry_blast")
) -> list[SourcePredictor]:
    """References for every label, with the labels' P, S and distance, and with their own picks.

    train: labelled windows with known responses, which fit the attenuation and the discriminant. classes: of
    the discriminant. Raises ValueError where `train` has too few of them.
    """
    picked = PickedTimes(ArPicker())
    magnitude = LocalMagnitude()
    fitted = magnitude.fit(train.harmonized(magnitude.harmonization), per_station=False)
    alone = LocalMagnitude(
        fitted.config, times=picked, distance=single_station_distance(SpDistance(times=picked))
    )
    config = RatioDiscriminantConfig(classes=tuple(classes))
    ratio = RatioDiscriminant(config).fit(train.harmonized(RatioDiscriminant.harmonization))
    return [
        named(magnitude, "ML, Hutton & Boore; true P, S, distance"),
        named(fitted, "ML, fitted attenuation; true P, S, distance"),
        named(alone, BLIND["magnitude"]),
        named(SpDistance(), "S − P; true P, S"),
        named(SpDistance(times=picked), BLIND["distance_km"]),
        named(PolarizationBackAzimuth(), "P polarization; true P"),
        named(PolarizationBackAzimuth(times=picked), BLIND["back_azimuth_deg"]),
        named(FirstMotion(), BLIND["polarity"]),
        named(ratio, "P/S ratio, 4 bands; true P, S"),
        named(RatioDiscriminant(config, picked, ratio.regression), BLIND["event_type"]),
    ]
