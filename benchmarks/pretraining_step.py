"""A step of masked pretraining on the CPU: ours and transformers' ViTMAE of equal shape, side by side.

Run `python benchmarks/pretraining_step.py --out FOLDER` (two minutes). Both have the depth, width, feed-
forward parameters, decoder, number of tokens and share of hidden ones of our `small` size, weights of
float32, the same AdamW and the same clipping. Ours begins with a batch of counts: its step contains the
input contract (twice: of the whole window and of its visible part), the convolution stem and the spectral
loss. ViTMAE begins with pixels that are ready: 14 by 14 patches of 4 by 4 pixels and 3 channels, as many
numbers a token as our 16 samples of three components. What the stem costs is told by a third case, ours
with ViTMAE's patch embedding (one linear layer) in its place. Every measurement is a process of its own, in
turn, so that a drift of the machine meets all.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from einops import rearrange
from seisfm.data.batch import WaveformBatch
from seisfm.foundation.backbones.seismic import SIZES, SeismicConfig, SeismicModel
from seisfm.foundation.contract import InputContract
from seisfm.foundation.optimizer import make_adamw
from seisfm.foundation.training_step import clip_gradients
from seisfm.pretrain.objectives.mae import MaskedAutoencoder, MaskedAutoencoderConfig
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import ViTMAEConfig, ViTMAEForPreTraining

TOKENS_A_SIDE = 14
NUM_TOKENS = TOKENS_A_SIDE**2
TOKEN_SAMPLES = 16
COMPONENTS = ("Z", "N", "E")
TITLES = {
    "ours": "seisfm",
    "without_stem": "seisfm, linear patches",
    "vit_mae": "transformers' ViTMAE",
}
CASES = tuple(TITLES)
WARM_UP_STEPS = 2

Step = Callable[[], Tensor]


class LinearPatches(nn.Module):
    """ViTMAE's way to tokens, in the place of our stem: a linear layer of a token's own samples."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.embed = nn.Linear(len(COMPONENTS) * TOKEN_SAMPLES, dim)

    def pieces(self, waveform: Tensor, observed: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        pattern = "window component (token sample) -> window token (component sample)"
        return rearrange(waveform, pattern, sample=TOKEN_SAMPLES), ()


def our_step(size: str, num_windows: int, stem: bool = True) -> tuple[nn.Module, Step]:
    """Our objective with its encoder, and what gives the loss of a batch of counts."""
    contract = InputContract(components=COMPONENTS)
    model = SeismicModel(SeismicConfig.of_size(size, contract, token_samples=TOKEN_SAMPLES))
    if not stem:
        model.stem = LinearPatches(model.config.hidden_size)  # type: ignore[assignment]
    objective = MaskedAutoencoder(model, MaskedAutoencoderConfig())
    num_samples = NUM_TOKENS * TOKEN_SAMPLES
    batch = WaveformBatch(
        waveform=1000.0 * torch.randn(num_windows, len(COMPONENTS), num_samples),
        sampling_rate_hz=torch.full((num_windows,), contract.model_rate_hz),
        component_names=COMPONENTS,
        unit=("counts",) * num_windows,
        window_key=torch.arange(num_windows),
    )
    both = nn.ModuleDict({"model": model, "objective": objective})
    return both, lambda: objective(model, batch)[0]


def peer_step(size: str, num_windows: int) -> tuple[nn.Module, Step]:
    """The peer of equal shape, and what gives its loss for a batch of images."""
    encoder, decoder = SIZES[size], MaskedAutoencoderConfig()
    width = encoder["hidden_size"]
    model = ViTMAEForPreTraining(
        ViTMAEConfig(
            hidden_size=width,
            num_hidden_layers=encoder["num_hidden_layers"],
            num_attention_heads=encoder["num_attention_heads"],
            intermediate_size=4 * width,  # two matrices of 4 have the parameters of SwiGLU's three of 8/3
            image_size=4 * TOKENS_A_SIDE,
            patch_size=4,
            num_channels=len(COMPONENTS),
            decoder_hidden_size=decoder.decoder_size,
            decoder_num_hidden_layers=decoder.decoder_layers,
            decoder_num_attention_heads=decoder.decoder_heads,
            decoder_intermediate_size=3 * decoder.decoder_size,
            mask_ratio=decoder.mask.ratio,
            attn_implementation="sdpa",
        )
    )
    images = torch.randn(num_windows, len(COMPONENTS), 4 * TOKENS_A_SIDE, 4 * TOKENS_A_SIDE)
    return model, lambda: model(images).loss


def measure(case: str, args: argparse.Namespace) -> dict[str, Any]:
    """Windows per CPU-second and per second of full training steps, here."""
    torch.manual_seed(0)
    if case == "vit_mae":
        module, loss_of = peer_step(args.size, args.windows)
    else:
        module, loss_of = our_step(args.size, args.windows, stem=case == "ours")
    module.train()
    optimizer = make_adamw(module, learning_rate=1e-4, weight_decay=0.05, betas=(0.9, 0.95))

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=args.bf16):
            loss = loss_of()
        loss.backward()
        clip_gradients(module, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    for _ in range(WARM_UP_STEPS):
        step()
    cpu_s, wall_s = cpu_seconds(), time.perf_counter()
    for _ in range(args.steps):
        step()
    cpu_s, wall_s = cpu_seconds() - cpu_s, time.perf_counter() - wall_s
    counted = args.steps * args.windows
    with FlopCounterMode(display=False) as flops:
        step()
    return {
        "case": case,
        "per_cpu_s": counted / cpu_s,
        "per_s": counted / wall_s,
        "gflop_per_window": flops.get_total_flops() / args.windows / 1e9,
        "parameters": sum(p.numel() for p in module.parameters()),
    }


def cpu_seconds() -> float:
    """CPU time of this process with its threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measured_apart(case: str, args: argparse.Namespace) -> dict[str, Any]:
    """`measure` in a process of its own."""
    command = [sys.executable, __file__, "--case", case, "--size", args.size]
    command += ["--windows", str(args.windows), "--steps", str(args.steps), *["--bf16"] * args.bf16]
    threads = {"OMP_NUM_THREADS": str(args.threads), "MKL_NUM_THREADS": str(args.threads)}
    done = subprocess.run(command, env=os.environ | threads, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def run(args: argparse.Namespace) -> list[dict[str, Any]]:
    """All cases in turn, as often as asked."""
    runs = []
    for repetition in range(args.repetitions):
        for case in CASES:
            found = measured_apart(case, args)
            runs.append(found | {"repetition": repetition})
            print(f"{TITLES[case]:24s} {found['per_cpu_s']:7.1f} windows per CPU-second", flush=True)
    return runs


def summarize(runs: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Each case's rate and its ratio to ViTMAE's of the same repetition, as minimum, median and maximum."""
    of_case = {case: [run for run in runs if run["case"] == case] for case in CASES}
    summary = {}
    for case, mine in of_case.items():
        pairs = zip(mine, of_case["vit_mae"], strict=True)
        summary[case] = {
            "per_cpu_s": spread([run["per_cpu_s"] for run in mine]),
            "times_vit_mae": spread([run["per_cpu_s"] / peer["per_cpu_s"] for run, peer in pairs]),
            "gflop_per_window": mine[0]["gflop_per_window"],
            "parameters": mine[0]["parameters"],
        }
    return summary


def spread(values: list[float]) -> list[float]:
    """Minimum, median, maximum."""
    return [min(values), median(values), max(values)]


def table(summary: dict[str, dict[str, Any]]) -> str:
    """The summary for people, in Markdown."""
    head = "| case | windows per CPU-second | × ViTMAE | parameters, M "
    lines = [head + "| GFLOP per window | GFLOP per CPU-second |", "|" + "---|" * 6]
    for case, row in summary.items():
        (least, rate, most), (lowest, ratio, highest) = row["per_cpu_s"], row["times_vit_mae"]
        cells = [
            TITLES[case],
            f"{rate:.1f} ({least:.1f}–{most:.1f})",
            f"{ratio:.2f} ({lowest:.2f}–{highest:.2f})",
            f"{row['parameters'] / 1e6:.1f}",
            f"{row['gflop_per_window']:.2f}",
            f"{rate * row['gflop_per_window']:.0f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--out", type=Path, help="folder for pretraining_step.json")
    parser.add_argument("--size", choices=sorted(SIZES), default="small")
    parser.add_argument("--windows", type=int, default=16, help="windows of a step")
    parser.add_argument("--steps", type=int, default=5, help="steps of a measurement, after a warm-up")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--bf16", action="store_true", help="autocast to bfloat16")
    parser.add_argument("--case", choices=CASES, help="measure one, here, and print JSON")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    if args.case:
        print(json.dumps(measure(args.case, args)))
        return
    runs = run(args)
    summary = summarize(runs)
    print(table(summary))
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        about = {"python": platform.python_version(), "torch": torch.__version__, "cpus": os.cpu_count()}
        settings = {key: value for key, value in vars(args).items() if key not in ("out", "case")}
        result = {"about": about, "settings": settings, "summary": summary, "runs": runs}
        (args.out / "pretraining_step.json").write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
