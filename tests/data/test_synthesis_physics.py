"""The physics of the generator: radiation, source spectra, attenuation, free surface, instrument, noise."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import fft
from seisfm.data.synthesis import noise, path, radiation, source
from seisfm.data.synthesis.instrument import Instrument, to_velocity
from seisfm.data.synthesis.polarization import surface_motion
from seisfm.data.synthesis.scattering import band_weights

RATE_HZ = 100.0
NUM_SAMPLES = 8192
FREQUENCY_HZ = fft.rfftfreq(NUM_SAMPLES, 1 / RATE_HZ)


def test_strike_slip_radiates_in_four_lobes():
    """A vertical north–south fault, left-lateral (rake 0): outward at 45°, nodal along the fault."""
    azimuth_deg = np.array([0.0, 45.0, 90.0, 135.0, 225.0, 315.0])
    p, sv, sh = radiation.double_couple(0.0, 90.0, 0.0, azimuth_deg, 90.0)
    np.testing.assert_allclose(p, [0, 1, 0, -1, 1, -1], atol=1e-12)
    np.testing.assert_allclose(sv, 0.0, atol=1e-12)
    np.testing.assert_allclose(sh, np.cos(2 * np.radians(azimuth_deg)), atol=1e-12)


def test_thrust_pushes_up_and_normal_pulls_down():
    up = radiation.double_couple(30.0, 45.0, 90.0, 0.0, 180.0)[0]
    down = radiation.double_couple(30.0, 45.0, -90.0, 0.0, 180.0)[0]
    assert (float(up), float(down)) == pytest.approx((1.0, -1.0))
    assert radiation.isotropic([10.0, 200.0], 120.0)[0].tolist() == [1.0, 1.0]


def test_mean_radiation_is_that_of_the_sphere():
    """Mean squares over the sphere: 4/15 for P and 2/5 for S (Aki & Richards, 2002)."""
    generator = np.random.default_rng(0)
    azimuth_deg = generator.uniform(0, 360, 40000)
    takeoff_deg = np.degrees(np.arccos(generator.uniform(-1, 1, 40000)))
    p, sv, sh = radiation.double_couple(77.0, 33.0, 120.0, azimuth_deg, takeoff_deg)
    assert np.mean(p**2) == pytest.approx(4 / 15, rel=0.03)
    assert np.mean(sv**2 + sh**2) == pytest.approx(2 / 5, rel=0.03)


def test_water_level_keeps_signs():
    lifted = radiation.with_water_level(np.array([-0.5, -1e-6, 0.3]), 0.1)
    assert np.sign(lifted).tolist() == [-1, -1, 1] and np.abs(lifted).min() >= 0.1


def test_corner_frequency_and_fall_off():
    """Mw 2 at 3 MPa has its corner near 11 Hz; moment × 1000 divides it by 10; amplitudes fall as f^-2."""
    moment = source.seismic_moment_n_m(2.0)
    corner_hz = source.corner_frequency_hz(moment, 3e6, 3500.0)
    assert corner_hz == pytest.approx(0.37 * 3500 * (16 * 3e6 / (7 * 10**12.1)) ** (1 / 3))
    assert source.corner_frequency_hz(1000 * moment, 3e6, 3500.0) == pytest.approx(corner_hz / 10)
    amplitude = source.brune_amplitude(np.array([0.0, corner_hz, 20 * corner_hz, 40 * corner_hz]), corner_hz)
    assert amplitude[:2].tolist() == [1.0, 0.5]
    assert amplitude[2] / amplitude[3] == pytest.approx(4.0, rel=0.01)


def test_geometric_decay():
    level = [
        source.far_field_displacement_m_s(1e12, r, 6.0) * path.geometric_spreading(r) for r in (10, 20, 140)
    ]
    assert level[0] / level[1] == pytest.approx(2.0)
    assert level[0] / level[2] == pytest.approx(7.0 * np.sqrt(2.0))


@pytest.mark.parametrize("travel_time_s", [1.0, 8.0, 30.0])
def test_attenuation_is_causal_and_keeps_its_amplitude(travel_time_s):
    amplitude = path.attenuation_amplitude(FREQUENCY_HZ, travel_time_s, 100.0, 0.4, 0.02)
    amplitude *= Instrument().alias_amplitude(FREQUENCY_HZ)
    spectrum = path.minimum_phase(amplitude, NUM_SAMPLES)
    pulse = fft.irfft(spectrum, n=NUM_SAMPLES)
    before = np.sum(pulse[NUM_SAMPLES // 2 :] ** 2)
    assert before < 1e-3 * np.sum(pulse**2) and pulse[np.argmax(np.abs(pulse))] > 0
    assert np.argmax(np.abs(pulse)) < 0.3 * RATE_HZ
    band = FREQUENCY_HZ < 30
    np.testing.assert_allclose(
        np.abs(spectrum)[band], np.maximum(amplitude, 1e-7)[band], rtol=0.02, atol=1e-6
    )


def test_minimum_phase_of_a_known_filter():
    """The amplitude of 1 / (1 − 0.9 z⁻¹) alone determines it: its impulse response is 0.9^n."""
    delay = np.exp(-2j * np.pi * FREQUENCY_HZ / RATE_HZ)
    pulse = fft.irfft(path.minimum_phase(np.abs(1 / (1 - 0.9 * delay)), NUM_SAMPLES), n=NUM_SAMPLES)
    np.testing.assert_allclose(pulse[:50], 0.9 ** np.arange(50), atol=1e-6)


def test_free_surface_doubles_vertical_incidence_and_keeps_directions():
    """An event to the north-east: P pushes up and south-west; SH is across."""
    np.testing.assert_allclose(surface_motion("P", 0.0, 45.0, 5.0, 2.9), [2.0, 0.0, 0.0], atol=1e-9)
    up, north, east = surface_motion("P", 40.0, 45.0, 5.0, 2.9)
    assert up > 0 > north and north == pytest.approx(east)
    across = surface_motion("SH", 20.0, 45.0, 5.0, 2.9)
    assert across @ np.array([0, 1, 1]) == pytest.approx(0.0) and np.linalg.norm(across) == pytest.approx(2.0)
    np.testing.assert_allclose(surface_motion("SV", 0.0, 180.0, 5.0, 2.9), [0.0, -2.0, 0.0], atol=1e-9)


def test_apparent_incidence_of_p_is_known():
    """On the free surface the apparent angle of P is 2 arcsin(p β) (Wiechert)."""
    up, radial_south, _ = surface_motion("P", 35.0, 0.0, 5.0, 2.9)
    expected = 2.0 * np.arcsin(np.sin(np.radians(35.0)) / 5.0 * 2.9)
    assert np.arctan2(-radial_south, up) == pytest.approx(expected)


def test_instrument_is_flat_above_its_corner_and_falls_below():
    response = np.abs(Instrument(corner_hz=1.0).response(np.array([0.1, 1.0, 20.0]), RATE_HZ))
    assert response[0] == pytest.approx(0.01, rel=0.02)
    assert response[1] == pytest.approx(1 / (2 * 0.707), rel=0.01)
    assert response[2] == pytest.approx(1.0, rel=0.01)
    assert np.abs(to_velocity(np.array([2.0]), RATE_HZ))[0] == pytest.approx(4 * np.pi, rel=0.01)


def test_noise_stays_between_the_global_models():
    """Acceleration spectra of realizations, in half octaves from 0.1 to 40 Hz, against NLNM and NHNM."""
    inside = []
    edges_hz = 0.1 * 2.0 ** np.arange(0, 8.7, 0.5)
    for seed in range(20):
        generator = np.random.default_rng(seed)
        colour = noise.random_noise_spectrum(generator)
        velocity = fft.irfft(
            noise.noise_spectrum(colour, generator, NUM_SAMPLES, RATE_HZ), n=NUM_SAMPLES, axis=-1
        )
        power = (
            np.abs(fft.rfft(velocity[0])) ** 2 * 2 / (RATE_HZ * NUM_SAMPLES) * (2 * np.pi * FREQUENCY_HZ) ** 2
        )
        for low_hz, high_hz in pairwise(edges_hz):
            band = (low_hz <= FREQUENCY_HZ) & (high_hz > FREQUENCY_HZ)
            level_db = 10 * np.log10(power[band].mean())
            low_db, high_db = noise.noise_models_db(FREQUENCY_HZ[band])
            inside.append(low_db.min() <= level_db <= high_db.max())
    assert np.mean(inside) >= 0.95


def test_noise_has_its_power_in_the_time_domain():
    generator = np.random.default_rng(4)
    colour = noise.random_noise_spectrum(generator)
    velocity = fft.irfft(
        noise.noise_spectrum(colour, generator, NUM_SAMPLES, RATE_HZ), n=NUM_SAMPLES, axis=-1
    )
    expected = np.sum(colour.velocity_psd(FREQUENCY_HZ)) * FREQUENCY_HZ[1]
    assert np.var(velocity[0]) == pytest.approx(expected, rel=0.6)


@pytest.mark.parametrize("kind", noise.DISTURBANCES)
def test_disturbances_have_unit_peaks(kind):
    trace = noise.disturbance(kind, np.random.default_rng(1), 6000, RATE_HZ)
    assert trace.shape == (3, 6000) and np.abs(trace).max() == pytest.approx(1.0, abs=1e-5)


def test_unknown_disturbance():
    with pytest.raises(ValueError, match="disturbance must be one of"):
        noise.disturbance("dragon", np.random.default_rng(0), 100, RATE_HZ)


def test_coda_bands_add_up():
    np.testing.assert_allclose(band_weights(FREQUENCY_HZ).sum(axis=0), 1.0, rtol=1e-6)
