"""How fast windows are cut and augmented: windows per CPU-second, one thread, records in memory.

Run `python benchmarks/windowing.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from seisfm.data.loading.augmentation import AugmentationConfig
from seisfm.data.loading.loader import WindowLoader
from seisfm.data.loading.windows import WindowConfig
from seisfm.data.records import Arrival, Record

BATCH_SIZE = 64
NUM_BATCHES = 40


def make_records(
    count: int, duration_s: float, rate_hz: float = 100.0, labelled: bool = True
) -> list[Record]:
    """Records of noise with three components; their content does not matter for speed, their layout does."""
    rng = np.random.default_rng(0)
    arrivals = (Arrival(phase="P", time_s=30.0), Arrival(phase="S", time_s=36.0)) if labelled else ()
    return [
        Record(
            record_id=str(i),
            waveform=rng.standard_normal((3, round(duration_s * rate_hz)), dtype=np.float32),
            component_names=("E", "N", "Z"),
            sampling_rate_hz=rate_hz,
            arrivals=arrivals,
            labelled_phases=frozenset({"P", "S"}),
        )
        for i in range(count)
    ]


def windows_per_cpu_s(make: Callable[[int], object]) -> float:
    """Windows per CPU-second of `make(position)`, the best of three rounds after one batch to warm up."""
    make(0)
    best_s = float("inf")
    for _ in range(3):
        started = time.process_time()
        for position in range(NUM_BATCHES):
            make(position)
        best_s = min(best_s, time.process_time() - started)
    return NUM_BATCHES * BATCH_SIZE / best_s


def main() -> None:
    torch.set_num_threads(1)
    records = make_records(512, 90.0)
    noise_records = make_records(64, 90.0, labelled=False)
    slow_records = make_records(512, 90.0, rate_hz=50.0)
    windows = WindowConfig()
    plain = WindowLoader(records, windows, None, BATCH_SIZE, 0)
    plain_slow = WindowLoader(slow_records, windows, None, BATCH_SIZE, 0)
    augmented = WindowLoader(records, windows, AugmentationConfig(), BATCH_SIZE, 0)
    with_noise = WindowLoader(
        records, windows, AugmentationConfig(), BATCH_SIZE, 0, noise_records=noise_records
    )
    cases: dict[str, Callable[[int], object]] = {
        "loader, no augmentation": plain.batch,
        "loader, no augmentation, 50 Hz": plain_slow.batch,
        "loader, default augmentation": augmented.batch,
        "loader, with recorded noise": with_noise.batch,
    }
    for name, make in cases.items():
        print(f"{name:32s} {windows_per_cpu_s(make):8.0f} windows per CPU-second")


if __name__ == "__main__":
    main()
