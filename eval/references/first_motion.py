"""First-motion polarity: the sign of the first swing after P that stands out of the noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from ...data.batch import WaveformBatch
from ...data.instruments.harmonization import HarmonizationConfig
from ...data.records import POLARITIES
from .excerpts import Answers, UnusableError, each_window, excerpt, known_time
from .phase_times import TimesOf, labelled_times


@dataclass(frozen=True, kw_only=True)
class FirstMotionConfig:
    """Where the first swing is looked for, and how sure it is.

    noise_s, guard_s: noise is measured for so long, up to `guard_s` before P.
    search_s: the first swing lies within this after P, which may itself be early by `guard_s`.
    threshold: in standard deviations of the noise, that the swing must reach.
    """

    noise_s: float = 1.0
    guard_s: float = 0.05
    search_s: float = 0.5
    threshold: float = 4.0

    def __post_init__(self) -> None:
        if not min(self.noise_s, self.search_s, self.threshold) > 0 or self.guard_s < 0:
            raise ValueError(
                "noise_s, search_s and threshold must be positive and guard_s not negative, found "
                f"{self.noise_s}, {self.search_s}, {self.threshold} and {self.guard_s}"
            )


class FirstMotion:
    """Positive or negative from the vertical alone; a swing that does not stand out gets no answer.

    The probability is the logistic function of the swing's excess over the threshold, in standard deviations
    of the noise: a measure of clarity that nobody calibrated.
    """

    name = "first motion"
    harmonization = HarmonizationConfig()

    def __init__(self, config: FirstMotionConfig | None = None, times: TimesOf = labelled_times) -> None:
        self.config = config or FirstMotionConfig()
        self.times = times

    def predict(self, batch: WaveformBatch) -> Answers:
        """`polarity_probability` `(window, class)` in the order of `POLARITIES`, and `reason`."""
        p_s = self.times(batch).p_s
        values, reasons = each_window(
            batch, lambda window: self._measure(batch, window, known_time(p_s, window, "P")), len(POLARITIES)
        )
        return {"polarity_probability": values, "reason": reasons}

    def _measure(self, batch: WaveformBatch, window: int, p_s: float) -> tuple[float, ...]:
        config, rate_hz = self.config, float(batch.sampling_rate_hz[window])
        (trace,) = excerpt(
            batch, window, p_s - config.guard_s - config.noise_s, p_s + config.search_s, ("Z",)
        )
        onset = round(config.noise_s * rate_hz)
        noise, after = trace[:onset], trace[onset:] - np.median(trace[:onset])
        level = float(noise.std())
        above = np.flatnonzero(np.abs(after) > config.threshold * level)
        if level == 0 or not len(above):
            raise UnusableError(f"no swing above {config.threshold:g} standard deviations of the noise")
        sign = np.sign(after[above[0]])
        # The swing ends where the trace returns to the level.
        back = np.flatnonzero(np.sign(after[above[0] :]) != sign)
        swing = np.abs(after[above[0] : above[0] + back[0] if len(back) else None]).max()
        sure = float(expit(swing / level - config.threshold))
        shares = {"positive": sure if sign > 0 else 1 - sure, "negative": sure if sign < 0 else 1 - sure}
        return tuple(shares.get(name, 0.0) for name in POLARITIES)
