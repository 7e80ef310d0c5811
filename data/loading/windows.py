"""From records to batches of windows: where a window lies, its samples at one rate, and its labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from ..batch import COMPONENTS, UNITS, WaveformBatch
from ..instruments.harmonization import HarmonizationConfig
from ..instruments.resampling import native_span, resample_with_gaps
from ..record_table import RecordTable
from .fewer_labels import FewerLabels
from .window_labels import window_labels

ReadWaveform = Callable[[int, int, int], np.ndarray]
"""Samples of a record, float32 `(component, sample)`: of its position, from a first to a last (left out)."""


@dataclass(frozen=True, kw_only=True)
class WindowConfig:
    """What the windows of a batch have in common.

    window_s: length.
    also_s: further lengths. A batch has one of them all, with equal chance, so that nothing is padded.
    harmonization: what is made of the records' native values.
    length_block: so many windows of a run, one after the other, have one length.
    sampling_rate_hz: records at another rate are resampled, with their gaps kept.
    components: rows of the batch. One that a record lacks is NaN; one that is not listed here is left out.
    arrival_fraction: share of windows placed around the record's first arrival, which falls anywhere between
        `margin_s` after the window's start and `margin_s` before its end with equal chance. The others fall
        anywhere in the record.
    fewer_labels: labels that some events are made to lack, in training and in validation.
    """

    window_s: float = 30.0
    sampling_rate_hz: float = 100.0
    components: tuple[str, ...] = ("Z", "N", "E")
    arrival_fraction: float = 0.8
    margin_s: float = 1.0
    harmonization: HarmonizationConfig = field(default_factory=HarmonizationConfig)
    also_s: tuple[float, ...] = ()
    length_block: int = 4096
    fewer_labels: FewerLabels = field(default_factory=FewerLabels)

    def __post_init__(self) -> None:
        if not self.sampling_rate_hz > 0 or not self.window_s * self.sampling_rate_hz >= 1:
            raise ValueError(
                "a window must hold one sample or more, "
                f"found window_s {self.window_s} at sampling_rate_hz {self.sampling_rate_hz}"
            )
        unknown = [name for name in self.components if name not in COMPONENTS]
        if unknown or not self.components or len(set(self.components)) != len(self.components):
            raise ValueError(f"components must be some of {COMPONENTS}, each once, found {self.components}")
        if not 0 <= self.arrival_fraction <= 1:
            raise ValueError(f"arrival_fraction must lie in 0 to 1, found {self.arrival_fraction}")
        shortest_s = min((self.window_s, *self.also_s))
        if not shortest_s * self.sampling_rate_hz >= 1 or self.length_block < 1:
            raise ValueError(
                "also_s must be lengths of one sample or more and length_block 1 or more, "
                f"found {self.also_s} and {self.length_block}"
            )
        if not 0 <= self.margin_s < shortest_s / 2:
            raise ValueError(
                f"margin_s must lie in 0 to half of window_s ({shortest_s / 2:g} s), found {self.margin_s}"
            )

    @property
    def num_samples(self) -> int:
        """Samples in a window."""
        return round(self.window_s * self.sampling_rate_hz)


def start_samples(
    table: RecordTable, positions: np.ndarray, config: WindowConfig, draws: np.ndarray
) -> np.ndarray:
    """The first sample in its record of each window, int64, from two uniform numbers in [0, 1) a window.

    A window lies inside of its record where that is long enough, except that one around an arrival near the
    record's edge may stick out (negative, or beyond its end), by half of its length at most.
    """
    window_s, duration_s = config.window_s, table.duration_s[positions]
    arrival_s = table.first_arrival_s[positions]
    anywhere = np.isnan(arrival_s) | (draws[:, 0] >= config.arrival_fraction)
    # Both limits together always leave room: margin_s < window_s / 2, and the arrival is in the record.
    overlap_s = np.minimum(window_s / 2, duration_s)
    earliest_s = np.where(
        anywhere,
        np.minimum(0.0, duration_s - window_s),
        np.maximum(arrival_s - (window_s - config.margin_s), overlap_s - window_s),
    )
    latest_s = np.where(
        anywhere,
        np.maximum(0.0, duration_s - window_s),
        np.minimum(arrival_s - config.margin_s, duration_s - overlap_s),
    )
    start_s = earliest_s + draws[:, 1] * (latest_s - earliest_s)
    return np.round(start_s * table.sampling_rate_hz[positions]).astype(np.int64)


def cut_windows(
    table: RecordTable,
    positions: np.ndarray,
    read: ReadWaveform,
    starts: np.ndarray,
    config: WindowConfig,
) -> WaveformBatch:
    """One window from each record of `positions`, from a given sample of it on (negative: before its start).

    Beyond the ends of the record the window is NaN and not observed. `window_labels` says what the labels
    are.

    Raises ValueError where a record has none of the configured components.
    """
    start_s = starts / table.sampling_rate_hz[positions]
    return WaveformBatch(
        waveform=torch.from_numpy(_samples(table, positions, read, starts, config)),
        sampling_rate_hz=torch.full((len(positions),), config.sampling_rate_hz),
        component_names=config.components,
        unit=tuple(UNITS[code] for code in table.unit[positions].tolist()),
        station_id=tuple(table.station_id[positions].tolist()),
        event_id=tuple(table.event_id[positions].tolist()),
        start_time=torch.from_numpy(table.start_time[positions] + start_s),
        station_geometry=torch.from_numpy(table.station_geometry[positions]),
        labels=window_labels(table, positions, start_s, config.window_s),
    )


def _samples(
    table: RecordTable, positions: np.ndarray, read: ReadWaveform, starts: np.ndarray, config: WindowConfig
) -> np.ndarray:
    """Float32 `(window, component, sample)` at the configured rate; windows of one rate go together."""
    rows = table.component_rows[positions][:, [COMPONENTS.index(name) for name in config.components]]
    lost = np.flatnonzero((rows < 0).all(axis=1))
    if len(lost):
        record = positions[lost[0]]
        there = table.component_rows[record] >= 0
        names = tuple(name for name, is_there in zip(COMPONENTS, there, strict=True) if is_there)
        raise ValueError(
            f"record {table.record_id[record]} has components {names}, none of which is among the "
            f"configured {config.components}: leave it out, or add its components to the configuration"
        )
    rates_hz = table.sampling_rate_hz[positions]
    waveform = np.full((len(positions), len(config.components), config.num_samples), np.nan, dtype=np.float32)
    for rate_hz in np.unique(rates_hz).tolist():
        windows = np.flatnonzero(rates_hz == rate_hz)
        own = positions[windows], rows[windows], table.num_samples[positions[windows]], read
        lead, num_native = native_span(config.num_samples, rate_hz, config.sampling_rate_hz)
        if lead == 0:
            _copy(waveform, windows, *own, starts[windows])
            continue
        # The filter's reach is cut as surplus, so that no edge shows.
        native = np.full((len(windows), waveform.shape[1], num_native), np.nan, dtype=np.float32)
        _copy(native, np.arange(len(windows)), *own, starts[windows] - lead)
        resampled = resample_with_gaps(
            torch.from_numpy(native), rate_hz, config.sampling_rate_hz, lead, config.num_samples
        )
        waveform[windows] = resampled.numpy()
    return waveform


def _copy(
    target: np.ndarray,
    windows: np.ndarray,
    positions: np.ndarray,
    rows: np.ndarray,
    lengths: np.ndarray,
    read: ReadWaveform,
    starts: np.ndarray,
) -> None:
    """Fill windows of `target` `(window, component, sample)` with what their records have there."""
    columns = (windows, positions, rows, starts, *_overlaps(starts, lengths, target.shape[2]))
    items = zip(*(column.tolist() for column in columns), strict=True)
    for window, position, sources, start, first, last in items:
        if last <= first:
            continue
        samples = read(position, first, last)
        for row, source in enumerate(sources):
            if source >= 0:
                target[window, row, first - start : last - start] = samples[source]


def _overlaps(starts: np.ndarray, lengths: np.ndarray, num_samples: int) -> tuple[np.ndarray, np.ndarray]:
    """The samples, first to last (left out), that each window has of its record."""
    return np.maximum(starts, 0), np.minimum(starts + num_samples, lengths)
