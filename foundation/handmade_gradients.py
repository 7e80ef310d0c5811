"""RMS norm and rotation with gradients written by hand, for the CPU.

torch puts both together from single operations there, each of which writes all of its numbers to memory,
forwards and, several times, backwards: a norm took three times as long as it has to, and norms and rotations
together a sixth of a block's training step.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable


def by_hand(features: Tensor) -> bool:
    """Whether to take these. On other devices, and compiled, torch's own operations are fused."""
    return features.device.type == "cpu" and not torch.compiler.is_compiling()


class ScaledToUnitRMS(Function):
    """`features / sqrt(mean(features²) + epsilon) · weight` over the last dimension or the last but one."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, epsilon: float, dim: int) -> Tensor:
        """The norm of features `(…, dim)`, or `(…, dim, sample)` for a `dim` of −2."""
        inverse = features.square().mean(dim=dim, keepdim=True).add_(epsilon).rsqrt_()
        unit = features * inverse
        ctx.save_for_backward(unit, inverse, weight)
        ctx.dim = dim
        return unit * (weight if dim == -1 else weight[:, None])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        """Of u = x / rms, a gradient g of u gives that of x as (g − u · mean(g u)) / rms."""
        unit, inverse, weight = ctx.saved_tensors
        product = gradient * unit
        along = product @ weight if ctx.dim == -1 else weight @ product
        mean = along.unsqueeze(ctx.dim).div_(-unit.shape[ctx.dim])
        others = [dim for dim in range(unit.ndim) if dim != unit.ndim + ctx.dim]
        of_weight = product.sum(dim=others)
        of_features = torch.mul(gradient, weight if ctx.dim == -1 else weight[:, None], out=product)
        return of_features.addcmul_(unit, mean).mul_(inverse), of_weight, None, None


class Rotated(Function):
    """The two halves of the last dimension, turned as the parts of complex numbers are."""

    @staticmethod
    def forward(ctx: Any, vectors: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        """Vectors `(…, dim)` turned by angles `(…, dim // 2)`."""
        ctx.save_for_backward(cosine, sine)
        return _turn(vectors, cosine, sine)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        """The gradient of a rotation is turned back."""
        cosine, sine = ctx.saved_tensors
        return _turn(gradient, cosine, -sine), None, None


def _turn(vectors: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    turned = torch.empty_like(vectors)
    (first, second), (new_first, new_second) = vectors.chunk(2, dim=-1), turned.chunk(2, dim=-1)
    torch.mul(first, cosine, out=new_first).addcmul_(second, sine, value=-1)
    torch.mul(second, cosine, out=new_second).addcmul_(first, sine)
    return turned
