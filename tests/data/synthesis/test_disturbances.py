"""Disturbances come as often as asked, as large as asked, and change nothing else."""

import math

import pytest
import torch
from seisfm.data.loading.window_random import WindowRandom, window_keys
from seisfm.data.synthesis.disturbance_shapes import ON_THE_GROUND, SHAPES
from seisfm.data.synthesis.disturbances import (
    DISTURBANCES,
    NOTHING,
    DisturbanceConfig,
    disturb,
    draw_kinds,
)
from seisfm.data.synthesis.snr import noise_power_above

RATE_HZ = 100.0
MACHINES = ("ring", "beats", "burst", "pump")
CAUSAL = ("footsteps", "thump", "spike", "glitches", "step", "mass_jump", "calibration", *MACHINES)


def random_of(num_records: int, first: int = 0) -> WindowRandom:
    return WindowRandom(window_keys(torch.arange(first, first + num_records), 0))


def white(num_records: int, num_samples: int = 3000) -> torch.Tensor:
    return random_of(num_records).normal("white", 3, num_samples)


def only(kind: str, **settings) -> DisturbanceConfig:
    weights = tuple(float(name == kind) for name in DISTURBANCES)
    return DisturbanceConfig(share=1.0, weights=weights, **settings)


def test_20_percent_of_4000_records_within_2_percent_and_every_kind():
    kind = draw_kinds(random_of(4000), DisturbanceConfig(share=0.2))
    assert float((kind != NOTHING).double().mean()) == pytest.approx(0.2, abs=0.02)
    assert set(kind.tolist()) == {NOTHING, *range(len(DISTURBANCES))}


def test_records_without_an_earthquake_are_disturbed_more_often():
    quiet = torch.arange(4000) % 2 == 0
    kind = draw_kinds(random_of(4000), DisturbanceConfig(share=0.2, quiet_share=0.7), quiet)
    assert float((kind[quiet] != NOTHING).double().mean()) == pytest.approx(0.7, abs=0.03)
    assert float((kind[~quiet] != NOTHING).double().mean()) == pytest.approx(0.2, abs=0.03)
    assert set(kind[quiet].tolist()) == {NOTHING, *range(len(DISTURBANCES))}


def test_a_share_of_nothing_changes_nothing():
    noise = white(16)
    disturbed, kind = disturb(noise, random_of(16), RATE_HZ, DisturbanceConfig(share=0.0))
    assert torch.equal(disturbed, noise)
    assert bool((kind == NOTHING).all())


def test_other_records_stay_and_the_given_motion_too():
    noise = white(32)
    before = noise.clone()
    disturbed, kind = disturb(noise, random_of(32), RATE_HZ, DisturbanceConfig(share=0.5))
    assert torch.equal(noise, before)
    changed = (disturbed != noise).flatten(1).any(dim=1)
    assert torch.equal(changed, kind != NOTHING)


@pytest.mark.parametrize("kind", DISTURBANCES)
def test_the_peak_is_as_large_as_asked(kind):
    noise = white(24)
    disturbed, kinds = disturb(noise, random_of(24), RATE_HZ, only(kind, size=(7.0, 7.0)))
    assert bool((kinds == DISTURBANCES.index(kind)).all())
    power = noise_power_above(noise, RATE_HZ) if kind in ON_THE_GROUND else noise.square().mean(dim=-1)
    peak = (disturbed - noise).abs().amax(dim=(1, 2)) / power.amax(dim=1).sqrt()
    torch.testing.assert_close(peak, torch.full((24,), 7.0), rtol=1e-3, atol=0.0)


def test_what_shakes_the_ground_is_measured_against_what_is_heard_there():
    noise = white(24)
    swell = 1e3 * (0.4 * math.pi * torch.arange(3000) / RATE_HZ).sin()
    disturbed, _ = disturb(noise + swell, random_of(24), RATE_HZ, only("burst", size=(7.0, 7.0)))
    peak = (disturbed - noise - swell).abs().amax(dim=(1, 2))
    assert bool((peak < 20.0).all())


@pytest.mark.parametrize("kind", CAUSAL)
def test_nothing_comes_before_it_begins(kind):
    time_s = (torch.arange(3000) - 1000).expand(16, -1) / RATE_HZ
    shape = SHAPES[kind](random_of(16), time_s, RATE_HZ)
    peak = shape.abs().amax(dim=(1, 2))
    assert bool((shape[..., :1000].abs().amax(dim=(1, 2)) <= 1e-5 * peak).all())


def test_a_record_is_the_same_in_any_batch():
    noise, config = white(16), DisturbanceConfig(share=1.0)
    together, kind = disturb(noise, random_of(16), RATE_HZ, config)
    for number in range(16):
        alone, own_kind = disturb(noise[number : number + 1], random_of(1, number), RATE_HZ, config)
        assert int(own_kind) == int(kind[number])
        torch.testing.assert_close(alone[0], together[number], rtol=1e-4, atol=1e-4)


def test_a_blow_has_no_s_and_moves_one_way():
    time_s = (torch.arange(3000) - 500).expand(8, -1) / RATE_HZ
    blow = SHAPES["thump"](random_of(8), time_s, RATE_HZ)
    singular = torch.linalg.svdvals(blow)
    assert bool((singular[:, 1] < 1e-4 * singular[:, 0]).all())


def test_wrong_settings_are_named():
    with pytest.raises(ValueError, match="share must be between 0 and 1"):
        DisturbanceConfig(share=2.0)
    with pytest.raises(ValueError, match="weights must be one number of at least 0 for each of"):
        DisturbanceConfig(weights=(1.0,))
    with pytest.raises(ValueError, match="size must be a range"):
        DisturbanceConfig(size=(5.0, 1.0))
