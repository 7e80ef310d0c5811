"""Back azimuth from the direction in which the first second of P moves the ground."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.signal import butter, sosfilt

from ...data.batch import WaveformBatch
from ...data.instruments.harmonization import HarmonizationConfig
from .excerpts import Answers, UnusableError, each_window, excerpt, known_time
from .phase_times import TimesOf, labelled_times

COMPONENTS = ("Z", "N", "E")


@dataclass(frozen=True, kw_only=True)
class PolarizationConfig:
    """What is measured, and when it means something.

    before_s, length_s: the measured part begins so long before P and is so long.
    settle_s: the filter begins so long before that.
    band_hz: corners of the causal band-pass, lowered to what the rate carries.
    min_rectilinearity: of 0 (a ball) to 1 (a line).
    incidence_deg: of the motion from the vertical. Steeper, it has no azimuth; flatter, the sign of the
        vertical, which tells towards from away, is noise.
    min_snr: least ratio of power in the measured part to that of as long a part before it.
    """

    before_s: float = 0.05
    length_s: float = 1.0
    settle_s: float = 2.0
    band_hz: tuple[float, float] = (1.0, 10.0)
    min_rectilinearity: float = 0.5
    incidence_deg: tuple[float, float] = (5.0, 85.0)
    min_snr: float = 3.0

    def __post_init__(self) -> None:
        if not (self.length_s > self.before_s >= 0 and self.settle_s >= self.length_s):
            raise ValueError(
                "length_s must be longer than before_s and settle_s not shorter than length_s, found "
                f"{self.before_s}, {self.length_s} and {self.settle_s}"
            )
        if not 0 <= self.incidence_deg[0] < self.incidence_deg[1] <= 90:
            raise ValueError(f"incidence_deg must increase within 0 to 90, found {self.incidence_deg}")


@dataclass(frozen=True, kw_only=True)
class Polarization:
    """The main direction of ground motion: back azimuth and incidence in degrees, rectilinearity 0 to 1.

    sigma_deg: of the back azimuth, from the motion across the main direction.
    """

    back_azimuth_deg: float
    incidence_deg: float
    rectilinearity: float
    sigma_deg: float


class PolarizationBackAzimuth:
    """The axis of P's motion, taken to point up and away from the source, or down and towards it.

    Covariance of Z, N, E, whose first eigenvector is the axis (Flinn 1965, Proc. IEEE 53; Jurkevics 1988,
    BSSA 78). A P wave from below moves up and away from its source, or down and towards it, whatever its
    first motion: the vertical's sign resolves the 180°. Wants horizontals that point north and east.
    """

    name = "P polarization"
    harmonization = HarmonizationConfig(unit="m/s", response="sensitivity", orient=True)

    def __init__(self, config: PolarizationConfig | None = None, times: TimesOf = labelled_times) -> None:
        self.config = config or PolarizationConfig()
        self.times = times

    def predict(self, batch: WaveformBatch) -> Answers:
        """`back_azimuth_deg`, `back_azimuth_std_deg`, `p_incidence_deg`, `rectilinearity`, `reason`."""
        p_s = self.times(batch).p_s

        def measure(window: int) -> tuple[float, ...]:
            found = self._measure(batch, window, known_time(p_s, window, "P"))
            return found.back_azimuth_deg, found.sigma_deg, found.incidence_deg, found.rectilinearity

        values, reasons = each_window(batch, measure, 4)
        names = ("back_azimuth_deg", "back_azimuth_std_deg", "p_incidence_deg", "rectilinearity")
        return {**dict(zip(names, values.T, strict=True)), "reason": reasons}

    def _measure(self, batch: WaveformBatch, window: int, p_s: float) -> Polarization:
        config, rate_hz = self.config, float(batch.sampling_rate_hz[window])
        start_s = p_s - config.before_s
        motion = excerpt(
            batch, window, start_s - config.settle_s - config.length_s, start_s + config.length_s, COMPONENTS
        )
        filtered = _bandpass(motion, config.band_hz, rate_hz)
        length = round(config.length_s * rate_hz)
        signal, noise = filtered[:, -length:], filtered[:, -2 * length : -length]
        if np.square(signal).sum() < config.min_snr * np.square(noise).sum() or not signal.any():
            raise UnusableError(f"P's power is less than {config.min_snr:g} times that of the noise")
        found = polarization(signal)
        low, high = config.incidence_deg
        if found.rectilinearity < config.min_rectilinearity:
            raise UnusableError(f"motion is not along a line (rectilinearity {found.rectilinearity:.2f})")
        if not low <= found.incidence_deg <= high:
            raise UnusableError(f"incidence of {found.incidence_deg:.0f}° is outside of {low:g} to {high:g}°")
        return found


def polarization(motion: np.ndarray) -> Polarization:
    """The polarization of P's motion `(Z N E, sample)`.

    Rectilinearity is 1 − (λ₂ + λ₃) / (2 λ₁) of the covariance (Jurkevics 1988, eq. 6). The standard deviation
    of the azimuth is the angle whose tangent is √(λ₂/λ₁) / sin(incidence): all of the motion across the axis
    counts as error.
    """
    covariance = np.cov(motion)
    # Singular values of a covariance are its eigenvalues, the largest first.
    axes, values, _ = np.linalg.svd(covariance)
    up, north, east = axes[:, 0] * (1.0 if axes[0, 0] >= 0 else -1.0)
    horizontal = math.hypot(north, east)
    across = math.sqrt(values[1] / values[0]) if values[0] > 0 else 1.0
    return Polarization(
        back_azimuth_deg=math.degrees(math.atan2(-east, -north)) % 360.0,
        incidence_deg=math.degrees(math.atan2(horizontal, up)),
        rectilinearity=float(1.0 - (values[1] + values[2]) / (2.0 * values[0])) if values[0] > 0 else 0.0,
        sigma_deg=math.degrees(math.atan2(across, horizontal)),
    )


def _bandpass(motion: np.ndarray, band_hz: tuple[float, float], rate_hz: float) -> np.ndarray:
    high_hz = min(band_hz[1], 0.45 * rate_hz)
    sections = butter(2, (min(band_hz[0], 0.5 * high_hz), high_hz), "bandpass", fs=rate_hz, output="sos")
    return sosfilt(sections, motion - motion[:, :1], axis=1)
