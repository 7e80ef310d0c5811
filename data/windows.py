"""From records to batches of windows: where a window lies, its samples at one rate, and its labels."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from .batch import COMPONENT_SLOTS, COMPONENTS, WaveformBatch
from .records import Record
from .resampling import filter_reach, rate_ratio, resample_with_gaps
from .window_labels import PHASE_FAMILY, station_geometry, window_labels


@dataclass(frozen=True, kw_only=True)
class WindowConfig:
    """What the windows of a batch have in common.

    window_s: length.
    sampling_rate_hz: records at another rate are resampled, with their gaps kept.
    components: rows of the batch. One that a record lacks is NaN; one that is not listed here is left out.
    arrival_fraction: share of windows placed around the record's first arrival, which falls anywhere between
        `margin_s` after the window's start and `margin_s` before its end with equal chance. The others fall
        anywhere in the record.
    """

    window_s: float = 30.0
    sampling_rate_hz: float = 100.0
    components: tuple[str, ...] = ("Z", "N", "E")
    arrival_fraction: float = 0.8
    margin_s: float = 1.0

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
        if not 0 <= self.margin_s < self.window_s / 2:
            raise ValueError(
                f"margin_s must lie in 0 to half of window_s ({self.window_s / 2:g} s), found {self.margin_s}"
            )

    @property
    def num_samples(self) -> int:
        """Samples in a window."""
        return round(self.window_s * self.sampling_rate_hz)


def cut_windows(records: Sequence[Record], config: WindowConfig, generator: torch.Generator) -> WaveformBatch:
    """One window from each record, at a random place.

    A window lies inside of its record where that is long enough, except that one around an arrival near the
    record's edge may stick out, by half of its length at most; there it is NaN and not observed.
    `window_labels` says what the labels are. `generator` is on the CPU.
    """
    draws = torch.rand(len(records), 2, generator=generator, dtype=torch.float64).tolist()
    starts = [_start_sample(record, config, *draw) for record, draw in zip(records, draws, strict=True)]
    return cut_windows_at(records, starts, config)


def fixed_windows(
    records: Sequence[Record],
    config: WindowConfig,
    seed: int,
    windows_per_record: int = 1,
    batch_size: int = 64,
) -> list[WaveformBatch]:
    """The windows of an evaluation: the same for a record whatever its company, its order or the batch size.

    Each record's randomness comes from the seed and its own `record_id`.
    """
    if windows_per_record < 1 or batch_size < 1:
        raise ValueError(
            "windows_per_record and batch_size must be 1 or more, "
            f"found {windows_per_record} and {batch_size}"
        )
    batches = []
    places = [(i, j) for i in range(len(records)) for j in range(windows_per_record)]
    for first in range(0, len(places), batch_size):
        chosen = [(records[i], j) for i, j in places[first : first + batch_size]]
        starts = [_start_sample(record, config, *_record_draws(record, seed, j)) for record, j in chosen]
        batches.append(cut_windows_at([record for record, _ in chosen], starts, config))
    return batches


def validation_windows(
    records: Sequence[Record], config: WindowConfig, seed: int, num_windows: int, batch_size: int
) -> list[WaveformBatch]:
    """About so many fixed windows, evenly from all records: sources stand in them one after the other.

    Each record that is taken gives as many windows as the others; only those that are taken are read.
    """
    windows_per_record = math.ceil(num_windows / len(records))
    num_records = math.ceil(num_windows / windows_per_record)
    chosen = [records[i * len(records) // num_records] for i in range(num_records)]
    return fixed_windows(chosen, config, seed, windows_per_record, batch_size)


def cut_windows_at(
    records: Sequence[Record], start_samples: Sequence[int], config: WindowConfig
) -> WaveformBatch:
    """One window from each record, from a given sample of it on (negative: before its beginning).

    Raises ValueError where a record has none of the configured components.
    """
    waveform = np.full((len(records), len(config.components), config.num_samples), np.nan, dtype=np.float32)
    for window, record, start in zip(waveform, records, start_samples, strict=True):
        _copy_window(window, record, start, config)
    start_s = [start / record.sampling_rate_hz for record, start in zip(records, start_samples, strict=True)]
    return WaveformBatch(
        waveform=torch.from_numpy(waveform),
        sampling_rate_hz=torch.full((len(records),), config.sampling_rate_hz),
        component_names=config.components,
        unit=tuple(record.unit for record in records),
        station_id=tuple(record.station_id for record in records),
        event_id=tuple(record.event_id for record in records),
        start_time=torch.tensor(
            [record.start_time + offset_s for record, offset_s in zip(records, start_s, strict=True)],
            dtype=torch.float64,
        ),
        station_geometry=station_geometry(records),
        labels=window_labels(records, start_s, config.window_s),
    )


def _start_sample(record: Record, config: WindowConfig, choice: float, place: float) -> int:
    """The window's first sample in the record, from two uniform numbers in [0, 1)."""
    window_s, duration_s = config.window_s, record.duration_s
    arrival_s = _first_arrival_s(record)
    if math.isnan(arrival_s) or choice >= config.arrival_fraction:
        earliest_s, latest_s = min(0.0, duration_s - window_s), max(0.0, duration_s - window_s)
    else:
        # Both limits together always leave room: margin_s < window_s / 2, and the arrival is in the record.
        overlap_s = min(window_s / 2, duration_s)
        earliest_s = max(arrival_s - (window_s - config.margin_s), overlap_s - window_s)
        latest_s = min(arrival_s - config.margin_s, duration_s - overlap_s)
    return round((earliest_s + place * (latest_s - earliest_s)) * record.sampling_rate_hz)


def _first_arrival_s(record: Record) -> float:
    """The earliest P or S inside of the record, seconds after its first sample; NaN where there is none."""
    times_s = [
        arrival.time_s
        for arrival in record.arrivals
        if arrival.phase in PHASE_FAMILY and 0 <= arrival.time_s < record.duration_s
    ]
    return min(times_s, default=math.nan)


def _record_draws(record: Record, seed: int, repeat: int) -> tuple[float, float]:
    digest = hashlib.sha256(f"{seed}/{repeat}/{record.record_id}".encode()).digest()
    return int.from_bytes(digest[:6]) / 2**48, int.from_bytes(digest[6:12]) / 2**48


def _copy_window(window: np.ndarray, record: Record, start: int, config: WindowConfig) -> None:
    """Fill `(component, sample)` of a batch with what the record has there."""
    slots = [COMPONENT_SLOTS[name] for name in record.component_names]
    rows = [row for row, slot in enumerate(config.components) if slot in slots]
    if not rows:
        raise ValueError(
            f"record {record.record_id} has components {record.component_names}, none of which is among the "
            f"configured {config.components}: leave it out, or add its components to the configuration"
        )
    order = [slots.index(config.components[row]) for row in rows]
    ratio = rate_ratio(record.sampling_rate_hz, config.sampling_rate_hz)
    if ratio == 1:
        window[rows] = _cut(record.waveform, order, start, config.num_samples)
        return
    # The filter's reach is cut as surplus, so that no edge shows. In whole periods of the ratio it keeps the
    # window's first sample on the output's grid.
    surplus = ratio.denominator * math.ceil(filter_reach(ratio) / ratio.denominator)
    num_native = math.ceil(config.num_samples / ratio) + 2 * surplus
    native = torch.from_numpy(_cut(record.waveform, order, start - surplus, num_native))
    resampled = resample_with_gaps(native, record.sampling_rate_hz, config.sampling_rate_hz)
    first = int(surplus * ratio)
    window[rows] = resampled[:, first : first + config.num_samples]


def _cut(waveform: np.ndarray, order: list[int], start: int, num_samples: int) -> np.ndarray:
    """`waveform[order, start : start + num_samples]`, NaN beyond its ends."""
    cut = np.full((len(order), num_samples), np.nan, dtype=np.float32)
    first, last = max(start, 0), min(start + num_samples, waveform.shape[1])
    if last > first:
        cut[:, first - start : last - start] = waveform[order, first:last]
    return cut
