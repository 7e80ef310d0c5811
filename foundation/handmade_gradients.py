"""RMS norm, rotation and gate with gradients written by hand, for the CPU.

torch puts them together from single operations there, each of which writes all of its numbers to memory,
forwards and, several times, backwards, and keeps most of them until then.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


def by_hand(features: Tensor) -> bool:
    """Whether to take these. On other devices, and compiled, torch's own operations are fused."""
    return features.device.type == "cpu" and not torch.compiler.is_compiling()


class ScaledToUnitRMS(Function):
    """`features / sqrt(mean(features²) + epsilon) · weight` over the last dimension."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        """The norm of features `(…, dim)`."""
        inverse = _inverse_rms(features, epsilon)
        ctx.save_for_backward(features, inverse, weight)
        return torch.mul(features, inverse).mul_(weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        """See `_of_norm`."""
        return *_of_norm(gradient, *ctx.saved_tensors), None


class ScaledOverChannels(Function):
    """The same over the last dimension but one, of `(window, channel, sample)`."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        """Each sample's channels over their RMS."""
        inverse = features.square().mean(dim=-2, keepdim=True).add_(epsilon).rsqrt_()
        unit = features * inverse
        ctx.save_for_backward(unit, inverse, weight)
        return unit * weight[:, None]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        """Of u = x / rms, a gradient g of u gives that of x as (g − u · mean(g u)) / rms."""
        unit, inverse, weight = ctx.saved_tensors
        product = gradient * unit
        mean = (weight @ product).unsqueeze(-2).div_(-unit.shape[-2])
        of_weight = product.sum(dim=(*range(unit.ndim - 2), -1))
        of_features = torch.mul(gradient, weight[:, None], out=product)
        return of_features.addcmul_(unit, mean).mul_(inverse), of_weight, None


class ScaledAndRotated(Function):
    """`ScaledToUnitRMS` of the last dimension, whose halves are then turned as parts of complex numbers are.

    Both in one: what norm and rotation multiply by is put together beforehand, where it is small.
    """

    @staticmethod
    def forward(
        ctx: Any, vectors: Tensor, weight: Tensor, cosine: Tensor, sine: Tensor, epsilon: float
    ) -> Tensor:
        """Vectors `(…, dim)` at unit RMS, turned by angles `(…, dim // 2)`."""
        inverse = _inverse_rms(vectors, epsilon)
        ctx.save_for_backward(vectors, inverse, weight, cosine, sine)
        (first, second), (first_weight, second_weight) = vectors.chunk(2, dim=-1), weight.chunk(2)
        turned = vectors * (torch.cat((cosine, cosine), dim=-1) * weight)
        new_first, new_second = turned.chunk(2, dim=-1)
        new_first.addcmul_(second, sine * second_weight, value=-1)
        new_second.addcmul_(first, sine * first_weight)
        return turned.mul_(inverse)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        """The gradient of a rotation is turned back."""
        vectors, inverse, weight, cosine, sine = ctx.saved_tensors
        turned = gradient * torch.cat((cosine, cosine), dim=-1)
        (first, second), (new_first, new_second) = gradient.chunk(2, dim=-1), turned.chunk(2, dim=-1)
        new_first.addcmul_(second, sine)
        new_second.addcmul_(first, sine, value=-1)
        return *_of_norm(turned, vectors, inverse, weight), None, None, None


class Gated(Function):
    """`silu(gate) · values`, which keeps these two alone: what is between them is soon made again."""

    @staticmethod
    def forward(ctx: Any, gate: Tensor, values: Tensor) -> Tensor:
        """Values `(…, dim)` behind gates of the same shape."""
        ctx.save_for_backward(gate, values)
        return F.silu(gate).mul_(values)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """torch's own kernel for the gate, and the gate for the values."""
        gate, values = ctx.saved_tensors
        of_gate = torch.ops.aten.silu_backward(gradient * values, gate)
        return of_gate, F.silu(gate).mul_(gradient)


def _inverse_rms(features: Tensor, epsilon: float) -> Tensor:
    norm = torch.linalg.vector_norm(features, dim=-1, keepdim=True)
    return norm.square_().div_(features.shape[-1]).add_(epsilon).rsqrt_()


def _of_norm(gradient: Tensor, features: Tensor, inverse: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """The gradients of an RMS norm's features and weight.

    A LayerNorm with a mean of zero, as far as torch's kernel for it goes. But that takes the mean to depend
    on the features, and subtracts mean(gradient · weight) · inverse, which is put back.
    """
    dim = features.shape[-1]
    of_features, of_weight, _ = torch.ops.aten.native_layer_norm_backward(
        gradient, features, [dim], torch.zeros_like(inverse), inverse, weight, None, [True, True, False]
    )
    return of_features.add_((gradient @ weight).unsqueeze(-1).mul_(inverse).div_(dim)), of_weight
