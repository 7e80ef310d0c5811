"""Train a mechanism network on synthetic first motions and S/P ratios, and score it on others.

    python examples/train_mechanism.py --out runs/mechanism --steps 1500 [radiation_weight=0.3 …]

What follows the options are settings of `MechanismConfig`. Beside the weights stand what was asked for
(`training.yaml`) and the scores (`metrics.json`).
"""

import argparse
import json
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from seisfm.configs.loader import build_config, save_config
from seisfm.data.mechanism.double_couple import couple_tensors, fault_vectors, frame_angles_deg, rotations_of
from seisfm.data.mechanism.observations import EventObservations
from seisfm.data.mechanism.radiation import p_radiation, ray_products, rays_of
from seisfm.data.mechanism.synthetic import ObservationConfig, draw_observations
from seisfm.heads.mechanism import MechanismConfig, MechanismHead


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    model: MechanismConfig
    observations: ObservationConfig = field(default_factory=ObservationConfig)
    steps: int = 1500
    batch_size: int = 128
    learning_rate: float = 2e-3
    seed: int = 0


def train(config):
    torch.manual_seed(config.seed)
    head = MechanismHead(config.model)
    optimizer = torch.optim.AdamW(head.parameters(), lr=config.learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.learning_rate, config.steps, pct_start=0.1
    )
    generator = torch.Generator().manual_seed(config.seed)
    for step in range(config.steps):
        observations, frames = draw_observations(config.batch_size, config.observations, generator)
        loss, logs = head.loss(observations, frames, generator)
        if not torch.isfinite(loss):
            raise RuntimeError(f"the loss is {loss.item()} at step {step}: take a smaller learning rate")
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(head.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 0 or step == config.steps - 1:
            print(step, {name: round(value.item(), 3) for name, value in logs.items()}, flush=True)
    return head.eval()


def polarity_misfit(observations: EventObservations, mechanism_deg):
    """The share of observed first motions that the answers do not radiate."""
    products = ray_products(rays_of(observations.azimuth_deg, observations.takeoff_deg))
    tensors = couple_tensors(*fault_vectors(mechanism_deg))[:, None]
    p = p_radiation(products, tensors)[..., 0]
    known = observations.observed & observations.polarity.isfinite()
    return float((p.sign() != observations.polarity.sign())[known].float().mean())


def score(head, config, events, seed):
    """Kagan angles, how often the stated radii hold the truth, and the polarities got wrong."""
    observations, frames = draw_observations(events, config, torch.Generator().manual_seed(seed))
    answers = head.predict(observations)
    kagan_deg = frame_angles_deg(rotations_of(answers["quaternion"]), frames)
    return {
        "events": events,
        "median_kagan_deg": round(float(kagan_deg.median()), 2),
        "mean_kagan_deg": round(float(kagan_deg.mean()), 2),
        "expected_kagan_deg": round(float(answers["error_deg"].mean()), 2),
        "coverage_68": round(float((kagan_deg <= answers["radius_deg"][:, 0]).float().mean()), 3),
        "coverage_95": round(float((kagan_deg <= answers["radius_deg"][:, 1]).float().mean()), 3),
        "polarity_misfit": round(polarity_misfit(observations, answers["mechanism_deg"]), 4),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("settings", nargs="*", help="key=value of the network")
    options = parser.parse_args()
    model = build_config(MechanismConfig, {}, options.settings)
    config = TrainingConfig(model=model, steps=options.steps, seed=options.seed)
    start_s = time.process_time()
    head = train(config)
    cpu_s = time.process_time() - start_s
    head.save_pretrained(options.out)
    save_config(config, options.out / "training.yaml")
    metrics = {"training_cpu_s": round(cpu_s)} | {
        f"{stations} stations": score(head, ObservationConfig(stations=(stations, stations)), 200, 10_000)
        for stations in (8, 16, 32, 64, 100)
    }
    print(json.dumps(metrics, indent=1))
    (options.out / "metrics.json").write_text(json.dumps(metrics, indent=1))


if __name__ == "__main__":
    main()
