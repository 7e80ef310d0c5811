"""Noise lies where the world's does, swells, has its day and its machines, and belongs to its record."""

import math

import pytest
import torch
from seisfm.configs.loader import build_config
from seisfm.data.loading.window_random import WindowRandom, window_keys
from seisfm.data.synthesis.noise_models import noise_models_db
from seisfm.data.synthesis.station_noise import (
    StationNoiseConfig,
    continuous_noise,
    draw_noise,
    noise_motion,
    slow_modulation,
)

RATE_HZ = 100.0
SAMPLES = 6000


def random_of(num_records: int, first: int = 0, seed: int = 0) -> WindowRandom:
    return WindowRandom(window_keys(torch.arange(first, first + num_records), seed))


def acceleration_psd_db(motion: torch.Tensor, rate_hz: float = RATE_HZ) -> tuple[torch.Tensor, torch.Tensor]:
    """Welch's estimate from Hann windows of 20 s, of velocity, as acceleration `(…, frequency)`."""
    length = round(20 * rate_hz)
    pieces = motion.double().unfold(-1, length, length // 2)
    window = torch.hann_window(length, dtype=torch.float64)
    power = torch.fft.rfft(pieces * window).abs().square().mean(dim=-2)
    psd = 2.0 * power / (rate_hz * window.square().sum())
    frequency_hz = torch.fft.rfftfreq(length, 1.0 / rate_hz, dtype=torch.float64)
    return frequency_hz, 10.0 * (psd * (2 * math.pi * frequency_hz) ** 2).log10()


def test_models_at_their_published_corners():
    """NLNM −168.0 and −166.7 dB at 0.1 and 0.17 s, NHNM −91.5 and −97.4 at 0.1 and 0.22 s (tables 3, 4)."""
    low_db, high_db = noise_models_db(torch.tensor([10.0, 6.0, 1 / 0.22, 50.0]))
    torch.testing.assert_close(low_db[:2], torch.tensor([-168.0, -166.7]), atol=0.3, rtol=0)
    torch.testing.assert_close(high_db[[0, 2, 3]], torch.tensor([-91.5, -97.41, -91.5]), atol=0.3, rtol=0)


def test_vertical_spectra_lie_inside_the_models_for_95_percent_of_records_and_frequencies():
    random = random_of(200)
    levels = draw_noise(random, StationNoiseConfig(line_share=1.0))
    frequency_hz, level_db = acceleration_psd_db(noise_motion(levels, random, 4 * SAMPLES, RATE_HZ))
    heard = (frequency_hz >= 0.1) & (frequency_hz <= 40.0)
    low_db, high_db = noise_models_db(frequency_hz[heard])
    inside = (level_db[..., heard] >= low_db) & (level_db[..., heard] <= high_db)
    assert inside[:, 0].double().mean() >= 0.95
    assert inside.double().mean() >= 0.95


def test_the_spectrum_of_the_motion_is_the_one_that_was_drawn():
    """The mean level of 64 records within 0.2 dB from 0.5 to 45 Hz, horizontals louder as they shall be."""
    random = random_of(64)
    config = StationNoiseConfig(
        horizontal_db=(6.0, 6.0), horizontal_spread_db=0.0, component_spread=0.0, modulation=(0.0, 0.0)
    )
    levels = draw_noise(random, config)
    frequency_hz, level_db = acceleration_psd_db(noise_motion(levels, random, SAMPLES, RATE_HZ))
    asked = levels.velocity_psd(frequency_hz.float()) * (2 * math.pi * frequency_hz) ** 2
    heard = (frequency_hz >= 0.5) & (frequency_hz <= 45.0)
    ratio_db = (level_db - 10.0 * asked.log10()[:, None])[..., heard]
    power_ratio_db = 10.0 * (10.0 ** (ratio_db / 10.0)).mean(dim=(0, 2)).log10()
    torch.testing.assert_close(
        power_ratio_db, torch.tensor([0.0, 6.0, 6.0], dtype=torch.float64), atol=0.2, rtol=0
    )


def test_the_instruments_own_noise_fills_what_its_response_leaves_out():
    """A sensor that hears nothing below 3 Hz, with −10 dB at 4–15 Hz and slope 0: flat below, to 1 dB."""
    random = random_of(64)
    config = StationNoiseConfig(
        self_noise_db=(-10.0, -10.0), self_noise_slope=(0.0, 0.0), modulation=(0.0, 0.0), line_share=0.0
    )
    levels = draw_noise(random, config)
    motion = noise_motion(levels, random, SAMPLES, RATE_HZ, lambda hz: (hz > 3.0).float().expand(64, -1))
    power = torch.fft.rfft(motion.double())[:, 0].abs().square()
    frequency_hz = torch.fft.rfftfreq(SAMPLES, 1.0 / RATE_HZ)

    def level_db(low_hz, high_hz):
        heard = (frequency_hz > low_hz) & (frequency_hz < high_hz)
        return 10.0 * power[:, heard].mean(dim=1).log10()

    below_db = (level_db(0.2, 2.8) - level_db(4.0, 15.0)).mean()
    # The ground's own share of the power at 4–15 Hz is 10/11.
    assert float(below_db) == pytest.approx(-10.4, abs=1.0)
    assert float(level_db(0.2, 1.0).mean() - level_db(1.0, 2.8).mean()) == pytest.approx(0.0, abs=1.0)
    without = noise_motion(
        draw_noise(random, StationNoiseConfig(self_noise_db=(-200.0, -200.0))), random, SAMPLES, RATE_HZ,
        lambda hz: (hz > 3.0).float().expand(64, -1),
    )  # fmt: skip
    heard = torch.fft.rfft(without * torch.hann_window(SAMPLES)).abs()
    assert float(heard[..., 12:170].max() / heard.max()) < 1e-3


def test_components_differ_in_level_as_asked():
    """Standard deviation 0.15 of the logarithm, each of Z, N and E its own."""
    random = random_of(2000)
    config = StationNoiseConfig(component_spread=0.15, horizontal_db=(0.0, 0.0), horizontal_spread_db=0.0)
    gain = draw_noise(random, config).component_gain().log()
    torch.testing.assert_close(gain.std(dim=0), torch.full((3,), 0.15), rtol=0.06, atol=0.0)
    assert float(torch.corrcoef(gain.T).fill_diagonal_(0.0).abs().max()) < 0.08


def test_a_record_is_the_same_in_any_batch():
    together = random_of(16)
    noise = noise_motion(draw_noise(together), together, SAMPLES, RATE_HZ)
    for number in range(16):
        alone = random_of(1, first=number)
        own = noise_motion(draw_noise(alone), alone, SAMPLES, RATE_HZ)
        torch.testing.assert_close(noise[number : number + 1], own, rtol=1e-5, atol=0.0)


def test_records_components_and_seeds_are_independent():
    config = StationNoiseConfig(line_share=0.0)
    both = (random_of(8), random_of(8, seed=1))
    noise = torch.cat([noise_motion(draw_noise(r, config), r, SAMPLES, RATE_HZ) for r in both])
    # Above 2 Hz, where 60 s hold enough cycles for a correlation to mean something.
    spectrum = torch.fft.rfft(noise.flatten(0, 1).double() * torch.hann_window(SAMPLES))
    spectrum[:, :120] = 0
    correlation = torch.corrcoef(torch.fft.irfft(spectrum)) - torch.eye(48)
    assert correlation.abs().max() < 0.2
    assert correlation.square().mean().sqrt() < 0.04


def test_the_modulation_is_as_deep_as_asked_and_keeps_the_power():
    random = random_of(400)
    levels = draw_noise(random, StationNoiseConfig(modulation=(0.3, 0.3)))
    factor = slow_modulation(levels, random, SAMPLES, RATE_HZ)
    knots = factor[:, :: (SAMPLES - 1) // 8]
    assert float(knots.log().std()) == pytest.approx(0.3, rel=0.1)
    assert float(factor.square().mean()) == pytest.approx(1.0, rel=0.05)
    still = slow_modulation(
        draw_noise(random, StationNoiseConfig(modulation=(0.0, 0.0))), random, SAMPLES, RATE_HZ
    )
    assert torch.equal(still, torch.ones_like(still))


def test_machines_make_lines_at_the_motors_speeds():
    random = random_of(50)
    config = StationNoiseConfig(
        line_share=1.0, num_lines=(1, 1), line_level=(0.3, 0.3), mains_hz=(50.0, 50.0)
    )
    levels = draw_noise(random, config)
    line_hz = levels.line_hz[:, 0]
    slip = torch.stack([1.0 - line_hz * pairs / 50.0 for pairs in range(1, 9)])
    assert bool(((slip >= -1e-6) & (slip <= 0.05 + 1e-6)).any(dim=0).all())
    beside = torch.stack([levels.level(line_hz + step).diagonal() for step in (0.0, 1.0)])
    quiet = beside[1] < 0.6
    assert quiet.sum() > 20
    assert bool((beside[0, quiet] - beside[1, quiet] > 0.15).all())


def test_days_are_louder_than_nights_above_1_hz_only():
    random = random_of(100)
    config = StationNoiseConfig(daily_level=(0.2, 0.2), high_above_mid=(0.0, 0.0), bump_level=(0.0, 0.0))
    hours = (torch.full((100,), hour) for hour in (14.0, 2.0))
    day, night = (draw_noise(random, config, hour) for hour in hours)
    rise = (day.level(torch.tensor([0.2, 2.0])) - night.level(torch.tensor([0.2, 2.0]))).median(dim=0).values
    torch.testing.assert_close(rise, torch.tensor([0.0, 0.2]), atol=0.01, rtol=0)


def test_continuous_noise_has_the_days_cycle_and_no_seam():
    rate_hz, hour = 10.0, 36000
    random = random_of(2)
    config = StationNoiseConfig(
        daily_level=(0.3, 0.3), modulation=(0.0, 0.0), microseism=(0.2, 0.2), mid=(0.4, 0.4), line_share=0.0
    )
    levels = draw_noise(random, config, torch.full((2,), 20.0))
    day = continuous_noise(levels, random, 24 * hour, rate_hz, start_hour=0.0)
    assert day.shape == (2, 3, 24 * hour)
    # Second differences bring out what lies above 1 Hz; power by half an hour.
    power = torch.diff(day, n=2)[..., : 23 * hour].square().unflatten(-1, (46, hour // 2)).mean(dim=-1)
    assert bool((power[..., 28] > 10.0 * power[..., 4]).all())
    step_db = 10.0 * power.log10().diff(dim=-1)
    assert float(step_db.abs().max()) < 3.0


def test_settings_from_yaml_words_and_their_errors():
    config = build_config(StationNoiseConfig, {"mid": [0.2, 0.3], "num_lines": [1, 2]})
    assert config.mid == (0.2, 0.3)
    with pytest.raises(ValueError, match="mid must be a range"):
        StationNoiseConfig(mid=(0.5, 0.1))
    with pytest.raises(ValueError, match="horizontal_spread_db must not be negative"):
        StationNoiseConfig(horizontal_spread_db=-1.0)
    with pytest.raises(ValueError, match="component_spread must not be negative"):
        StationNoiseConfig(component_spread=-1.0)
    with pytest.raises(ValueError, match="self_noise_db must be a range"):
        StationNoiseConfig(self_noise_db=(0.0, -25.0))
    with pytest.raises(ValueError, match="num_lines must lie in 1 to 4"):
        StationNoiseConfig(num_lines=(0, 9))
    with pytest.raises(ValueError, match="line_share must be between 0 and 1"):
        StationNoiseConfig(line_share=1.5)
