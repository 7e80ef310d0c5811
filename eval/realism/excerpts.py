"""The part of a record around P and S that real and synthetic records are compared by, prepared alike."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from ...data.records import Record, Skipped

FloatArray = NDArray[np.float64]
COMPONENTS = ("Z", "N", "E")


@dataclass(frozen=True, kw_only=True)
class ExcerptConfig:
    """Which part of a record is looked at.

    sampling_rate_hz: of the records; others are skipped.
    before_p_s, after_s_s: the excerpt begins and ends so long before P and after S.
    band_hz: corners of the causal band-pass; instruments differ below, anti-alias filters above.
    min_separation_s: lowest S − P: below it P and S cannot be told apart.
    """

    sampling_rate_hz: float = 100.0
    before_p_s: float = 6.0
    after_s_s: float = 10.0
    band_hz: tuple[float, float] = (1.0, 40.0)
    min_separation_s: float = 0.35

    def __post_init__(self) -> None:
        low, high = self.band_hz
        if not 0 < low < high < 0.5 * self.sampling_rate_hz:
            raise ValueError(
                f"band_hz must rise within 0 to {0.5 * self.sampling_rate_hz:g} Hz, found {self.band_hz}"
            )
        if min(self.before_p_s, self.after_s_s) < 4.0 or self.min_separation_s <= 0:
            raise ValueError(
                "before_p_s and after_s_s must be 4 s or more and min_separation_s positive, "
                f"found {self.before_p_s}, {self.after_s_s}, {self.min_separation_s}"
            )


@dataclass(frozen=True, kw_only=True)
class Excerpt:
    """A record around its P and S.

    waveform: float64 `(Z N E, sample)`, filtered, scaled jointly to a standard deviation of 1.
    p_sample, s_sample: the onsets in it.
    """

    record_id: str
    event_id: str
    waveform: FloatArray
    sampling_rate_hz: float
    p_sample: int
    s_sample: int

    @property
    def separation_s(self) -> float:
        """S minus P."""
        return (self.s_sample - self.p_sample) / self.sampling_rate_hz


def cut_excerpts(records: Iterable[Record], config: ExcerptConfig) -> tuple[list[Excerpt], list[Skipped]]:
    """The excerpts of the records that have three live components, P and S, and nothing else in the span."""
    excerpts: list[Excerpt] = []
    skipped: list[Skipped] = []
    for record in records:
        reason = _unfit(record, config)
        if reason is None:
            excerpts.append(_cut(record, config))
        else:
            skipped.append(Skipped(record.record_id, reason))
    return excerpts, skipped


def _unfit(record: Record, config: ExcerptConfig) -> str | None:
    """Why a record cannot be compared; None where it can."""
    if set(record.component_names) != set(COMPONENTS):
        return f"needs the components {COMPONENTS}, has {record.component_names}"
    if record.sampling_rate_hz != config.sampling_rate_hz:
        return f"needs {config.sampling_rate_hz:g} Hz, has {record.sampling_rate_hz:g} Hz"
    p_s, s_s = record.arrival_s("P"), record.arrival_s("S")
    if not s_s - p_s >= config.min_separation_s:
        return f"needs P and S {config.min_separation_s:g} s apart, has {s_s - p_s:.2f} s"
    return _unfit_span(record, p_s - config.before_p_s, s_s + config.after_s_s)


def _unfit_span(record: Record, begin_s: float, end_s: float) -> str | None:
    if begin_s < 0 or end_s > record.duration_s:
        return f"needs the span {begin_s:.1f} to {end_s:.1f} s, has 0 to {record.duration_s:.1f} s"
    if any(a.event != 0 and begin_s <= a.time_s <= end_s for a in record.arrivals):
        return "another event arrives in the span"
    part = record.waveform[:, _sample(begin_s, record) : _sample(end_s, record)]
    if not np.isfinite(part).all() or (np.ptp(part, axis=1) == 0).any():
        return "a component is missing or dead in the span"
    return None


def _cut(record: Record, config: ExcerptConfig) -> Excerpt:
    rows = [record.component_names.index(name) for name in COMPONENTS]
    p_sample, s_sample = (_sample(record.arrival_s(phase), record) for phase in ("P", "S"))
    begin = p_sample - _sample(config.before_p_s, record)
    end = s_sample + _sample(config.after_s_s, record)
    # What lies before the excerpt lets the filter settle; a gap there counts as the first level.
    whole = record.waveform[rows, :end].astype(np.float64)
    whole = np.nan_to_num(whole - np.nanmean(whole, axis=1, keepdims=True))
    sections = butter(2, config.band_hz, "bandpass", fs=record.sampling_rate_hz, output="sos")
    waveform = sosfilt(sections, whole, axis=1)[:, begin:]
    return Excerpt(
        record_id=record.record_id,
        event_id=record.event_id or record.record_id,
        waveform=waveform / waveform.std(),
        sampling_rate_hz=record.sampling_rate_hz,
        p_sample=p_sample - begin,
        s_sample=s_sample - begin,
    )


def _sample(time_s: float, record: Record) -> int:
    return round(time_s * record.sampling_rate_hz)
