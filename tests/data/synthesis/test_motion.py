"""Ground motion as a whole: what is labelled is what moves, and a record is the same in any batch."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from seisfm.data.event_types import EVENT_TYPES
from seisfm.data.synthesis.geometry import GeometryConfig
from seisfm.data.synthesis.media import velocity_at
from seisfm.data.synthesis.motion import (
    MotionConfig,
    first_sample_after,
    ground_motion,
    place_impulses,
    transform_length,
)
from seisfm.data.synthesis.pulses import PulseConfig, hypocentral_km, pulse_corner_hz
from seisfm.data.synthesis.scatterers import ScatteringConfig, draw_scattering
from seisfm.data.synthesis.seismometers import InstrumentConfig
from seisfm.data.synthesis.sites import SiteConfig
from seisfm.data.synthesis.surface_waves import SurfaceWaveConfig

RATE_HZ = 100.0
P_AT_S = 5.0
NO_RG = MotionConfig(surface_waves=SurfaceWaveConfig(share=0.0))


def _p_at(scene, p_s=P_AT_S):
    """Origin times that let P come so many seconds after the first sample."""
    return p_s - scene.waves.travel_time_s[:, 0]


def _heard(scene):
    return scene.sources.kind != EVENT_TYPES.index("noise")


def test_a_record_is_the_same_in_any_batch(draw_scene):
    """Records 0 to 15 together and one by one, to 1e-4 of their peak."""
    scene, event, station = draw_scene(16)
    together = ground_motion(scene, _p_at(scene), 3000, event, station, MotionConfig())
    for number in range(16):
        one, event, station = draw_scene([number])
        alone = ground_motion(one, _p_at(one), 3000, event, station, MotionConfig())[0]
        peak = float(together[number].abs().max())
        assert float((alone - together[number]).abs().max()) <= 1e-4 * peak


def test_nothing_comes_before_p_and_noise_is_silent(draw_scene):
    scene, event, station = draw_scene(256)
    motion = ground_motion(scene, _p_at(scene, 5.004), 3000, event, station, MotionConfig())
    assert motion.dtype == torch.float32 and motion.shape == (256, 3, 3000)
    assert bool(motion.isfinite().all())
    assert not bool(motion[..., :501].any())
    heard = _heard(scene)
    assert bool(motion[heard].abs().amax(dim=(1, 2)).gt(0).all()) and not bool(motion[~heard].any())
    assert 0 < int((~heard).sum()) < 64


def test_first_motion_at_the_label_has_the_labelled_sign_in_999_of_1000(draw_scene, only_direct):
    """2,000 noise-free impulsive earthquakes with all branches, followers and conversions.

    First motion: the first sample from the label on that exceeds 2 % of the peak of the 0.2 s after it.
    """
    config = dataclasses.replace(
        only_direct,
        scattering=ScatteringConfig(coda_share=0.0),
        sources=dataclasses.replace(only_direct.sources, magnitude=(-1.0, 3.0)),
    )
    right = []
    for begin in range(0, 2000, 250):
        scene, event, station = draw_scene(torch.arange(begin, begin + 250), config, seed=1)
        p_s = 1.0 + 0.01 * station.uniform64("test/fraction")
        vertical = ground_motion(scene, p_s - scene.waves.travel_time_s[:, 0], 300, event, station, NO_RG)[
            :, 0
        ]
        after = vertical[:, 100:120]
        seen = after.abs() > 0.02 * after.abs().amax(dim=1, keepdim=True)
        first = after.gather(1, seen.float().argmax(dim=1, keepdim=True))[:, 0]
        right.append(first.sign() == scene.waves.motion[:, 0, 0].sign())
    assert float(torch.cat(right).float().mean()) >= 0.999


def test_magnitude_is_recovered_from_noise_free_spectra_to_a_tenth(draw_scene, only_direct):
    """Mw 0 to 3 at 64 broadband stations, from the low-frequency level of P's displacement.

    Brune's spectrum, whose corner is fitted too, and the known path are divided out; distance, radiation and
    source velocity are known: M0 = 4π ρ v³ R Ω0 / F.
    """
    config = dataclasses.replace(
        only_direct,
        sources=dataclasses.replace(only_direct.sources, magnitude=(0.0, 3.0), depth_km=(3.0, 15.0)),
        geometry=GeometryConfig(distance_km=(20.0, 60.0), distance_scatter=0.0),
        instrument=InstrumentConfig(share=(1.0, 0.0, 0.0, 0.0)),
        site=SiteConfig(roughness=(0.0, 0.0)),
    )
    scene, event, station = draw_scene(64, config, seed=5)
    motion = ground_motion(scene, _p_at(scene), 700, event, station, NO_RG)[:, 0]
    s_sample = (P_AT_S + scene.waves.travel_time_s[:, 4] - scene.waves.travel_time_s[:, 0]) * RATE_HZ
    motion = motion * (torch.arange(700) < s_sample[:, None])
    spectrum = torch.fft.rfft(motion, n=2048)
    frequency_hz = torch.arange(1025) * (RATE_HZ / 2048)
    band = (frequency_hz > 0.7) & (frequency_hz < 25.0)
    used_hz = frequency_hz[band]
    displacement = spectrum[:, band].abs().log() - (2.0 * math.pi * used_hz * RATE_HZ).log()
    quality = scene.media.s_quality_1hz * scene.media.quality_ratio
    for_q = used_hz ** -scene.media.quality_exponent[:, None] / quality[:, None]
    travel_s = scene.waves.travel_time_s[:, :1].float()
    displacement += math.pi * used_hz * (travel_s * for_q + scene.site.kappa_s[:, None])
    displacement -= scene.site.log_resonance(used_hz)
    corners_hz = torch.logspace(-0.5, 2.0, 200)
    level = displacement[:, None] + torch.log1p((used_hz / corners_hz[:, None]) ** 2)
    best = level.var(dim=-1).argmin(dim=1)
    omega = level.mean(dim=-1).gather(1, best[:, None])[:, 0].exp()
    velocity_m_s = 1000.0 * velocity_at(scene.media, scene.sources.depth_km, "P")
    radiation = scene.waves.motion[:, 0, 0].abs()
    distance_m = 1000.0 * hypocentral_km(scene.sources, scene.geometry)
    moment = 4.0 * math.pi * 2700.0 * velocity_m_s**3 * distance_m * omega / radiation
    found = (moment.log10() - 9.1) / 1.5
    torch.testing.assert_close(found, scene.sources.magnitude, atol=0.1, rtol=0.0)


def test_s_is_split_into_a_fast_and_a_later_slow_wave(draw_scene, only_direct):
    """With the fast direction north and 0.05 s of delay, S moves east 5 samples after it moves north."""
    config = dataclasses.replace(
        only_direct, sources=dataclasses.replace(only_direct.sources, depth_km=(8.0, 12.0))
    )
    scene, event, station = draw_scene(32, config)
    zero = torch.zeros(32)
    motions = []
    for delay_s in (0.0, 0.05):
        splitting = dataclasses.replace(scene.splitting, fast_azimuth_deg=zero, delay_s=zero + delay_s)
        split = dataclasses.replace(scene, splitting=splitting)
        motions.append(ground_motion(split, _p_at(split), 4000, event, station, NO_RG))
    without, with_delay = motions
    s_sample = first_sample_after((_p_at(scene) + scene.waves.travel_time_s[:, 4]) * RATE_HZ).long()
    change = (with_delay - without).abs()
    assert float(change[:, :2].max()) < 1e-5 * float(without.abs().max())
    for row, begin in enumerate(s_sample.tolist()):
        span = slice(begin, begin + 200)
        later = slice(begin + 5, begin + 205)
        # P's own end lies under both.
        own = without[row, 2, span] - without[row, 2, begin - 1]
        moved = with_delay[row, 2, later] - with_delay[row, 2, begin - 1]
        assert float((own - moved).abs().max()) < 0.25 * float(own.abs().max()) + 1e-12


def test_magnitude_makes_larger_and_longer_periods(draw_scene, only_direct):
    scene, event, station = draw_scene(16, only_direct)
    sizes, corners = [], []
    for magnitude in (1.0, 3.0):
        sources = dataclasses.replace(scene.sources, magnitude=torch.full((16,), magnitude))
        sized = dataclasses.replace(scene, sources=sources)
        motion = ground_motion(sized, _p_at(sized), 3000, event, station, NO_RG)
        sizes.append(torch.linalg.vector_norm(motion, dim=(1, 2)))
        corners.append(pulse_corner_hz("S", sized.media, sized.sources, torch.ones(16)))
    assert float((sizes[1] / sizes[0]).min()) > 10.0
    torch.testing.assert_close(corners[0] / corners[1], torch.full((16,), 10.0), rtol=1e-3, atol=0.0)


def test_windows_may_begin_after_the_onset(draw_scene):
    """A window cut out of a longer one has the same motion, to 2 % of the peak: only wrapped ends differ."""
    scene, event, station = draw_scene(16)
    scene = dataclasses.replace(
        scene, scattering=draw_scattering(station, ScatteringConfig(coda_share=0.0, follower_share=0.0))
    )
    long = ground_motion(scene, _p_at(scene), 4000, event, station, NO_RG)
    late = ground_motion(scene, _p_at(scene) - 6.0, 3000, event, station, NO_RG)
    peak = long.abs().amax(dim=(1, 2), keepdim=True).clamp(min=1e-30)
    assert float(((late - long[..., 600:3600]).abs() / peak).max()) < 0.02


@pytest.mark.parametrize("rate_hz", [20.0, 50.0, 200.0])
def test_other_rates_see_the_same_event(draw_scene, only_direct, rate_hz):
    """Energy below 2 Hz, where P and S do not overlap, agrees within 15 % with that at 100 Hz."""
    config = dataclasses.replace(
        only_direct,
        geometry=GeometryConfig(distance_km=(40.0, 80.0)),
        instrument=InstrumentConfig(share=(0.5, 0.5, 0.0, 0.0)),
    )

    def energy(rate):
        scene, event, station = draw_scene(8, config, rate_hz=rate)
        motion = ground_motion(scene, _p_at(scene), int(40 * rate), event, station, NO_RG)
        frequency_hz = torch.fft.rfftfreq(motion.shape[-1], 1.0 / rate)
        spectrum = torch.fft.rfft(motion)[..., frequency_hz < 2.0].abs() / rate
        return spectrum.square().sum(dim=(1, 2))

    found, reference = energy(rate_hz), energy(100.0)
    torch.testing.assert_close(found, reference, rtol=0.15, atol=0.0)


def test_an_impulse_falls_on_the_first_sample_not_before_it():
    series = torch.zeros(1, 3, 64)
    places = torch.tensor([[4.0, 6.2, 9.00005, -2.0, 200.0]])
    place_impulses(series, places, torch.ones(1, 5, 3))
    assert series[0, 0].nonzero().flatten().tolist() == [4, 7, 9, 62]


def test_lengths_are_even_fast_and_hold_the_pad():
    assert [transform_length(n, 100.0) for n in (100, 3000, 6000, 9000)] == [1920, 5120, 7680, 10240 + 2048]


def test_attenuation_without_phase_is_an_ablation(draw_scene, only_direct):
    scene, event, station = draw_scene(4, only_direct)
    smeared = MotionConfig(
        pulses=PulseConfig(minimum_phase=False), surface_waves=SurfaceWaveConfig(share=0.0)
    )
    zero_phase, causal = (
        ground_motion(scene, _p_at(scene), 1000, event, station, config) for config in (smeared, NO_RG)
    )
    assert not torch.equal(zero_phase, causal)
