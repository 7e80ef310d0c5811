"""Synthetic records: what was heard, as the rest of the world keeps it, with all arrivals and metadata."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import torch
from obspy import UTCDateTime
from torch import Tensor

from ..event_types import EVENT_TYPES
from ..records import Arrival, Record
from .heard import Heard
from .labelled_windows import (
    back_azimuth_deg,
    event_ids,
    origin_times,
    polarity,
    start_times,
    station_ids,
    units,
)
from .labels import arrival_tuples
from .plan import BRANCHES
from .seismometers import SENSORS

INSTRUMENT_WORDS = dict(zip(SENSORS, ("broadband", "short_period", "geophone", "strong_motion"), strict=True))
"""Our sensors in the words of `station_instrument`."""


def records_of(heard: Heard, duration_s: Tensor, rate_hz: float, seed: int) -> list[Record]:
    """One record a view, each as long as `duration_s` `(record,)` says, with the arrivals inside of it.

    A component of which nothing was observed is left out. Metadata carry the source, its place and mechanism,
    the way (distance, back azimuth, take-off and incidence of P and S), the instrument and the ratios of
    signal to noise, under SeisBench's names with units.
    """
    num_samples = (duration_s * rate_hz).round().long().tolist()
    waveforms = heard.recorded.waveform.cpu().numpy()
    names = list(zip(event_ids(heard, seed), station_ids(heard), units(heard), strict=True))
    arrivals, about = _arrivals(heard, duration_s), _metadata(heard)
    starts = start_times(heard).tolist()
    records = []
    for row, (event_id, station_id, unit) in enumerate(names):
        waveform, components = _observed(
            waveforms[row, :, : num_samples[row]], heard.recorded.component_names
        )
        records.append(
            Record(
                record_id=f"{event_id}/{station_id}",
                waveform=waveform,
                component_names=components,
                sampling_rate_hz=rate_hz,
                start_time=starts[row],
                station_id=station_id,
                event_id=event_id,
                unit=unit,
                arrivals=arrivals[row],
                labelled_phases=frozenset({"P", "S"}),
                metadata=about[row] | instrument_metadata(heard, row, components),
            )
        )
    return records


def _observed(waveform: np.ndarray, names: tuple[str, ...]) -> tuple[np.ndarray, tuple[str, ...]]:
    """The components of which there is a sample, all of them where there is none at all."""
    there = np.isfinite(waveform).any(axis=1)
    if there.all() or not there.any():
        return np.ascontiguousarray(waveform), names
    return waveform[there], tuple(name for name, yes in zip(names, there, strict=True) if yes)


def _arrivals(heard: Heard, duration_s: Tensor) -> list[tuple[Arrival, ...]]:
    """The arrivals of both events, with first motions as the record shows them."""
    both = []
    for event, table in enumerate(heard.arrivals):
        seen = dataclasses.replace(table, polarity=polarity(heard, event))
        both.append(arrival_tuples(seen, float(duration_s.max()), event))
    lengths_s = duration_s.tolist()
    return [
        tuple(arrival for arrival in (*first, *second) if arrival.time_s < length_s)
        for first, second, length_s in zip(*both, lengths_s, strict=True)
    ]


def _metadata(heard: Heard) -> list[dict[str, Any]]:
    """Of each record what is known of it; what does not exist has no key."""
    scene = heard.views.scene
    quiet = heard.arrivals[0].of("P").isnan()
    columns: dict[str, list[Any]] = {
        name: value.where(~quiet, torch.nan).tolist() for name, value in _source_columns(heard).items()
    }
    geometry = scene.geometry
    columns |= {
        "station_latitude_deg": geometry.station_latitude_deg.tolist(),
        "station_longitude_deg": geometry.station_longitude_deg.tolist(),
        "station_elevation_m": geometry.station_elevation_m.tolist(),
    }
    rows = [
        {name: value for name, value in zip(columns, row, strict=True) if not math.isnan(value)}
        for row in zip(*columns.values(), strict=True)
    ]
    kinds, origins = scene.sources.kind.tolist(), origin_times(heard).tolist()
    for row, kind, origin, snr_db in zip(rows, kinds, origins, heard.snr_db.tolist(), strict=True):
        row["source_type"] = EVENT_TYPES[kind]
        row["trace_p_snr_db"], row["trace_s_snr_db"] = snr_db
        if "source_magnitude" in row:
            row |= {"source_magnitude_type": "Mw", "source_origin_time": str(UTCDateTime(origin))}
    return rows


def _source_columns(heard: Heard) -> dict[str, Tensor]:
    sources, arrivals = heard.views.scene.sources, heard.arrivals[0]
    strike, dip, rake = sources.mechanism_deg.unbind(dim=1)
    columns = {
        "source_magnitude": sources.magnitude,
        "source_latitude_deg": sources.latitude_deg,
        "source_longitude_deg": sources.longitude_deg,
        "source_depth_km": sources.depth_km,
        "source_stress_drop_pa": sources.stress_drop_pa,
        "source_strike_deg": strike,
        "source_dip_deg": dip,
        "source_rake_deg": rake,
        "path_ep_distance_km": heard.views.scene.geometry.distance_km,
        "path_back_azimuth_deg": back_azimuth_deg(heard),
    }
    for phase in ("P", "S"):
        column = BRANCHES.index(phase)
        columns[f"path_{phase.lower()}_takeoff_deg"] = arrivals.takeoff_deg[:, column]
        columns[f"path_{phase.lower()}_incidence_deg"] = arrivals.incidence_deg[:, column]
    return columns


def instrument_metadata(heard: Heard, row: int, components: tuple[str, ...]) -> dict[str, Any]:
    """The sensor, and for counts the sensitivity of each component and the response without it."""
    instrument, recorded = heard.views.scene.instrument, heard.recorded
    sensor = SENSORS[int(instrument.sensor[row])]
    about: dict[str, Any] = {"station_instrument": INSTRUMENT_WORDS[sensor]}
    if not bool(recorded.in_counts[row]):
        return about
    gain = float(recorded.gain_counts_s_m[row])
    return about | {
        "trace_response_state": "raw",
        "trace_sensitivity": [gain] * len(components),
        "trace_sensitivity_unit": instrument.unit[row],
        "trace_response": response_of(
            sensor, float(instrument.corner_hz[row]), float(instrument.damping[row])
        ),
    }


def response_of(sensor: str, corner_hz: float, damping: float) -> dict[str, Any]:
    """Poles and zeros (rad/s, as pairs) of a sensor, its sensitivity apart."""
    if sensor == "accelerometer":
        return {"input_unit": "m/s**2", "normalization_factor": 1.0, "zeros": [], "poles": []}
    omega = 2.0 * math.pi * corner_hz
    real, imaginary = -damping * omega, omega * math.sqrt(1.0 - damping**2)
    return {
        "input_unit": "m/s",
        "normalization_factor": 1.0,
        "zeros": [[0.0, 0.0], [0.0, 0.0]],
        "poles": [[real, imaginary], [real, -imaginary]],
    }
