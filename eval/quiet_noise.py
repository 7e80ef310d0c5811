"""Recordings of noise as a yardstick: how many picks an hour a picker makes where there should be none.

A threshold that is set by what a network operator can bear, so many false picks in a station-hour, makes
pickers comparable whose probabilities mean different things. But noise that nobody has searched by hand hides
earthquakes, and a good picker finds them: pieces in which an STA/LTA triggers strongly are set aside first.
What that leaves also lacks the noise's own sharp bursts, so the rates of all pieces stand beside it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..data.continuous.archive import read_waveforms
from ..data.continuous.streams import stream_to_records
from ..data.loading.windows import WindowConfig
from ..data.records import Record, Skipped
from .baselines import StaLtaPicker
from .model_picker import run_picker
from .peaks import PeakPicks
from .scored_windows import ScoredWindows, scored_windows


def read_noise(
    folder: str | Path, quiet_s: float, piece_s: float, unit: str = "counts"
) -> tuple[list[Record], list[Skipped]]:
    """The first seconds of each waveform file of a folder, in pieces, as records without an arrival.

    quiet_s: so many seconds from a file's first sample on are noise. piece_s: what does not fill a piece is
    left. Pieces of one file share its name as `event_id`, so that a split keeps them together.

    Raises FileNotFoundError where the folder does not exist, ValueError where it gives no piece.
    """
    records: list[Record] = []
    skipped: list[Skipped] = []
    files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    if not Path(folder).is_dir():
        raise FileNotFoundError(f"no noise at {folder}: expected a folder of waveform files")
    for file in files:
        stream, reasons = read_waveforms(file)
        whole, more = stream_to_records(stream, unit=unit)
        pieces = [piece for record in whole for piece in _pieces(record, file.stem, quiet_s, piece_s)]
        skipped += reasons + more
        if whole and not pieces:
            skipped.append(Skipped(str(file), f"shorter than a piece of {piece_s:g} s"))
        records += pieces
    if not records:
        raise ValueError(f"no noise of {piece_s:g} s in {folder}: found {len(files)} files, {skipped[:3]}")
    return records, skipped


def _pieces(record: Record, name: str, quiet_s: float, piece_s: float) -> list[Record]:
    rate_hz = record.sampling_rate_hz
    length = round(piece_s * rate_hz)
    quiet = min(round(quiet_s * rate_hz), record.waveform.shape[1])
    return [
        dataclasses.replace(
            record,
            record_id=f"{name}/{first // length}",
            event_id=name,
            waveform=record.waveform[:, first : first + length],
            start_time=record.start_time + first / rate_hz,
            arrivals=(),
            labelled_phases=frozenset({"P", "S"}),
        )
        for first in range(0, quiet - length + 1, length)
    ]


def noise_windows(records: Sequence[Record], windows: WindowConfig) -> ScoredWindows:
    """Each piece of noise as one window."""
    return scored_windows(records, (), windows, seed=0, noise_windows=0)


def station_hours(windows: ScoredWindows) -> float:
    """Hours of data in windows."""
    return float(windows.truth("P").observed_s.sum()) / 3600.0


def thresholds_for_rate(
    picks: PeakPicks, hours: float, per_hour: Mapping[str, float], lowest: float
) -> dict[str, float]:
    """For each phase the lowest threshold at which noise gives at most so many picks in a station-hour.

    picks: all picks of the noise from `lowest` on, which is also the lowest answer. hours: of noise. A phase
    that was never picked has no answer: a picker that needs horizontals is silent in vertical noise.

    Raises ValueError where the noise is too short to tell: less than one pick would be allowed.
    """
    thresholds = {}
    for phase, rate in per_hour.items():
        allowed = int(rate * hours)
        if allowed < 1:
            raise ValueError(
                f"{rate:g} picks of {phase} an hour need {1 / rate:.2f} hours of noise or more, "
                f"found {hours:.2f}: give more noise"
            )
        heights = np.sort(picks.of_phase(phase).probability)[::-1]
        if not len(heights):
            continue
        above = float(np.nextafter(heights[allowed], 2.0)) if len(heights) > allowed else lowest
        thresholds[phase] = max(above, lowest)
    return thresholds


def without_events(records: Sequence[Record], max_ratio: float, windows: WindowConfig) -> list[Record]:
    """The pieces of noise in which the STA/LTA of the vertical stays below `max_ratio`."""
    found, _ = run_picker(StaLtaPicker(), noise_windows(records, windows))
    loud = found.select(found.probability >= max_ratio / (1.0 + max_ratio)).of_phase("P").window
    return [records[i] for i in np.setdiff1d(np.arange(len(records)), loud)]
