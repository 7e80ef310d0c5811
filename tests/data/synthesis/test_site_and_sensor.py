"""The ground below a station and its sensor."""

from __future__ import annotations

import math

import pytest
import torch
from seisfm.data.loading.window_random import WindowRandom, window_keys
from seisfm.data.synthesis.seismometers import SENSORS, Instrument, InstrumentConfig, draw_instrument
from seisfm.data.synthesis.sites import NUM_KNOTS, Site, SiteConfig, draw_site

RATE_HZ = 100.0


def _sensors(sensor, corner_hz):
    count = len(sensor)
    return Instrument(
        rate_hz=RATE_HZ,
        sensor=torch.tensor(sensor),
        corner_hz=torch.tensor(corner_hz),
        damping=torch.full((count,), 0.707),
        gain=torch.ones(count),
        alias_corner_hz=torch.full((count,), 40.0),
    )


def test_soft_ground_amplifies_at_its_peak_alone():
    site = Site(
        kappa_s=torch.zeros(1),
        resonance_hz=torch.tensor([4.0]),
        resonance_gain=torch.tensor([3.0]),
        resonance_width=torch.tensor([0.2]),
        log_gain=torch.zeros(1, 3, NUM_KNOTS),
    )
    gain = site.log_resonance(torch.tensor([0.0, 0.5, 4.0, 4.0 * math.exp(0.2), 40.0])).exp()[0]
    assert gain.tolist() == pytest.approx([1.0, 1.0, 4.0, 1.0 + 3.0 * math.exp(-0.5), 1.0], rel=1e-4)


def test_each_component_has_a_transfer_function_as_rough_as_asked():
    """Logarithm of the amplitude: standard deviation 0.3 at the knots, and components differ."""
    random = WindowRandom(window_keys(torch.arange(200), "rough"))
    site = draw_site(random, SiteConfig(roughness=(0.3, 0.3)))
    log_amplitude = site.transfer(8192, RATE_HZ).abs().log()
    knots_hz = 0.2 * 2.0 ** (torch.arange(NUM_KNOTS) * 8.0 / (NUM_KNOTS - 1))
    place = (knots_hz[10:] * 8192 / RATE_HZ).round().long().clamp(max=4096)
    at_knots = log_amplitude[..., place]
    assert float(at_knots.std()) == pytest.approx(0.3, rel=0.03)
    assert float(torch.corrcoef(at_knots.transpose(0, 1).flatten(1)).fill_diagonal_(0.0).abs().max()) < 0.05
    smooth = draw_site(random, SiteConfig(roughness=(0.0, 0.0))).transfer(8192, RATE_HZ)
    assert torch.equal(smooth, torch.ones_like(smooth))


def test_a_transfer_function_is_causal_and_keeps_the_sign_of_what_comes_first():
    """Less than 1e-4 of the first value in the 10 s before it, in 200 records of the roughest ground."""
    random = WindowRandom(window_keys(torch.arange(200), "rough"))
    site = draw_site(random, SiteConfig(roughness=(0.45, 0.45)))
    answer = torch.fft.irfft(site.transfer(8192, RATE_HZ))
    assert float(answer[..., 0].min()) > 0.3
    assert float((answer[..., -1000:].abs().amax(dim=-1) / answer[..., 0]).max()) < 1e-4


def test_velocity_sensors_are_flat_above_their_corner_and_fall_with_the_square_below():
    real, imaginary = _sensors([1], [1.0]).velocity_response(torch.tensor([0.1, 1.0, 20.0]))
    size = torch.hypot(real, imaginary)[0]
    assert size.tolist() == pytest.approx([0.01, 1 / (2 * 0.707), 1.0], rel=0.02)


def test_response_is_causal():
    """The impulse response of a geophone at 100 Hz is 0 before its impulse, to 1e-5."""
    frequency_hz = torch.arange(4097) * (RATE_HZ / 8192)
    response = torch.fft.irfft(torch.complex(*_sensors([2], [4.5]).velocity_response(frequency_hz)))[0]
    assert float(response[0]) == pytest.approx(0.8, abs=0.1)
    assert float(response[4096:].abs().max()) < 1e-5


def test_accelerometers_answer_to_velocity_with_its_frequency():
    frequency_hz = torch.tensor([0.5, 1.0, 10.0])
    response = _sensors([0, 3], [0.01, 0.0]).response(frequency_hz).abs()
    assert response[0].tolist() == pytest.approx([1.0, 1.0, 1.0], rel=0.01)
    assert response[1].tolist() == pytest.approx((2.0 * math.pi * frequency_hz).tolist(), rel=0.01)


def test_the_anti_alias_filter_halves_the_power_at_its_corner():
    alias = _sensors([0], [0.01]).log_alias(torch.tensor([0.0, 30.0, 40.0, 50.0])).exp()[0]
    assert alias.tolist() == pytest.approx([1.0, 1.0, math.sqrt(0.5), (50 / 40) ** -16], rel=0.02)


def test_sensors_come_in_the_shares_asked_for_with_their_units():
    random = WindowRandom(window_keys(torch.arange(4000), "sensor"))
    config = InstrumentConfig(share=(0.4, 0.3, 0.2, 0.1))
    instrument = draw_instrument(random, config, RATE_HZ)
    share = torch.bincount(instrument.sensor, minlength=4) / 4000
    assert share.tolist() == pytest.approx(config.share, abs=0.03)
    ranges = (config.broadband_hz, config.short_period_hz, config.geophone_hz, (0.0, 0.0))
    for kind, (low_hz, high_hz) in enumerate(ranges):
        corners_hz = instrument.corner_hz[instrument.sensor == kind]
        assert low_hz * 0.999 <= float(corners_hz.min()) <= float(corners_hz.max()) <= high_hz * 1.001
    assert (
        instrument.unit[int((instrument.sensor == SENSORS.index("accelerometer")).nonzero()[0])] == "m/s**2"
    )
    assert instrument.unit[int((instrument.sensor == SENSORS.index("geophone")).nonzero()[0])] == "m/s"


def test_sites_stay_within_their_ranges():
    site = draw_site(WindowRandom(window_keys(torch.arange(500), "site")), SiteConfig())
    assert 0.003 <= float(site.kappa_s.min()) < 0.0035 and 0.045 < float(site.kappa_s.max()) <= 0.0501
    assert float(site.kappa_s.log().mean()) == pytest.approx(math.log(0.003 * 0.05) / 2, abs=0.1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"share": (0.5, 0.5, 0.5, 0.0)}, "share must sum to 1"),
        ({"alias_corner": (0.4, 0.5)}, "alias_corner must stay below 0.46"),
        ({"damping": (0.8, 0.6)}, "damping must be a range"),
    ],
)
def test_instruments_that_cannot_be(settings, message):
    with pytest.raises(ValueError, match=message):
        InstrumentConfig(**settings)


def test_sites_that_cannot_be():
    with pytest.raises(ValueError, match="kappa_s must be a range"):
        SiteConfig(kappa_s=(0.0, 0.05))
    with pytest.raises(ValueError, match="roughness must be a range"):
        SiteConfig(roughness=(-0.1, 0.2))
