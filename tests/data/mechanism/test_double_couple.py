"""Planes, axes, rotations and the angle between mechanisms, by what must hold for every one of them."""

import pytest
import torch
from seisfm.data.mechanism.double_couple import (
    aligned_frames,
    auxiliary_planes,
    couple_tensors,
    fault_vectors,
    frame_angles_deg,
    frame_vectors,
    frames_of,
    kagan_angles_deg,
    mechanisms_of,
    nearest_frames,
    quaternions_of,
    random_frames,
    rotations_of,
)
from seisfm.data.mechanism.radiation import (
    SP_AT_EQUAL_RADIATION,
    log10_sp_ratio,
    p_radiation,
    ray_products,
    rays_of,
)
from seisfm.data.synthesis.moment_tensor import radiated


@pytest.fixture(scope="module")
def frames():
    return random_frames(500, torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def mechanisms(frames):
    return mechanisms_of(*frame_vectors(frames))


def tensors_of(mechanisms):
    return couple_tensors(*fault_vectors(mechanisms))


def test_angles_make_the_vectors_that_they_came_from(frames, mechanisms):
    assert frame_angles_deg(frames, frames_of(*fault_vectors(mechanisms))).max() < 1e-4
    assert (mechanisms[:, 0] >= 0).all() and (mechanisms[:, 0] < 360).all()
    assert (mechanisms[:, 1] >= 0).all() and (mechanisms[:, 1] <= 90).all()


@pytest.mark.parametrize(
    ("mechanism", "other"),
    [((0.0, 90.0, 0.0), (270.0, 90.0, 180.0)), ((30.0, 45.0, 90.0), (210.0, 45.0, 90.0))],
)
def test_known_auxiliary_planes(mechanism, other):
    found = auxiliary_planes(torch.tensor(mechanism, dtype=torch.float64))
    assert kagan_angles_deg(found, torch.tensor(other, dtype=torch.float64)) < 1e-3
    assert torch.allclose(found[1], torch.tensor(other[1], dtype=torch.float64))


def test_both_planes_radiate_alike(mechanisms):
    assert torch.allclose(tensors_of(mechanisms), tensors_of(auxiliary_planes(mechanisms)), atol=1e-9)
    assert kagan_angles_deg(mechanisms, auxiliary_planes(mechanisms)).max() < 1e-4


def test_the_kagan_angle_is_the_rotation_that_was_made(frames):
    axis = torch.tensor([0.6, 0.0, 0.8], dtype=torch.float64)
    for angle_deg in (1.0, 17.0, 44.0):
        half = torch.tensor(angle_deg / 2).deg2rad()
        turn = rotations_of(torch.cat([half.cos()[None], half.sin() * axis]))
        assert torch.allclose(
            frame_angles_deg(turn @ frames, frames), torch.tensor(angle_deg, dtype=torch.float64), atol=1e-3
        )


def test_random_mechanisms_are_75_degrees_apart():
    first, second = (random_frames(40_000, torch.Generator().manual_seed(seed)) for seed in (1, 2))
    angles = frame_angles_deg(first, second)
    assert angles.mean() == pytest.approx(75.3, abs=0.4)
    assert 115.0 < angles.max() <= 120.0


def test_strike_slip_turned_by_90_degrees_is_the_furthest_of_its_kind():
    left = torch.tensor([[0.0, 90.0, 0.0], [0.0, 90.0, 0.0]])
    assert kagan_angles_deg(left, torch.tensor([[90.0, 90.0, 180.0], [0.0, 90.0, 180.0]])).tolist() == (
        pytest.approx([0.0, 90.0], abs=1e-4)
    )


def test_the_tensor_gives_its_double_couple_back(frames):
    tensors = couple_tensors(*frame_vectors(frames))
    assert frame_angles_deg(nearest_frames(tensors + 0.2 * torch.eye(3)), frames).max() < 1e-4


def test_quaternions_are_the_rotations(frames):
    quaternions = quaternions_of(frames)
    assert torch.allclose(rotations_of(quaternions), frames, atol=1e-12)
    assert torch.allclose(quaternions.norm(dim=1), torch.ones(len(frames), dtype=torch.float64))


def test_a_half_turn_has_a_quaternion_too():
    half_turn = torch.diag(torch.tensor([-1.0, 1.0, -1.0], dtype=torch.float64))
    assert torch.allclose(rotations_of(quaternions_of(half_turn)), half_turn, atol=1e-12)


def test_alignment_changes_signs_alone(frames):
    flipped = frames * torch.tensor([-1.0, 1.0, -1.0])
    assert torch.allclose(aligned_frames(flipped, frames), frames)


def test_radiation_is_that_of_the_synthesis(mechanisms):
    generator = torch.Generator().manual_seed(3)
    azimuth_deg, takeoff_deg = torch.rand(2, 40, generator=generator, dtype=torch.float64) * 180.0
    tensors = tensors_of(mechanisms)
    p, sv, sh = radiated(tensors, azimuth_deg.expand(500, 40), takeoff_deg.expand(500, 40))
    products = ray_products(rays_of(azimuth_deg, takeoff_deg))
    assert torch.allclose(p_radiation(products, tensors).mT, p, atol=1e-12)
    ratio = torch.hypot(sv, sh).clamp(min=1e-2).log10() - p.abs().clamp(min=1e-2).log10()
    assert torch.allclose(log10_sp_ratio(products, tensors).mT, ratio + SP_AT_EQUAL_RADIATION, atol=1e-5)


def test_opposite_rays_see_the_same():
    azimuth_deg, takeoff_deg = torch.tensor([20.0, 200.0]), torch.tensor([30.0, 150.0])
    first, second = ray_products(rays_of(azimuth_deg, takeoff_deg))
    assert torch.allclose(first, second, atol=1e-6)
