"""From a model that looks at one station to one that looks at a network, without losing what it knows."""

from __future__ import annotations

from dataclasses import asdict, fields

import torch

from .network_attention import NetworkConfig
from .registry import head_class
from .task_model import SeismicTaskConfig, SeismicTaskModel


def with_network(model: SeismicTaskModel, network: NetworkConfig, seed: int) -> SeismicTaskModel:
    """The same model with heads that listen to other stations; until it is trained, it answers as before.

    seed: of the new weights. Every head that can listen does, the others stay as they are.

    Raises ValueError where no head can, or one does already.
    """
    heads = dict(model.config.heads or {})
    able = [
        name for name in heads if "network" in {field.name for field in fields(head_class(name).config_class)}
    ]
    if not able or any(heads[name]["network"] for name in able):
        raise ValueError(
            "the model must have heads that can listen to other stations and do not yet, "
            f"found {sorted(heads)}, of which {able} can"
        )
    heads |= {name: heads[name] | {"network": asdict(network)} for name in able}
    config = SeismicTaskConfig(
        encoder=model.config.encoder, heads=heads, loss_weights=dict(model.config.loss_weights or {})
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = SeismicTaskModel(config).state_dict()
    known = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    return SeismicTaskModel.with_weights(config, fresh | known, model.config.name_or_path or "this model")
