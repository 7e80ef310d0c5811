"""How many training windows of 30 s and three components are made comparable in a CPU-second.

Run `OMP_NUM_THREADS=1 python benchmarks/harmonizing.py`. Random counts in batches of 256, one window in
sixteen with a gap, forty stations that differ in response and orientation. The median of `REPEATS`
measurements of about a CPU-second each, on one thread.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from seisfm.data.batch import WaveformBatch
from seisfm.data.instruments.harmonization import HarmonizationConfig, Harmonizer
from seisfm.data.instruments.resampling import native_span, resample_with_gaps

NUM_WINDOWS, NUM_SAMPLES, RATE_HZ = 256, 3000, 100.0
NUM_STATIONS, REPEATS = 40, 5
RATES_HZ = (20.0, 40.0, 50.0, 62.5, 99.96, 200.0, 250.0, 500.0)
CASES: dict[str, dict[str, Any]] = {
    "filled gaps found": {"constant_gap_s": 1.0},
    "sensitivity": {"unit": "m/s", "response": "sensitivity"},
    "sensitivity, turned": {"unit": "m/s", "response": "sensitivity", "orient": True},
    "full response": {"unit": "m/s", "response": "full"},
    "full response, turned": {"unit": "m/s", "response": "full", "orient": True},
}


def windows_per_cpu_second(work: Callable[[], object]) -> float:
    work()
    speeds = []
    for _ in range(REPEATS):
        done, start = 0, time.process_time()
        while time.process_time() - start < 1.0:
            work()
            done += NUM_WINDOWS
        speeds.append(done / (time.process_time() - start))
    return median(speeds)


def counts(num_samples: int) -> torch.Tensor:
    waveform = 1e3 * torch.randn(NUM_WINDOWS, 3, num_samples, generator=torch.Generator().manual_seed(0))
    waveform[::16, 1, num_samples // 4 : num_samples // 3] = torch.nan
    return waveform


def about(station: int) -> dict[str, Any]:
    corner = 2 * math.pi * (0.5 + station / NUM_STATIONS)
    return {
        "component_names": ("Z", "1", "2"),
        "trace_sensitivity": [1e9, 1e9, 1e9],
        "trace_sensitivity_unit": "m/s",
        "trace_component_azimuth_deg": [0.0, float(station), 90.0 + station],
        "trace_component_dip_deg": [-90.0, 0.0, 0.0],
        "trace_response": {
            "input_unit": "m/s",
            "zeros": [[0.0, 0.0], [0.0, 0.0]],
            "poles": [[-0.7 * corner, 0.7 * corner], [-0.7 * corner, -0.7 * corner]],
            "normalization_factor": 1.0,
        },
    }


def main() -> None:
    torch.set_num_threads(1)
    for rate_hz in RATES_HZ:
        lead, num_native = native_span(NUM_SAMPLES, rate_hz, RATE_HZ)
        native = counts(num_native)
        speed = windows_per_cpu_second(
            lambda native=native, rate_hz=rate_hz, lead=lead: resample_with_gaps(
                native, rate_hz, RATE_HZ, lead, NUM_SAMPLES
            )
        )
        print(f"{rate_hz:g} -> {RATE_HZ:g} Hz: {speed:,.0f} windows per CPU-second")
    batch = WaveformBatch(
        waveform=counts(NUM_SAMPLES),
        sampling_rate_hz=torch.full((NUM_WINDOWS,), RATE_HZ),
        component_names=("Z", "N", "E"),
        unit=("counts",) * NUM_WINDOWS,
    )
    stations = [about(window % NUM_STATIONS) for window in range(NUM_WINDOWS)]
    for name, settings in CASES.items():
        harmonizer = Harmonizer(HarmonizationConfig(**settings))
        speed = windows_per_cpu_second(lambda harmonizer=harmonizer: harmonizer(batch, stations))
        print(f"{name}: {speed:,.0f} windows per CPU-second")


if __name__ == "__main__":
    main()
