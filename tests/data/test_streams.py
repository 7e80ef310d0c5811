import numpy as np
import obspy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seisfm.data.continuous.streams import stream_to_records

START = obspy.UTCDateTime("2020-02-29T12:00:00")


def trace(channel="HHZ", start_s=0.0, data=None, rate_hz=100.0, station="STA", location="00"):
    if data is None:
        data = np.random.default_rng(1).integers(-999, 999, 1000).astype(np.int32)
    header = {
        "network": "XX",
        "station": station,
        "location": location,
        "channel": channel,
        "sampling_rate": rate_hz,
        "starttime": START + start_s,
    }
    return obspy.Trace(np.ma.asarray(data) if np.ma.isMaskedArray(data) else np.asarray(data), header)


def only(stream, **options):
    records, skipped = stream_to_records(stream, **options)
    assert len(records) == 1
    return records[0], skipped


def test_obspy_example_keeps_every_native_value():
    stream = obspy.read()
    record, skipped = only(stream)
    assert skipped == []
    assert (record.station_id, record.component_names) == ("BW.RJOB.", ("Z", "N", "E"))
    assert record.metadata["trace_channel"] == "EH"
    assert record.unit == "counts"
    assert record.start_time == stream[0].stats.starttime.timestamp
    for name, row in zip(record.component_names, record.waveform, strict=True):
        np.testing.assert_array_equal(row, stream.select(component=name)[0].data.astype(np.float32))


def test_each_instrument_and_location_is_a_record_of_its_own():
    codes = [("HHZ", "00"), ("HHN", "00"), ("HNZ", "00"), ("HHZ", "10")]
    records, _ = stream_to_records(obspy.Stream([trace(channel=c, location=loc) for c, loc in codes]))
    found = {(record.station_id, record.metadata["trace_channel"]) for record in records}
    assert found == {("XX.STA.00", "HH"), ("XX.STA.00", "HN"), ("XX.STA.10", "HH")}
    assert len({record.record_id for record in records}) == 3


@pytest.mark.parametrize(
    ("channels", "components"),
    [
        (("HHZ", "HH1", "HH2"), ("Z", "1", "2")),
        (("HH1", "HH2", "HH3"), ("1", "2", "3")),
        (("EHZ",), ("Z",)),
        (("hhz", "hhe"), ("Z", "E")),
        (("Z", "N"), ("Z", "N")),
        (("BDH",), ("H",)),
        (("BHU", "BHN"), ("N", "U")),
    ],
)
def test_components_by_the_last_letter(channels, components):
    record, skipped = only(obspy.Stream([trace(channel=c) for c in channels]))
    assert record.component_names == components
    assert skipped == []


def test_unknown_component_is_skipped_naming_the_known():
    record, skipped = only(obspy.Stream([trace("HHZ"), trace("HHQ")]))
    assert record.component_names == ("Z",)
    assert "unknown component 'Q'" in skipped[0].reason and "'Z', 'N', 'E'" in skipped[0].reason


def test_two_components_for_one_slot_keep_the_oriented_one():
    record, skipped = only(obspy.Stream([trace("HH1"), trace("HHN"), trace("HHZ")]))
    assert record.component_names == ("Z", "N")
    assert "component 1 wants the place of component N" in skipped[0].reason


def test_a_gap_is_nan_and_a_long_one_parts_the_record():
    a, b, c = np.arange(1, 101), np.arange(101, 201), np.arange(201, 301)
    stream = obspy.Stream([trace(data=a), trace(start_s=3.0, data=b), trace(start_s=100.0, data=c)])
    records, skipped = stream_to_records(stream)
    assert skipped == []
    assert [record.duration_s for record in records] == [4.0, 1.0]
    expected = np.concatenate([a, np.full(200, np.nan), b])
    np.testing.assert_array_equal(records[0].waveform[0], expected.astype(np.float32))
    assert records[1].start_time == (START + 100).timestamp
    whole, _ = only(stream, max_gap_s=1000)
    assert whole.duration_s == 101.0


def test_a_component_that_goes_on_bridges_the_gap_of_another():
    stream = obspy.Stream([trace("HHZ"), trace("HHZ", 90.0), trace("HHN", data=np.arange(10000))])
    record, _ = only(stream)
    assert np.isnan(record.waveform[0]).sum() == 8000
    assert np.isfinite(record.waveform[1]).all()


def test_a_masked_gap_equals_two_traces():
    data = np.ma.masked_array(np.arange(20000.0), mask=False)
    data[5000:15000] = np.ma.masked
    records, skipped = stream_to_records(obspy.Stream([trace(data=data)]))
    parts = obspy.Stream(
        [trace(data=np.arange(5000.0)), trace(start_s=150.0, data=np.arange(15000.0, 20000.0))]
    )
    expected, _ = stream_to_records(parts)
    assert skipped == []
    for one, other in zip(records, expected, strict=True):
        np.testing.assert_array_equal(one.waveform, other.waveform)
        assert one.start_time == other.start_time


def test_equal_overlap_merges():
    data = np.random.default_rng(0).normal(size=1500)
    record, skipped = only(obspy.Stream([trace(data=data[:1000]), trace(start_s=5.0, data=data[500:])]))
    assert skipped == []
    np.testing.assert_array_equal(record.waveform[0], data.astype(np.float32))


def test_duplicate_trace_changes_nothing():
    record, skipped = only(obspy.Stream([trace(), trace()]))
    assert skipped == [] and np.isfinite(record.waveform).all()


def test_contradicting_overlap_is_nan_and_told_even_when_a_third_trace_agrees():
    one, other = np.arange(1000.0), np.arange(1000.0)
    other[200:300] += 5
    records, skipped = stream_to_records(obspy.Stream([trace(data=d) for d in (one, other, one)]))
    assert np.flatnonzero(np.isnan(records[0].waveform[0])).tolist() == list(range(200, 300))
    assert skipped[0].reason.startswith("100 samples contradict")
    assert skipped[0].item.startswith("XX.STA.00.HHZ")


def test_odd_rate_is_skipped_with_both_rates():
    stream = obspy.Stream([trace("HHZ"), trace("HHN"), trace("HHE", rate_hz=50.0)])
    record, skipped = only(stream)
    assert record.component_names == ("Z", "N")
    assert "sampled at 50 Hz, most of this instrument at 100 Hz" in skipped[0].reason


def test_rate_of_a_sac_float_counts_as_the_same():
    record, skipped = only(obspy.Stream([trace("HHZ"), trace("HHN", rate_hz=1 / float(np.float32(0.01)))]))
    assert skipped == [] and record.component_names == ("Z", "N")


def test_subsample_offsets_go_to_the_nearest_sample_and_large_ones_are_told():
    record, _ = only(obspy.Stream([trace("HHZ"), trace("HHN", 0.0104)]))
    assert "trace_subsample_shift_samples" not in record.metadata
    assert np.isnan(record.waveform[1, 0]) and np.isfinite(record.waveform[1, 1:]).all()
    record, _ = only(obspy.Stream([trace("HHZ"), trace("HHN", 0.003)]))
    assert record.metadata["trace_subsample_shift_samples"] == pytest.approx(0.3)
    assert record.waveform.shape == (2, 1000)


def test_nan_and_infinity_are_missing_and_told():
    data = np.ones(1000)
    data[::2] = 2
    data[10], data[20] = np.nan, np.inf
    record, skipped = only(obspy.Stream([trace(data=data)]))
    assert np.flatnonzero(np.isnan(record.waveform[0])).tolist() == [10, 20]
    assert skipped[0].reason.startswith("2 of 1000 samples are NaN or infinite")


def test_all_nan_component_stays_as_a_missing_row():
    record, skipped = only(obspy.Stream([trace("HHZ"), trace("HHE", data=np.full(1000, np.nan))]))
    assert record.component_names == ("Z", "E")
    assert np.isnan(record.waveform[1]).all()
    assert any("no sample is observed" in note.reason for note in skipped)


def test_all_zero_component_is_dead():
    record, skipped = only(obspy.Stream([trace("HHZ"), trace("HHE", data=np.zeros(1000, np.int32))]))
    assert np.isnan(record.waveform[1]).all() and np.isfinite(record.waveform[0]).all()
    assert "dead: every sample is 0" in skipped[0].reason


@pytest.mark.parametrize("data", [np.zeros(100), np.full(100, np.nan)])
def test_nothing_alive_gives_no_record_but_a_reason(data):
    records, skipped = stream_to_records(obspy.Stream([trace(data=data)]))
    assert records == [] and skipped


def test_unusable_traces_are_told():
    log = trace(data=np.frombuffer(b"clock lost", dtype="S1"))
    records, skipped = stream_to_records(obspy.Stream([trace(data=np.empty(0)), log]))
    assert records == []
    assert "no samples" in skipped[0].reason and "must be numbers" in skipped[1].reason


def test_short_records_are_told():
    records, skipped = stream_to_records(obspy.Stream([trace()]), min_duration_s=20)
    assert records == []
    assert "lasts 10 s, less than min_duration_s = 20 s" in skipped[0].reason


def test_large_counts_keep_every_bit():
    counts = np.random.default_rng(2).integers(-500, 500, 1000) + 2_000_000_000
    stream = obspy.Stream([trace(data=counts.astype(np.int64)), trace("HHN")])
    record, _ = only(stream)
    offset = record.metadata["trace_offset_counts"]
    assert set(offset) == {"Z"}
    np.testing.assert_array_equal(record.waveform[0].astype(np.float64) + offset["Z"], counts)


def test_removed_response_gives_the_unit():
    stream = obspy.read()
    inventory = obspy.read_inventory()
    assert only(stream.copy().remove_response(inventory, output="VEL"))[0].unit == "m/s"
    assert only(stream.copy().remove_response(inventory, output="ACC"))[0].unit == "m/s**2"
    mixed = stream.copy()
    mixed[0].remove_response(inventory)
    record, skipped = only(mixed)
    assert record.component_names == ("N", "E")
    assert "unit is m/s, most of this instrument is in counts" in skipped[0].reason


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 900), st.integers(2, 300)), min_size=1, max_size=12), st.randoms())
def test_any_cover_of_one_signal_gives_that_signal(stretches, random):
    data = np.random.default_rng(3).normal(size=1200)
    traces = [trace(start_s=first / 100, data=data[first : first + length]) for first, length in stretches]
    random.shuffle(traces)
    record, skipped = only(obspy.Stream(traces))
    expected = np.full(1200, np.nan, dtype=np.float32)
    for first, length in stretches:
        expected[first : first + length] = data[first : first + length]
    known = np.flatnonzero(np.isfinite(expected))
    np.testing.assert_array_equal(record.waveform[0], expected[known[0] : known[-1] + 1])
    assert skipped == []


def test_time_is_linear_in_the_number_of_gaps():
    data = np.random.default_rng(4).normal(size=10)
    stream = obspy.Stream([trace(start_s=0.5 * i, data=data) for i in range(20_000)])
    record, _ = only(stream)
    assert np.isfinite(record.waveform).sum() == 200_000
