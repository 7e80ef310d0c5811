"""The piece of a window that a classical method measures, or the reason why it must not."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from ...data.batch import WaveformBatch
from ...data.records import Record
from ..audit.config import AuditConfig
from ..audit.look import Look
from ..audit.waveform_checks import clipped

CLIPPED = "clipped"
"""Label bool `(window,)`, made of native samples by `mark_clipped`: a filter hides flat tops."""

Answers = dict[str, np.ndarray]
"""Answers of a reference by name, window first, NaN where it gives none; `reason` then says why, else ""."""


class UnusableError(ValueError):
    """A window that does not allow a measurement; the message says why."""


def mark_clipped(batch: WaveformBatch) -> WaveformBatch:
    """The batch with the label `clipped`; to be made before an instrument's response is taken away."""
    flags = torch.tensor([_is_clipped(batch, window) for window in range(len(batch))], dtype=torch.bool)
    return batch.replace(
        waveform=batch.waveform, observed=batch.observed, labels={**batch.labels, CLIPPED: flags}
    )


def excerpt(
    batch: WaveformBatch, window: int, start_s: float, end_s: float, components: Sequence[str]
) -> np.ndarray:
    """Samples of some components between two times, float64 `(component, sample)`.

    start_s, end_s: seconds after the window's first sample.

    Raises UnusableError where a component is missing, the times lie outside of the window or there is a gap.
    """
    rate_hz = float(batch.sampling_rate_hz[window])
    first, last = round(start_s * rate_hz), round(end_s * rate_hz)
    if first < 0 or last > batch.num_samples:
        length_s = batch.num_samples / rate_hz
        raise UnusableError(f"{start_s:.1f} to {end_s:.1f} s needed, the window has 0 to {length_s:.1f} s")
    rows = [batch.component_names.index(name) if name in batch.component_names else -1 for name in components]
    observed = batch.observed[window].cpu().numpy()
    missing = [name for name, row in zip(components, rows, strict=True) if row < 0 or not observed[row].any()]
    if missing:
        raise UnusableError(f"component {', '.join(missing)} is missing")
    if not observed[rows, first:last].all():
        raise UnusableError("a gap lies in the measured part")
    return batch.waveform[window, rows, first:last].double().cpu().numpy()


def each_window(
    batch: WaveformBatch, measure: Callable[[int], Sequence[float]], num_columns: int
) -> tuple[np.ndarray, np.ndarray]:
    """What `measure` says of each window, float64 `(window, column)`, and why not, `(window,)`.

    A window that is clipped, or of which `measure` raises UnusableError, gets NaN and the reason.
    """
    values = np.full((len(batch), num_columns), np.nan)
    reasons = np.full(len(batch), "", dtype=object)
    clipped_windows = _clipped_windows(batch)
    for window in range(len(batch)):
        try:
            if clipped_windows[window]:
                raise UnusableError("clipped")
            values[window] = measure(window)
        except UnusableError as error:
            reasons[window] = str(error)
    return values, reasons


def known_time(time_s: np.ndarray, window: int, phase: str) -> float:
    """A pick of a window; raises UnusableError where there is none."""
    if not np.isfinite(time_s[window]):
        raise UnusableError(f"no {phase} pick")
    return float(time_s[window])


def _clipped_windows(batch: WaveformBatch) -> np.ndarray:
    if CLIPPED in batch.labels:
        return batch.labels[CLIPPED].cpu().numpy()
    return np.array([_is_clipped(batch, window) for window in range(len(batch))], dtype=bool)


def _is_clipped(batch: WaveformBatch, window: int) -> bool:
    waveform = torch.where(batch.observed[window], batch.waveform[window], torch.nan).cpu().numpy()
    record = Record(
        record_id=str(window),
        waveform=waveform,
        component_names=batch.component_names,
        sampling_rate_hz=float(batch.sampling_rate_hz[window]),
    )
    return clipped(Look(record, AuditConfig())) is not None
