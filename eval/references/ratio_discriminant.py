"""Earthquake or blast, from how much weaker S is than P in several frequency bands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.signal import butter, sosfilt

from ...data.batch import WaveformBatch
from ...data.event_types import EVENT_TYPES
from ...data.instruments.harmonization import HarmonizationConfig
from .excerpts import Answers, UnusableError, each_window, excerpt, known_time
from .logistic import LogisticRegression, fit_logistic
from .phase_times import TimesOf, labelled_times

COMPONENTS = ("Z", "N", "E")


@dataclass(frozen=True, kw_only=True)
class RatioDiscriminantConfig:
    """Bands and parts of a window, and what counts as measured.

    bands_hz: one log10 ratio each. classes: of `EVENT_TYPES`, those told apart.
    p_longest_s, p_share: P is measured for `p_share` of S − P, `p_longest_s` at most; S twice as long.
    p_shortest_s: where S follows so soon that P's part would be shorter, there is no answer.
    noise_s: before P. guard_s: between it and P.
    min_snr: least amplitude ratio to noise of P and of S, by band. min_bands: with less there is no answer.
    penalty: on the squared weights of the regression.
    """

    bands_hz: tuple[tuple[float, float], ...] = ((1.0, 2.0), (2.0, 4.0), (4.0, 8.0), (8.0, 16.0))
    classes: tuple[str, ...] = ("earthquake", "quarry_blast")
    p_longest_s: float = 3.0
    p_share: float = 0.8
    p_shortest_s: float = 0.5
    noise_s: float = 4.0
    guard_s: float = 0.5
    min_snr: float = 2.0
    min_bands: int = 2
    penalty: float = 1e-2

    def __post_init__(self) -> None:
        unknown = [name for name in self.classes if name not in EVENT_TYPES]
        if unknown or len(set(self.classes)) < 2:
            raise ValueError(f"classes must be two or more of {EVENT_TYPES}, found {self.classes}")
        if any(not 0 < low < high for low, high in self.bands_hz):
            raise ValueError(f"bands_hz must increase and be positive, found {self.bands_hz}")
        if not 1 <= self.min_bands <= len(self.bands_hz):
            raise ValueError(f"min_bands must lie in 1 to {len(self.bands_hz)}, found {self.min_bands}")


class RatioDiscriminant:
    """Logistic regression on log10 P/S amplitudes, with distance taken out through log10 of S − P.

    Ratios of three-component rms amplitudes (Kim, Simpson & Richards 1993, BSSA 83; O'Rourke et al. 2016).
    A band in which P or S does not stand out of noise, or that the sampling rate does not carry, is unknown.
    """

    name = "P/S ratio"
    harmonization = HarmonizationConfig()

    def __init__(
        self,
        config: RatioDiscriminantConfig | None = None,
        times: TimesOf = labelled_times,
        regression: LogisticRegression | None = None,
    ) -> None:
        self.config = config or RatioDiscriminantConfig()
        self.times = times
        self.regression = regression

    def fit(self, batches: Sequence[WaveformBatch]) -> RatioDiscriminant:
        """The same discriminant, trained on windows with a labelled event type of its classes."""
        code = {EVENT_TYPES.index(name): place for place, name in enumerate(self.config.classes)}
        features, labels = [], []
        for batch in batches:
            rows, reasons = self.features(batch)
            kinds = batch.labels["event_type"].cpu().numpy()
            use = np.isin(kinds, list(code)) & (reasons == "")
            features.append(rows[use])
            labels.append(np.array([code[kind] for kind in kinds[use].tolist()], dtype=np.int64))
        regression = fit_logistic(
            np.concatenate(features), np.concatenate(labels), len(code), self.config.penalty
        )
        return RatioDiscriminant(self.config, self.times, regression)

    def predict(self, batch: WaveformBatch) -> Answers:
        """`event_type_probability` `(window, class)` in the order of `EVENT_TYPES`, and `reason`.

        Raises ValueError before a fit.
        """
        if self.regression is None:
            raise ValueError("the discriminant was not trained: call fit with windows of the training split")
        features, reasons = self.features(batch)
        probability = np.zeros((len(batch), len(EVENT_TYPES)))
        places = [EVENT_TYPES.index(name) for name in self.config.classes]
        probability[:, places] = self.regression.probability(features)
        probability[reasons != ""] = np.nan
        return {"event_type_probability": probability, "reason": reasons}

    def features(self, batch: WaveformBatch) -> tuple[np.ndarray, np.ndarray]:
        """log10 P/S of each band and log10 of S − P in s, `(window, band + 1)`, with the reasons of NaN."""
        times = self.times(batch)

        def measure(window: int) -> list[float]:
            p_s, s_s = known_time(times.p_s, window, "P"), known_time(times.s_s, window, "S")
            return [*self._ratios(batch, window, p_s, s_s), float(np.log10(s_s - p_s))]

        return each_window(batch, measure, len(self.config.bands_hz) + 1)

    def _ratios(self, batch: WaveformBatch, window: int, p_s: float, s_s: float) -> list[float]:
        config, rate_hz = self.config, float(batch.sampling_rate_hz[window])
        length_s = min(config.p_longest_s, config.p_share * (s_s - p_s))
        if length_s < config.p_shortest_s:
            raise UnusableError(f"S follows P by {s_s - p_s:.2f} s: too soon to measure P alone")
        start_s = p_s - config.guard_s - config.noise_s
        motion = excerpt(batch, window, start_s, s_s + 2 * length_s, COMPONENTS)
        places = [round((at_s - start_s) * rate_hz) for at_s in (p_s, s_s)]
        count = round(length_s * rate_hz)
        parts = (
            # The first second of noise feels the filter's start.
            slice(round(min(1.0, config.noise_s / 2) * rate_hz), round(config.noise_s * rate_hz)),
            slice(places[0], places[0] + count),
            slice(places[1], places[1] + 2 * count),
        )
        ratios = [self._ratio(motion, parts, band_hz, rate_hz) for band_hz in config.bands_hz]
        known = int(np.isfinite(ratios).sum())
        if known < config.min_bands:
            raise UnusableError(f"P and S stand out of noise in {known} bands, {config.min_bands} needed")
        return ratios

    def _ratio(
        self,
        motion: np.ndarray,
        parts: tuple[slice, slice, slice],
        band_hz: tuple[float, float],
        rate_hz: float,
    ) -> float:
        if band_hz[1] > 0.45 * rate_hz:
            return np.nan
        sections = butter(3, band_hz, "bandpass", fs=rate_hz, output="sos")
        filtered = sosfilt(sections, motion - motion[:, :1], axis=1)
        noise, p, s = (float(np.sqrt(np.square(filtered[:, part]).mean())) for part in parts)
        if min(p, s) <= 0 or min(p, s) < self.config.min_snr * noise:
            return np.nan
        return float(np.log10(p / s))
