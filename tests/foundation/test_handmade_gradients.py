"""Norms, rotations and gates whose gradients are written by hand agree with torch's own."""

import pytest
import torch
from seisfm.foundation.encoder import Norm, rotary_angles, rotate
from seisfm.foundation.handmade_gradients import (
    Gated,
    ScaledAndRotated,
    ScaledOverChannels,
    ScaledToUnitRMS,
    by_hand,
)
from seisfm.foundation.stem import ChannelNorm
from torch.autograd import gradcheck
from torch.nn import functional as F


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def double(generator, *shape) -> torch.Tensor:
    return torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize(
    ("function", "shape"), [(ScaledToUnitRMS, (2, 3, 5, 8)), (ScaledOverChannels, (2, 8, 7))]
)
def test_the_gradient_of_a_norm_is_that_of_small_differences(function, shape, generator):
    features, weight = double(generator, *shape), double(generator, 8)
    assert gradcheck(lambda x, w: function.apply(x, w, 1e-6), (features, weight))


def test_the_gradient_of_a_rotated_norm_is_that_of_small_differences(generator):
    vectors, weight = double(generator, 2, 5, 3, 8), double(generator, 8)
    cosine, sine = rotary_angles(torch.rand(2, 5, generator=generator), 8)
    angles = (cosine.double().transpose(1, 2), sine.double().transpose(1, 2))
    assert gradcheck(lambda x, w: ScaledAndRotated.apply(x, w, *angles, 1e-6), (vectors, weight))


def test_a_gate_is_torchs_and_its_gradient_that_of_small_differences(generator):
    gate, values = double(generator, 3, 5), double(generator, 3, 5)
    assert torch.equal(Gated.apply(gate, values), F.silu(gate) * values)
    assert gradcheck(Gated.apply, (gate, values))


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e4])
def test_norms_are_torchs(scale, generator):
    features = scale * torch.randn(4, 9, 32, generator=generator)
    norm, channels = Norm(32), ChannelNorm(9)
    for weight in (norm.weight, channels.weight):
        weight.data.uniform_(0.5, 1.5, generator=generator)
    expected = F.rms_norm(features, (32,), norm.weight, 1e-6)
    assert torch.allclose(norm(features), expected, rtol=1e-6, atol=1e-7)
    power = features.square().mean(dim=1, keepdim=True)
    expected = features * torch.rsqrt(power + 1e-6) * channels.weight[:, None]
    assert torch.allclose(channels(features), expected, rtol=1e-6, atol=1e-7)


def test_zeros_stay_zeros_with_a_finite_gradient():
    features = torch.zeros(2, 3, 8, requires_grad=True)
    answer = Norm(8)(features)
    answer.sum().backward()
    assert not answer.any() and bool(features.grad.isfinite().all())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_rotated_norm_is_the_norm_rotated(dtype, generator):
    vectors = torch.randn(2, 5, 3, 8, generator=generator).to(dtype)
    cosine, sine = rotary_angles(torch.rand(2, 5, generator=generator), 8)
    turns = (cosine.transpose(1, 2), sine.transpose(1, 2))
    norm = Norm(8)
    norm.weight.data.uniform_(0.5, 1.5, generator=generator)
    answer, expected = norm.rotated(vectors, turns), rotate(norm(vectors).to(dtype), turns)
    assert answer.dtype == dtype
    assert torch.allclose(answer, expected, rtol=4 * torch.finfo(dtype).eps, atol=4 * torch.finfo(dtype).eps)


def test_a_rotation_is_the_same_for_any_order_of_heads_and_tokens(generator):
    vectors = torch.randn(2, 3, 5, 8, generator=generator)
    angles = rotary_angles(torch.rand(2, 5, generator=generator), 8)
    turned = rotate(vectors, angles)
    other = rotate(vectors.transpose(1, 2), (angles[0].transpose(1, 2), angles[1].transpose(1, 2)))
    assert torch.equal(turned, other.transpose(1, 2))


def test_other_devices_take_torchs_own():
    assert by_hand(torch.zeros(1)) and not by_hand(torch.zeros(1, device="meta"))
