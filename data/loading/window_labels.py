"""What a window knows of its earthquakes: the labels of `cut_windows`."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..record_table import SOURCE_LABELS, RecordTable, ranges

EVENT_LABELS = ("p_arrival_s", "s_arrival_s", "polarity", "origin_s")
"""The labels that are `(window, event)`; all others describe the window as a whole."""


def window_labels(
    table: RecordTable, positions: np.ndarray, start_s: np.ndarray, window_s: float
) -> dict[str, Tensor]:
    """The earthquakes in and near each window.

    positions: the record of each window, in the table.
    start_s: each window's first sample, seconds after the first sample of its record.

    Returns
      `p_arrival_s`, `s_arrival_s` float32 `(window, event)`: the first P and S of one event, seconds after
        the window's first sample; NaN where there is none. Arrivals up to one window length *outside* of the
        window are kept (negative, or beyond `window_s`), since the event of an earlier P or a later S still
        shakes the window: a detection needs them, a picker asks for those in [0, window_s).
      `polarity` int64 `(window, event)`: the P's first motion, position in `POLARITIES`, −1 where unknown.
      `origin_s` float32 `(window, event)`: when the event began, seconds after the window's first sample
        (mostly negative). Known of the event that the record's metadata describe (`source_origin_time`); NaN
        of others, without an arrival near the window, and where it lies after an arrival: no wave is so fast.
      `p_labelled`, `s_labelled` bool `(window,)`: every arrival of the phase is listed.
      `magnitude`, `distance_km`, `back_azimuth_deg`, `depth_km` float32 `(window,)`: of the record's event.
        NaN where unknown, and where the record's arrivals show that the window misses the event.
      `event_type` int64 `(window,)`: likewise, position in `EVENT_TYPES`, −1 where unknown or missed.
    """
    arrival_s, polarity, origin_s, in_view = _nearby_events(table, positions, start_s, window_s)
    source = np.where(in_view[:, None], table.source[positions], np.float32(np.nan))
    event_type = np.where(in_view, table.event_type[positions], -1).astype(np.int64)
    return {
        "p_arrival_s": torch.from_numpy(arrival_s[..., 0]),
        "s_arrival_s": torch.from_numpy(arrival_s[..., 1]),
        "polarity": torch.from_numpy(polarity),
        "origin_s": torch.from_numpy(origin_s),
        "p_labelled": torch.from_numpy(table.labelled[positions, 0]),
        "s_labelled": torch.from_numpy(table.labelled[positions, 1]),
        "event_type": torch.from_numpy(event_type),
    } | dict(zip(SOURCE_LABELS, torch.from_numpy(source).unbind(1), strict=True))


def _nearby_events(
    table: RecordTable, positions: np.ndarray, start_s: np.ndarray, window_s: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """First P and S `(window, event, 2)` in order of time, first motion, origin, and is event 0 in view.

    A record without arrivals does not tell where its event is: the window is then taken to show it.
    """
    first, last = table.event_start[positions], table.event_start[positions + 1]
    counts = last - first
    num_columns = max(1, int(counts.max(initial=0)))
    events = ranges(first, last)
    places = np.nonzero(np.arange(num_columns) < counts[:, None])
    arrival_s = np.full((len(positions), num_columns, 2), np.nan)
    arrival_s[places] = table.event_arrival_s[events]
    arrival_s -= start_s[:, None, None]
    polarity = np.full((len(positions), num_columns), -1, dtype=np.int64)
    polarity[places] = table.event_polarity[events]
    own = np.zeros((len(positions), num_columns), dtype=bool)
    own[places] = table.event_number[events] == 0
    inside = ((arrival_s >= 0) & (arrival_s < window_s)).any(axis=2)
    in_view = (inside & own).any(axis=1) | ~table.has_arrivals[positions]
    near = (arrival_s >= -window_s) & (arrival_s < 2 * window_s)
    arrival_s[~near] = np.nan
    polarity[~near[..., 0]] = -1
    origin_s = np.where(own, (table.origin_s[positions] - start_s)[:, None], np.nan)
    first_s = _first_s(arrival_s)
    origin_s[(origin_s > first_s) | np.isinf(first_s)] = np.nan
    order, num_kept = _order_of_time(arrival_s)
    return (
        np.take_along_axis(arrival_s, order[..., None], axis=1)[:, :num_kept].astype(np.float32),
        np.take_along_axis(polarity, order, axis=1)[:, :num_kept],
        np.take_along_axis(origin_s, order, axis=1)[:, :num_kept].astype(np.float32),
        in_view,
    )


def _order_of_time(arrival_s: np.ndarray) -> tuple[np.ndarray, int]:
    """Each window's events by their first arrival, those without one last; and how many columns that is."""
    first_s = _first_s(arrival_s)
    num_kept = max(1, int(np.isfinite(first_s).sum(axis=1).max(initial=0)))
    return np.argsort(first_s, axis=1, kind="stable"), num_kept


def _first_s(arrival_s: np.ndarray) -> np.ndarray:
    """The earlier of P and S of each event `(window, event)`, ∞ without either."""
    return np.where(np.isnan(arrival_s), np.inf, arrival_s).min(axis=2)
