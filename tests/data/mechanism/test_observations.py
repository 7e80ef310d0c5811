"""Observations of events: checked at birth, and drawn as the radiation of a known mechanism."""

from dataclasses import replace

import pytest
import torch
from seisfm.data.mechanism.double_couple import couple_tensors, frame_vectors
from seisfm.data.mechanism.radiation import p_radiation, ray_products, rays_of
from seisfm.data.mechanism.synthetic import ObservationConfig, draw_observations

PERFECT = ObservationConfig(
    flipped=0.0, faint=0.0, unseen=0.0, ratios=1.0, sp_noise_log10=0.0, direction_error_deg=0.0
)


def draw(config=PERFECT, count=50, seed=0):
    return draw_observations(count, config, torch.Generator().manual_seed(seed))


def share_of_right_polarities(observations, frames):
    products = ray_products(rays_of(observations.azimuth_deg, observations.takeoff_deg))
    p = p_radiation(products, couple_tensors(*frame_vectors(frames))[:, None])[..., 0]
    known = observations.observed & observations.polarity.isfinite()
    return float((p.sign() == observations.polarity)[known].float().mean())


def test_perfect_observations_are_the_radiation():
    assert share_of_right_polarities(*draw()) > 0.999


def test_errors_are_as_many_as_asked_for():
    flipped = replace(PERFECT, flipped=0.4)
    assert share_of_right_polarities(*draw(flipped, count=500)) == pytest.approx(0.8, abs=0.02)


def test_numbers_of_stations_and_gaps():
    observations, _ = draw(replace(PERFECT, stations=(6, 20), unseen=1.0), count=300)
    numbers = observations.observed.sum(dim=1)
    assert (numbers.min(), numbers.max()) == (6, 20)
    assert 0.4 < observations.polarity.isnan().float().mean() < 0.6
    assert observations.takeoff_deg.min() >= 0.0 and observations.takeoff_deg.max() <= 180.0


def test_the_same_seed_draws_the_same():
    first, second = draw(), draw()
    assert torch.equal(first[0].azimuth_deg, second[0].azimuth_deg) and torch.equal(first[1], second[1])


def test_observations_are_checked_at_birth():
    observations, _ = draw()
    with pytest.raises(ValueError, match="\\(event, station\\)"):
        replace(observations, polarity=observations.polarity[:, :-1])
    with pytest.raises(ValueError, match="within −1 and 1"):
        replace(observations, polarity=observations.polarity * 2)
    with pytest.raises(ValueError, match="needs an azimuth"):
        replace(observations, takeoff_deg=observations.takeoff_deg * torch.nan)
    with pytest.raises(ValueError, match="fewest and most"):
        ObservationConfig(stations=(9, 8))
