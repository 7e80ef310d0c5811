"""The windows on which source parameters are scored, each in the unit that a predictor wants."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..data.batch import COMPONENT_SLOTS, WaveformBatch
from ..data.instruments.harmonization import HarmonizationConfig, Harmonizer
from ..data.instruments.window_instruments import MissingMetadataError, orientation
from ..data.loading.window_random import window_keys
from ..data.loading.window_source import WindowSource
from ..data.loading.windows import WindowConfig
from ..data.records import Record, Skipped, Subset, instrument_of
from .references.excerpts import mark_clipped
from .references.phase_times import labelled_times


@dataclass(frozen=True, kw_only=True)
class SourceWindowsConfig:
    """How windows are cut.

    p_position_s: P lies between these, after the window's start, with equal chance: its place tells nothing.
        Of a record without a listed P, a window anywhere is taken.
    windows_per_record: of each.
    """

    window_s: float = 60.0
    sampling_rate_hz: float = 100.0
    components: tuple[str, ...] = ("Z", "N", "E")
    p_position_s: tuple[float, float] = (6.0, 20.0)
    windows_per_record: int = 1
    batch_size: int = 64
    seed: int = 42

    def __post_init__(self) -> None:
        if not 0 <= self.p_position_s[0] <= self.p_position_s[1] < self.window_s:
            raise ValueError(
                f"p_position_s must increase within 0 to window_s ({self.window_s:g} s), "
                f"found {self.p_position_s}"
            )
        if self.windows_per_record < 1 or self.batch_size < 1:
            raise ValueError(
                "windows_per_record and batch_size must be 1 or more, "
                f"found {self.windows_per_record} and {self.batch_size}"
            )


class SourceWindows:
    """Windows with their labels, native and as harmonized as a predictor asks for.

    batches: native samples, with the label `clipped`. event: `(window,)`, what intervals resample. station:
    `(window,)`. skipped: records that give none, or whose back azimuth cannot be judged, and why.
    """

    def __init__(
        self,
        batches: Sequence[WaveformBatch],
        about: Sequence[Sequence[dict]],
        event: np.ndarray,
        skipped: Sequence[Skipped] = (),
    ) -> None:
        self.batches = tuple(batches)
        self.event = event
        self.station = np.array([name for batch in batches for name in batch.station_id or ()], dtype=np.str_)
        self.skipped = tuple(skipped)
        self._about = about

    def __len__(self) -> int:
        return len(self.event)

    def harmonized(self, config: HarmonizationConfig) -> list[WaveformBatch]:
        """The windows in a unit, response and orientation; what lacks metadata stays native."""
        harmonizer = Harmonizer(config)
        return [harmonizer(batch, about) for batch, about in zip(self.batches, self._about, strict=True)]

    def truth(self, label: str) -> np.ndarray:
        """A label of all windows; of `polarity` that of the P which comes first."""
        return np.concatenate([_truth(batch, label) for batch in self.batches])


def source_windows(records: Sequence[Record], config: SourceWindowsConfig) -> SourceWindows:
    """Windows of records, the same for a record and seed whatever its company.

    Raises ValueError where no record has a component that is wanted.
    """
    kept, skipped = [], []
    for position, record in enumerate(records):
        slots = {COMPONENT_SLOTS[name] for name in record.component_names}
        if slots & set(config.components):
            kept.append(position)
        else:
            skipped.append(Skipped(record.record_id, f"has none of the components {config.components}"))
    if not kept:
        raise ValueError(
            f"no record has one of the components {config.components}, found {len(records)} records"
        )
    chosen = Subset(records, np.repeat(kept, config.windows_per_record))
    starts = np.array(
        [_start_sample(chosen[i], i % config.windows_per_record, config) for i in range(len(chosen))]
    )
    batches, about = _cut(chosen, starts, config, skipped)
    return SourceWindows(batches, about, np.array(chosen.event_keys(), dtype=np.str_), skipped)


def _cut(
    records: Subset, starts: np.ndarray, config: SourceWindowsConfig, skipped: list[Skipped]
) -> tuple[list[WaveformBatch], list[list[dict]]]:
    source = WindowSource(records)
    windows = WindowConfig(
        window_s=config.window_s, sampling_rate_hz=config.sampling_rate_hz, components=config.components
    )
    batches, abouts = [], []
    places = np.arange(len(records))
    for part in np.split(places, range(config.batch_size, len(places), config.batch_size)):
        batch = mark_clipped(source.cut_at(part, starts[part], windows))
        batch = batch.with_window_key(window_keys(torch.from_numpy(part), "source", config.seed))
        about = [instrument_of(records, place) for place in part.tolist()]
        batches.append(_without_unknown_directions(batch, about, skipped))
        abouts.append(about)
    return batches, abouts


def _start_sample(record: Record, repeat: int, config: SourceWindowsConfig) -> int:
    digest = hashlib.sha256(f"{config.seed}/{repeat}/{record.record_id}".encode()).digest()
    draw = int.from_bytes(digest[:6]) / 2**48
    p_s = record.arrival_s("P")
    if math.isnan(p_s):
        start_s = draw * max(record.duration_s - config.window_s, 0.0)
    else:
        low, high = config.p_position_s
        start_s = p_s - (low + draw * (high - low))
    return round(start_s * record.sampling_rate_hz)


def _without_unknown_directions(
    batch: WaveformBatch, about: Sequence[dict], skipped: list[Skipped]
) -> WaveformBatch:
    """Back azimuth is unknown where nobody knows where the horizontals point: 1 and 2 without azimuths."""
    back_azimuth = batch.labels["back_azimuth_deg"].clone()
    for window, one in enumerate(about):
        if not {"1", "2"} & set(one["component_names"]) or bool(back_azimuth[window].isnan()):
            continue
        try:
            orientation(one, batch.component_names)
        except MissingMetadataError as error:
            back_azimuth[window] = torch.nan
            name = batch.station_id[window] if batch.station_id else str(window)
            skipped.append(Skipped(f"{name} (back azimuth)", str(error)))
    labels = {**batch.labels, "back_azimuth_deg": back_azimuth}
    return batch.replace(waveform=batch.waveform, observed=batch.observed, labels=labels)


def _truth(batch: WaveformBatch, label: str) -> np.ndarray:
    values = batch.labels[label].cpu().numpy()
    if label != "polarity":
        return values.astype(np.float64) if values.dtype.kind == "f" else values
    first_s = labelled_times(batch).p_s[:, None]
    own = np.isclose(batch.labels["p_arrival_s"].double().cpu().numpy(), first_s)
    return np.where(own.any(axis=1), values[np.arange(len(values)), own.argmax(axis=1)], -1)
