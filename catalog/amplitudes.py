"""P and S amplitudes at an event's picks, and the ratio of the two that a mechanism is searched with.

After Hardebeck & Shearer (2003), Bull. Seismol. Soc. Am. 93, 2434–2444: vector amplitudes of three components
in windows after P and after S, held against the noise before P. The windows, the band and the integration to
displacement are our own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.signal import butter, sosfilt

from ..data.batch import COMPONENT_SLOTS
from ..data.records import Record
from ..eval.audit.config import AuditConfig
from ..eval.audit.look import Look
from ..eval.audit.waveform_checks import clipped

BEFORE_S = 0.1
"""Windows begin so long before picks, which may be late; that of the noise ends there."""

SETTLING_S = 5.0
"""Recorded motion before the noise's window in which integration and filter settle."""

ACCELEROMETER_CODE = "N"
"""The second letter of an accelerometer's channel codes."""


FROM_CATALOG = "catalog"
"""Corrections of S/P are derived from the catalog itself."""


@dataclass(frozen=True, kw_only=True)
class AmplitudesConfig:
    """How P and S amplitudes are measured, which ratios count, and how far they are believed.

    band_hz: of the ground displacement whose largest vector counts.
    window_s: after P, if S is not earlier, and after S; and of the noise before P.
    min_snr: P and S must both be this many times the noise.
    qs, qp_over_qs: quality factors by which ratios are corrected for attenuation along the ray; None corrects
        nothing.
    corrections: what log10 S/P has too much. `catalog` derives it from all ratios of the catalog, for all
        stations and for each; else a CSV file of `station_id` and `log10_s_to_p`, where other stations are
        left as they are; None corrects nothing.
    bad_log10: mean misfit of log10 S/P that is acceptable (grid search).
    """

    band_hz: tuple[float, float] = (2.0, 15.0)
    window_s: float = 2.0
    min_snr: float = 3.0
    qs: float | None = None
    qp_over_qs: float = 2.0
    corrections: str | None = FROM_CATALOG
    bad_log10: float = 0.3

    def __post_init__(self) -> None:
        low_hz, high_hz = self.band_hz
        if not 0.0 < low_hz < high_hz:
            raise ValueError(f"band_hz must be 0 < lowest < highest, found {self.band_hz}")
        for name in ("window_s", "min_snr", "qp_over_qs", "bad_log10"):
            if not getattr(self, name) > 0.0:
                raise ValueError(f"{name} must be positive, found {getattr(self, name)}")
        if self.qs is not None and not self.qs > 0.0:
            raise ValueError(f"qs must be positive, or null for no correction, found {self.qs}")

    @property
    def before_s(self) -> float:
        """How much is read before P."""
        return SETTLING_S + self.window_s + BEFORE_S

    def log10_attenuation(self, p_travel_s: np.ndarray, s_travel_s: np.ndarray) -> np.ndarray:
        """By how much attenuation has lowered log10 S/P in the middle of the band, the geometric mean."""
        if self.qs is None:
            return np.zeros_like(p_travel_s)
        lost_s = s_travel_s / self.qs - p_travel_s / (self.qs * self.qp_over_qs)
        return math.pi * math.sqrt(self.band_hz[0] * self.band_hz[1]) * lost_s / math.log(10.0)


@dataclass(frozen=True, kw_only=True)
class Amplitudes:
    """Largest vectors of displacement after P, after S and before P, in any one unit."""

    p: float
    s: float
    noise: float

    @property
    def log10_s_to_p(self) -> float:
        """log10 of S over P."""
        return math.log10(self.s / self.p)

    @property
    def snr_db(self) -> tuple[float, float]:
        """P and S over the noise before P, in dB."""
        return 20.0 * math.log10(self.p / self.noise), 20.0 * math.log10(self.s / self.noise)

    def stand_out(self, times: float) -> bool:
        """Whether both are so many times the noise."""
        return min(self.p, self.s) >= times * self.noise


def measured(record: Record, p_s: float, s_s: float, config: AmplitudesConfig) -> Amplitudes | str:
    """The amplitudes of P and S that arrive so many seconds into a record, or why they cannot be measured.

    The components must have the same gain; responses are not removed. An accelerometer's motion is integrated
    twice, any other's once.
    """
    spans_s = {
        "noise": (p_s - BEFORE_S - config.window_s, p_s - BEFORE_S),
        "p": (p_s - BEFORE_S, min(p_s + config.window_s, s_s - BEFORE_S)),
        "s": (s_s - BEFORE_S, s_s + config.window_s),
    }
    if spans_s["p"][1] <= p_s:
        return f"S within {BEFORE_S:g} s of P"
    cut = _cut(record, spans_s["noise"][0] - SETTLING_S, spans_s["s"][1], config)
    if isinstance(cut, str):
        return cut
    size = np.linalg.norm(_displacement(cut, config.band_hz), axis=0)
    found = {}
    for name, span_s in spans_s.items():
        first, last = (
            round((time_s - spans_s["noise"][0] + SETTLING_S) * cut.sampling_rate_hz) for time_s in span_s
        )
        found[name] = float(size[first:last].max())
    return Amplitudes(**found) if min(found.values()) > 0.0 else "still before P: dead or digitized coarsely"


def _cut(record: Record, start_s: float, end_s: float, config: AmplitudesConfig) -> Record | str:
    """Z, N and E of a part of a record, or why it cannot be used."""
    slots = [COMPONENT_SLOTS[name] for name in record.component_names]
    if not set("ZNE") <= set(slots):
        return "without three components"
    first, last = (round(time_s * record.sampling_rate_hz) for time_s in (start_s, end_s))
    rows = [slots.index(slot) for slot in "ZNE"]
    waveform = record.waveform[rows, max(first, 0) : last]
    if first < 0 or last > record.waveform.shape[1] or np.isnan(waveform).any():
        return "with a gap"
    if config.band_hz[1] >= record.sampling_rate_hz / 2.0:
        return f"sampled at {record.sampling_rate_hz:g} Hz, too slowly for {config.band_hz[1]:g} Hz"
    cut = replace(record, waveform=waveform, component_names=("Z", "N", "E"), arrivals=())
    return "clipped" if clipped(Look(cut, AuditConfig())) else cut


def _displacement(record: Record, band_hz: tuple[float, float]) -> np.ndarray:
    """Displacement in a band. The filter is causal: S must not reach into the window of P."""
    times = 2 if str(record.metadata.get("trace_channel", ""))[1:2] == ACCELEROMETER_CODE else 1
    low = butter(2, band_hz[0], "highpass", fs=record.sampling_rate_hz, output="sos")
    motion = record.waveform.astype(np.float64)
    for _ in range(times):
        motion = sosfilt(low, motion - motion[:, :1], axis=1).cumsum(axis=1) / record.sampling_rate_hz
    band = butter(2, band_hz, "bandpass", fs=record.sampling_rate_hz, output="sos")
    return sosfilt(band, motion - motion[:, :1], axis=1)
