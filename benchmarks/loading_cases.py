"""What `loading.py` measures: each case goes through windows of the same records once, and counts them.

Both loaders do the same work on a window of 30 s: a random place in a random record, mean removed, the three
components divided by their joint standard deviation, Gaussian probabilities of P and S (σ 0.1 s), and the
interval from P to S + 1.4 (S − P). `differences` compares their results on the same windows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from seisfm.data.batch import WaveformBatch
from seisfm.data.corpus.corpus import Corpus
from seisfm.data.loading.loader import WindowLoader
from seisfm.data.loading.window_source import WindowSource
from seisfm.data.loading.windows import WindowConfig
from seisfm.foundation.contract import InputContract
from seisfm.heads.targets import detection_targets, phase_targets
from torch.utils.data import DataLoader, RandomSampler

RATE_HZ, WINDOW_S, SIGMA_S = 100.0, 30.0, 0.1
WINDOW_SAMPLES = round(RATE_HZ * WINDOW_S)
WINDOWS = WindowConfig(window_s=WINDOW_S, sampling_rate_hz=RATE_HZ, arrival_fraction=0.0)
# The high-pass of our own models is switched off: SeisBench's pipeline has none.
CONTRACT = InputContract(components=("Z", "N", "E"), highpass_hz=None)
TIME_S = torch.arange(WINDOW_SAMPLES) / RATE_HZ
PHASES = {"trace_P_arrival_sample": "P", "trace_S_arrival_sample": "S"}


Epoch = Callable[[int], Iterator[int]]
"""Goes through so many windows, and tells the number in each batch."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One way to go through windows.

    title: for tables. open: makes the data in a folder ready, which is not measured. peer: is SeisBench's.
    """

    title: str
    open: Callable[[Path], Epoch]
    peer: bool = False


def ready(batch: WaveformBatch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What a network and its losses are given: waveforms, probabilities of P and S, and detections."""
    waveform = CONTRACT.prepare(batch).waveform
    time_s = TIME_S.expand(len(batch), -1)
    return waveform, phase_targets(batch, time_s, SIGMA_S).target, detection_targets(batch, time_s)[0]


def ours(data: Path, *, corpus: str, batch_size: int, prefetch: int) -> Epoch:
    """Batches of our loader."""
    loader = WindowLoader(Corpus(data / corpus), WINDOWS, None, batch_size, seed=0, prefetch=prefetch)

    def epoch(num_windows: int) -> Iterator[int]:
        for batch in islice(loader.batches(), num_windows // batch_size):
            yield len(ready(batch)[0])

    return epoch


def raw_windows(data: Path, *, corpus: str, batch_size: int = 64) -> Epoch:
    """Windows at random places, copied to a batch, and nothing else."""
    store = Corpus(data / corpus)
    batch = np.empty((batch_size, 3, WINDOW_SAMPLES), dtype=np.float32)
    rng = np.random.default_rng(0)

    def epoch(num_windows: int) -> Iterator[int]:
        for _ in range(num_windows // batch_size):
            positions = rng.integers(len(store), size=batch_size)
            starts = rng.integers(store.places.num_samples[positions] - WINDOW_SAMPLES + 1)
            for i, (position, start) in enumerate(zip(positions.tolist(), starts.tolist(), strict=True)):
                batch[i] = store.waveform(position, start, start + WINDOW_SAMPLES)
            yield batch_size

    return epoch


def seisbench_generator(data: Path, cache: str | None, start: int | None = None) -> Any:
    """SeisBench's pipeline of the same work, at random places, or all at one."""
    import seisbench  # noqa: PLC0415  # optional: our own cases run without it
    import seisbench.data  # noqa: PLC0415
    import seisbench.generate as generate  # noqa: PLC0415, PLR0402

    seisbench.logger.setLevel("ERROR")
    dataset = seisbench.data.WaveformDataset(
        data / "seisbench", component_order="ZNE", cache=cache, metadata_cache=cache is not None
    )
    if cache is not None:
        dataset.preload_waveforms()
    random = generate.RandomWindow(windowlen=WINDOW_SAMPLES)
    generator = generate.GenericGenerator(dataset)
    generator.add_augmentations(
        [
            random if start is None else generate.FixedWindow(p0=start, windowlen=WINDOW_SAMPLES),
            generate.Normalize(demean_axis=-1),
            generate.Normalize(amp_norm_axis=(-2, -1), amp_norm_type="std"),
            generate.ChangeDtype(np.float32),
            generate.ProbabilisticLabeller(
                label_columns=PHASES, noise_column=False, sigma=SIGMA_S * RATE_HZ, dim=0
            ),
            generate.DetectionLabeller(*PHASES, key=("X", "detections")),
        ]
    )
    return generator


def seisbench(data: Path, *, cache: str | None, batch_size: int, workers: int) -> Epoch:
    """Batches of torch's DataLoader on SeisBench's generator."""
    generator = seisbench_generator(data, cache)

    def epoch(num_windows: int) -> Iterator[int]:
        sampler = RandomSampler(generator, num_samples=num_windows)
        for batch in DataLoader(generator, batch_size=batch_size, sampler=sampler, num_workers=workers):
            yield len(batch["X"])

    return epoch


def differences(data: Path, num_records: int = 64, start: int = 1234) -> dict[str, float]:
    """The largest difference between both loaders on the same windows; detections differ by their share."""
    source = WindowSource(Corpus(data / "float32"))
    positions = np.arange(num_records)
    waveform, phases, shaken = ready(source.cut_at(positions, np.full(num_records, start), WINDOWS))
    generator = seisbench_generator(data, None, start)
    theirs = [generator[i] for i in range(num_records)]
    return {
        "waveform": float(np.abs(np.stack([one["X"] for one in theirs]) - waveform.numpy()).max()),
        "phases": float(np.abs(np.stack([one["y"] for one in theirs]) - phases.numpy()).max()),
        "detections": float(
            np.abs(np.stack([one["detections"][0] for one in theirs]) - shaken.numpy()).mean()
        ),
    }


def _case(title: str, make: Callable[..., Epoch], *, peer: bool = False, **settings: Any) -> Case:
    return Case(title=title, open=partial(make, **settings), peer=peer)


CASES = {
    "seisbench": _case("SeisBench, its defaults", seisbench, peer=True, cache=None, batch_size=64, workers=0),
    "seisbench_workers": _case(
        "SeisBench, 2 workers", seisbench, peer=True, cache=None, batch_size=64, workers=2
    ),
    "seisbench_cached": _case(
        "SeisBench, all in memory", seisbench, peer=True, cache="full", batch_size=64, workers=0
    ),
    "seisbench_cached_workers": _case(
        "SeisBench, all in memory, 2 workers", seisbench, peer=True, cache="full", batch_size=64, workers=2
    ),
    "ours": _case("seisfm", ours, corpus="float32", batch_size=64, prefetch=0),
    "ours_large": _case("seisfm, 256 a batch", ours, corpus="float32", batch_size=256, prefetch=0),
    "ours_prefetch": _case("seisfm, made ahead", ours, corpus="float32", batch_size=64, prefetch=2),
    "ours_int32": _case("seisfm, integers", ours, corpus="int32", batch_size=64, prefetch=0),
    "ours_zstd": _case("seisfm, compressed", ours, corpus="int32_delta_zstd", batch_size=64, prefetch=0),
    "raw_float32": _case("windows, float32", raw_windows, corpus="float32"),
    "raw_int32": _case("windows, int32", raw_windows, corpus="int32"),
    "raw_zstd": _case("windows, compressed", raw_windows, corpus="int32_delta_zstd"),
}
