"""The windows that a protocol scores: earthquakes at random places, and noise, with their truth."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..data.batch import COMPONENT_SLOTS, WaveformBatch
from ..data.loading.window_source import fixed_windows
from ..data.loading.windows import WindowConfig
from ..data.records import Record, Skipped
from .pick_metrics import PhaseTruth


@dataclass(frozen=True, kw_only=True)
class ScoredWindows:
    """Windows with their truth.

    batches: the windows with labels, in order.
    event: `(window,)`, the event id (the record's own id where there is none): what intervals resample.
    station: `(window,)`, station id.
    is_noise: bool `(window,)`, all phases are labelled and no arrival lies in the window or near it.
    skipped: records that gave no windows of a kind, with the reason.
    """

    batches: tuple[WaveformBatch, ...]
    event: np.ndarray
    station: np.ndarray
    is_noise: np.ndarray
    skipped: tuple[Skipped, ...] = ()

    def __len__(self) -> int:
        return len(self.event)

    def truth(self, phase: str) -> PhaseTruth:
        """What is known about a phase in all windows."""
        parts = [_batch_truth(batch, phase) for batch in self.batches]
        sizes = np.cumsum([0, *(len(batch) for batch in self.batches)])
        return PhaseTruth(
            window=_joined(
                [part.window + first for part, first in zip(parts, sizes, strict=False)], np.int64
            ),
            time_s=_joined([part.time_s for part in parts], np.float64),
            scored=_joined([part.scored for part in parts], np.bool_),
            labelled=_joined([part.labelled for part in parts], np.bool_),
            observed_s=_joined([part.observed_s for part in parts], np.float64),
        )


def scored_windows(
    records: Sequence[Record],
    noise_records: Sequence[Record],
    windows: WindowConfig,
    *,
    seed: int,
    windows_per_record: int = 1,
    noise_windows: int = 1,
    noise_guard_s: float = 2.0,
    batch_size: int = 32,
    unpicked: bool = False,
) -> ScoredWindows:
    """Windows of records and of noise, the same for a seed whatever the batch size.

    noise_windows: how many to cut from each record's part before its first arrival (up to `noise_guard_s`
    ahead of it), and from each noise record. unpicked: take records too whose arrivals nobody listed, where
    a window shows them whole: they tell of magnitudes and the like.

    Raises ValueError where no window is left.
    """
    usable, skipped = _usable([*records], windows, unpicked)
    noise, without_noise = (
        _noise_before(usable, noise_guard_s, windows.window_s) if noise_windows else ([], [])
    )
    extra, unfit = _usable([*noise_records], windows)
    if extra and not noise_windows:
        unfit.append(
            Skipped(f"{len(extra)} noise records", "noise_windows is 0: no window of them is scored")
        )
    batches = fixed_windows(usable, windows, seed, windows_per_record, batch_size)
    if noise_windows and noise + extra:
        batches += fixed_windows(noise + extra, windows, seed, noise_windows, batch_size)
    if not batches:
        reasons = sorted({item.reason for item in skipped})
        raise ValueError(
            f"no window to score: found {len(records)} records, skipped because {reasons or 'none given'}"
        )
    return ScoredWindows(
        batches=tuple(batches),
        event=np.asarray([name for batch in batches for name in batch.event_id or ()], dtype=np.str_),
        station=np.asarray([name for batch in batches for name in batch.station_id or ()], dtype=np.str_),
        is_noise=np.concatenate([_without_arrivals(batch) for batch in batches]),
        skipped=(*skipped, *without_noise, *unfit),
    )


def _usable(
    records: Sequence[Record], windows: WindowConfig, unpicked: bool = False
) -> tuple[list[Record], list[Skipped]]:
    """Records that can be scored, each with an event id."""
    usable, skipped = [], []
    for record in records:
        slots = {COMPONENT_SLOTS[name] for name in record.component_names}
        if not slots & set(windows.components):
            skipped.append(Skipped(record.record_id, f"has none of the components {windows.components}"))
        elif not unpicked and not record.labelled_phases & {"P", "S"}:
            skipped.append(Skipped(record.record_id, "neither P nor S is labelled"))
        elif not record.labelled_phases & {"P", "S"} and record.duration_s > windows.window_s + 1:
            reason = (
                f"neither P nor S is labelled, and a window shows {windows.window_s:g} s of its "
                f"{record.duration_s:.1f} s: it may miss the event"
            )
            skipped.append(Skipped(record.record_id, reason))
        else:
            usable.append(dataclasses.replace(record, event_id=record.event_id or record.record_id))
    return usable, skipped


def _noise_before(
    records: Sequence[Record], guard_s: float, window_s: float
) -> tuple[list[Record], list[Skipped]]:
    """Each record's part ahead of its first arrival, as a record of noise."""
    noise, skipped = [], []
    for record in records:
        first_s = min((arrival.time_s for arrival in record.arrivals), default=np.nan)
        quiet_s = min(first_s - guard_s, record.duration_s)
        if "P" in record.labelled_phases and np.isnan(first_s):
            continue  # noise as a whole: its own windows count as such already
        if "P" not in record.labelled_phases:
            skipped.append(
                Skipped(f"{record.record_id} (noise)", "no labelled P: where its noise ends is unknown")
            )
        elif quiet_s < window_s / 2:
            needed_s, quiet_s = window_s / 2, max(quiet_s, 0.0)
            reason = f"{quiet_s:.1f} s before the first arrival, half a window ({needed_s:g} s) needed"
            skipped.append(Skipped(f"{record.record_id} (noise)", reason))
        else:
            noise.append(_cut_before(record, quiet_s))
    return noise, skipped


def _cut_before(record: Record, end_s: float) -> Record:
    return dataclasses.replace(
        record,
        record_id=f"{record.record_id}/noise",
        waveform=record.waveform[:, : int(end_s * record.sampling_rate_hz)],
        arrivals=(),
    )


def _batch_truth(batch: WaveformBatch, phase: str) -> PhaseTruth:
    name = phase.lower()
    times_s = batch.labels[f"{name}_arrival_s"].double().cpu().numpy()
    window, column = np.nonzero(~np.isnan(times_s))
    time_s = times_s[window, column]
    rate_hz = batch.sampling_rate_hz.double().cpu().numpy()
    observed = batch.observed.any(dim=1).cpu().numpy()
    sample = np.floor(time_s * rate_hz[window]).astype(np.int64)
    inside = (sample >= 0) & (sample < batch.num_samples)
    seen = observed[window, sample.clip(0, batch.num_samples - 1)]
    return PhaseTruth(
        window=window,
        time_s=time_s,
        scored=inside & seen,
        labelled=batch.labels[f"{name}_labelled"].cpu().numpy(),
        observed_s=observed.sum(axis=1) / rate_hz,
    )


def _without_arrivals(batch: WaveformBatch) -> np.ndarray:
    labelled = batch.labels["p_labelled"] & batch.labels["s_labelled"]
    absent = batch.labels["p_arrival_s"].isnan().all(dim=1) & batch.labels["s_arrival_s"].isnan().all(dim=1)
    return (labelled & absent).cpu().numpy()


def _joined(parts: list[np.ndarray], dtype: type) -> np.ndarray:
    return np.concatenate(parts).astype(dtype) if parts else np.zeros(0, dtype=dtype)
