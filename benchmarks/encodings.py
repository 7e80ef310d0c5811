"""What the encodings of a corpus cost: bytes on the disk, and CPU time to read windows at random.

python benchmarks/encodings.py                                  synthetic records
python benchmarks/encodings.py --kind seisbench --path SET      somebody's own
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from seisfm.data.corpus.convert import write_corpus
from seisfm.data.corpus.corpus import Corpus
from seisfm.data.corpus.shards import CorpusConfig
from seisfm.data.records import Record, Skipped
from seisfm.data.sources import SourceConfig, load_records

CHOICES = ("float32", "float32_zstd", "auto", "auto_zstd")


def sizes(records: Sequence[Record], folder: Path) -> dict[str, Corpus]:
    """A corpus of each encoding."""
    return {
        choice: write_corpus(records, folder / choice, CorpusConfig(encoding=choice)) for choice in CHOICES
    }


def windows_per_cpu_second(corpus: Corpus, window_s: float, num_windows: int, seed: int) -> float:
    """Random windows of random records, copied into a batch of 64 that is there already."""
    generator = np.random.default_rng(seed)
    first = corpus[0]
    length = min(round(window_s * first.sampling_rate_hz), int(corpus.places.num_samples.min()))
    batch = np.empty((64, len(first.component_names), length), np.float32)
    usable = np.flatnonzero(corpus.places.num_components == batch.shape[1])
    positions = generator.choice(usable, num_windows)
    starts = (generator.random(num_windows) * (corpus.places.num_samples[positions] - length + 1)).astype(int)
    began = time.process_time()
    for turn, (position, start) in enumerate(zip(positions.tolist(), starts.tolist(), strict=True)):
        batch[turn % 64] = corpus.waveform(position, start, start + length)
    return num_windows / (time.process_time() - began)


def random_walks(number: int, seed: int) -> list[Record]:
    """A random walk in whole counts, 60 s of three components at 100 Hz: reading does not look inside."""
    generator = np.random.default_rng(seed)
    long = np.round(generator.normal(size=(3, 600_000)).cumsum(axis=1) * 10).astype(np.float32) + 0.0
    begins = generator.integers(0, long.shape[1] - 6000, number)
    return [
        Record(
            record_id=f"walk {i}",
            waveform=long[:, begin : begin + 6000],
            component_names=("Z", "N", "E"),
            sampling_rate_hz=100.0,
            unit="counts",
        )
        for i, begin in enumerate(begins.tolist())
    ]


def load(arguments: argparse.Namespace) -> tuple[Sequence[Record], list[Skipped]]:
    """The records that the command line names."""
    if arguments.kind is None:
        return random_walks(arguments.records, arguments.seed), []
    return load_records(SourceConfig(kind=arguments.kind, path=arguments.path))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind")
    parser.add_argument("--path")
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--windows", type=int, default=20_000)
    parser.add_argument("--window-s", type=float, default=30.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    records, skipped = load(arguments)
    print(f"{len(records)} records, {len(skipped)} skipped")
    with tempfile.TemporaryDirectory() as folder:
        for choice, corpus in sizes(records, Path(folder)).items():
            stored = int(corpus.places.num_bytes.sum())
            raw = int(4 * (corpus.places.num_samples * corpus.places.num_components).sum())
            # Decoding costs tens of times as much as looking.
            number = arguments.windows if "zstd" not in choice else arguments.windows // 10
            rates = sorted(
                round(windows_per_cpu_second(corpus, arguments.window_s, number, arguments.seed + turn))
                for turn in range(arguments.repeats)
            )
            result = {"encodings": corpus.summary["encodings"], "bytes_of_float32": round(stored / raw, 3)}
            print(choice, json.dumps(result | {"windows_per_cpu_second": rates}))


if __name__ == "__main__":
    main()
