"""How many tokens a second the encoder takes in windows of 10, 30 and 60 s, padded and packed.

    OMP_NUM_THREADS=1 python benchmarks/packing.py --size tiny
    python benchmarks/packing.py --size base --batch 256 --device cuda

Forward and backward pass of the transformer; only tokens with data count. Both ways take turns, and the best
turn of each is told.
"""

from __future__ import annotations

import argparse
import json
import time

import torch
from seisfm.foundation.backbones.seismic import SIZES, SeismicConfig, SeismicModel
from seisfm.foundation.contract import InputContract

TOKENS_PER_S = 6.25
LENGTHS_S = (10, 30, 60)


def seconds(encoder: torch.nn.Module, tokens: torch.Tensor, observed: torch.Tensor) -> float:
    time_s = (torch.arange(tokens.shape[1], device=tokens.device) / TOKENS_PER_S).expand(len(tokens), -1)
    # The processor's time on a CPU: other processes do not count.
    clock = time.process_time if tokens.device.type == "cpu" else time.perf_counter
    began_s = clock()
    encoder(tokens, time_s, observed)[observed].sum().backward()
    if tokens.device.type != "cpu":
        torch.accelerator.synchronize()
    return clock() - began_s


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=sorted(SIZES), default="tiny")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    model = SeismicModel(SeismicConfig.of_size(options.size, InputContract())).to(options.device)
    generator = torch.Generator().manual_seed(0)
    length_s = torch.tensor(LENGTHS_S)[torch.randint(3, (options.batch,), generator=generator)]
    place = torch.arange(int(max(LENGTHS_S) * TOKENS_PER_S))
    observed = (place < (length_s * TOKENS_PER_S)[:, None]).to(options.device)
    tokens = torch.randn(*observed.shape, model.config.hidden_size, device=options.device)
    best = {"padded": float("inf"), "packed": float("inf")}
    for _ in range(options.turns):
        for name in ("padded", "packed"):
            model.encoder.packing = name == "packed"
            best[name] = min(best[name], seconds(model.encoder, tokens, observed))
    rates = {name: round(int(observed.sum()) / best_s) for name, best_s in best.items()}
    print(
        json.dumps(vars(options) | {"tokens_per_s": rates, "gain": round(best["padded"] / best["packed"], 2)})
    )


if __name__ == "__main__":
    main()
