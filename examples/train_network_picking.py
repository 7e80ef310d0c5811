"""Does it help to pick with an eye on the other stations? On synthetic networks, against each by itself.

    python examples/train_network_picking.py --out runs/network_picking --seed 0
    python examples/train_network_picking.py --out runs/ears --start seisfm-tiny trained=heads

A small U-Net first learns to pick stations one by one, or `--start` names a model that can. From there two
models go on for as many batches, with the same networks in them: one as before (`alone`), one whose heads
listen to the other stations (`network`). With `trained=heads` the encoder and all other heads stay as they
are; with `trained=ears` nothing learns but the attention to others, and a station alone is picked as before.
Both are scored on other networks at low signal-to-noise ratios, and on windows of noise. Thresholds are those
of the best F1 on a third lot. Beside the weights stand `metrics.json`, `scores.csv` and a record section.
"""

import argparse
import json
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

import torch
import yaml
from score_networks import ScoresConfig, write_scores
from seisfm.configs.loader import build_config, save_config
from seisfm.data.loading.network_windows import NetworkLoader
from seisfm.data.synthesis.network_windows import NetworkWindowsConfig, SyntheticNetworks
from seisfm.foundation.backbones.registry import backbone_config
from seisfm.foundation.contract import InputContract
from seisfm.heads.network_attention import NetworkConfig
from seisfm.heads.network_start import with_network
from seisfm.heads.task_model import SeismicTaskConfig, SeismicTaskModel, load_model

LISTENING = ("picking", "origin")
TRAINING = {"window_s": 24.0, "synthesis": {"snr": [0.1, 20.0]}}


@dataclass(frozen=True, kw_only=True)
class ExampleConfig:
    """steps: of the first model, and of each that goes on from it. networks: a batch has.

    trained: all that the two models have, or only the heads that can listen, or only what listens in them.
    """

    seed: int = 0
    steps: int = 120
    networks: int = 5
    learning_rate: float = 3e-3
    test_networks: int = 120
    trained: Literal["all", "heads", "ears"] = "all"
    network: NetworkConfig = field(default_factory=NetworkConfig)
    training: NetworkWindowsConfig = field(
        default_factory=lambda: build_config(NetworkWindowsConfig, TRAINING)
    )


def trained_parameters(model, config):
    heads = [model.heads[name] for name in LISTENING if name in model.heads]
    ears = [head.exchange for head in heads if head.exchange is not None]
    parts = {"all": [model], "heads": heads, "ears": ears}[config.trained]
    return [parameter for part in parts for parameter in part.parameters()]


class Learner:
    """One model with its optimizer: AdamW with one cycle of the learning rate."""

    def __init__(self, model, config):
        self.model = model.train()
        self.heads = {name: model.heads[name] for name in LISTENING if name in model.heads}
        self.parameters = trained_parameters(model, config)
        self.optimizer = torch.optim.AdamW(self.parameters, lr=config.learning_rate, weight_decay=0.01)
        self.cycle = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, config.learning_rate, config.steps, pct_start=0.15
        )
        self.cpu_s = 0.0

    def learn(self, batch, features):
        """One step; the features where the encoder does not learn, else None."""
        begin_s = time.process_time()
        features = self.model.encoder(batch) if features is None else features
        losses = {name: head.loss(head(features), batch, features)[0] for name, head in self.heads.items()}
        weights = self.model.config.loss_weights or {}
        loss = sum(weights.get(name, 1.0) * own for name, own in losses.items())
        if not torch.isfinite(loss):
            raise RuntimeError(f"the loss is {loss.item()}: take a smaller learning rate")
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.cycle.step()
        self.cpu_s += time.process_time() - begin_s
        return {f"{name}_loss": round(float(own.detach()), 4) for name, own in losses.items()}


def train(models, loader, first, config):
    """The batches `first` to `first + steps`, the same for all models; what each and the data cost."""
    learners = {
        name: Learner(model, config) for name, model in models.items() if trained_parameters(model, config)
    }
    data_s, encoder_s, num_windows = 0.0, 0.0, 0
    for step in range(first, first + config.steps):
        begin_s = time.process_time()
        batch = loader.batch(step)
        data_s += time.process_time() - begin_s
        num_windows += len(batch)
        begin_s = time.process_time()
        features = shared_features(models, batch) if config.trained != "all" else None
        encoder_s += time.process_time() - begin_s
        figures = {name: learner.learn(batch, features) for name, learner in learners.items()}
        if step % 20 == 0:
            print(step, figures, flush=True)
    for model in models.values():
        model.eval()
    spent = {f"{name}_cpu_s": round(learner.cpu_s) for name, learner in learners.items()}
    return spent | {"data_cpu_s": round(data_s), "encoder_cpu_s": round(encoder_s), "windows": num_windows}


def shared_features(models, batch):
    """What the encoder, which is the same in all models and does not learn, makes of a batch."""
    encoder = next(iter(models.values())).encoder.eval()
    with torch.no_grad():
        return encoder(batch)


def first_model(options, loader, config):
    """A model of single stations, and what it cost."""
    if options.start is not None:
        return load_model(options.start), {}
    if config.trained != "all":
        raise ValueError(
            "trained=heads and trained=ears need a model that can pick already: name it by --start"
        )
    torch.manual_seed(config.seed)
    encoder = backbone_config("unet", "tiny", InputContract(model_rate_hz=50.0), {})
    heads = {"picking": {"channels": [12, 16, 24]}, "origin": {}}
    model = SeismicTaskModel(SeismicTaskConfig(encoder=encoder, heads=heads, loss_weights={"origin": 0.02}))
    cost = train({"first": model}, loader, 0, config)
    model.save_pretrained(options.out / "first")
    return model, {"first": cost}


def save_model(model, folder, start, config):
    """The model, and what it was taught with, as the runs of `seisfm finetune` tell it."""
    model.save_pretrained(folder)
    run = {"max_steps": config.steps, "batch_size": config.networks, "learning_rate": config.learning_rate}
    networks = [{"synthetic": asdict(config.training), "seed": config.seed}]
    papers = {"base": start, "networks": networks, "training": run | {"trained": config.trained}}
    (folder / "training.yaml").write_text(yaml.safe_dump(papers | {"seed": config.seed}, sort_keys=False))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", help="a model that can pick, by name or folder, instead of a new one")
    parser.add_argument("settings", nargs="*", help="key=value of ExampleConfig")
    options = parser.parse_args()
    config = replace(build_config(ExampleConfig, {}, options.settings), seed=options.seed)
    loader = NetworkLoader(SyntheticNetworks(config.training, config.seed), config.networks)
    alone, costs = first_model(options, loader, config)
    network = with_network(alone, config.network, config.seed)
    models = {"alone": alone, "network": network}
    costs["second"] = train(models, loader, config.steps, config)
    for name, model in models.items():
        save_model(model, options.out / name, options.start, config)
    save_config(config, options.out / "training.yaml")
    asked = ScoresConfig(
        seed=config.seed, test_networks=config.test_networks, window_s=config.training.window_s
    )
    others = write_scores(models, asked, options.out)
    (options.out / "metrics.json").write_text(json.dumps({"costs": costs} | others, indent=1))
    print(json.dumps(costs))


if __name__ == "__main__":
    main()
