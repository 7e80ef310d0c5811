"""What a few records with P and S tell about their region: noise, ratio of S to P, coda, spectra."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from ..records import Record, Skipped

FloatArray = NDArray[np.float64]

BANDS_HZ = ((1.0, 2.0), (2.0, 4.0), (4.0, 8.0), (8.0, 16.0), (16.0, 32.0))
LEAST_NOISE_S = 3.0
CODA_S = (5.0, 7.0)
LEAST_AFTER_S_S = 7.5

FEATURES = (
    "log10 S minus P (s)",
    "P signal to noise (dB)",
    "log10 S to P amplitude",
    "log10 end of P coda to P",
    "log10 growth of P over 1 s",
    "log10 coda after 5 s to S",
    "horizontal to vertical noise (dB)",
    *(f"log10 noise {low:g}-{high:g} Hz" for low, high in BANDS_HZ),
    *(f"log10 S {low:g}-{high:g} Hz" for low, high in BANDS_HZ),
)
"""Names of the columns that `measure` gives. Spectra are shares of all bands: gains may be unknown."""


def measure(records: Sequence[Record]) -> tuple[FloatArray, list[Skipped]]:
    """Features `(record, feature)` of the records that show noise, P, S and coda; the others with reasons."""
    rows: list[FloatArray] = []
    skipped: list[Skipped] = []
    for position in range(len(records)):
        record = records[position]
        reason = _unfit(record)
        if reason:
            skipped.append(Skipped(record.record_id, reason))
        else:
            rows.append(_features(record))
    return np.array(rows).reshape(-1, len(FEATURES)), skipped


def _unfit(record: Record) -> str:
    """Why a record cannot be measured, "" where it can."""
    p_s, s_s = record.arrival_s("P"), record.arrival_s("S")
    if not s_s - p_s > 0.2:
        return "no P and S of its first event, 0.2 s apart or more"
    if record.waveform.shape[0] < 3:
        return f"three components are needed, found {record.component_names}"
    if p_s < LEAST_NOISE_S or record.duration_s < s_s + LEAST_AFTER_S_S:
        return f"{LEAST_NOISE_S:g} s before P and {LEAST_AFTER_S_S:g} s after S are needed"
    first, last = _sample(record, p_s - LEAST_NOISE_S), _sample(record, s_s + LEAST_AFTER_S_S)
    if not np.isfinite(record.waveform[:3, first:last]).all():
        return "a gap around P and S"
    if not (record.waveform[:3, first:last].std(axis=1) > 0).all():
        return "a dead component"
    return ""


def _features(record: Record) -> FloatArray:
    p_s, s_s = record.arrival_s("P"), record.arrival_s("S")
    separation_s = s_s - p_s
    filtered = _highpassed(record)
    norm = np.sqrt((filtered**2).sum(axis=0))

    def rms(begin_s: float, end_s: float) -> float:
        part = norm[_sample(record, begin_s) : max(_sample(record, end_s), _sample(record, begin_s) + 2)]
        return float(np.sqrt(np.mean(part**2)))

    def peak(begin_s: float, end_s: float) -> float:
        return float(norm[_sample(record, begin_s) : _sample(record, end_s) + 2].max())

    span_s = min(0.8 * separation_s, 2.0)
    noise = filtered[:, : _sample(record, p_s - 0.3)]
    noise_rms = np.sqrt((noise**2).mean(axis=1))
    early_s = min(0.3, 0.3 * separation_s)
    first = [
        math.log10(separation_s),
        20.0 * math.log10(rms(p_s, p_s + span_s) / np.sqrt((noise_rms**2).sum())),
        math.log10(peak(s_s, s_s + 2.0 * span_s) / peak(p_s, p_s + span_s)),
        math.log10(rms(p_s + 0.6 * separation_s, s_s - 0.05) / rms(p_s, p_s + 0.3 * separation_s)),
        math.log10(rms(p_s + early_s, p_s + min(1.0, 0.8 * separation_s)) / rms(p_s, p_s + early_s)),
        math.log10(rms(s_s + CODA_S[0], s_s + CODA_S[1]) / rms(s_s, s_s + 2.0)),
        20.0 * math.log10(noise_rms[1:3].mean() / noise_rms[0]),
    ]
    after_s = filtered[:, _sample(record, s_s) : _sample(record, s_s + 4.0)]
    return np.array([*first, *_shares(noise, record), *_shares(after_s, record)])


def _highpassed(record: Record) -> FloatArray:
    """The first three components above 1 Hz, gaps far from P and S bridged with 0."""
    waveform = record.waveform[:3].astype(np.float64)
    waveform = np.nan_to_num(waveform - np.nanmean(waveform, axis=1, keepdims=True))
    sections = signal.butter(2, BANDS_HZ[0][0], "highpass", fs=record.sampling_rate_hz, output="sos")
    return signal.sosfilt(sections, waveform, axis=1)


def _shares(samples: FloatArray, record: Record) -> list[float]:
    """Logarithm of each band's share in the power of all; NaN for a band beyond 0.4 of the sampling rate."""
    tapered = samples * signal.windows.hann(samples.shape[1])
    power = (np.abs(np.fft.rfft(tapered, axis=1)) ** 2).sum(axis=0)
    frequency_hz = np.fft.rfftfreq(samples.shape[1], 1.0 / record.sampling_rate_hz)
    known = [band for band in BANDS_HZ if band[1] <= 0.4 * record.sampling_rate_hz]
    parts = [power[(frequency_hz >= low) & (frequency_hz < high)].sum() for low, high in known]
    shares = [math.log10(max(part, 1e-300) / max(sum(parts), 1e-300)) for part in parts]
    return shares + [math.nan] * (len(BANDS_HZ) - len(known))


def _sample(record: Record, time_s: float) -> int:
    return max(0, round(time_s * record.sampling_rate_hz))
