"""Tensors of all processes in each of them, with gradients that find their way back.

A contrast is sharper with the windows of all processes, and a run on two processes must be one with twice the
batch. Each process computes its own part of the loss; what reaches a tensor from the parts of the others is
added up on the way back. DDP then averages the gradients, which fits losses made by `mean_over_all`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed

from .base import talks_to_others


def gather_over_all(tensor: Tensor) -> Tensor:
    """The tensors of all processes, one after the other along the first dimension; all have one shape."""
    return _Gather.apply(tensor) if talks_to_others() else tensor


def add_over_all(tensor: Tensor) -> Tensor:
    """The sum of all processes' tensors, which have one shape, with its gradient."""
    return _Add.apply(tensor) if talks_to_others() else tensor


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        ctx.length = len(tensor)
        parts = [torch.empty_like(tensor) for _ in range(distributed.get_world_size())]
        distributed.all_gather(parts, tensor.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        # Every process has a gradient for every part; the owner of a part wants their sum.
        (gradient,) = gradients
        gradient = gradient.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(gradient)
        return gradient.narrow(0, distributed.get_rank() * ctx.length, ctx.length)


class _Add(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        total = tensor.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (gradient,) = gradients
        gradient = gradient.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(gradient)
        return gradient
