"""Synthetic windows with everything that is true about them, as training takes them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..batch import WaveformBatch
from ..records import POLARITIES
from .heard import Heard
from .labels import ArrivalTable
from .plan import BRANCHES

EPOCH_2020_S = 1577836800.0
EVENT_SPACING_S = 300.0
ORIGIN_LAG_S = 120.0
CALENDAR_EVENTS = 10_000_000
"""Events beyond this number begin the calendar anew, after 95 years."""

NAMED_PHASES = ("Pg", "Pn", "Sg", "Sn")
STATION_NAMES = 100_000


def window_batch(
    heard: Heard, waveform: Tensor, components: Sequence[str], rate_hz: float, first_s: float, seed: int
) -> WaveformBatch:
    """The batch of what was heard.

    waveform: of the recorded components, perhaps resampled, `(record, component, sample)`. components: rows
    of the batch; one that was not recorded is NaN, others are left out. first_s: of the batch's first sample,
    after that of the records.
    """
    views, window_s = heard.views, waveform.shape[-1] / rate_hz
    return WaveformBatch(
        waveform=_arranged(waveform, heard.recorded.component_names, components),
        sampling_rate_hz=torch.full((len(views),), rate_hz, device=waveform.device),
        component_names=tuple(components),
        unit=units(heard),
        station_id=station_ids(heard),
        event_id=event_ids(heard, seed),
        start_time=start_times(heard) + first_s,
        station_geometry=_station_geometry(heard),
        event_index=torch.unique(views.event_number, return_inverse=True)[1],
        labels=window_labels(heard, first_s, window_s),
    )


def window_labels(heard: Heard, first_s: float, window_s: float) -> dict[str, Tensor]:
    """The labels of `loading.window_labels.window_labels`, and what only a generator knows.

    `pg_arrival_s`, `pn_arrival_s`, `sg_arrival_s`, `sn_arrival_s` float32 `(window, event)`.
    `origin_s` float32 `(window, event)`: origin times after the first sample, NaN without an arrival.
    `event_type` int64 `(window,)`: position in `event_types.EVENT_TYPES`, −1 where the window misses it.
    `mechanism_deg` float32 `(window, 3)`: strike, dip, rake. `p_snr_db`, `s_snr_db` float32 `(window,)`.
    """
    in_view = _in_view(heard.arrivals[0], first_s, window_s)
    quiet = heard.arrivals[0].of("P").isnan()
    known = in_view | quiet
    sources, geometry = heard.views.scene.sources, heard.views.scene.geometry
    true = torch.ones_like(known)
    labels = {
        "p_labelled": true,
        "s_labelled": true.clone(),
        "polarity": _polarities(heard, first_s, window_s),
    }
    for phase in ("P", "S", *NAMED_PHASES):
        labels[f"{phase.lower()}_arrival_s"] = _times(heard, phase, first_s, window_s)
    labels["origin_s"] = _origins(heard, first_s, labels)
    numbers = {
        "magnitude": sources.magnitude,
        "distance_km": geometry.distance_km,
        "back_azimuth_deg": back_azimuth_deg(heard),
        "depth_km": sources.depth_km,
        "p_snr_db": heard.snr_db[:, 0],
        "s_snr_db": heard.snr_db[:, 1],
    }
    labels |= {name: value.float().where(in_view, torch.nan) for name, value in numbers.items()}
    labels["mechanism_deg"] = sources.mechanism_deg.float().where(in_view[:, None], torch.nan)
    return labels | {"event_type": sources.kind.where(known, -1)}


def units(heard: Heard) -> tuple[str, ...]:
    """The unit of each record, one of `batch.UNITS`."""
    written = zip(heard.recorded.units(), heard.views.scene.instrument.unit, strict=True)
    return tuple("counts" if unit == "counts" else physical for unit, physical in written)


def back_azimuth_deg(heard: Heard) -> Tensor:
    """From the station to the event, NaN where the horizontals of a record would tell another direction."""
    return heard.views.scene.geometry.back_azimuth_deg.where(~heard.recorded.wrong_horizontals, torch.nan)


def polarity(heard: Heard, event: int) -> Tensor:
    """The first motion of P as it stands in the record, int64 `(record,)`: see `records.POLARITIES`."""
    true = heard.arrivals[event].polarity
    known = (true == POLARITIES.index("positive")) | (true == POLARITIES.index("negative"))
    return torch.where(known & heard.recorded.reversed_vertical, 1 - true, true)


def start_times(heard: Heard) -> Tensor:
    """UTC seconds of each record's first sample, float64; the stations of an event agree on its origin."""
    return origin_times(heard) - heard.origin_s


def origin_times(heard: Heard) -> Tensor:
    """UTC seconds of each record's event, float64: one every five minutes since 2020."""
    number = heard.views.event_number.remainder(CALENDAR_EVENTS).double()
    return EPOCH_2020_S + EVENT_SPACING_S * number + ORIGIN_LAG_S


def event_ids(heard: Heard, seed: int) -> tuple[str, ...]:
    """The name of each record's event."""
    return tuple(f"synthetic/{seed}/{number}" for number in heard.views.event_number.tolist())


def station_ids(heard: Heard) -> tuple[str, ...]:
    """Station names that tell nothing about the event."""
    names = (heard.views.station.uniform64("record/station") * STATION_NAMES).long()
    return tuple(f"SY.{name:05d}." for name in names.tolist())


def _arranged(waveform: Tensor, recorded: Sequence[str], components: Sequence[str]) -> Tensor:
    if tuple(recorded) == tuple(components):
        return waveform
    missing = waveform.new_full((len(waveform), waveform.shape[-1]), torch.nan)
    rows = [waveform[:, recorded.index(name)] if name in recorded else missing for name in components]
    return torch.stack(rows, dim=1)


def _station_geometry(heard: Heard) -> Tensor:
    geometry = heard.views.scene.geometry
    place = (geometry.station_latitude_deg, geometry.station_longitude_deg, geometry.station_elevation_m)
    return torch.stack([part.float() for part in place], dim=1)


def _in_view(table: ArrivalTable, first_s: float, window_s: float) -> Tensor:
    """Whether P or S of the event lies in the window, bool `(record,)`."""
    time_s = torch.stack([table.of("P"), table.of("S")], dim=1) - first_s
    return ((time_s >= 0) & (time_s < window_s)).any(dim=1)


def _times(heard: Heard, phase: str, first_s: float, window_s: float) -> Tensor:
    """Arrivals of one phase within a window length of the window, float32 `(record, event)`."""
    time_s = torch.stack([table.of(phase) for table in heard.arrivals], dim=1) - first_s
    return time_s.where((time_s >= -window_s) & (time_s < 2 * window_s), torch.nan).float()


def _origins(heard: Heard, first_s: float, labels: dict[str, Tensor]) -> Tensor:
    """Origin times of the events of which an arrival is told, float32 `(record, event)`."""
    travel_s = heard.views.scene.waves.travel_time_s[:, BRANCHES.index("P")]
    origin_s = torch.stack([table.of("P") - travel_s for table in heard.arrivals], dim=1) - first_s
    told = labels["p_arrival_s"].isfinite() | labels["s_arrival_s"].isfinite()
    return origin_s.where(told, torch.nan).float()


def _polarities(heard: Heard, first_s: float, window_s: float) -> Tensor:
    known = _times(heard, "P", first_s, window_s).isfinite()
    return torch.stack([polarity(heard, event) for event in (0, 1)], dim=1).where(known, -1)
