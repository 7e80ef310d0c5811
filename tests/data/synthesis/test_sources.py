"""Random sources: shares, mechanisms, pulses, magnitudes, in any batch."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from seisfm.data.event_types import EVENT_TYPES
from seisfm.data.loading.window_random import WindowRandom, window_keys
from seisfm.data.synthesis.rupture import subevents
from seisfm.data.synthesis.sources import (
    MOMENT_PARTS,
    SourcesConfig,
    TypeShares,
    draw_sources,
    is_kind,
    with_magnitude,
)

EACH_KIND = TypeShares(**dict.fromkeys(MOMENT_PARTS, 1.0))


def events(number: int, seed: int = 0) -> WindowRandom:
    return WindowRandom(window_keys(torch.arange(number), "event", seed))


def only(kind: str) -> TypeShares:
    return TypeShares(**{name: float(name == kind) for name in MOMENT_PARTS})


def test_kinds_occur_as_often_as_their_shares_say():
    shares = TypeShares(earthquake=6, quarry_blast=2, explosion=1, collapse=0, surface_event=0, noise=1)
    kind = draw_sources(events(20000), SourcesConfig(types=shares)).kind
    found = [float(is_kind(kind, name).float().mean()) for name in dataclasses.asdict(shares)]
    assert found == pytest.approx([0.6, 0.2, 0.1, 0.0, 0.0, 0.1], abs=0.012)
    assert set(kind.unique().tolist()) <= set(range(len(EVENT_TYPES)))


def test_mechanisms_have_no_preferred_direction():
    """Strike, cos dip and rake uniform: their means over 20,000 are 180°, 1/2 and 0°."""
    sources = draw_sources(events(20000), SourcesConfig(types=only("earthquake")))
    strike, dip, rake = sources.mechanism_deg.unbind(dim=1)
    assert float(strike.mean()) == pytest.approx(180.0, abs=3)
    assert float(dip.deg2rad().cos().mean()) == pytest.approx(0.5, abs=0.01)
    assert float(rake.mean()) == pytest.approx(0.0, abs=3)
    assert float(dip.min()) >= 0 and float(dip.max()) <= 90 and float(rake.abs().max()) <= 180


def test_blasts_push_collapses_pull_and_noise_does_nothing():
    """P of every explosion and blast is outwards in all directions, of every collapse inwards."""
    sources = draw_sources(events(3000), SourcesConfig(types=EACH_KIND))
    clvd_most, clvd_least = (
        torch.maximum(sources.clvd, -sources.clvd / 2),
        torch.minimum(sources.clvd, -sources.clvd / 2),
    )
    least = sources.isotropic + clvd_least - sources.double_couple
    most = sources.isotropic + clvd_most + sources.double_couple
    assert bool((least[is_kind(sources.kind, "quarry_blast", "explosion")] > 0).all())
    assert bool((most[is_kind(sources.kind, "collapse")] < 0).all())
    silent = is_kind(sources.kind, "noise")
    parts = torch.stack([sources.double_couple, sources.isotropic, sources.clvd])
    assert silent.any() and not parts[:, silent].any()
    couple = is_kind(sources.kind, "earthquake", "quarry_blast", "surface_event")
    assert torch.equal(sources.mechanism_deg.isfinite().all(dim=1), couple)


def test_depths_are_shallow_for_blasts_and_deep_in_a_slab():
    config = SourcesConfig(slab_share=0.4, types=TypeShares(earthquake=1, quarry_blast=1, noise=0))
    sources = draw_sources(events(4000), config)
    blast = is_kind(sources.kind, "quarry_blast")
    assert float(sources.depth_km[blast].min()) >= 0.01 and float(sources.depth_km[blast].max()) <= 0.3
    deep = sources.depth_km[is_kind(sources.kind, "earthquake")] >= 50
    assert float(deep.float().mean()) == pytest.approx(0.4, abs=0.03)
    assert float(sources.depth_km.max()) <= 150


def test_blasts_fire_5_to_40_shots_8_to_50_ms_apart():
    sources = draw_sources(events(1500), SourcesConfig(types=only("quarry_blast"), shot_scatter=0.0))
    shots = (sources.weights > 0).sum(dim=1)
    assert torch.equal(shots.unique(), torch.arange(5, 41))
    interval_s = sources.delays_s[:, 1:].diff(dim=1)[sources.weights[:, 2:] > 0]
    assert float(interval_s.min()) > 0.0079 and float(interval_s.max()) < 0.0501
    assert not sources.delays_s[:, 0].any()
    torch.testing.assert_close(sources.weights.sum(dim=1), torch.ones(1500))


def test_subevents_above_magnitude_3_are_poissonian():
    """Mean M − 3 of them beyond the first, within 0.15 · 2^(M − 3) s; one pulse alone below magnitude 3."""
    for magnitude, mean in ((2.9, 0.0), (4.0, 1.0), (5.5, 2.5)):
        delays_s, weights = subevents(events(8000), torch.full((8000,), magnitude))
        beyond = (weights[:, 1:] > 0).sum(dim=1).float()
        assert float(beyond.mean()) == pytest.approx(mean, abs=0.06)
        assert float(delays_s.max()) <= 0.15 * 2 ** max(magnitude - 3, 0)
        assert not delays_s[weights == 0].any() and not delays_s[:, 0].any()
        torch.testing.assert_close(weights.sum(dim=1), torch.ones(8000))


def test_another_magnitude_changes_what_follows_from_it_alone():
    config = SourcesConfig(types=TypeShares(earthquake=1, collapse=1, surface_event=1))
    event = events(600)
    small = draw_sources(event, config)
    large = with_magnitude(small, torch.full((600,), 5.0), event, config)
    quake = is_kind(small.kind, "earthquake")
    assert torch.equal(large.stress_drop_pa[quake], small.stress_drop_pa[quake])
    assert float((large.weights[quake] > 0).sum(dim=1).float().mean()) > 2.5
    same = ("kind", "depth_km", "mechanism_deg", "isotropic", "emergence_s", "latitude_deg")
    for name in same:
        torch.testing.assert_close(getattr(small, name), getattr(large, name), rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("magnitude", [-0.5, 2.0, 4.5])
def test_collapses_keep_their_low_corner_at_any_magnitude(magnitude):
    """Brune's corner 0.37 β (16 Δσ / 7 M0)^(1/3) for β = 2 km/s lies between 0.5 and 4 Hz."""
    event, config = events(500), SourcesConfig(types=only("collapse"))
    sources = with_magnitude(draw_sources(event, config), torch.full((500,), magnitude), event, config)
    moment = 10 ** (1.5 * magnitude + 9.1)
    corner_hz = 0.37 * 2000 * (16 * sources.stress_drop_pa.double() / (7 * moment)) ** (1 / 3)
    assert 0.499 < float(corner_hz.min()) < 0.6 and 3.6 < float(corner_hz.max()) < 4.01


def test_only_surface_events_are_emergent():
    sources = draw_sources(events(1000), SourcesConfig(types=EACH_KIND))
    surface = is_kind(sources.kind, "surface_event")
    assert torch.equal(sources.emergence_s > 0, surface) and float(sources.emergence_s[surface].min()) >= 1.0


def test_a_source_does_not_depend_on_its_batch():
    config = SourcesConfig(types=EACH_KIND)
    whole = draw_sources(events(16), config)
    for number in range(16):
        alone = draw_sources(events(16).select(torch.tensor([number])), config)
        for name, value in vars(whole).items():
            torch.testing.assert_close(vars(alone)[name][0], value[number], equal_nan=True, msg=name)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"depth_km": (0.0, 5.0)}, "depth_km must be a range"),
        ({"shots": (9, 5)}, "shots must be a range"),
        ({"slab_share": 1.2}, "slab_share must be between 0 and 1"),
        ({"stress_drop_pa": (-1.0, 5.0)}, "stress_drop_pa must be a range"),
    ],
)
def test_wrong_sources(settings, message):
    with pytest.raises(ValueError, match=message):
        SourcesConfig(**settings)


def test_wrong_shares():
    with pytest.raises(ValueError, match="type shares must be at least 0"):
        TypeShares(earthquake=-1.0)
