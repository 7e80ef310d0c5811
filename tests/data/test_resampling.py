import math
from fractions import Fraction

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from seisfm.data.instruments.resampling import (
    native_span,
    rate_ratio,
    resample,
    resample_observed,
    resample_with_gaps,
)

RATES = [
    (20.0, 100.0),
    (40.0, 100.0),
    (62.5, 100.0),
    (99.0, 100.0),
    (125.0, 100.0),
    (200.0, 100.0),
    (500.0, 20.0),
]

RATE = st.floats(20.0, 500.0)


def sine(frequency_hz, rate_hz, duration_s=60.0):
    time_s = torch.arange(round(duration_s * rate_hz), dtype=torch.float64) / rate_hz
    return torch.sin(2 * math.pi * frequency_hz * time_s + 0.3).float()


@pytest.mark.parametrize(("rate_in_hz", "rate_out_hz"), RATES)
@pytest.mark.parametrize("share_of_nyquist", [0.02, 0.4, 0.85])
def test_a_sine_below_both_nyquists_is_the_same_sine(rate_in_hz, rate_out_hz, share_of_nyquist):
    frequency_hz = share_of_nyquist * min(rate_in_hz, rate_out_hz) / 2
    resampled = resample(sine(frequency_hz, rate_in_hz), rate_in_hz, rate_out_hz)
    expected = sine(frequency_hz, rate_out_hz)
    assert resampled.shape == expected.shape
    interior = slice(round(5 * rate_out_hz), -round(5 * rate_out_hz))
    assert (resampled - expected)[interior].abs().max() < 1e-3


@pytest.mark.parametrize(("rate_in_hz", "rate_out_hz"), [(200.0, 100.0), (100.0, 40.0), (500.0, 20.0)])
@pytest.mark.parametrize("above_nyquist", [1.06, 1.5, 1.9])
def test_what_would_alias_is_removed_by_80_db(rate_in_hz, rate_out_hz, above_nyquist):
    resampled = resample(sine(above_nyquist * rate_out_hz / 2, rate_in_hz), rate_in_hz, rate_out_hz)
    interior = slice(round(5 * rate_out_hz), -round(5 * rate_out_hz))
    assert resampled[interior].abs().max() < 1e-4


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(RATES), st.integers(1, 400), st.integers(1, 3))
def test_lengths_agree_and_leading_axes_stay(rates, num_samples, num_rows):
    waveform = torch.ones(2, num_rows, num_samples)
    resampled = resample(waveform, *rates)
    assert resampled.shape == (2, num_rows, math.ceil(num_samples * rate_ratio(*rates)))
    assert resample_observed(waveform > 0, *rates).shape == resampled.shape
    assert resampled.isfinite().all()


@settings(max_examples=60, deadline=None)
@given(
    st.one_of(st.sampled_from([20.0, 40.0, 50.0, 62.5, 80.0, 100.0, 125.0, 200.0, 250.0, 500.0]), RATE),
    st.one_of(st.sampled_from([20.0, 50.0, 100.0, 200.0]), RATE),
    st.floats(0.01, 0.85),
)
def test_any_pair_of_rates_from_20_to_500_hz_keeps_what_both_can_hold(rate_in_hz, rate_out_hz, share):
    frequency_hz = share * min(rate_in_hz, rate_out_hz) / 2
    resampled = resample(sine(frequency_hz, rate_in_hz, 20.0), rate_in_hz, rate_out_hz)
    time_s = torch.arange(resampled.shape[-1], dtype=torch.float64) / rate_out_hz
    expected = torch.sin(2 * math.pi * frequency_hz * time_s + 0.3)
    # The one concession: rates that drift apart by a tenth of a sample within the window are called equal.
    drift = 2 * math.pi * frequency_hz * 0.1 / rate_in_hz if resampled.shape[-1] == 20 * rate_in_hz else 0.0
    inside = (time_s > 4) & (time_s < 16)
    assert (resampled - expected)[inside].abs().max() < 2e-3 + drift


@settings(max_examples=60, deadline=None)
@given(st.floats(40.0, 500.0), st.floats(20.0, 250.0), st.floats(1.06, 0.99 * 2))
def test_any_pair_of_rates_from_20_to_500_hz_rejects_aliases(rate_in_hz, rate_out_hz, above_nyquist):
    frequency_hz = above_nyquist * rate_out_hz / 2
    assume(frequency_hz < rate_in_hz / 2)
    resampled = resample(sine(frequency_hz, rate_in_hz, 20.0), rate_in_hz, rate_out_hz)
    inside = slice(round(4 * rate_out_hz), round(16 * rate_out_hz))
    assert resampled[inside].abs().max() < 1e-4


@pytest.mark.parametrize("rate_in_hz", [99.96, 100.03, 199.9, 49.99, 100.0 * math.sqrt(2)])
def test_a_rate_beside_a_round_one_is_put_on_the_true_time_base(rate_in_hz):
    # Counted as 100 Hz, 99.96 Hz is 12 ms off after 30 s, which is one radian at 13 Hz.
    resampled = resample(sine(13.0, rate_in_hz, 60.0), rate_in_hz, 100.0)[500:5500]
    assert (resampled - sine(13.0, 100.0, 60.0)[500:5500]).abs().max() < 1e-3


def test_equal_rates_change_nothing_at_all():
    waveform = torch.randn(3, 3000, generator=torch.Generator().manual_seed(0))
    assert resample(waveform, 100.0, 99.998) is waveform  # 0.06 samples of drift
    assert resample_with_gaps(waveform, 100.0, 100.0) is waveform
    assert resample_observed(waveform > 0, 50.0, 50.0).shape == (3, 3000)


def test_a_drift_that_a_short_window_does_not_feel_is_taken_away_from_a_long_one():
    ten_minutes = sine(13.0, 99.998, 600.0)
    resampled = resample(ten_minutes, 99.998, 100.0)
    assert resampled.shape[-1] == math.ceil(len(ten_minutes) * 100.0 / 99.998)
    assert (resampled[500:-500] - sine(13.0, 100.0, 600.0)[500 : len(resampled) - 500]).abs().max() < 1e-3


@pytest.mark.parametrize("rate_in_hz", [20.0, 40.0, 62.5, 99.96, 200.0, 333.3])
def test_a_window_cut_with_its_surplus_feels_no_edge(rate_in_hz):
    record = torch.randn(2, round(60 * rate_in_hz), generator=torch.Generator().manual_seed(1))
    start = round(20 * rate_in_hz)
    lead, num_native = native_span(1000, rate_in_hz, 100.0)
    cut = record[:, start - lead : start - lead + num_native]
    window = resample_with_gaps(cut, rate_in_hz, 100.0, lead, 1000)
    whole = resample(record, rate_in_hz, 100.0, start, 1000)
    torch.testing.assert_close(window, whole, rtol=0, atol=1e-4)


def test_windows_of_equal_rates_are_cut_without_surplus():
    assert native_span(3000, 100.0, 100.0) == (0, 3000)
    assert native_span(3000, 100.001, 100.0) == (0, 3000)


def test_a_gap_stays_a_gap_of_the_same_seconds():
    waveform = 500.0 + sine(2.0, 50.0)
    waveform[1000:1100] = torch.nan  # 20 to 22 s
    resampled = resample_with_gaps(waveform, 50.0, 100.0)
    lost = resampled.isnan().nonzero().flatten() / 100.0
    assert abs(float(lost[0]) - 20.0) <= 0.021
    assert abs(float(lost[-1]) - 22.0) <= 0.021
    clean = 500.0 + sine(2.0, 100.0)
    far = torch.ones(6000, dtype=torch.bool)
    far[:200] = far[1850:2350] = far[-200:] = False
    assert (resampled - clean)[far].abs().max() < 5e-3


def test_nothing_observed_stays_nothing():
    assert resample_with_gaps(torch.full((2, 100), torch.nan), 50.0, 100.0).isnan().all()


def test_ratios_are_small_fractions():
    assert rate_ratio(62.5, 100.0) == Fraction(8, 5)
    assert rate_ratio(100.0, 100.002) == 1


@pytest.mark.parametrize("rates", [(0.0, 100.0), (100.0, -1.0), (0.01, 100.0), (float("nan"), 100.0)])
def test_impossible_rates_are_refused(rates):
    with pytest.raises(ValueError, match="within a factor of 1000"):
        rate_ratio(*rates)
