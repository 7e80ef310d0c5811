"""What a window knows of its earthquakes: the labels of `cut_windows`."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from .records import Record

POLARITIES = ("positive", "negative", "undecidable")
"""Classes of the `polarity` label, by position; −1 is unknown."""

PHASE_FAMILY = {"P": "P", "Pg": "P", "Pn": "P", "Pb": "P", "S": "S", "Sg": "S", "Sn": "S", "Sb": "S"}
"""Which crustal phases compete for an event's first P and first S."""

SOURCE_LABELS = {
    "magnitude": "source_magnitude",
    "distance_km": "path_ep_distance_km",
    "back_azimuth_deg": "path_back_azimuth_deg",
    "depth_km": "source_depth_km",
}
"""Label of a window → metadata of its record (SeisBench's names)."""

EVENT_LABELS = ("p_arrival_s", "s_arrival_s", "polarity")
"""The labels that are `(window, event)`; all others describe the window as a whole."""

STATION_GEOMETRY = ("station_latitude_deg", "station_longitude_deg", "station_elevation_m")


def window_labels(records: Sequence[Record], start_s: Sequence[float], window_s: float) -> dict[str, Tensor]:
    """The earthquakes in and near each window.

    start_s: each window's first sample, seconds after the first sample of its record.

    Returns
      `p_arrival_s`, `s_arrival_s` float32 `(window, event)`: the first P and S of one event, seconds after
        the window's first sample; NaN where there is none. Arrivals up to one window length *outside* of the
        window are kept (negative, or beyond `window_s`), since the event of an earlier P or a later S still
        shakes the window: a detection needs them, a picker asks for those in [0, window_s).
      `polarity` int64 `(window, event)`: the P's first motion, position in `POLARITIES`, −1 where unknown.
      `p_labelled`, `s_labelled` bool `(window,)`: every arrival of the phase is listed.
      `magnitude`, `distance_km`, `back_azimuth_deg`, `depth_km` float32 `(window,)`: of the record's event.
        NaN where unknown, and where the record's arrivals show that the window misses the event.
    """
    events = [_nearby_events(record, start, window_s) for record, start in zip(records, start_s, strict=True)]
    num_events = max(1, *map(len, events)) if events else 1
    empty = (math.nan, math.nan, -1)
    table = [[*found, *[empty] * (num_events - len(found))] for found in events]
    values = torch.tensor(table, dtype=torch.float64).reshape(len(records), num_events, 3)
    labels = {
        "p_arrival_s": values[..., 0].float(),
        "s_arrival_s": values[..., 1].float(),
        "polarity": values[..., 2].long(),
        "p_labelled": torch.tensor(["P" in record.labelled_phases for record in records], dtype=torch.bool),
        "s_labelled": torch.tensor(["S" in record.labelled_phases for record in records], dtype=torch.bool),
    }
    sources = [
        [_number(record, key) for key in SOURCE_LABELS.values()]
        if _event_in_view(record, start, window_s)
        else [math.nan] * len(SOURCE_LABELS)
        for record, start in zip(records, start_s, strict=True)
    ]
    columns = torch.tensor(sources, dtype=torch.float32).reshape(len(records), len(SOURCE_LABELS)).unbind(1)
    return labels | dict(zip(SOURCE_LABELS, columns, strict=True))


def station_geometry(records: Sequence[Record]) -> Tensor:
    """Latitude and longitude in degrees and elevation in metres, float32 `(window, 3)`, NaN where unknown."""
    rows = [[_number(record, key) for key in STATION_GEOMETRY] for record in records]
    return torch.tensor(rows, dtype=torch.float32).reshape(len(records), 3)


def _nearby_events(record: Record, start_s: float, window_s: float) -> list[tuple[float, float, int]]:
    """First P, first S and first motion of each event with an arrival near the window, in order of time."""
    events: dict[int, list[float]] = {}
    for arrival in record.arrivals:
        column = "PS".find(PHASE_FAMILY.get(arrival.phase, "none"))
        time_s = arrival.time_s - start_s
        if column < 0 or not -window_s <= time_s < 2 * window_s:
            continue
        event = events.setdefault(arrival.event, [math.nan, math.nan, -1])
        if not time_s >= event[column]:
            event[column] = time_s
            if column == 0:
                event[2] = POLARITIES.index(arrival.polarity) if arrival.polarity in POLARITIES else -1
    ordered = sorted(events.values(), key=lambda event: min(t for t in event[:2] if not math.isnan(t)))
    return [(p_s, s_s, int(polarity)) for p_s, s_s, polarity in ordered]


def _event_in_view(record: Record, start_s: float, window_s: float) -> bool:
    """Whether the event that the metadata describe (the record's first) can be seen in the window.

    A record without arrivals does not tell where its event is: the window is then taken to show it.
    """
    times_s = [arrival.time_s - start_s for arrival in record.arrivals if arrival.event == 0]
    return not record.arrivals or any(0 <= time_s < window_s for time_s in times_s)


def _number(record: Record, key: str) -> float:
    value = record.metadata.get(key)
    return math.nan if value is None else float(value)
