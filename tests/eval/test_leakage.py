import numpy as np
from seisfm.data.records import Record
from seisfm.eval.leakage import leakage_report


def record(name, event="", station="XX.A.", start=np.nan, seed=0):
    waveform = np.random.default_rng(seed).normal(size=(2, 100)).astype(np.float32)
    return Record(
        record_id=name, waveform=waveform, component_names=("Z", "N"), sampling_rate_hz=10.0,
        event_id=event, station_id=station, start_time=start,
    )  # fmt: skip


def test_clean_data_share_stations_at_most():
    report = leakage_report([record("a", "1", start=0.0, seed=1)], [record("b", "2", start=10.0, seed=2)])
    assert report.known and not report.leaks
    assert report.shared_station_ids == ("XX.A.",)
    assert report.summary().startswith("No leakage")


def test_every_kind_of_leak_is_found():
    test = record("a", "1", start=0.0, seed=1)
    assert leakage_report([test], [record("b", "1", "XX.B.", seed=2)]).shared_event_ids == ("1",)
    assert leakage_report([test], [record("a", "2", "XX.B.", seed=2)]).shared_record_ids == ("a",)
    assert leakage_report([test], [record("b", "2", "XX.B.", seed=1)]).shared_waveforms == ("a",)
    overlap = leakage_report(
        [test], [record("b", "2", start=-50.0, seed=3), record("c", "3", start=9.5, seed=2)]
    )
    assert overlap.shared_times == ("a",)
    assert overlap.leaks and "not valid" in overlap.summary()


def test_a_long_training_record_that_began_earlier_is_seen():
    long = Record(
        record_id="day", waveform=np.zeros((1, 10_000), np.float32), component_names=("Z",),
        sampling_rate_hz=10.0, station_id="XX.A.", start_time=0.0,
    )  # fmt: skip
    train = [long, record("short", "9", start=100.0, seed=5)]
    assert leakage_report([record("a", "1", start=500.0, seed=1)], train).shared_times == ("a",)


def test_unknown_ids_are_no_overlap():
    report = leakage_report([record("a", station="", seed=1)], [record("b", station="", seed=2)])
    assert not report.leaks and report.shared_station_ids == ()


def test_without_training_records_nothing_is_claimed():
    report = leakage_report([record("a")], [])
    assert not report.known and "unknown" in report.summary()
