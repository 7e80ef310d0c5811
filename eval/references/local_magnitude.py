"""Local magnitude from the largest swing of a Wood–Anderson seismograph's horizontals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ...data.batch import WaveformBatch
from ...data.instruments.harmonization import HarmonizationConfig
from .attenuation import Attenuation, fit_scale, hypocentral_km
from .excerpts import Answers, UnusableError, each_window, excerpt, known_time
from .phase_times import TimesOf, labelled_times
from .sp_distance import SpDistance
from .wood_anderson import WoodAndersonConfig, half_peak_to_peak, wood_anderson_mm

DistanceOf = Callable[[WaveformBatch], tuple[np.ndarray, np.ndarray]]
"""Epicentral distance and depth in km of each window, NaN where unknown."""

HORIZONTALS = ("N", "E")
GUARD_S = 0.5
"""Between noise and P: for early picks, and for what the zero-phase filter moves ahead of P."""


@dataclass(frozen=True, kw_only=True)
class LocalMagnitudeConfig:
    """How amplitudes are measured and scaled.

    noise_s, after_s: the excerpt begins so long before P and ends so long after S.
    min_snr: least ratio of the swing after P to that of the noise before it.
    assumed_depth_km: where a source's depth is unknown.
    sigma: standard deviation of one station's magnitude, for intervals; a fit replaces it.
    station_constants: what is added at a station (NET.STA.LOC), 0 where it is not listed.
    from_counts: samples without a known response are taken as if they were m/s, which only shifts all
        magnitudes of a station alike: an answer then needs the station's fitted constant.
    """

    wood_anderson: WoodAndersonConfig = field(default_factory=WoodAndersonConfig)
    attenuation: Attenuation = field(default_factory=Attenuation)
    noise_s: float = 4.0
    after_s: float = 5.0
    min_snr: float = 2.0
    assumed_depth_km: float = 8.0
    sigma: float = 0.3
    station_constants: Mapping[str, float] = field(default_factory=dict)
    from_counts: bool = False

    def __post_init__(self) -> None:
        least_s = self.wood_anderson.taper_s + GUARD_S + 0.5
        if not (self.noise_s >= least_s and self.after_s > 0 and self.sigma > 0):
            raise ValueError(
                f"noise_s must be {least_s:g} or more, after_s and sigma positive, "
                f"found {self.noise_s}, {self.after_s} and {self.sigma}"
            )


def catalog_distance(batch: WaveformBatch) -> tuple[np.ndarray, np.ndarray]:
    """Distance and depth as the labels tell them: what a network's catalog gives before the magnitude."""
    distance_km, depth_km = (
        batch.labels[name].double().cpu().numpy() for name in ("distance_km", "depth_km")
    )
    return distance_km, depth_km


def single_station_distance(reference: SpDistance) -> DistanceOf:
    """Distance from S − P of the same station, depth unknown: without any catalog."""

    def distance(batch: WaveformBatch) -> tuple[np.ndarray, np.ndarray]:
        return reference.predict(batch)["distance_km"], np.full(len(batch), np.nan)

    return distance


class LocalMagnitude:
    """Richter's magnitude: mean over N and E of log10 A(mm) − log10 A₀(R), plus the station's constant.

    A is half of the largest swing between P and `after_s` after S (Richter 1935, BSSA 25; Hutton & Boore
    1987, BSSA 77). Wants windows in m/s or m/s**2; counts only as `from_counts` says.
    """

    name = "Wood–Anderson ML"
    harmonization = HarmonizationConfig(unit="m/s", response="full", orient=True)

    def __init__(
        self,
        config: LocalMagnitudeConfig | None = None,
        times: TimesOf = labelled_times,
        distance: DistanceOf = catalog_distance,
    ) -> None:
        self.config = config or LocalMagnitudeConfig()
        self.times = times
        self.distance = distance

    def predict(self, batch: WaveformBatch) -> Answers:
        """`magnitude`, `magnitude_std` and `reason`, each `(window,)`."""
        config = self.config
        amplitude, reasons = self.log10_amplitude_mm(batch)
        distance_km, depth_km = self.distance(batch)
        away_km = hypocentral_km(distance_km, depth_km, config.assumed_depth_km)
        stations = batch.station_id or ("",) * len(batch)
        default = np.nan if config.from_counts else 0.0
        constant = np.array([config.station_constants.get(name, default) for name in stations])
        magnitude = amplitude + config.attenuation.correction(away_km) + constant
        for bad, reason in (
            (np.isnan(constant), "counts of a station without a fitted constant"),
            (np.isnan(away_km), "no distance"),
        ):
            reasons[bad & (reasons == "")] = reason
        return {
            "magnitude": magnitude,
            "magnitude_std": np.where(np.isfinite(magnitude), config.sigma, np.nan),
            "reason": reasons,
        }

    def log10_amplitude_mm(self, batch: WaveformBatch) -> tuple[np.ndarray, np.ndarray]:
        """Mean log10 of the two horizontals' half swings in mm, NaN with a reason where not measurable."""
        times = self.times(batch)

        def measure(window: int) -> tuple[float]:
            p_s, s_s = known_time(times.p_s, window, "P"), known_time(times.s_s, window, "S")
            return (self._measure(batch, window, p_s, s_s),)

        values, reasons = each_window(batch, measure, 1)
        return values[:, 0], reasons

    def fit(
        self, batches: Sequence[WaveformBatch], slopes: bool = True, per_station: bool = True
    ) -> LocalMagnitude:
        """The same method with its constants, of each station or of all, and slopes where asked for, fitted.

        Windows without amplitude, distance or labelled magnitude are left out. Raises ValueError where too
        few are left.
        """
        config = self.config
        columns: list[tuple[np.ndarray, ...]] = []
        for batch in batches:
            amplitude, _ = self.log10_amplitude_mm(batch)
            distance_km, depth_km = self.distance(batch)
            away_km = hypocentral_km(distance_km, depth_km, config.assumed_depth_km)
            station = np.array(batch.station_id or ("",) * len(batch), dtype=object)
            magnitude = batch.labels["magnitude"].double().cpu().numpy()
            known = np.isfinite(amplitude) & np.isfinite(away_km) & np.isfinite(magnitude)
            columns.append(tuple(column[known] for column in (amplitude, away_km, station, magnitude)))
        amplitude, away_km, station, magnitude = (
            np.concatenate(parts) for parts in zip(*columns, strict=True)
        )
        fitted = fit_scale(amplitude, away_km, station, magnitude, config.attenuation, slopes, per_station)
        constants = {**config.station_constants, **fitted.station_constants}
        settings = replace(
            config, attenuation=fitted.attenuation, station_constants=constants, sigma=fitted.sigma
        )
        return LocalMagnitude(settings, self.times, self.distance)

    def _measure(self, batch: WaveformBatch, window: int, p_s: float, s_s: float) -> float:
        config, rate_hz, unit = self.config, float(batch.sampling_rate_hz[window]), batch.unit[window]
        if unit not in ("m/s", "m/s**2"):
            if not config.from_counts:
                raise UnusableError(f"samples in {unit}: the response is not known")
            unit = "m/s"
        motion = excerpt(batch, window, p_s - config.noise_s, s_s + config.after_s, HORIZONTALS)
        traces = wood_anderson_mm(motion, rate_hz, unit, config.wood_anderson)
        faded = round(config.wood_anderson.taper_s * rate_hz)
        onset = round(config.noise_s * rate_hz)
        noise = [half_peak_to_peak(row[faded : onset - round(GUARD_S * rate_hz)]) for row in traces]
        signal = [half_peak_to_peak(row[onset:]) for row in traces]
        if min(signal) <= 0 or np.mean(signal) < config.min_snr * np.mean(noise):
            raise UnusableError(f"the swing is less than {config.min_snr:g} times that of the noise")
        return float(np.log10(signal).mean())
