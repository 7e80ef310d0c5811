import math

import numpy as np
import pytest
from obspy.signal.invsim import estimate_wood_anderson_amplitude
from seisfm.eval.references.wood_anderson import WoodAndersonConfig, half_peak_to_peak, wood_anderson_mm

RATE_HZ = 100.0
TIME_S = np.arange(6000) / RATE_HZ


def displacement_response(frequency_hz, config):
    s, natural = 2j * math.pi * frequency_hz, 2 * math.pi / config.period_s
    return abs(config.gain * s * s / (s * s + 2 * config.damping * natural * s + natural**2))


@pytest.mark.parametrize("frequency_hz", [0.8, 1.25, 3.1, 7.3])
@pytest.mark.parametrize("unit", ["m/s", "m/s**2"])
def test_a_sine_is_magnified_as_the_formula_says(frequency_hz, unit):
    config = WoodAndersonConfig(highpass_hz=0.0)
    amplitude_m, omega = 1e-5, 2 * math.pi * frequency_hz
    motion = amplitude_m * omega ** {"m/s": 1, "m/s**2": 2}[unit] * np.sin(omega * TIME_S)
    trace = wood_anderson_mm(motion, RATE_HZ, unit, config)[1000:-1000]
    expected_mm = 1000 * amplitude_m * displacement_response(frequency_hz, config)
    assert half_peak_to_peak(trace) == pytest.approx(expected_mm, rel=0.01)


def test_obspy_says_the_same_amplitude():
    # Of a sine's swing and half period, by the formula for one frequency, with the maker's damping.
    config = WoodAndersonConfig(damping=0.8, highpass_hz=0.0)
    motion = 1e-6 * np.sin(2 * math.pi * 2.0 * TIME_S)
    trace = wood_anderson_mm(motion, RATE_HZ, "m/s", config)[1000:-1000]
    instrument = {"poles": [], "zeros": [], "gain": 1.0, "sensitivity": 1.0}
    expected_mm = estimate_wood_anderson_amplitude(instrument, 2e-6, 0.25)
    assert half_peak_to_peak(trace) == pytest.approx(expected_mm, rel=0.005)


def test_microseisms_are_held_back_and_one_hertz_is_not():
    config = WoodAndersonConfig()
    slow, fast = (np.sin(2 * math.pi * hz * TIME_S) for hz in (0.15, 2.0))
    open_config = WoodAndersonConfig(highpass_hz=0.0)
    ratio = [
        half_peak_to_peak(wood_anderson_mm(one, RATE_HZ, "m/s", config)[1500:-1500])
        / half_peak_to_peak(wood_anderson_mm(one, RATE_HZ, "m/s", open_config)[1500:-1500])
        for one in (slow, fast)
    ]
    assert ratio[0] < 0.02 and ratio[1] == pytest.approx(1.0, abs=0.01)


def test_half_of_the_largest_swing_is_that_of_neighbouring_turns():
    # From +3 straight to −1 is the largest single swing; the slow drift to −2 is none.
    assert half_peak_to_peak(np.array([0.0, 3.0, -1.0, 0.0, -2.0, 0.5])) == 2.0


def test_counts_are_refused():
    with pytest.raises(ValueError, match="remove the response"):
        wood_anderson_mm(np.zeros(100), RATE_HZ, "counts", WoodAndersonConfig())


@pytest.mark.parametrize("settings", [{"gain": 0.0}, {"damping": -1.0}, {"highpass_hz": -1.0}])
def test_impossible_seismographs_are_refused(settings):
    with pytest.raises(ValueError, match="must"):
        WoodAndersonConfig(**settings)
