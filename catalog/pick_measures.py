"""What is measured on the waveform around a pick: its amplitude and its signal-to-noise ratio."""

from __future__ import annotations

import math

import numpy as np

from ..data.batch import COMPONENT_SLOTS
from ..data.records import Record

AMPLITUDE_WINDOW_S = (-0.5, 2.0)
"""Where the largest amplitude is looked for, relative to the pick."""

SNR_WINDOW_S = 2.0
"""Length of signal after and noise before the pick that are compared."""

_PHASE_SLOTS = {"P": ("Z",), "S": ("N", "E")}


def amplitude_and_snr(record: Record, phase: str, time_s: float) -> tuple[float, float]:
    """A pick's largest amplitude and its signal-to-noise ratio in dB.

    The amplitude is the largest |x − mean| from 0.5 s before to 2 s after the pick, in the record's unit,
    with the mean over the same samples: on the vertical for P, the larger of the two horizontals for S. The
    ratio is 20 log10 of the root mean squares of 2 s after and 2 s before the pick, each about its mean, over
    the same components. NaN where those components were not recorded, or not on both sides of the pick.
    """
    rows = [
        i for i, name in enumerate(record.component_names) if COMPONENT_SLOTS[name] in _PHASE_SLOTS[phase[0]]
    ]
    waveform = record.waveform[rows]
    around = _demeaned(_cut(waveform, record, time_s + AMPLITUDE_WINDOW_S[0], time_s + AMPLITUDE_WINDOW_S[1]))
    noise = _demeaned(_cut(waveform, record, time_s - SNR_WINDOW_S, time_s))
    signal = _demeaned(_cut(waveform, record, time_s, time_s + SNR_WINDOW_S))
    amplitude = float(np.abs(around).max()) if len(around) else math.nan
    if not len(noise) or not len(signal):
        return amplitude, math.nan
    power = [float(np.mean(np.square(part, dtype=np.float64))) for part in (signal, noise)]
    return amplitude, 10.0 * math.log10(power[0] / power[1]) if min(power) > 0 else math.nan


def _cut(waveform: np.ndarray, record: Record, start_s: float, end_s: float) -> np.ndarray:
    first, last = (round(time_s * record.sampling_rate_hz) for time_s in (start_s, end_s))
    return waveform[:, max(first, 0) : max(last, 0)]


def _demeaned(waveform: np.ndarray) -> np.ndarray:
    """The observed samples of all components, each about its own mean, in one row."""
    observed = [row[np.isfinite(row)] for row in waveform]
    return np.concatenate([row - row.mean(dtype=np.float64) for row in observed if len(row)] or [np.zeros(0)])
