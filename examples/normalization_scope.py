"""Does it matter whether a station's components share one scale? For magnitude and back azimuth.

    python examples/normalization_scope.py --out scope.csv --seeds 0 1 2

For each seed, the same small U-Net learns from the same synthetic windows twice: scaled by station, and each
component by itself. Both are scored on windows of other events. In either case the log gain is given back to
the network (of single components, their mean): what the second takes away is the ratio of the components.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from seisfm.configs.loader import build_config
from seisfm.data.loading.rotation import HorizontalRotation
from seisfm.data.loading.window_random import WindowRandom, window_keys
from seisfm.data.loading.windows import WindowConfig
from seisfm.data.synthesis import SynthesisConfig, SyntheticRecords
from seisfm.foundation.backbones.registry import backbone_config
from seisfm.foundation.contract import InputContract, Normalization
from seisfm.heads.task_model import SeismicTaskConfig, SeismicTaskModel

SCOPES = ("station", "component")
EARTH = {
    "stations_per_event": [1, 1],
    "snr": [5.0, 300.0],
    "second_event_share": 0.0,
    "geometry": {"distance_km": [1.0, 40.0]},
}
WINDOWS = {
    "window_s": 15.0,
    "arrival_fraction": 1.0,
    "margin_s": 4.0,
    "harmonization": {"unit": "m/s", "response": "sensitivity"},
}
TEST_SEED = 10_000


def make_windows(number, seed):
    """Windows around P of so many synthetic events, in m/s."""
    records = SyntheticRecords(build_config(SynthesisConfig, EARTH), seed, number)
    random = WindowRandom(window_keys(torch.arange(number), "scope", seed))
    return records.make_windows(np.arange(number), random, build_config(WindowConfig, WINDOWS))


def make_model(scope, seed):
    """A U-Net with two heads, the same for both scopes but for the scaling of its input."""
    torch.manual_seed(seed)
    contract = InputContract(normalization=Normalization(scope=scope))
    encoder = backbone_config("unet", "tiny", contract, {})
    return SeismicTaskModel(SeismicTaskConfig(encoder=encoder, heads={"magnitude": {}, "back_azimuth": {}}))


def train(model, windows, arguments, seed):
    """Batches by chance, their horizontals turned by chance, AdamW with one cycle of the learning rate."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=arguments.learning_rate)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, arguments.learning_rate, arguments.steps)
    generator = torch.Generator().manual_seed(seed)
    turn = HorizontalRotation(probability=1.0)
    model.train()
    for step in range(arguments.steps):
        rows = torch.randperm(len(windows), generator=generator)[: arguments.batch_size]
        keys = window_keys(rows, "turn", seed, step)
        loss, _ = model.compute_loss(turn(windows.select(rows), WindowRandom(keys)))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        cycle.step()
    return model.eval()


def score(model, windows):
    """Errors over all windows with a label."""
    with torch.no_grad():
        answers = [model(windows.select(rows)) for rows in torch.arange(len(windows)).split(64)]
    magnitude, azimuth = (
        torch.cat([answer[head][key] for answer in answers])
        for head, key in (("magnitude", "magnitude"), ("back_azimuth", "back_azimuth_deg"))
    )
    error = (magnitude - windows.labels["magnitude"]).abs()
    off_deg = (azimuth - windows.labels["back_azimuth_deg"] + 180.0).remainder(360.0).sub(180.0).abs()
    off_deg = off_deg[off_deg.isfinite()]
    return {
        "magnitude_mae": float(error.nanmean()),
        "azimuth_mae_deg": float(off_deg.mean()),
        "azimuth_within_30_deg": float((off_deg < 30.0).float().mean()),
        "n_magnitude": int(error.isfinite().sum()),
        "n_azimuth": len(off_deg),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--train", type=int, default=2000, help="windows to learn from")
    parser.add_argument("--test", type=int, default=500, help="windows to be scored on")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=4e-3)
    arguments = parser.parse_args()
    rows = []
    for seed in arguments.seeds:
        learned = make_windows(arguments.train, seed)
        held_out = make_windows(arguments.test, TEST_SEED + seed)
        for scope in SCOPES:
            model = train(make_model(scope, seed), learned, arguments, seed)
            rows.append({"scope": scope, "seed": seed} | score(model, held_out))
            print(rows[-1], flush=True)
    table = pd.DataFrame(rows)
    partial = arguments.out.with_name(arguments.out.name + ".part")
    table.to_csv(partial, index=False)
    partial.replace(arguments.out)
    print(table.groupby("scope").agg(["mean", "min", "max"]).round(3).to_string())


if __name__ == "__main__":
    main()
