"""Records for the tests of audits: one with a clean P and S in noise, to be spoiled in one way at a time."""

from collections.abc import Callable

import numpy as np
import pytest
from seisfm.data.records import Arrival, Record

RATE_HZ, DURATION_S, P_S, S_S = 100.0, 60.0, 20.0, 26.0


def clean_record(name="good", seed=0, distance_km=48.0, unit="m/s", **changes) -> Record:
    """M 3 at 48 km: noise, an impulsive P upwards on the vertical, a larger S on the horizontals."""
    generator = np.random.default_rng(seed)
    time_s = np.arange(round(DURATION_S * RATE_HZ)) / RATE_HZ
    waveform = generator.normal(size=(3, len(time_s)))
    for onset_s, sizes in ((P_S, (60.0, 15.0, 15.0)), (S_S, (40.0, 150.0, 150.0))):
        after_s = np.maximum(time_s - onset_s, 0.0)
        wave = np.sin(2 * np.pi * 4.0 * after_s) * np.exp(-after_s / 4.0)
        waveform += np.outer(sizes, wave) * (1.0 + 0.2 * generator.normal(size=len(time_s)))
    fields = {
        "record_id": name,
        "waveform": (waveform * 3e-7).astype(np.float32),
        "component_names": ("Z", "N", "E"),
        "sampling_rate_hz": RATE_HZ,
        "start_time": 1.6e9 - P_S + 8.0,
        "station_id": "XX.STA.00",
        "event_id": "event",
        "unit": unit,
        "arrivals": (
            Arrival(phase="P", time_s=P_S, polarity="positive"),
            Arrival(phase="S", time_s=S_S),
        ),
        "labelled_phases": frozenset("PS"),
        "metadata": {
            "source_magnitude": 3.0,
            "source_depth_km": 8.0,
            "source_origin_time": "2020-09-13T12:26:40Z",
            "source_latitude_deg": 10.0,
            "source_longitude_deg": 20.0,
            "station_latitude_deg": 10.0 + distance_km / 111.195,
            "station_longitude_deg": 20.0,
            "path_ep_distance_km": distance_km,
            "path_back_azimuth_deg": 180.0,
            "trace_channel": "HH",
        },
    }
    return Record(**(fields | changes))


@pytest.fixture
def new_record() -> Callable[..., Record]:
    return clean_record
