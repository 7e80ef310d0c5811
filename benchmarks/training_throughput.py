"""How fast each size of the encoder learns as a masked autoencoder, and how much of the machine that takes.

    python benchmarks/training_throughput.py --sizes tiny --steps 4 --batch 8            # anywhere, a dry run
    python benchmarks/training_throughput.py --sizes tiny small base large --precision bf16 --compile
    accelerate launch --config_file configs/accelerate/single_node.yaml benchmarks/training_throughput.py …

The training loop itself runs, on windows of a synthetic Earth that are made while it runs (`data_wait` is the
share of the time that it stood still for them; with `--one-batch` there is nothing to wait for). The figures
are its log's, averaged over all intervals but the first, in which operations are counted and layers compiled.
`mfu` is the share of what a matrix product reached on this device at the start, `mfu_datasheet` of what its
maker states.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from seisfm.data.batch import WaveformBatch
from seisfm.data.loading.augmentation import AugmentationConfig
from seisfm.data.loading.loader import WindowLoader
from seisfm.data.loading.windows import WindowConfig
from seisfm.data.synthesis import SynthesisConfig, SyntheticRecords
from seisfm.foundation.backbones.seismic import SIZES, SeismicConfig, SeismicModel
from seisfm.foundation.contract import InputContract
from seisfm.foundation.processes import this_process
from seisfm.foundation.training import TrainingConfig, train
from seisfm.pretrain.objectives.mae import MaskedAutoencoder, MaskedAutoencoderConfig
from seisfm.pretrain.pretraining import Pretraining

FIGURES = ("windows_per_s", "tflops", "mfu", "mfu_datasheet", "peak_tflops", "memory_gib", "data_wait")


class OneBatch:
    """The first batch of a loader, again and again."""

    def __init__(self, loader: WindowLoader):
        self.batch = loader.batch(0)

    def batches(self, start: int) -> Iterator[WaveformBatch]:
        yield from itertools.repeat(self.batch)


def measure(size: str, options: argparse.Namespace) -> dict[str, float]:
    process = this_process()
    synthesis = SynthesisConfig.open("crustal", ["stations_per_event=[1, 1]"])
    loader = WindowLoader(
        SyntheticRecords(synthesis, 0, num_events=1_000_000, device=process.device),
        WindowConfig(window_s=options.window_s),
        AugmentationConfig(),
        options.batch,
        seed=0,
        rank=process.process_index,
        world_size=process.num_processes,
        device=process.device,
    )
    torch.manual_seed(0)
    model = SeismicModel(SeismicConfig.of_size(size, InputContract()))
    mae = MaskedAutoencoder(model, MaskedAutoencoderConfig())
    config = TrainingConfig(
        max_steps=options.steps,
        batch_size=options.batch,
        mixed_precision=options.precision,
        checkpoint_every=options.steps,
        log_every=max(1, options.steps // 4),
        compile=options.compile,
        gradient_checkpointing=options.recompute,
    )
    with tempfile.TemporaryDirectory() as folder:
        source = OneBatch(loader) if options.one_batch else loader
        train(Pretraining(model, {"mae": mae}, {}), source, config, folder)
        return averages(Path(folder) / "log.jsonl") if process.is_main_process else {}


def averages(log: Path) -> dict[str, float]:
    lines = [json.loads(line) for line in log.read_text().splitlines()][1:]
    return {
        name: float(f"{sum(line[name] for line in lines) / len(lines):.4g}")
        for name in FIGURES
        if name in lines[0]
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", nargs="+", choices=sorted(SIZES), default=["tiny"])
    parser.add_argument("--steps", type=int, default=40, help="updates of each size, 2 or more")
    parser.add_argument("--batch", type=int, default=32, help="windows of a process")
    parser.add_argument("--window-s", type=float, default=60.0)
    parser.add_argument("--precision", choices=("no", "bf16"), default="no")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--recompute", action="store_true", help="gradient checkpointing")
    parser.add_argument("--one-batch", action="store_true", help="the same windows at every step")
    options = parser.parse_args()
    if options.steps < 2:
        parser.error("--steps must be 2 or more: the first interval is left out")
    for size in options.sizes:
        figures = measure(size, options)
        if this_process().is_main_process:
            print(json.dumps({"size": size, **figures}), flush=True)


if __name__ == "__main__":
    main()
