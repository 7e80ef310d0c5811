"""Spreading and attenuation: their laws, and the causality of what they do to a pulse."""

from __future__ import annotations

import math

import pytest
import torch
from seisfm.data.synthesis.attenuation import (
    floored,
    geometric_spreading,
    log_attenuation,
    minimum_phase_rad,
)

RATE_HZ, LENGTH = 100.0, 7680
FREQUENCY_HZ = torch.arange(LENGTH // 2 + 1) * (RATE_HZ / LENGTH)


def _pulse(log_amplitude):
    spectrum = torch.polar(log_amplitude.exp(), minimum_phase_rad(log_amplitude))
    return torch.fft.irfft(spectrum, n=LENGTH)


def test_amplitudes_fall_with_distance_to_70_km_and_with_its_root_beyond():
    total = geometric_spreading(torch.tensor([10.0, 70.0, 140.0, 280.0])) / torch.tensor([10.0, 70, 140, 280])
    assert float(total[0] / total[1]) == pytest.approx(7.0)
    assert float(total[1] / total[2]) == pytest.approx(math.sqrt(2.0))
    assert float(total[2] / total[3]) == pytest.approx(math.sqrt(2.0))


def test_kappa_and_quality_are_the_slopes_of_the_spectrum():
    """Without Q the logarithm falls by π κ per hertz; with Q = 100 f^0.5 it falls by π t f^0.5 / 100."""
    frequency_hz = torch.linspace(1.0, 40.0, 40)
    one = torch.ones(1)
    kappa = log_attenuation(frequency_hz, 0.0 * one, 100.0 * one, 0.5 * one, 0.04 * one)[0]
    torch.testing.assert_close(kappa.diff(), torch.full((39,), -math.pi * 0.04))
    quality = log_attenuation(frequency_hz, 8.0 * one, 100.0 * one, 0.5 * one, 0.0 * one)[0]
    torch.testing.assert_close(quality, -math.pi * 8.0 / 100.0 * frequency_hz.sqrt())


def test_minimum_phase_of_a_known_filter():
    """The amplitude of 1 / (1 − 0.9 z⁻¹) alone determines it: its impulse response is 0.9^n."""
    delay = torch.polar(torch.ones_like(FREQUENCY_HZ), -2.0 * math.pi * FREQUENCY_HZ / RATE_HZ)
    pulse = _pulse((1.0 / (1.0 - 0.9 * delay)).abs().log()[None])[0]
    torch.testing.assert_close(pulse[:50], 0.9 ** torch.arange(50.0), atol=2e-6, rtol=0.0)


@pytest.mark.parametrize("travel_time_s", [1.0, 8.0, 30.0])
def test_attenuation_is_causal_with_the_amplitude_asked_for(travel_time_s):
    """Not more than 1e-5 of the peak in the 5 s before the onset; the amplitude to 0.1 %."""
    one = torch.ones(1)
    wanted = floored(log_attenuation(FREQUENCY_HZ, travel_time_s * one, 100.0 * one, 0.4 * one, 0.02 * one))
    pulse = _pulse(wanted)[0]
    assert float(pulse[-500:].abs().max()) < 1e-5 * float(pulse.max())
    amplitude = torch.fft.rfft(pulse).abs()
    strong = wanted[0] > math.log(1e-3)
    torch.testing.assert_close(amplitude[strong], wanted[0][strong].exp(), rtol=1e-3, atol=0.0)


def test_phases_add_where_amplitudes_multiply():
    first, second = -0.05 * FREQUENCY_HZ[None], -0.5 * (1.0 + (FREQUENCY_HZ[None] / 7.0) ** 2).log()
    together = minimum_phase_rad(first + second)
    torch.testing.assert_close(
        together, minimum_phase_rad(first) + minimum_phase_rad(second), atol=1e-4, rtol=0
    )
