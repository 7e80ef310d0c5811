"""Radiation, the free surface and the strengths of branches, against formulas and symmetries."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from seisfm.data.loading.window_random import WindowRandom, window_keys
from seisfm.data.synthesis.free_surface import surface_motion
from seisfm.data.synthesis.geometry import GeometryConfig, draw_geometry
from seisfm.data.synthesis.media import MediaConfig, draw_media, velocity_at
from seisfm.data.synthesis.moment_tensor import moment_tensors, radiated, with_water_level
from seisfm.data.synthesis.plan import BRANCHES, Geometry, Media, Sources, Waves
from seisfm.data.synthesis.sources import SourcesConfig, TypeShares, draw_sources
from seisfm.data.synthesis.waves import WavesConfig, arriving_waves, draw_splitting

P, S = BRANCHES.index("P"), BRANCHES.index("S")


def source(
    strike: float = 0.0,
    dip: float = 90.0,
    rake: float = 0.0,
    couple: float = 1.0,
    isotropic: float = 0.0,
    clvd: float = 0.0,
) -> Sources:
    """One source with a moment tensor of one's choice."""
    event = WindowRandom(window_keys(torch.arange(1), "event", 0))
    parts = {"double_couple": couple, "isotropic": isotropic, "clvd": clvd}
    return dataclasses.replace(
        draw_sources(event, SourcesConfig()),
        mechanism_deg=torch.tensor([[strike, dip, rake]]),
        **{name: torch.tensor([value]) for name, value in parts.items()},
    )


def sent(one: Sources, azimuth_deg: list[float], takeoff_deg: float) -> list[torch.Tensor]:
    azimuth = torch.tensor([azimuth_deg])
    return [amplitude[0] for amplitude in radiated(moment_tensors(one), azimuth, torch.tensor(takeoff_deg))]


def scene(number: int, types: TypeShares | None = None) -> tuple[Media, Sources, Geometry, WindowRandom]:
    event = WindowRandom(window_keys(torch.arange(number) // 4, "event", 0))
    station = WindowRandom(window_keys(torch.arange(number), "station", 0))
    sources = draw_sources(event, SourcesConfig(types=types or TypeShares()))
    geometry = draw_geometry(event, station, sources, GeometryConfig())
    return draw_media(event, MediaConfig()), sources, geometry, station


def test_strike_slip_radiates_in_four_lobes():
    """A vertical north–south fault, left-lateral: P sin 2φ, SH cos 2φ, SV nothing along horizontal rays."""
    azimuth_deg = [0.0, 45.0, 90.0, 135.0, 225.0, 315.0, 20.0]
    p, sv, sh = sent(source(), azimuth_deg, 90.0)
    double = 2 * torch.tensor(azimuth_deg).double().deg2rad()
    torch.testing.assert_close(p, double.sin(), atol=1e-7, rtol=0)
    torch.testing.assert_close(sh, double.cos(), atol=1e-7, rtol=0)
    torch.testing.assert_close(sv, torch.zeros_like(sv), atol=1e-7, rtol=0)


@pytest.mark.parametrize("takeoff_deg", [20.0, 75.0, 110.0, 160.0])
def test_all_amplitudes_are_those_of_aki_and_richards(takeoff_deg):
    """Equations 4.89 to 4.91 written out, for an oblique fault at seven azimuths."""
    strike, dip, rake = 35.0, 52.0, -64.0
    azimuth_deg = torch.tensor([0.0, 40.0, 111.0, 177.0, 200.0, 260.0, 350.0]).double()
    d, r, i = (torch.tensor(angle).double().deg2rad() for angle in (dip, rake, takeoff_deg))
    f = (azimuth_deg - strike).deg2rad()
    p = (
        r.cos() * d.sin() * i.sin() ** 2 * (2 * f).sin()
        - r.cos() * d.cos() * (2 * i).sin() * f.cos()
        + r.sin() * (2 * d).sin() * (i.cos() ** 2 - i.sin() ** 2 * f.sin() ** 2)
        + r.sin() * (2 * d).cos() * (2 * i).sin() * f.sin()
    )
    sv = (
        r.sin() * (2 * d).cos() * (2 * i).cos() * f.sin()
        - r.cos() * d.cos() * (2 * i).cos() * f.cos()
        + 0.5 * r.cos() * d.sin() * (2 * i).sin() * (2 * f).sin()
        - 0.5 * r.sin() * (2 * d).sin() * (2 * i).sin() * (1 + f.sin() ** 2)
    )
    sh = (
        r.cos() * d.cos() * i.cos() * f.sin()
        + r.cos() * d.sin() * i.sin() * (2 * f).cos()
        + r.sin() * (2 * d).cos() * i.cos() * f.cos()
        - 0.5 * r.sin() * (2 * d).sin() * i.sin() * (2 * f).sin()
    )
    found = sent(source(strike, dip, rake), azimuth_deg.tolist(), takeoff_deg)
    for amplitude, expected in zip(found, (p, sv, sh), strict=True):
        torch.testing.assert_close(amplitude, expected, atol=1e-6, rtol=0)


def test_thrust_pushes_up_and_normal_pulls_down():
    assert float(sent(source(30, 45, 90), [0.0], 180.0)[0]) == pytest.approx(1.0)
    assert float(sent(source(30, 45, -90), [0.0], 180.0)[0]) == pytest.approx(-1.0)


def test_explosion_is_the_same_everywhere_and_a_clvd_has_its_cone():
    """An explosion: P 1, no S. A vertical CLVD: P (3 cos² i − 1)/2, SV −¾ sin 2i, nothing at 54.7°."""
    for takeoff_deg in (10.0, 90.0, 130.0):
        p, sv, sh = sent(source(couple=0.0, isotropic=1.0), [10.0, 200.0], takeoff_deg)
        torch.testing.assert_close(p, torch.ones(2).double())
        assert float(sv.abs().max()) < 1e-7 and float(sh.abs().max()) < 1e-7
        p, sv, sh = sent(source(couple=0.0, clvd=1.0), [10.0, 200.0], takeoff_deg)
        i = torch.tensor(takeoff_deg).double().deg2rad()
        torch.testing.assert_close(p, ((3 * i.cos() ** 2 - 1) / 2).expand(2))
        torch.testing.assert_close(sv, (-0.75 * (2 * i).sin()).expand(2), atol=1e-7, rtol=1e-6)
        assert float(sh.abs().max()) < 1e-7
    assert float(sent(source(couple=0.0, clvd=1.0), [0.0], 54.735610)[0]) == pytest.approx(0.0, abs=1e-6)


def test_mean_radiation_is_that_of_the_sphere():
    """Mean squares over the sphere: 4/15 for P and 2/5 for S (Aki & Richards, 2002)."""
    random = WindowRandom(window_keys(torch.arange(40000), "sphere", 0))
    takeoff_deg = (2 * random.uniform("cos") - 1).acos().rad2deg()
    tensor = moment_tensors(source(77, 33, 120))
    p, sv, sh = radiated(tensor, 360 * random.uniform("azimuth")[None], takeoff_deg[None])
    assert float((p**2).mean()) == pytest.approx(4 / 15, rel=0.03)
    assert float((sv**2 + sh**2).mean()) == pytest.approx(2 / 5, rel=0.03)


def test_turning_strike_and_azimuth_together_changes_nothing():
    here = sent(source(20, 60, 40), [33.0, 190.0], 70.0)
    turned = sent(source(137, 60, 40), [150.0, 307.0], 70.0)
    for one, other in zip(here, turned, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=0)


def test_a_mirror_image_keeps_p_and_sv_and_turns_sh():
    """East and west exchanged: azimuth → −azimuth, strike → 180° − strike, rake → 180° − rake."""
    here = sent(source(25, 60, 40), [70.0, 200.0], 65.0)
    mirrored = sent(source(155, 60, 140), [-70.0, -200.0], 65.0)
    for one, other, sign in zip(here, mirrored, (1, 1, -1), strict=True):
        torch.testing.assert_close(one, sign * other, atol=1e-6, rtol=0)


def test_both_nodal_planes_radiate_the_same():
    """A pure thrust's auxiliary plane: strike + 180°, 90° − dip."""
    for one, other in zip(
        sent(source(40, 30, 90), [5.0, 123.0], 100.0),
        sent(source(220, 60, 90), [5.0, 123.0], 100.0),
        strict=True,
    ):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=0)


def test_water_level_keeps_signs():
    lifted = with_water_level(torch.tensor([-0.5, -1e-6, 0.3]), 0.1)
    assert lifted.sign().tolist() == [-1, -1, 1] and float(lifted.abs().min()) >= 0.1


def ground(wave: str, incidence_deg: float, back_azimuth_deg: float) -> torch.Tensor:
    """Motion of the surface for one unit wave, vp 5 and vs 2.9 km/s."""
    vp, vs = torch.tensor(5.0).double(), torch.tensor(2.9).double()
    slowness = torch.tensor(incidence_deg).double().deg2rad().sin() / (vp if wave == "P" else vs)
    unit = [torch.tensor(float(wave == name)).double() for name in ("P", "SV", "SH")]
    return surface_motion(*unit, slowness, torch.tensor(back_azimuth_deg).double(), vp, vs)


def test_free_surface_doubles_vertical_incidence_and_keeps_directions():
    """An event to the north-east: P pushes up and south-west; SH is across and doubled."""
    torch.testing.assert_close(ground("P", 0.0, 45.0), torch.tensor([2.0, 0.0, 0.0]).double())
    up, north, east = ground("P", 40.0, 45.0).tolist()
    assert up > 0 > north and north == pytest.approx(east)
    across = ground("SH", 20.0, 45.0)
    assert float(across[1] + across[2]) == pytest.approx(0.0) and float(across.norm()) == pytest.approx(2.0)
    torch.testing.assert_close(
        ground("SV", 0.0, 180.0), torch.tensor([0.0, -2.0, 0.0]).double(), atol=1e-7, rtol=0
    )


def test_apparent_incidence_of_p_is_known():
    """On the free surface the apparent angle of P is 2 arcsin(p β) (Wiechert)."""
    up, north, _ = ground("P", 35.0, 0.0)
    expected = 2 * torch.asin(torch.tensor(35.0).double().deg2rad().sin() / 5.0 * 2.9)
    assert float(torch.atan2(-north, up)) == pytest.approx(float(expected))


def test_waves_hold_each_ray_once():
    """2,000 records: a first arrival with a name carries its motion; what does not exist moves nothing."""
    media, sources, geometry, station = scene(2000, TypeShares(noise=0.0))
    waves = arriving_waves(media, sources, geometry, station, WavesConfig())
    moves = (waves.motion != 0).any(dim=2)
    assert not moves[waves.travel_time_s.isnan()].any() and bool(waves.motion.isfinite().all())
    for first in (P, S):
        kind = slice(first, first + 4)
        times = waves.travel_time_s[:, kind].nan_to_num(torch.inf)
        assert bool(moves[:, first].all()) and bool((times[:, :1] <= times + 1e-9).all())
        same = (times[:, 1:] - times[:, :1]).abs() < 1e-4
        assert same.any() and not moves[:, kind][:, 1:][same].any()
    assert bool(((waves.takeoff_deg >= 0) & (waves.takeoff_deg <= 180))[waves.travel_time_s.isfinite()].all())


def test_polarity_is_that_of_the_radiated_p():
    """First motion up where P leaves outwards, for every one of 2,000 records."""
    media, sources, geometry, station = scene(2000, TypeShares(noise=0.0, surface_event=0.0))
    waves = arriving_waves(media, sources, geometry, station, WavesConfig())
    p, _, _ = radiated(moment_tensors(sources), geometry.azimuth_deg[:, None], waves.takeoff_deg)
    clear = p[:, P].abs() > 1e-4
    assert torch.equal((waves.motion[:, P, 0] > 0)[clear], (p[:, P] > 0)[clear])


def test_a_direct_ray_moves_the_ground_as_its_parts_say():
    """Where the direct ray comes first: radiation with water level times the free surface, nothing else."""
    media, sources, geometry, station = scene(
        400, TypeShares(earthquake=1.0, quarry_blast=0, explosion=0, collapse=0, surface_event=0, noise=0)
    )
    waves = arriving_waves(media, sources, geometry, station, WavesConfig())
    direct = waves.travel_time_s[:, P] == waves.travel_time_s[:, P + 1]
    assert int(direct.sum()) > 50
    p, _, _ = radiated(
        moment_tensors(sources), geometry.azimuth_deg[:, None], waves.takeoff_deg[:, P : P + 1]
    )
    lifted, zero = with_water_level(p[:, 0], 0.15), torch.zeros(400).double()
    surface_km = -geometry.station_elevation_m / 1000
    expected = surface_motion(
        lifted, zero, zero, waves.ray_parameter_s_km[:, P].double(), geometry.back_azimuth_deg.double(),
        velocity_at(media, surface_km, "P").double(), velocity_at(media, surface_km, "S").double(),
    )  # fmt: skip
    torch.testing.assert_close(waves.motion[direct, P], expected[direct].float(), atol=1e-4, rtol=1e-4)


def test_noise_is_still_and_branches_can_be_left_out():
    media, sources, geometry, station = scene(40, TypeShares(noise=1.0, earthquake=0.0))
    silent = sources.double_couple.abs() + sources.isotropic.abs() + sources.clvd.abs() == 0
    waves = arriving_waves(media, sources, geometry, station, WavesConfig(branches=False))
    assert silent.any() and not waves.motion[silent].any()
    later = [i for i in range(len(BRANCHES)) if i not in (P, S)]
    assert not waves.motion[:, later].any() and bool((waves.motion[~silent][:, [P, S]] != 0).any(dim=2).all())


def test_later_branches_are_weaker_by_the_cube_of_the_times():
    """An explosion's Pg after a head wave: (t_P / t_Pg)³ of what the free surface makes of a unit P."""
    media, sources, geometry, station = scene(400)
    one, zero = torch.ones(400), torch.zeros(400)
    explosions = dataclasses.replace(sources, double_couple=zero, isotropic=one, clvd=zero)
    waves = arriving_waves(media, explosions, geometry, station, WavesConfig())
    direct = BRANCHES.index("Pg")
    ratio = waves.travel_time_s[:, P] / waves.travel_time_s[:, direct]
    vp, vs = (velocity_at(media, -geometry.station_elevation_m / 1000, kind) for kind in "PS")
    slowness = waves.ray_parameter_s_km[:, direct]
    alone = surface_motion(one, zero, zero, slowness, geometry.back_azimuth_deg, vp, vs)
    late = ratio < 0.98
    assert int(late.sum()) > 50
    expected = (alone[:, 0] * ratio**3).float()[late]
    torch.testing.assert_close(waves.motion[late, direct, 0], expected, rtol=1e-3, atol=1e-4)


def test_reflections_are_weak_before_the_critical_angle():
    media, sources, geometry, station = scene(400)
    strong, usual = (
        arriving_waves(media, sources, geometry, station, WavesConfig(precritical=share))
        for share in (1.0, 0.12)
    )
    column = BRANCHES.index("PmP")
    mantle = media.vp_km_s.gather(1, media.moho[:, None])[:, 0]
    steep = usual.ray_parameter_s_km[:, column] * mantle < 1
    share = (usual.motion / strong.motion)[:, column, 0]
    moved = strong.motion[:, column, 0] != 0
    torch.testing.assert_close(share[moved & steep], torch.full_like(share[moved & steep], 0.12))
    torch.testing.assert_close(share[moved & ~steep], torch.ones_like(share[moved & ~steep]))
    assert bool((moved & steep).any()) and bool((moved & ~steep).any())


def test_waves_do_not_depend_on_the_batch():
    media, sources, geometry, station = scene(16)
    whole = arriving_waves(media, sources, geometry, station, WavesConfig())

    def row(part: Media | Sources | Geometry, number: int) -> dict[str, torch.Tensor]:
        return {name: value[number : number + 1] for name, value in vars(part).items()}

    for number in range(16):
        alone = arriving_waves(
            Media(**row(media, number)), Sources(**row(sources, number)), Geometry(**row(geometry, number)),
            station.select(torch.tensor([number])), WavesConfig(),
        )  # fmt: skip
        for name in (field.name for field in dataclasses.fields(Waves)):
            one, other = getattr(alone, name)[0], getattr(whole, name)[number]
            torch.testing.assert_close(one, other, equal_nan=True, msg=name)


def test_splitting_is_slight_and_on_its_share_of_stations():
    station = WindowRandom(window_keys(torch.arange(4000), "station", 0))
    splitting = draw_splitting(station, WavesConfig(split_share=0.3, split_delay_s=(0.02, 0.1)))
    split = splitting.delay_s > 0
    assert float(split.float().mean()) == pytest.approx(0.3, abs=0.03)
    assert float(splitting.delay_s[split].min()) >= 0.02 and float(splitting.delay_s.max()) <= 0.1
    assert float(splitting.fast_azimuth_deg.max()) < 180


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"water_level": 2.0}, "water_level must be between 0 and 1"),
        ({"reflection": (-0.1, 0.5)}, "reflection must be a range"),
        ({"isotropic_shear": -1.0}, "isotropic_shear must be at least 0"),
    ],
)
def test_wrong_waves(settings, message):
    with pytest.raises(ValueError, match=message):
        WavesConfig(**settings)
