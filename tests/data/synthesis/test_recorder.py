"""Counts are whole, losses are NaN, faults come as often as asked, and a hydrophone obeys the water."""

import math
import time

import pytest
import torch
from seisfm.data.loading.window_random import WindowRandom, window_keys
from seisfm.data.synthesis.disturbances import disturb
from seisfm.data.synthesis.faults import FaultConfig
from seisfm.data.synthesis.hydrophone import IMPEDANCE_PA_S_M, HydrophoneConfig, pressure_pa
from seisfm.data.synthesis.recorder import FULL_SCALE_COUNTS, RecorderConfig, record
from seisfm.data.synthesis.snr import expected_noise_rms, phase_snr_db, scale_noise_to_snr
from seisfm.data.synthesis.station_noise import StationNoiseConfig, draw_noise, noise_motion

RATE_HZ = 100.0
FAULTLESS = FaultConfig(
    reversed_share=0, swapped_share=0, gain_error_share=0, dead_share=0, gap_share=0, clip_share=0
)


def random_of(num_records: int, first: int = 0) -> WindowRandom:
    return WindowRandom(window_keys(torch.arange(first, first + num_records), 0))


def pair(num_records: int, num_samples: int = 2000) -> tuple[torch.Tensor, torch.Tensor]:
    """Motion and noise of 1 µm/s."""
    random = random_of(num_records)
    motion, noise = (random.normal(name, 3, num_samples) * 1e-6 for name in ("motion", "noise"))
    return motion, noise


def gains(num_records: int, counts_s_m: float = 1e9) -> torch.Tensor:
    return torch.full((num_records,), counts_s_m)


def config_of(faults: dict | None = None, **settings) -> RecorderConfig:
    quiet = {name: 0.0 for name in vars(FAULTLESS) if name.endswith("_share")}
    return RecorderConfig(
        **{"velocity_share": 0.0, "vertical_share": 0.0} | settings,
        faults=FaultConfig(**quiet | (faults or {})),
    )


def recorded(num_records: int = 400, faults: dict | None = None, **settings):
    motion, noise = pair(num_records)
    return record(
        motion, noise, gains(num_records), random_of(num_records), RATE_HZ, config_of(faults, **settings)
    )


def share(mask: torch.Tensor) -> float:
    return float(mask.double().mean())


def test_counts_are_whole_and_are_the_motion_times_the_gain():
    motion, noise = pair(16)
    made = record(motion, noise, gains(16), random_of(16), RATE_HZ, config_of())
    assert torch.equal(made.waveform, made.waveform.round())
    assert float((made.waveform - (motion + noise) * 1e9).abs().max()) <= 0.5 + 1e-3
    assert made.units() == ("counts",) * 16


def test_velocity_is_given_for_30_percent_within_half_a_count():
    motion, noise = pair(400)
    made = record(motion, noise, gains(400), random_of(400), RATE_HZ, config_of(velocity_share=0.3))
    assert share(~made.in_counts) == pytest.approx(0.3, abs=0.06)
    velocity = made.waveform[~made.in_counts] - (motion + noise)[~made.in_counts]
    assert float(velocity.abs().max()) <= 0.51e-9
    assert set(made.units("m/s**2")) == {"counts", "m/s**2"}


def test_a_digitizer_has_24_bits():
    motion, noise = pair(4)
    made = record(motion * 1e6, noise, gains(4), random_of(4), RATE_HZ, config_of())
    assert float(made.waveform.abs().max()) == FULL_SCALE_COUNTS


def test_quiet_ground_gets_a_gain_that_shows_it():
    motion, noise = pair(4)
    made = record(
        motion * 0, noise * 1e-4, gains(4, 1e8), random_of(4), RATE_HZ, config_of(min_noise_counts=3.0)
    )
    rms = made.waveform[:, 0].square().mean(dim=-1).sqrt()
    torch.testing.assert_close(rms, torch.full((4,), 3.0), rtol=0.02, atol=0.0)


def test_vertical_stations_have_no_horizontals():
    made = recorded(vertical_share=0.15)
    alone = made.waveform[:, 1:].isnan().all(dim=(1, 2))
    assert share(alone) == pytest.approx(0.15, abs=0.05)
    assert bool(made.waveform[:, 0].isfinite().all())


def test_gaps_are_nan_on_all_components_and_as_long_as_asked():
    made = recorded(faults={"gap_share": 0.2, "gap_s": (1.0, 3.0)})
    lost = made.waveform.isnan()
    assert torch.equal(lost[:, 0], lost[:, 2])
    hit = lost[:, 0].any(dim=1)
    assert share(hit) == pytest.approx(0.2, abs=0.06)
    length = lost[hit, 0].sum(dim=1)
    assert int(length.min()) >= 100 and int(length.max()) <= 300
    assert bool((lost[hit, 0].int().diff(dim=1).abs().sum(dim=1) <= 2).all())


def test_one_dead_component_and_never_all():
    made = recorded(faults={"dead_share": 0.3}, vertical_share=0.5)
    dead = made.waveform.isnan().all(dim=2)
    assert bool((dead.sum(dim=1) < 3).all())
    assert share(dead[:, 0]) == pytest.approx(0.1, abs=0.05)


def test_clipped_records_have_flat_tops():
    made = recorded(faults={"clip_share": 0.25})
    top = made.waveform.abs().amax(dim=(1, 2), keepdim=True)
    flat = (made.waveform.abs() == top).sum(dim=(1, 2)) > 10
    assert share(flat) == pytest.approx(0.25, abs=0.06)


def test_wrong_wires_are_told():
    motion, noise = pair(400)
    straight = record(motion, noise, gains(400), random_of(400), RATE_HZ, config_of()).waveform
    made = recorded(faults={"reversed_share": 0.3, "swapped_share": 0.2})
    turned = (made.waveform[:, 0] == -straight[:, 0]).all(dim=1)
    assert torch.equal(turned, made.reversed_vertical)
    assert share(turned) == pytest.approx(0.1, abs=0.05)
    same = (made.waveform[:, 1:] == straight[:, 1:]).all(dim=(1, 2))
    assert torch.equal(~same, made.wrong_horizontals)


def test_gain_errors_hit_one_component():
    made = recorded(faults={"gain_error_share": 0.3, "gain_error_db": (6.0, 6.0)})
    ratio = made.waveform.std(dim=2) / 1.414e3
    assert share((ratio > 1.8).sum(dim=1) == 1) == pytest.approx(0.3, abs=0.06)
    assert int((ratio > 1.8).sum(dim=1).max()) == 1


def test_a_record_is_the_same_in_any_batch():
    config = RecorderConfig(hydrophone=HydrophoneConfig(share=0.5))
    motion, _ = pair(16)
    noise = random_of(16).normal("noise4", 4, motion.shape[-1]) * 1e-6
    together = record(motion, noise, gains(16), random_of(16), RATE_HZ, config)
    for n in range(16):
        rows = slice(n, n + 1)
        alone = record(motion[rows], noise[rows], gains(1), random_of(1, n), RATE_HZ, config)
        # A count may round the other way.
        step = 1.0 if bool(alone.in_counts) else 1e-9
        torch.testing.assert_close(
            alone.waveform[0], together.waveform[n], atol=1.01 * step, rtol=0, equal_nan=True
        )


def test_a_pulse_comes_back_from_the_surface_upside_down_after_2_h_over_c():
    vertical = torch.zeros(1, 4000)
    vertical[0, 100] = 1e-6
    pressure = pressure_pa(vertical, torch.tensor([1500.0]), torch.tensor([0.5]), RATE_HZ)[0]
    first = 0.75 * IMPEDANCE_PA_S_M * 1e-6
    assert float(pressure[:100].abs().max()) < 1e-3 * first
    # 2 s and 4 s later: −(1 + r), then r (1 + r).
    for sample, height in ((100, 1.0), (300, -1.5), (500, 0.75)):
        assert float(pressure[sample]) == pytest.approx(height * first, rel=2e-3)


def test_water_rides_on_the_floor_at_low_frequencies():
    """ρ h a within 1 % at 0.5 Hz under 20 m of water."""
    time_s = torch.arange(4000) / RATE_HZ
    vertical = (1e-6 * (2 * math.pi * 0.5 * time_s).sin()).expand(1, -1)
    pressure = pressure_pa(vertical, torch.tensor([20.0]), torch.tensor([0.4]), RATE_HZ)[0, 1000:3000]
    assert float(pressure.abs().max()) == pytest.approx(1030.0 * 20.0 * 1e-6 * math.pi, rel=0.01)


def test_a_fourth_component_stands_in_the_batch_where_there_is_a_hydrophone():
    motion, noise = pair(200)
    four = torch.cat([noise, noise[:, :1]], dim=1)
    config = config_of(hydrophone=HydrophoneConfig(share=0.4))
    made = record(motion, four, gains(200), random_of(200), RATE_HZ, config)
    assert made.component_names == ("Z", "N", "E", "H")
    assert share(made.waveform[:, 3].isfinite().all(dim=1)) == pytest.approx(0.4, abs=0.1)
    with pytest.raises(ValueError, match="see RecorderConfig"):
        record(motion, noise, gains(200), random_of(200), RATE_HZ, config)


def test_snr_of_p_and_s_is_what_was_put_in():
    """Bursts of 3 and 8 times the noise's amplitude above 1 Hz: within 1 dB of 9.5 and 18.1."""
    random = random_of(32)
    noise = random.normal("noise", 3, 6000)
    signal = torch.zeros_like(noise)
    signal[:, 0, 1000:1200] = 3.0 * random.normal("p", 200)
    signal[:, 1:, 1500:1700] = 8.0 * random.normal("s", 2, 200)
    p_s, s_s = torch.full((32,), 10.0), torch.full((32,), 15.0)
    snr_db = phase_snr_db(signal, noise, p_s, s_s, RATE_HZ)
    torch.testing.assert_close(snr_db.mean(dim=0), torch.tensor([9.54, 18.06]), atol=0.3, rtol=0)
    assert float((snr_db - torch.tensor([9.54, 18.06])).abs().max()) < 1.5
    missing = phase_snr_db(signal, noise, p_s, torch.full((32,), torch.nan), RATE_HZ)
    assert bool(missing[:, 1].isnan().all()) and torch.equal(missing[:, 0], snr_db[:, 0])


def test_a_strong_microseism_does_not_pass_for_noise_above_1_hz():
    """Within 1.5 dB of the ratio to the spectrum's own level, for 64 stations with a microseism at 0.9."""
    random = random_of(64)
    config = StationNoiseConfig(
        microseism=(0.9, 0.9), mid=(0.1, 0.3), line_share=0.0, modulation=(0.0, 0.0), bump_level=(0.0, 0.0)
    )
    levels = draw_noise(random, config)
    noise, signal = noise_motion(levels, random, 6000, RATE_HZ), torch.zeros(64, 3, 6000)
    signal[:, :, 1000:1200] = 1e-7 * random.normal("p", 3, 200)
    arrival_s = torch.full((64,), 10.0)
    measured_db = phase_snr_db(signal, noise, arrival_s, arrival_s + 20.0, RATE_HZ)[:, 0]
    expected_db = 20.0 * (1e-7 / expected_noise_rms(levels, RATE_HZ)).log10()
    assert float((measured_db - expected_db).abs().median()) < 1.5


def test_noise_scaled_to_a_ratio_has_it():
    random = random_of(8)
    noise, signal = random.normal("noise", 3, 3000), 5.0 * random.normal("signal", 3, 3000)
    p_s, s_s = torch.full((8,), 10.0), torch.full((8,), 14.0)
    before = phase_snr_db(signal, noise, p_s, s_s, RATE_HZ)[:, 0]
    scaled = scale_noise_to_snr(noise, before, torch.linspace(-5.0, 40.0, 8))
    after = phase_snr_db(signal, scaled, p_s, s_s, RATE_HZ)[:, 0]
    torch.testing.assert_close(after, torch.linspace(-5.0, 40.0, 8), atol=1e-3, rtol=0)
    unknown = torch.full((8,), torch.nan)
    assert torch.equal(scale_noise_to_snr(noise, unknown, 10.0), noise)


def test_the_noise_expected_of_a_spectrum_is_the_noise_made_of_it():
    random = random_of(200)
    levels = draw_noise(random, StationNoiseConfig(modulation=(0.0, 0.0), line_share=0.0))
    spectrum = torch.fft.rfft(noise_motion(levels, random, 6000, RATE_HZ)[:, 0])
    spectrum[:, :60] = 0
    measured = torch.fft.irfft(spectrum, n=6000).square().mean(dim=1).sqrt()
    ratio_db = 20.0 * (measured / expected_noise_rms(levels, RATE_HZ)).log10()
    assert float(ratio_db.abs().max()) < 2.0
    assert abs(float(ratio_db.mean())) < 0.2


@pytest.mark.slow
def test_noise_and_recording_take_less_than_1_ms_a_record_on_one_core():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        motion, _ = pair(64, 6000)
        random, arrival_s = random_of(64), torch.full((64,), 20.0)
        used = []
        for _ in range(4):
            begin = time.process_time()
            noise, _ = disturb(noise_motion(draw_noise(random), random, 6000, RATE_HZ), random, RATE_HZ)
            snr_db = phase_snr_db(motion, noise, arrival_s, arrival_s + 5.0, RATE_HZ)
            noise = scale_noise_to_snr(noise, snr_db[:, 0], snr_db[:, 0].clamp(min=0.0))
            record(motion, noise, gains(64), random, RATE_HZ)
            used.append((time.process_time() - begin) / 64)
    finally:
        torch.set_num_threads(threads)
    assert min(used) < 1e-3


def test_wrong_settings_are_named():
    with pytest.raises(ValueError, match="min_noise_counts must not be negative"):
        RecorderConfig(min_noise_counts=-1.0)
    with pytest.raises(ValueError, match="dead_share must be between 0 and 1"):
        FaultConfig(dead_share=1.2)
    with pytest.raises(ValueError, match="bottom_reflection must stay below 1"):
        HydrophoneConfig(bottom_reflection=(0.2, 1.0))
