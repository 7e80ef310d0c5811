"""The coda: its decay in each band, its strength, and that it follows its onset."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import signal
from seisfm.data.loading.window_random import WindowRandom, window_keys
from seisfm.data.synthesis.coda import (
    BAND_CENTRES_HZ,
    CodaShape,
    coda_amplitude,
    coda_shape,
    lowpass_response,
    reflectivity_spectrum,
    waxing,
    white_noise,
)
from seisfm.data.synthesis.scatterers import ScatteringConfig, draw_scattering

RATE_HZ, LENGTH, ONSET = 100.0, 7680, 500
NUM_RECORDS = 32


@pytest.fixture(scope="module")
def station():
    return WindowRandom(window_keys(torch.arange(NUM_RECORDS), "coda"))


def _shape(quality, exponent, decay=1.0):
    ones = torch.ones(NUM_RECORDS)
    return CodaShape(
        rise_s=0.1 * ones,
        decay=decay * ones,
        lapse_s=5.0 * ones,
        quality_1hz=quality * ones,
        quality_exponent=exponent * ones,
    )


def _coda(station, shape, rate_hz=RATE_HZ, length=LENGTH, depth=0.5):
    white = white_noise("S", length, station)
    white *= waxing("S", torch.full((NUM_RECORDS,), depth), length, rate_hz, station)
    spectrum = reflectivity_spectrum(
        torch.zeros(NUM_RECORDS, 3, length),
        torch.full((NUM_RECORDS,), float(ONSET)),
        torch.ones(NUM_RECORDS, 3),
        shape,
        white,
        rate_hz,
    )
    return torch.fft.irfft(spectrum, n=length)


@pytest.mark.parametrize(("quality", "exponent"), [(60.0, 0.6), (120.0, 0.9), (180.0, 0.5)])
@pytest.mark.parametrize("centre_hz", BAND_CENTRES_HZ)
def test_coda_quality_is_recovered_from_the_envelope_within_20_percent(station, quality, exponent, centre_hz):
    """Slope of log A(t) (1 + t/T)^p over time from 3 s after the onset to where 1/300 is left."""
    motion = _coda(station, _shape(quality, exponent)).numpy()
    band = signal.butter(2, (0.8 * centre_hz, 1.25 * centre_hz), "bandpass", fs=RATE_HZ, output="sos")
    power = (signal.sosfiltfilt(band, motion, axis=-1) ** 2).mean(axis=(0, 1))
    truth = math.pi * centre_hz / (quality * centre_hz**exponent)
    last_s = min(60.0, 5.7 / truth)
    time_s = torch.arange(LENGTH)[ONSET:].numpy() / RATE_HZ - ONSET / RATE_HZ
    used = (time_s > 3.0) & (time_s < last_s)
    time_s, power = time_s[used], power[ONSET:][used]
    size = power[: len(power) // 100 * 100].reshape(-1, 100).mean(axis=1) ** 0.5
    middle_s = time_s[: len(size) * 100].reshape(-1, 100).mean(axis=1)
    line = torch.tensor(size).log() + torch.tensor(1.0 + middle_s / 5.0).log()
    design = torch.stack([torch.ones(len(size)), torch.tensor(middle_s)], dim=1).double()
    slope = float(torch.linalg.lstsq(design, line.double()[:, None]).solution[1])
    assert -slope == pytest.approx(truth, rel=0.2)


def test_the_early_coda_is_white_noise_under_one_envelope(station):
    """Where bands have not yet lost anything, the sum of their filters gives back the noise, to 1 %."""
    shape = _shape(1e9, 0.5, decay=0.0)
    motion = _coda(station, shape, depth=0.0)[..., ONSET + 200 :]
    noise = white_noise("S", LENGTH, station)[..., ONSET + 200 :]
    assert float((motion - noise).square().mean()) < 1e-4


def test_the_coda_waxes_as_deeply_as_asked_and_keeps_its_power(station):
    """Logarithm of standard deviation 0.5 every 0.25 s, half of its variance common to the components."""
    factor = waxing("S", torch.full((NUM_RECORDS,), 0.5), 7501, RATE_HZ, station)
    knots = factor[..., ::25]
    assert float(knots.log().std()) == pytest.approx(0.5, rel=0.03)
    assert float(knots.square().mean()) == pytest.approx(1.0, rel=0.05)
    correlation = torch.corrcoef(knots.log().transpose(0, 1).flatten(1))
    assert float(correlation[0, 1]) == pytest.approx(0.5, abs=0.05)
    still = waxing("S", torch.zeros(NUM_RECORDS), 7501, RATE_HZ, station)
    assert torch.equal(still, torch.ones_like(still))


def test_p_coda_ends_under_s_and_s_coda_does_not(station):
    """At 2, 4 and 8 times S minus P a half, 1/17 and 1/257 of the lasting coda's amplitude are left."""
    ends, lasts = (draw_scattering(station, ScatteringConfig(p_coda_end=(end, end))) for end in (2.0, 1e6))
    lapse_s, time_s = torch.full((NUM_RECORDS,), 3.0), torch.tensor([[6.0, 12.0, 24.0]])
    p_coda, lasting = (coda_shape("P", way, lapse_s).spread_envelope(time_s) for way in (ends, lasts))
    torch.testing.assert_close((p_coda / lasting)[0], 1.0 / torch.tensor([2.0, 17.0, 257.0]))
    s_coda = (coda_shape("S", way, lapse_s).spread_envelope(time_s) for way in (ends, lasts))
    torch.testing.assert_close(*s_coda)
    without_s = coda_shape("P", ends, torch.zeros(NUM_RECORDS)).spread_envelope(time_s)
    torch.testing.assert_close(
        without_s, coda_shape("P", lasts, torch.zeros(NUM_RECORDS)).spread_envelope(time_s)
    )


def test_nothing_precedes_the_onset(station):
    """Less than 1e-5 of the peak in the 4 s before: the band filters are causal.

    What is left of the coda after the end wraps around to the beginning, which the first second may show.
    """
    motion = _coda(station, _shape(60.0, 0.5))
    assert float(motion[..., 100 : ONSET - 1].abs().max()) < 1e-5 * float(motion.abs().max())


def test_noise_is_white_of_unit_variance_and_differs_between_components(station):
    noise = white_noise("P", LENGTH, station)
    assert float(noise.var()) == pytest.approx(1.0, abs=0.01)
    assert float(noise.mean()) == pytest.approx(0.0, abs=0.01)
    flat = noise.flatten(0, 1)
    correlation = (flat @ flat.T) / LENGTH - torch.eye(len(flat))
    assert float(correlation.abs().max()) < 6.0 / math.sqrt(LENGTH) + 0.03
    neighbours = (noise[..., 1:] * noise[..., :-1]).mean()
    assert float(neighbours.abs()) < 0.01


def test_coda_is_the_asked_fraction_of_the_direct_peak(station):
    """For a short pulse of peak 1, the early coda's rms is fraction × mean radiation × 2 × share."""
    config = ScatteringConfig(s_coda=(0.5, 1e-6))
    pulse = torch.zeros(NUM_RECORDS, LENGTH)
    pulse[:, :40] = torch.linspace(0, 2 * math.pi, 40).sin()
    amplitude = coda_amplitude("S", draw_scattering(station, config), pulse, station)
    rms = amplitude * torch.linalg.vector_norm(pulse, dim=1, keepdim=True)
    median = rms.median(dim=0).values
    expected = 2.0 * 0.63 * 0.5 * torch.tensor([0.42, 0.75, 0.75])
    torch.testing.assert_close(median, expected, rtol=0.1, atol=0.0)


def test_lowpass_is_flat_below_and_gone_above_its_corner():
    response = lowpass_response(5.0, LENGTH, RATE_HZ).abs()
    spacing_hz = RATE_HZ / LENGTH
    assert float(response[0]) == pytest.approx(1.0, abs=1e-6)
    assert float(response[round(5.0 / spacing_hz)]) == pytest.approx(math.sqrt(0.5), rel=0.01)
    assert float(response[-1]) < 1e-3 and len(response) * spacing_hz == pytest.approx(30.0, abs=0.1)


@pytest.mark.parametrize("rate_hz", [10.0, 20.0, 40.0, 250.0])
def test_any_sampling_rate_has_a_coda(station, rate_hz):
    motion = _coda(station, _shape(100.0, 0.7), rate_hz=rate_hz, length=1920)
    assert bool(motion.isfinite().all())
    assert float(motion[..., ONSET : ONSET + 200].std()) > 2.0 * float(motion[..., : ONSET - 1].std())
