"""Loading training windows: SeisBench's generator and our loader side by side, in windows per CPU-second.

Run `python benchmarks/loading.py --out FOLDER`. First 10,000 labelled records of 60 s, three components and
100 Hz are made (0.7 GB for each of four copies, two minutes) in a temporary folder, or in `--data`, which
stays and is used again. Every measurement is a process of its own, in turn, so that a drift of the machine
meets all cases; its CPU time is that of the process with all its threads and workers. Without seisbench
(optional: `pip install seisfm[seisbench]`) our cases alone are measured.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from loading_cases import CASES, differences
from seisfm.data.corpus.convert import write_corpus
from seisfm.data.corpus.shards import CorpusConfig
from seisfm.data.formats.seisbench_format import write_seisbench
from seisfm.data.records import Record
from seisfm.data.synthesis import SynthesisConfig, synthesize_records
from seisfm.data.synthesis.faults import FaultConfig
from seisfm.data.synthesis.recorder import RecorderConfig

CORPORA = ("float32", "int32", "int32_delta_zstd")
BASELINES = ("seisbench", "seisbench_cached")
WARM_UP_WINDOWS = 512
_NO_FAULTS = FaultConfig(dead_share=0.0, gap_share=0.0)
_SYNTHESIS = SynthesisConfig(
    duration_s=(90.0, 90.0),
    second_event_share=0.0,
    recorder=RecorderConfig(vertical_share=0.0, velocity_share=0.0, faults=_NO_FAULTS),
)


def make_records(count: int, duration_s: float = 60.0) -> Iterator[Record]:
    """Labelled counts: pieces of synthesized records at a place and a gain of their own.

    What counts for speed is their size and that they have labels; a few hundred seismograms are varied.
    """
    rng = np.random.default_rng(0)
    num_events = max(1, min(200, count // 10))
    originals = list(synthesize_records(_SYNTHESIS, seed=0, num_events=num_events))
    for number in range(count):
        original = originals[number % len(originals)]
        num_samples = round(duration_s * original.sampling_rate_hz)
        start = int(rng.integers(original.waveform.shape[1] - num_samples))
        piece = original.waveform[:, start : start + num_samples] * rng.uniform(0.5, 4.0)
        start_s = start / original.sampling_rate_hz
        arrivals = [
            replace(arrival, time_s=arrival.time_s - start_s)
            for arrival in original.arrivals
            if arrival.phase in ("P", "S") and 0 <= arrival.time_s - start_s < duration_s
        ]
        yield replace(
            original,
            record_id=f"{number}",
            event_id=f"{number}",
            waveform=_whole(piece),
            arrivals=tuple(arrivals),
        )


def _whole(samples: np.ndarray) -> np.ndarray:
    """Counts, without a negative zero, which no integer is."""
    return np.clip(np.round(samples), -(2.0**23), 2.0**23).astype(np.float32) + np.float32(0)


def make_data(data: Path, count: int) -> None:
    """The same records as a SeisBench set and as corpora; what is there already is kept."""
    if not (data / "seisbench").is_dir():
        write_seisbench(make_records(count), data / "seisbench")
    for encoding in CORPORA:
        if not (data / encoding / "corpus.json").is_file():
            write_corpus(make_records(count), data / encoding, CorpusConfig(encoding=encoding))


def measure(name: str, data: Path, num_windows: int) -> dict[str, Any]:
    """Windows per CPU-second and per second of a case, and memory at start, middle and end."""
    epoch = CASES[name].open(data)
    for _ in epoch(WARM_UP_WINDOWS):
        pass
    memory = [memory_mb()]
    cpu_s, wall_s, counted = cpu_seconds(), time.perf_counter(), 0
    for count in epoch(num_windows):
        counted += count
        if len(memory) == 1 and counted >= num_windows / 2:
            memory.append(memory_mb())
    cpu_s, wall_s = cpu_seconds() - cpu_s, time.perf_counter() - wall_s
    memory.append(memory_mb())
    rates = {"per_cpu_s": counted / cpu_s, "per_s": counted / wall_s}
    return {"case": name, "num_windows": counted, "memory_mb": memory, **rates}


def cpu_seconds() -> float:
    """CPU time of this process, its threads and its finished workers."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def memory_mb() -> dict[str, float]:
    """Memory of this process: its own, and mapped files, which the system may drop."""
    text = Path("/proc/self/smaps_rollup").read_text()
    kb = {line.split(":")[0]: float(line.split()[1]) for line in text.splitlines()[1:]}
    return {"own": kb["Anonymous"] / 1024, "mapped_files": (kb["Rss"] - kb["Anonymous"]) / 1024}


def measured_apart(name: str, data: Path, num_windows: int, threads: int | None) -> dict[str, Any]:
    """`measure` in a process of its own, with so many threads or as many as torch takes by default."""
    command = [sys.executable, __file__, "--data", str(data), "--case", name, "--windows", str(num_windows)]
    limits = {} if threads is None else {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    done = subprocess.run(command, env=os.environ | limits, stdout=subprocess.PIPE, check=True, text=True)
    return {"threads": threads} | json.loads(done.stdout.splitlines()[-1])


def run(data: Path, args: argparse.Namespace) -> list[dict[str, Any]]:
    """All cases in turn, as often as asked, on one thread and on torch's default."""
    has_peer = importlib.util.find_spec("seisbench") is not None
    names = [name for name in args.cases or CASES if has_peer or not CASES[name].peer]
    if not has_peer:
        print("seisbench is not installed (pip install seisfm[seisbench]): only our own cases are measured")
    runs = []
    for threads in args.threads:
        for repetition in range(args.repetitions):
            for name in names:
                num_windows = args.peer_windows if CASES[name].peer else args.windows
                found = measured_apart(name, data, num_windows, threads or None)
                runs.append(found | {"repetition": repetition})
                print(f"{threads or 'default'} threads  {name:26s} {found['per_cpu_s']:9.0f} per CPU-second")
    return runs


def summarize(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each case's rates and its ratios to SeisBench in the same repetition, as minimum, median, maximum."""
    by_key = {(run["threads"], run["repetition"], run["case"]): run for run in runs}
    rows = []
    for threads, name in dict.fromkeys((run["threads"], run["case"]) for run in runs):
        mine = [run for run in runs if (run["threads"], run["case"]) == (threads, name)]
        row = {"threads": threads, "case": name, "title": CASES[name].title}
        row |= {rate: spread([run[rate] for run in mine]) for rate in ("per_cpu_s", "per_s")}
        for base in BASELINES:
            pairs = [(run, by_key.get((threads, run["repetition"], base))) for run in mine]
            ratios = [run["per_cpu_s"] / other["per_cpu_s"] for run, other in pairs if other is not None]
            if ratios and not name.startswith("raw"):
                row[f"times_{base}"] = spread(ratios)
        rows.append(row | {"memory_mb": mine[-1]["memory_mb"]})
    return rows


def spread(values: list[float]) -> list[float]:
    """Minimum, median, maximum."""
    return [min(values), median(values), max(values)]


def table(rows: list[dict[str, Any]]) -> str:
    """The summary for people, in Markdown."""
    lines = [
        "| threads | case | windows per CPU-second | per second | × SeisBench | × SeisBench in memory "
        "| own memory, MB | mapped files, MB |",
        "|" + "---|" * 8,
    ]
    for row in rows:
        ratios = [_text(row.get(f"times_{base}"), 1) for base in BASELINES]
        memory = [" ".join(f"{at[kind]:.0f}" for at in row["memory_mb"]) for kind in ("own", "mapped_files")]
        rates = [_text(row[rate], 0) for rate in ("per_cpu_s", "per_s")]
        cells = [str(row["threads"] or "default"), row["title"], *rates, *ratios, *memory]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _text(values: list[float] | None, digits: int) -> str:
    return (
        "" if values is None else f"{values[1]:,.{digits}f} ({values[0]:,.{digits}f}–{values[2]:,.{digits}f})"
    )


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Bars of windows per CPU-second, on a logarithmic axis, with minimum and maximum."""
    import matplotlib as mpl  # noqa: PLC0415

    mpl.use("Agg")
    import matplotlib.pyplot as plt  # noqa: PLC0415

    threads = rows[0]["threads"]
    shown = [row for row in rows if row["threads"] == threads][::-1]
    rates = np.array([row["per_cpu_s"] for row in shown])
    colors = ["tab:gray" if CASES[row["case"]].peer else "tab:blue" for row in shown]
    figure, axes = plt.subplots(figsize=(8, 0.4 * len(shown) + 1.2), layout="constrained")
    errors = [rates[:, 1] - rates[:, 0], rates[:, 2] - rates[:, 1]]
    axes.barh([row["title"] for row in shown], rates[:, 1], xerr=errors, color=colors)
    axes.bar_label(axes.containers[-1], labels=[f" {rate:,.0f}" for rate in rates[:, 1]], padding=8)
    axes.set(xscale="log", xlabel="windows (30 s, 3 components, 100 Hz) per CPU-second", xlim=(100, 1e6))
    figure.savefig(path, dpi=120)
    plt.close(figure)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, help="folder for the records, kept and used again")
    parser.add_argument("--out", type=Path, help="folder for loading.json and loading.png")
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--windows", type=int, default=40_000, help="windows of each of our measurements")
    parser.add_argument("--peer-windows", type=int, default=2_560, help="and of each of SeisBench's")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 0], help="0 is torch's default")
    parser.add_argument("--cases", nargs="+", choices=list(CASES))
    parser.add_argument("--case", choices=list(CASES), help="measure one, here, and print JSON")
    return parser.parse_args()


@contextmanager
def data_folder(given: Path | None) -> Iterator[Path]:
    """The folder that was asked for, or one that is removed afterwards; SeisBench's cache lies in it."""
    with tempfile.TemporaryDirectory() as temporary:
        data = given or Path(temporary)
        os.environ.setdefault("SEISBENCH_CACHE_ROOT", str(data / "seisbench_cache"))
        yield data


def main() -> None:
    args = arguments()
    if args.case:
        print(json.dumps(measure(args.case, args.data, args.windows)))
        return
    with data_folder(args.data) as data:
        make_data(data, args.records)
        runs = run(data, args)
        has_peer = any(CASES[one["case"]].peer for one in runs)
        same = differences(data) if has_peer else None
    rows = summarize(runs)
    print(table(rows))
    print(f"largest differences between both loaders on the same windows: {same}")
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        about = {"python": platform.python_version(), "machine": platform.machine(), "cpus": os.cpu_count()}
        settings = {key: value for key, value in vars(args).items() if key not in ("data", "out", "case")}
        result = {"about": about, "settings": settings, "differences": same, "summary": rows, "runs": runs}
        (args.out / "loading.json").write_text(json.dumps(result, indent=1))
        draw(rows, args.out / "loading.png")


if __name__ == "__main__":
    main()
