import copy
import math
import os
from pathlib import Path

import numpy as np
import obspy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import butter, freqs
from seisfm.data.instruments.response import (
    FLAT_ACCELERATION,
    ResponseError,
    remove_response,
    remove_sensitivity,
    response_factor,
    response_key,
)
from seisfm.data.instruments.response_metadata import response_metadata

REAL_DATA = Path(os.environ.get("SEISFM_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
HIGHPASS_HZ = 0.1
GEOPHONE_HIGHPASS_HZ = 0.5

CORNER = 2 * math.pi * 1.0
GEOPHONE = {
    "input_unit": "m/s",
    "zeros": [[0.0, 0.0], [0.0, 0.0]],
    "poles": [[-0.7 * CORNER, 0.714 * CORNER], [-0.7 * CORNER, -0.714 * CORNER]],
    "normalization_factor": 1.0,
}
"""A seismometer of 1 Hz and 0.7 of critical damping."""


def sine(frequency_hz, phase_rad=0.0, amplitude=1.0, rate_hz=100.0, duration_s=60.0):
    time_s = torch.arange(round(duration_s * rate_hz), dtype=torch.float64) / rate_hz
    return (amplitude * torch.sin(2 * math.pi * frequency_hz * time_s + phase_rad)).float()


def highpass_factor(frequency_hz, highpass_hz=HIGHPASS_HZ):
    return freqs(*butter(4, 2 * math.pi * highpass_hz, "highpass", analog=True), 2 * math.pi * frequency_hz)[
        1
    ]


def test_a_damped_oscillator_has_its_textbook_response():
    # Aki & Richards 2002, ch. 12: at its corner |H| = 1 / (2 h), and 1 far above.
    at = response_factor(GEOPHONE, [1.0, 100.0, 0.0])
    assert abs(at[0]) == pytest.approx(1 / 1.4, rel=1e-3)
    assert abs(at[1]) == pytest.approx(1.0, rel=1e-3)
    assert at[2] == 0


def test_many_poles_do_not_overflow():
    poles = [[-1e40, 0.0]] * 12
    response = {"input_unit": "m/s", "zeros": poles, "poles": poles, "normalization_factor": 2.0}
    assert response_factor(response, [1.0])[0] == pytest.approx(2.0)


@settings(max_examples=30, deadline=None)
@given(st.floats(0.3, 30.0), st.floats(0.0, 6.28))
def test_a_sine_through_a_geophone_comes_back_as_the_ground_moved(frequency_hz, phase_rad):
    factor = complex(response_factor(GEOPHONE, [frequency_hz])[0])
    seen = sine(frequency_hz, phase_rad + np.angle(factor), abs(factor))
    motion = remove_response(seen[None, None], 100.0, [GEOPHONE], GEOPHONE_HIGHPASS_HZ)[0, 0]
    filtered = highpass_factor(np.array([frequency_hz]), GEOPHONE_HIGHPASS_HZ)[0]
    expected = sine(frequency_hz, phase_rad + float(np.angle(filtered)), float(abs(filtered)))
    assert (motion - expected)[2000:4000].abs().max() < 0.01


@settings(max_examples=30, deadline=None)
@given(st.floats(0.3, 30.0))
def test_acceleration_is_integrated(frequency_hz):
    omega = 2 * math.pi * frequency_hz
    acceleration = sine(frequency_hz, math.pi / 2, omega)
    velocity = remove_response(acceleration[None, None], 100.0, [FLAT_ACCELERATION], HIGHPASS_HZ)[0, 0]
    filtered = highpass_factor(np.array([frequency_hz]))[0]
    expected = sine(frequency_hz, float(np.angle(filtered)), float(abs(filtered)))
    assert (velocity - expected)[2000:4000].abs().max() < 0.01


def test_acceleration_may_stay_acceleration():
    kept = remove_response(sine(2.0)[None, None], 100.0, [FLAT_ACCELERATION], HIGHPASS_HZ, to_velocity=False)[
        0, 0
    ]
    filtered = highpass_factor(np.array([2.0]))[0]
    expected = sine(2.0, float(np.angle(filtered)), float(abs(filtered)))
    assert (kept - expected)[2000:4000].abs().max() < 0.01


def test_nothing_moves_before_the_first_motion():
    pulse = torch.zeros(1, 1, 6000)
    pulse[..., 3000:3010] = 1e6
    motion = remove_response(pulse, 100.0, [GEOPHONE], GEOPHONE_HIGHPASS_HZ)[0, 0]
    # All that is there before is what the mean leaves when it is taken away.
    assert motion[1000:2999].abs().max() < 2e-3 * motion.abs().max()


def test_an_offset_a_thousand_times_the_signal_is_taken_away():
    signal = sine(2.0)[None, None]
    clean, shifted = (
        remove_response(waveform, 100.0, [GEOPHONE], GEOPHONE_HIGHPASS_HZ)
        for waveform in (signal, signal + 1000.0)
    )
    assert (clean - shifted).abs().max() < 1e-3


def test_a_gap_stays_a_gap_and_only_its_neighbourhood_feels_it():
    waveform = sine(2.0, duration_s=120.0)[None, None].repeat(1, 2, 1)
    waveform[0, 0, 3000:3300] = torch.nan
    motion = remove_response(waveform, 100.0, [GEOPHONE], GEOPHONE_HIGHPASS_HZ)[0]
    assert motion.isnan()[0].nonzero().flatten().tolist() == list(range(3000, 3300))
    assert motion[1].isfinite().all()
    difference = (motion[0] - motion[1]).abs()
    assert difference[:2990].max() < 0.02 and difference[3300 + 2000 :].max() < 0.02


def test_each_window_has_its_own_response_and_nothing_of_its_neighbours():
    generator = torch.Generator().manual_seed(0)
    waveform = torch.randn(3, 3, 3000, generator=generator)
    waveform[1, 2] = torch.nan
    responses = [GEOPHONE, FLAT_ACCELERATION, GEOPHONE]
    together = remove_response(waveform, 100.0, responses, HIGHPASS_HZ)
    for i, response in enumerate(responses):
        alone = remove_response(waveform[[i]], 100.0, [response], HIGHPASS_HZ)
        torch.testing.assert_close(together[[i]], alone, equal_nan=True)
    assert together[1, 2].isnan().all()


def test_a_water_level_keeps_what_the_instrument_hardly_saw_from_growing_without_bound():
    deaf = GEOPHONE | {"zeros": [[0.0, 0.0]] * 4}
    noise = torch.randn(1, 1, 3000, generator=torch.Generator().manual_seed(0))
    assert remove_response(noise, 100.0, [deaf], 0.01).abs().max() < 1e3


def test_sensitivity_is_divided_away_component_by_component():
    counts = torch.tensor([[[2.0, 4.0], [30.0, 60.0], [1.0, 1.0]]])
    motion = remove_sensitivity(counts, torch.tensor([[2.0, -10.0, math.nan]]))
    torch.testing.assert_close(motion[0, :2], torch.tensor([[1.0, 2.0], [-3.0, -6.0]]))
    assert motion[0, 2].isnan().all()


@pytest.mark.parametrize("highpass_hz", [0.0, -1.0, 50.0])
def test_impossible_corners_are_refused(highpass_hz):
    with pytest.raises(ValueError, match="highpass_hz must lie between 0 and half of 100 Hz"):
        remove_response(torch.zeros(1, 1, 100), 100.0, [GEOPHONE], highpass_hz)


def test_a_response_is_needed_for_each_window():
    with pytest.raises(ValueError, match="one for each of 2 windows, found 1"):
        remove_response(torch.zeros(2, 1, 100), 100.0, [GEOPHONE], 0.1)


def test_what_is_no_response_is_refused():
    with pytest.raises(ResponseError, match="pairs of numbers"):
        response_key({"poles": []})
    with pytest.raises(ResponseError, match="must be m/s or m/s\\*\\*2, found 'Pa'"):
        response_key(GEOPHONE | {"input_unit": "Pa"})


def real_traces():
    if not REAL_DATA.is_dir():
        pytest.skip(f"no real data at {REAL_DATA}: set SEISFM_DATA")
    broadband, strong = REAL_DATA / "california_mw", REAL_DATA / "events_groundmotion"
    for station in ("BK.QRDG", "BK.FARB", "BK.SAO", "BK.CMB"):
        (file,) = (broadband / "waveforms").glob(f"{station}.00.BHZ*")
        yield obspy.read(str(file))[0], obspy.read_inventory(str(broadband / "stations" / f"{station}.xml"))
    for folder, station in [("demo/ci38038071/raw", "CE.23178.10.HNN"), ("fdsn/ci38457511", "CI.CLC..HNZ")]:
        (file,) = (strong / folder).glob(f"{station}*.mseed")
        inventory = obspy.read_inventory(str(strong / folder / f"{'.'.join(station.split('.')[:2])}.xml"))
        yield obspy.read(str(file))[0], inventory


@pytest.mark.filterwarnings("ignore:The trace's inventory and response:UserWarning")
def test_real_records_agree_with_obspy():
    """`Trace.remove_response` with the same analog stages, in the middle of the trace, to 1e-4."""
    for trace, inventory in real_traces():
        metadata = response_metadata(inventory, [trace.id], trace.stats.starttime)
        counts = torch.from_numpy(trace.data.astype(np.float32))[None, None]
        ground = remove_sensitivity(counts, torch.tensor([metadata["trace_sensitivity"]]))
        rate_hz = trace.stats.sampling_rate
        motion = remove_response(ground, rate_hz, [metadata["trace_response"]], HIGHPASS_HZ)[0, 0].numpy()
        middle = slice(len(motion) // 5, -len(motion) // 5)
        error = (motion - by_obspy(trace, inventory))[middle]
        assert error.std() < 1e-4 * motion[middle].std(), trace.id


def by_obspy(trace, inventory):
    """ObsPy's velocity by the analog stages, behind the same high-pass."""
    response = copy.deepcopy(inventory.get_response(trace.id, trace.stats.starttime))
    digital = [str(stage.output_units).upper().startswith("COUNT") for stage in response.response_stages]
    response.response_stages = response.response_stages[: digital.index(True) + 1]
    whole = trace.copy()
    whole.stats.response = response
    velocity = whole.remove_response(output="VEL", water_level=None, taper_fraction=0.05).data
    length = 2 ** math.ceil(math.log2(2 * len(velocity)))
    frequency_hz = np.fft.rfftfreq(length, 1 / trace.stats.sampling_rate)
    return np.fft.irfft(np.fft.rfft(velocity, length) * highpass_factor(frequency_hz), length)[
        : len(velocity)
    ]
