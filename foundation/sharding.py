"""Weights that are shared out among processes: each keeps some rows of every parameter (FSDP2).

Accelerate's configuration asks for it (`configs/accelerate/fsdp2.yaml`); torch's `fully_shard` does it (Zhao
et al. 2023, arXiv 2304.11277, in its second form: one DTensor a parameter, split along its first dimension).
It is called here and not through `Accelerator.prepare`, which knows it on accelerators only: this way the
CPU's tests and the GPUs' runs go the same way.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor


def wants_shards() -> bool:
    """Whether the run was launched with an Accelerate configuration that asks for FSDP2.

    Raises ValueError for FSDP's first version: it flattens parameters, whose shapes the optimizer goes by.
    """
    if os.environ.get("ACCELERATE_USE_FSDP", "false").lower() != "true":
        return False
    version = os.environ.get("FSDP_VERSION", "1")
    if version != "2":
        raise ValueError(
            f"FSDP needs fsdp_version 2, found {version}: set it in the Accelerate configuration, "
            "as configs/accelerate/fsdp2.yaml does"
        )
    return True


def shard(module: nn.Module, accelerator: Accelerator) -> nn.Module:
    """Split a module's parameters among the processes, in place, with the first process's values.

    Modules of the classes that `fsdp_transformer_layer_cls_to_wrap` lists are gathered one at a time, when
    they are needed; all the rest is one group.

    Raises ValueError for a parameter without dimensions: it has no rows.
    """
    scalars = [name for name, parameter in module.named_parameters() if parameter.ndim == 0]
    if scalars:
        raise ValueError(
            f"sharding splits the first dimension, and {scalars} have none: give them the shape (1,)"
        )
    module.to(accelerator.device)
    for tensor in module.state_dict().values():
        torch.distributed.broadcast(tensor, 0)
    mesh = init_device_mesh(accelerator.device.type, (accelerator.num_processes,))
    names = os.environ.get("FSDP_TRANSFORMER_CLS_TO_WRAP", "Block").split(",")
    for layer in [part for part in module.modules() if type(part).__name__ in names]:
        fully_shard(layer, mesh=mesh)
    fully_shard(module, mesh=mesh)
    return module


def own_rows(named: Mapping[str, Tensor], is_first: bool) -> dict[str, Tensor]:
    """What this process writes of some tensors: its rows; the first one also what all processes have."""
    return {
        name: tensor.to_local() if isinstance(tensor, DTensor) else tensor
        for name, tensor in named.items()
        if is_first or isinstance(tensor, DTensor)
    }


def joined(parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Whole tensors of the rows that several processes wrote, in the order of the processes."""
    if len(parts) == 1:
        return dict(parts[0])
    names = dict.fromkeys(name for part in parts for name in part)
    rows = {name: [part[name] for part in parts if name in part] for name in names}
    return {name: torch.cat(own) if len(own) > 1 else own[0] for name, own in rows.items()}


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor, in every process; every process must ask."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def whole_tensors(named: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """All of each tensor, on the CPU, in every process; every process must ask."""
    return {name: whole(tensor.detach()).cpu() for name, tensor in named.items()}


def laid_out_like(tensor: Tensor, target: Tensor) -> Tensor:
    """A whole tensor that every process has, shared out as `target` is; itself where that is whole."""
    if not isinstance(target, DTensor):
        return tensor
    # No source rank: every process has read the same file, nothing needs to be sent.
    return distribute_tensor(
        tensor.to(target.device), target.device_mesh, target.placements, src_data_rank=None
    )
