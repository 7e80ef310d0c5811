"""Random crusts: their order, their cover, their Moho, in every region and in any batch."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from seisfm.configs.loader import build_config
from seisfm.data.loading.window_random import WindowRandom, window_keys
from seisfm.data.synthesis.media import CoverConfig, MediaConfig, draw_media, velocity_at, velocity_model

REGIONS = {
    "crustal": MediaConfig(),
    "volcanic": MediaConfig(
        moho_km=None,
        surface_vp_km_s=(1.5, 3.0),
        base_vp_km_s=(5.0, 6.2),
        gradient_exponent=(0.3, 0.6),
        cover=CoverConfig(share=0.5, thickness_km=(0.1, 0.6), vp_km_s=(1.0, 1.5), vp_vs=(1.8, 2.3)),
    ),
    "ice": MediaConfig(
        cover=CoverConfig(share=1.0, thickness_km=(0.2, 3.5), vp_km_s=(3.6, 3.9), vp_vs=(1.95, 2.05))
    ),
    "ocean_bottom": MediaConfig(
        moho_km=(6.0, 12.0),
        cover=CoverConfig(share=1.0, thickness_km=(0.05, 1.5), vp_km_s=(1.55, 2.2), vp_vs=(2.5, 8.0)),
    ),
    "two_layers": MediaConfig(num_layers=(2, 2), cover=CoverConfig(share=0.0)),
}


def events(number: int, seed: int = 0) -> WindowRandom:
    return WindowRandom(window_keys(torch.arange(number), "event", seed))


@pytest.mark.parametrize("region", REGIONS)
def test_velocities_grow_downwards_and_padding_goes_on(region):
    """2,000 crusts: tops increase, vp never falls, vp > √2 vs, and nothing is NaN."""
    config = REGIONS[region]
    media = draw_media(events(2000), config)
    tops_km, used = media.top_km[:, 1:], torch.isfinite(media.top_km[:, 1:])
    assert media.top_km.shape[1] == config.num_layers[1] + 1 and bool(
        (media.top_km[:, 0] == -torch.inf).all()
    )
    thickness_km = tops_km.diff(dim=1)[used[:, 1:]]
    assert bool((thickness_km > 0.04).all()) and bool((tops_km[used] > 0.04).all())
    rock = media.vp_km_s[:, 1:]
    assert bool((rock.diff(dim=1) >= 0).all()) and bool((media.vp_km_s > 2**0.5 * media.vs_km_s).all())
    padding = ~used[:, 1:]
    assert torch.equal(
        media.vp_km_s[:, 2:][padding], media.vp_km_s[:, -1:].expand(-1, padding.shape[1])[padding]
    )
    assert torch.equal(
        media.vs_km_s[:, 2:][padding], media.vs_km_s[:, -1:].expand(-1, padding.shape[1])[padding]
    )


def test_layers_are_as_many_as_asked_for_with_the_mantle_below_the_moho():
    media = draw_media(events(4000), MediaConfig(cover=CoverConfig(share=0.0)))
    num_layers = 1 + torch.isfinite(media.top_km).sum(dim=1)
    assert torch.equal(num_layers.unique(), torch.arange(3, 9))
    assert torch.equal(media.moho, num_layers - 1)
    moho_km = media.top_km.gather(1, media.moho[:, None])
    assert 24.0 <= float(moho_km.min()) < 25.0 and 44.0 < float(moho_km.max()) <= 45.0
    mantle = media.vp_km_s.gather(1, media.moho[:, None])
    assert float(mantle.min()) >= 7.7 and float(media.vp_km_s.gather(1, media.moho[:, None] - 1).max()) <= 7.0


def test_a_cover_lies_on_as_many_crusts_as_asked_for():
    """30 % of 5,000 have soft ground of vp 1.8 to 3.2 km/s, and its Moho counts the cover's layer."""
    media = draw_media(events(5000), MediaConfig())
    soft = media.vp_km_s[:, 0] < 3.3
    assert float(soft.float().mean()) == pytest.approx(0.3, abs=0.02)
    assert float(media.top_km[soft, 1].min()) >= 0.2 and float(media.top_km[soft, 1].max()) <= 0.8
    below_moho = media.vp_km_s.gather(1, media.moho[:, None])
    assert float(below_moho.min()) >= 7.7


def test_a_volcano_has_no_moho():
    media = draw_media(events(50), REGIONS["volcanic"])
    assert bool((media.moho == -1).all()) and float(media.vp_km_s.max()) <= 6.2


def test_a_crust_does_not_depend_on_its_batch():
    whole = draw_media(events(16), MediaConfig())
    for number in range(16):
        alone = draw_media(events(16).select(torch.tensor([number])), MediaConfig())
        for name in (field.name for field in dataclasses.fields(whole)):
            torch.testing.assert_close(getattr(alone, name)[0], getattr(whole, name)[number], rtol=0, atol=0)


def test_velocity_at_a_depth_is_that_of_the_velocity_model():
    """Above the ground, inside, on an interface (the lower layer's) and in the mantle."""
    media = draw_media(events(40), MediaConfig())
    depth_km = torch.tensor([-1.2, 0.0, 0.5, 7.0, 30.0, 200.0]).repeat(40, 1)
    depth_km[:, 3] = media.top_km[:, 1]
    for kind in "PS":
        found = velocity_at(media, depth_km, kind)
        expected = [velocity_model(media, i).velocity_km_s(depth_km[i].numpy(), kind) for i in range(40)]
        np.testing.assert_allclose(found.numpy(), expected)


def test_configuration_from_settings():
    config = build_config(MediaConfig, {"moho_km": None, "num_layers": [4, 6], "cover": {"share": 1}})
    assert config.moho_km is None and config.cover.share == 1.0 and config.num_layers == (4, 6)
    with pytest.raises(ValueError, match="unknown key"):
        build_config(MediaConfig, {"cover": {"thicknes_km": [1, 2]}})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_layers": (1, 3)}, "num_layers must be a range"),
        ({"surface_vp_km_s": (6.0, 6.9)}, "vp must grow downwards"),
        ({"mantle_vp_km_s": (6.9, 8.0)}, "vp must grow downwards"),
        ({"vp_vs": (1.2, 1.8)}, "vp_vs must be a range"),
        ({"moho_km": (40.0, 30.0)}, "moho_km must be a range"),
    ],
)
def test_wrong_media(settings, message):
    with pytest.raises(ValueError, match=message):
        MediaConfig(**settings)


def test_wrong_cover():
    with pytest.raises(ValueError, match="share must be between 0 and 1, found 2"):
        CoverConfig(share=2.0)
