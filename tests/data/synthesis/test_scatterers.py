"""Followers and converted waves."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from seisfm.data.loading.window_random import WindowRandom, window_keys
from seisfm.data.synthesis.scatterers import (
    ScatteringConfig,
    converted_motion,
    draw_scattering,
    follower_arrivals,
    packet_arrivals,
)

NUM_RECORDS = 512


@pytest.fixture
def station():
    return WindowRandom(window_keys(torch.arange(NUM_RECORDS), "scatter"))


def _parents(station):
    motion = torch.zeros(len(station), 4, 3)
    motion[:, 0] = torch.tensor([0.0, 3.0, 4.0])
    return motion


def test_followers_are_three_and_a_poisson_number(station):
    """Mean and variance of the number beyond three are rate × span, here 6 / s × 2 s = 12."""
    scattering = draw_scattering(station, ScatteringConfig(followers_per_s=(6.0, 6.0)))
    span_s = torch.full((NUM_RECORDS,), 2.0)
    delay_s, motion = follower_arrivals(scattering, station, "P", _parents(station), span_s)
    there = motion.abs().sum(dim=-1) > 0
    assert not bool(there[:, 1:].any()), "branches without motion have no followers"
    number = there[:, 0].sum(dim=1).float() - 3.0
    assert float(number.mean()) == pytest.approx(12.0, abs=0.5)
    assert float(number.var()) == pytest.approx(12.0, rel=0.2)
    delay_s = delay_s[:, 0][there[:, 0]]
    assert float(delay_s.min()) > 0.0399 and float(delay_s.max()) < 2.0401


def test_followers_are_weaker_than_their_parent_and_turn_from_its_direction(station):
    """Median size 0.41 of the parent's at short delays; directions on both sides, not at random."""
    config = ScatteringConfig(followers_per_s=(12.0, 12.0), follower_size=(0.41, 0.5))
    span_s = torch.full((NUM_RECORDS,), 4.0)
    parents = _parents(station)
    delay_s, motion = follower_arrivals(draw_scattering(station, config), station, "S", parents, span_s)
    early = (delay_s[:, 0] < 0.1) & (motion[:, 0].abs().sum(dim=-1) > 0)
    followers = motion[:, 0][early]
    size = torch.linalg.vector_norm(followers, dim=-1) / 5.0
    assert float(size.median()) == pytest.approx(0.41 * 0.97, rel=0.05)
    along = (followers @ parents[0, 0]).div(5.0 * 5.0 * size)
    assert float(along.abs().mean()) > 0.6 and float((along > 0).float().mean()) == pytest.approx(
        0.5, abs=0.05
    )


def test_conversions_move_across_their_parent(station):
    scattering = draw_scattering(station, ScatteringConfig(conversion_share=1.0, conversion=(0.2, 0.2)))
    motion = torch.tensor([2.0, -1.0, 2.0]).expand(NUM_RECORDS, 3)
    torch.testing.assert_close(converted_motion(scattering, motion, "P")[0], torch.tensor([0.0, -0.6, 0.6]))
    torch.testing.assert_close(converted_motion(scattering, motion, "S")[0], torch.tensor([0.6, 0.0, 0.0]))


def test_an_s_packet_keeps_the_energy_and_begins_with_its_onset(station):
    """Onset 0.5, the sum of squares 1 on average over 2,048 packets; gamma delays of mean 0.1 s."""
    config = ScatteringConfig(packet_share=1.0, direct_s=(0.5, 0.5), s_packet_s=(0.1, 0.1))
    delay_s, size = packet_arrivals(draw_scattering(station, config), station, "S", 4)
    assert bool((delay_s[..., 0] == 0).all()) and bool((size[..., 0] == 0.5).all())
    assert bool((delay_s[..., 1:] >= 0).all())
    assert float(size.square().sum(dim=-1).mean()) == pytest.approx(1.0, abs=0.03)
    assert float(delay_s[..., 1:].mean()) == pytest.approx(0.1, rel=0.03)
    assert float(delay_s[..., 1:].std()) == pytest.approx(0.1 / 2**0.5, rel=0.03)


def test_a_p_packet_grows_after_its_onset(station):
    """Onset 0.3, and behind it waves of 1.5 together that set in gradually: few in the first quarter."""
    config = ScatteringConfig(
        packet_share=1.0, direct_p=(0.3, 0.3), p_packet=(1.5, 1.5), p_packet_s=(0.04, 0.04)
    )
    delay_s, size = packet_arrivals(draw_scattering(station, config), station, "P", 4)
    assert bool((delay_s[..., 0] == 0).all()) and float(size[..., 0].min()) == pytest.approx(0.3)
    behind_s, behind = delay_s[..., 1:], size[..., 1:]
    assert float(behind.square().sum(dim=-1).mean()) == pytest.approx(1.5**2, rel=0.03)
    assert float(behind_s.mean()) == pytest.approx(0.04, rel=0.03)
    # Gamma of order 2: 1 − 1.5 exp(−0.5) come within a quarter of the mean. Of exponential ones it is 22 %.
    assert float((behind_s < 0.01).float().mean()) == pytest.approx(0.09, abs=0.01)
    assert bool((behind[behind_s < 0.03] > 0).all()), "the first swing has one sign"
    assert float((behind[behind_s > 0.06] > 0).float().mean()) == pytest.approx(0.5, abs=0.03)


def test_without_packets_p_and_s_are_one_pulse(station):
    for kind in ("P", "S"):
        scattering = draw_scattering(station, ScatteringConfig(packet_share=0.0))
        _, size = packet_arrivals(scattering, station, kind, 4)
        assert bool((size[..., 0] == 1.0).all()) and not bool(size[..., 1:].any())


def test_each_ingredient_can_be_left_out(station):
    config = ScatteringConfig(coda_share=0.0, follower_share=0.0, conversion_share=0.0)
    scattering = draw_scattering(station, config)
    for name in ("p_coda", "s_coda", "follower_size", "conversion"):
        assert not bool(getattr(scattering, name).any()), name
    half = draw_scattering(station, ScatteringConfig(conversion_share=0.5))
    assert float((half.conversion > 0).float().mean()) == pytest.approx(0.5, abs=0.07)


def test_a_record_scatters_alike_in_any_batch(station):
    alone = station.select(torch.tensor([7]))
    one, many = (draw_scattering(random, ScatteringConfig()) for random in (alone, station))
    for field in dataclasses.fields(one):
        value = getattr(one, field.name)
        if isinstance(value, torch.Tensor):
            torch.testing.assert_close(value[0], getattr(many, field.name)[7])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"p_coda": (0.0, 0.4)}, "p_coda must be"),
        ({"followers_per_s": (1.0, 20.0)}, "followers_per_s must stay within 12"),
        ({"coda_share": 1.5}, "coda_share must be between 0 and 1"),
        ({"direct_s": (0.5, 1.2)}, "direct_s must be at most 1"),
        ({"direct_p": (0.5, 1.2)}, "direct_p must be at most 1"),
        ({"p_packet_s": (0.0, 0.1)}, "p_packet_s must be a range"),
        ({"coda_waxing": (0.4, 0.2)}, "coda_waxing must be a range"),
        ({"rise_s": (0.0, 1.0)}, "rise_s must be a range"),
    ],
)
def test_scattering_that_cannot_be(settings, message):
    with pytest.raises(ValueError, match=message):
        ScatteringConfig(**settings)
