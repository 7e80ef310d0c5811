"""How many three-component windows of 60 s at 100 Hz the synthetic Earth makes in a second.

    python benchmarks/synthesis.py --processes 2
    python benchmarks/synthesis.py --device cuda --batch 2048

Each process has one thread: two of them are what two cores give. Windows are whole training windows: drawn,
shaken, with noise, disturbances, faults and labels. On a GPU the clock waits for it.
"""

from __future__ import annotations

import argparse
import json
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import torch
from seisfm.data.loading.window_random import WindowRandom, window_keys
from seisfm.data.loading.windows import WindowConfig
from seisfm.data.synthesis import SynthesisConfig, SyntheticRecords

WARM_UP_BATCHES = 2


def measure(process: int, options: argparse.Namespace) -> dict[str, float]:
    """Windows made by one process, and the seconds that it took of the clock and of the processor."""
    if options.device == "cpu":
        torch.set_num_threads(1)
    config = SynthesisConfig.open(options.region, ["stations_per_event=[1, 1]"])
    records = SyntheticRecords(config, options.seed, num_events=1_000_000, device=options.device)
    windows = WindowConfig(window_s=options.window_s)

    def make(number: int) -> None:
        numbers = torch.arange(options.batch) + (number + 1000 * process) * options.batch
        random = WindowRandom(window_keys(numbers, "benchmark", options.seed))
        records.make_windows(np.zeros(options.batch, dtype=np.int64), random, windows)

    for number in range(WARM_UP_BATCHES):
        make(number)
    _wait(options.device)
    wall, cpu, made = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - wall < options.seconds:
        make(WARM_UP_BATCHES + made)
        made += 1
        _wait(options.device)
    return {
        "windows": made * options.batch,
        "wall_s": time.perf_counter() - wall,
        "cpu_s": time.process_time() - cpu,
    }


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--batch", type=int, default=64, help="windows at once")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each process measures")
    parser.add_argument("--window-s", type=float, default=60.0)
    parser.add_argument("--region", default="crustal")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with ProcessPoolExecutor(options.processes, mp_context=get_context("spawn")) as pool:
        parts = list(pool.map(measure, range(options.processes), [options] * options.processes))
    result = {
        "windows_per_second": round(sum(part["windows"] / part["wall_s"] for part in parts), 1),
        "cpu_us_per_window": round(1e6 * sum(p["cpu_s"] for p in parts) / sum(p["windows"] for p in parts)),
        "windows": int(sum(part["windows"] for part in parts)),
    }
    print(json.dumps(vars(options) | result))


if __name__ == "__main__":
    main()
