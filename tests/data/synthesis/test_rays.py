"""Rays of a batch against the numpy model, ObsPy's taup, and closed forms."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from obspy.taup import TauPyModel
from obspy.taup.taup_create import build_taup_model
from seisfm.data.loading.window_random import WindowRandom, window_keys
from seisfm.data.synthesis.media import CoverConfig, MediaConfig, draw_media, velocity_model
from seisfm.data.synthesis.plan import BRANCHES, Geometry, Media
from seisfm.data.synthesis.rays import Rays, trace_rays

EARTH_RADIUS_KM = 6371.0
VOLCANO = MediaConfig(
    moho_km=None,
    surface_vp_km_s=(1.5, 3.0),
    base_vp_km_s=(5.0, 6.2),
    cover=CoverConfig(share=0.5, thickness_km=(0.05, 0.5), vp_km_s=(0.6, 1.5), vp_vs=(1.8, 8.0)),
)


def random(number: int, seed: int = 0) -> WindowRandom:
    return WindowRandom(window_keys(torch.arange(number), "rays", seed))


def at_distance(distance_km: torch.Tensor, elevation_m: torch.Tensor | float = 0.0) -> Geometry:
    zero = torch.zeros(len(distance_km))
    return Geometry(
        distance_km=distance_km,
        azimuth_deg=zero,
        back_azimuth_deg=zero + 180.0,
        station_latitude_deg=zero,
        station_longitude_deg=zero,
        station_elevation_m=zero + elevation_m,
    )


def crust(top_km: list[float], vp: list[float], vs: list[float], moho: int, number: int) -> Media:
    one = torch.ones(number)
    layers = [torch.tensor(column).repeat(number, 1) for column in ([-torch.inf, *top_km], vp, vs)]
    return Media(
        top_km=layers[0],
        vp_km_s=layers[1],
        vs_km_s=layers[2],
        moho=torch.full((number,), moho),
        s_quality_1hz=100.0 * one,
        quality_exponent=0.0 * one,
        quality_ratio=2.0 * one,
    )


def of(rays: Rays, phase: str) -> torch.Tensor:
    return rays.time_s[:, BRANCHES.index(phase)]


@pytest.mark.parametrize("config", [MediaConfig(), VOLCANO], ids=["crustal", "volcanic"])
def test_all_branches_equal_the_velocity_model_to_a_microsecond(config):
    """150 random crusts, 0.3 to 300 km, 0.1 to 100 km deep, stations from −1,000 to 2,000 m."""
    number = 150
    media = draw_media(random(number), config)
    here = random(number, 1)
    distance_km = 0.3 * 1000.0 ** here.uniform64("distance")
    depth_km = 0.1 * 1000.0 ** here.uniform64("depth")
    geometry = at_distance(distance_km, 3000.0 * here.uniform64("elevation") - 1000.0)
    rays = trace_rays(media, depth_km, geometry)
    for i in range(number):
        model = velocity_model(media, i)
        for branch, phase in enumerate(BRANCHES):
            expected = model.rays(
                float(distance_km[i]), float(depth_km[i]), phase, float(geometry.station_elevation_m[i])
            )
            if config is VOLCANO and phase[1:] in ("n", "mP", "mS"):
                assert torch.isnan(rays.time_s[i, branch])
                continue
            found = [getattr(rays, field.name)[i, branch].item() for field in dataclasses.fields(rays)]
            wanted = [
                expected.time_s,
                expected.ray_parameter_s_km,
                expected.takeoff_deg,
                expected.incidence_deg,
            ]
            np.testing.assert_allclose(found, wanted, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("seed", "covered"), [(3, 1.0), (8, 0.0)])
def test_first_arrivals_agree_with_taup_to_2_ms_up_to_150_km(seed, covered, tmp_path):
    """The same crust in ObsPy's taup, sources 1 to 22 km deep; flat layers 40 ms up to 50 km."""
    media = draw_media(random(1, seed), MediaConfig(cover=CoverConfig(share=covered)))
    taup = taup_of(media, tmp_path)
    places = torch.cartesian_prod(
        torch.tensor([2.0, 8.0, 17.0, 28.0, 40.0, 50.0, 100.0, 150.0]), torch.tensor([1.0, 5.0, 11.0, 22.0])
    )
    distance_km, depth_km = places.unbind(dim=1)
    number = len(places)
    same = Media(**{name: value.repeat_interleave(number, 0) for name, value in vars(media).items()})
    spherical = trace_rays(same, depth_km, at_distance(distance_km), spherical=True)
    flat = trace_rays(same, depth_km, at_distance(distance_km))
    degrees = np.degrees(distance_km.double().numpy() / EARTH_RADIUS_KM)
    for phase in "PS":
        names = [phase, phase.lower(), f"{phase}n", f"{phase}g"]
        for i in range(number):
            first = taup.get_travel_times(float(depth_km[i]), float(degrees[i]), names)[0]
            assert float(of(spherical, phase)[i]) == pytest.approx(first.time, abs=0.002)
            if distance_km[i] <= 50:
                assert float(of(flat, phase)[i]) == pytest.approx(first.time, abs=0.04)


def taup_of(media: Media, folder: Path) -> TauPyModel:
    """A record's crust over a mantle and core of no interest, as taup wants it."""
    model = velocity_model(media, 0)
    bottoms_km = [*model.depth_km[1:], 400.0]
    lines = ["depth vp vs density", "of the test"]
    for top, bottom, vp, vs in zip(model.depth_km, bottoms_km, model.vp_km_s, model.vs_km_s, strict=True):
        lines += [f"{depth:.6f} {vp:.6f} {vs:.6f} 3.0" for depth in (top, bottom)]
    lines += ["2891.0 13.7 7.3 5.5", "2891.0 8.0 0.0 9.9", "5149.5 10.3 0.0 12.1", "5149.5 11.0 3.5 12.7"]
    lines += ["6371.0 11.3 3.7 13.0"]
    file = folder / "crust.tvel"
    file.write_text("\n".join(lines) + "\n")
    build_taup_model(str(file), output_folder=str(folder), verbose=False)
    return TauPyModel(str(folder / "crust.npz"))


def test_a_half_space_has_straight_rays_and_nothing_else():
    media = crust([torch.inf], [6.0, 6.0], [3.5, 3.5], -1, 4)
    distance_km, depth_km = torch.tensor([0.0, 0.1, 7.0, 300.0]), torch.tensor([0.0, 0.5, 12.0, 0.0])
    rays = trace_rays(media, depth_km, at_distance(distance_km, 1200.0))
    expected = torch.hypot(distance_km, depth_km + 1.2).double()
    torch.testing.assert_close(of(rays, "P"), expected / 6.0, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(of(rays, "Sg"), expected / 3.5, rtol=1e-6, atol=1e-9)
    assert bool(torch.isnan(rays.time_s[:, [2, 3, 6, 7]]).all())


def test_head_wave_and_reflection_of_one_layer_over_the_mantle():
    """Pn: X/v2 + (2h − z) √(1/v1² − 1/v2²); PmP the image at 2h − z; Pn begins at the critical distance."""
    distance_km = torch.tensor([12.0, 60.0, 140.0])
    media = crust([30.0], [6.0, 8.0], [3.5, 4.6], 1, 3)
    rays = trace_rays(media, torch.full((3,), 10.0), at_distance(distance_km))
    head_s = distance_km.double() / 8.0 + 50.0 * (1 / 36 - 1 / 64) ** 0.5
    assert torch.isnan(of(rays, "Pn")[0])
    torch.testing.assert_close(of(rays, "Pn")[1:], head_s[1:])
    torch.testing.assert_close(of(rays, "PmP"), torch.hypot(distance_km.double(), torch.tensor(50.0)) / 6.0)
    assert float(of(rays, "P")[2]) == pytest.approx(float(head_s[2]))
    assert rays.takeoff_deg[2, BRANCHES.index("P")] < 90 < rays.takeoff_deg[2, BRANCHES.index("Pg")]


def test_slab_events_below_the_moho_have_only_the_rising_ray():
    rays = trace_rays(
        crust([30.0], [6.0, 8.0], [3.5, 4.6], 1, 1), torch.tensor([120.0]), at_distance(torch.tensor([80.0]))
    )
    assert torch.isnan(rays.time_s[0, [2, 3]]).all() and rays.time_s[0, 0] == rays.time_s[0, 1]
    assert rays.takeoff_deg[0, 0] > 90


def test_a_record_meets_the_same_rays_in_any_batch():
    media = draw_media(random(16), MediaConfig())
    distance_km, depth_km = 150.0 * random(16).uniform("distance"), 25.0 * random(16).uniform("depth")
    whole = trace_rays(media, depth_km, at_distance(distance_km))
    for i in range(16):
        one = Media(**{name: value[i : i + 1] for name, value in vars(media).items()})
        alone = trace_rays(one, depth_km[i : i + 1], at_distance(distance_km[i : i + 1]))
        torch.testing.assert_close(alone.time_s[0], whole.time_s[i], rtol=0, atol=1e-12, equal_nan=True)
