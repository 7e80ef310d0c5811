import numpy as np
import obspy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from seisfm.data.continuous.gaps import bridged, constant_runs
from seisfm.data.continuous.streams import stream_to_records


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 1), max_size=40), st.integers(3, 6))
def test_a_run_is_found_if_and_only_if_it_is_long_enough(values, min_samples):
    found = constant_runs(torch.tensor(values), min_samples).tolist()
    expected = []
    for i in range(len(values)):
        first, last = i, i
        while first > 0 and values[first - 1] == values[i]:
            first -= 1
        while last < len(values) - 1 and values[last + 1] == values[i]:
            last += 1
        expected.append(last - first + 1 >= min_samples)
    assert found == expected


def test_nan_is_no_constant_and_rows_are_apart():
    waveform = torch.tensor([[1.0, 1, 1, 1, 2], [torch.nan] * 5])
    assert constant_runs(waveform, 4).tolist() == [[True] * 4 + [False], [False] * 5]


def test_short_runs_are_refused():
    with pytest.raises(ValueError, match="must last 3 samples or more, found 2"):
        constant_runs(torch.zeros(9), 2)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(-9, 9)), min_size=1, max_size=30))
def test_gaps_are_bridged_as_numpy_does(values):
    waveform = np.array([np.nan if value is None else value for value in values], dtype=np.float32)
    seen = np.flatnonzero(np.isfinite(waveform))
    expected = np.interp(np.arange(len(values)), seen, waveform[seen]) if len(seen) else np.zeros(len(values))
    both = bridged(torch.from_numpy(waveform).expand(2, -1))
    np.testing.assert_allclose(both.numpy(), np.stack([expected, expected]), atol=1e-5)


def test_a_whole_waveform_is_left_alone():
    waveform = torch.arange(6.0).reshape(2, 3)
    assert bridged(waveform) is waveform


def filled_trace():
    data = np.random.default_rng(0).integers(-999, 999, 1000).astype(np.int32)
    data[300:500] = 0
    header = {"station": "STA", "channel": "HHZ", "sampling_rate": 100.0}
    return obspy.Stream([obspy.Trace(data, header)])


def test_a_filled_gap_is_data_unless_asked():
    (record,), skipped = stream_to_records(filled_trace())
    assert np.isfinite(record.waveform).all() and skipped == []


def test_a_filled_gap_becomes_nan_and_is_told_where_asked():
    (record,), (told,) = stream_to_records(filled_trace(), constant_gap_s=1.0)
    assert np.flatnonzero(np.isnan(record.waveform[0])).tolist() == list(range(300, 500))
    assert "200 samples hold one value for 1 s or longer" in told.reason


def test_a_shorter_run_stays():
    (record,), skipped = stream_to_records(filled_trace(), constant_gap_s=2.5)
    assert np.isfinite(record.waveform).all() and skipped == []


def test_a_dead_trace_is_still_called_dead():
    stream = filled_trace()
    stream[0].data[:] = 7
    records, skipped = stream_to_records(stream, constant_gap_s=1.0)
    assert records == [] and any("dead: every sample is 7" in told.reason for told in skipped)
