"""Train a mechanism network on synthetic first motions, S/P ratios and, if asked for, waveforms.

    python examples/train_mechanism.py --out runs/mechanism
    python examples/train_mechanism.py --out runs/mechanism model.likelihood=false steps=800 batch_size=128
    python examples/train_mechanism.py --out runs/few label_share=0.0625 model.radiation_weight=0.3

What follows the options are settings of `TrainingConfig`. Beside the weights stands what was asked for
(`training.yaml`). `score_mechanisms.py` and `northridge.py` tell what a network is worth.
"""

import argparse
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from seisfm.configs.loader import build_config, save_config
from seisfm.data.mechanism.synthetic import ObservationConfig, draw_observations
from seisfm.heads.mechanism import MechanismConfig, MechanismHead


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """label_share: of events whose mechanism the network is told; of the others it has the stations alone."""

    model: MechanismConfig = field(default_factory=MechanismConfig)
    observations: ObservationConfig = field(default_factory=ObservationConfig)
    label_share: float = 1.0
    steps: int = 2000
    batch_size: int = 32
    learning_rate: float = 1e-3
    seed: int = 0

    def __post_init__(self):
        if not 0.0 <= self.label_share <= 1.0:
            raise ValueError(f"label_share must lie in 0 to 1, found {self.label_share}")


def some_labels(frames, share, generator):
    """The axes `(event, 3, 3)` of a share of the events, NaN for the others."""
    told = torch.rand(len(frames), generator=generator) < share
    return frames.where(told[:, None, None], torch.nan)


def train(config):
    torch.manual_seed(config.seed)
    head = MechanismHead(config.model)
    optimizer = torch.optim.AdamW(head.parameters(), lr=config.learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.learning_rate, config.steps, pct_start=0.1
    )
    generator = torch.Generator().manual_seed(config.seed)
    # A generator of its own: runs of any share see the same events.
    label_generator = torch.Generator().manual_seed(config.seed)
    recent = []
    for step in range(config.steps):
        observations, frames = draw_observations(config.batch_size, config.observations, generator)
        frames = some_labels(frames, config.label_share, label_generator)
        loss, logs = head.loss(observations, frames, generator)
        if not torch.isfinite(loss):
            raise RuntimeError(f"the loss is {loss.item()} at step {step}: take a smaller learning rate")
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(head.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        recent.append(torch.stack(list(logs.values())))
        if len(recent) == 100 or step == config.steps - 1:
            means = torch.stack(recent).mean(dim=0).tolist()
            print(
                step + 1, *(f"{name} {mean:.3f}" for name, mean in zip(logs, means, strict=True)), flush=True
            )
            recent.clear()
    return head.eval()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("settings", nargs="*", help="key=value, as in model.radiation_weight=0.3")
    options = parser.parse_args()
    config = build_config(TrainingConfig, {}, options.settings)
    start_s = time.process_time()
    head = train(config)
    head.save_pretrained(options.out)
    save_config(config, options.out / "training.yaml")
    num_parameters = sum(parameter.numel() for parameter in head.parameters())
    print(f"{num_parameters} parameters, {time.process_time() - start_s:.0f} s of CPU")


if __name__ == "__main__":
    main()
