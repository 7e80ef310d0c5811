import dataclasses

import numpy as np
from seisfm.data.records import Record
from seisfm.data.splitting.fingerprints import fingerprints_of, read_fingerprints, write_fingerprints
from seisfm.eval.leakage import LeakageConfig, leakage_report, leaking_records


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


def located(name, event, start=np.nan, seed=0, latitude=10.0, origin="2020-01-01T00:00:00", station="XX.A."):
    metadata = {"source_origin_time": origin, "source_latitude_deg": latitude, "source_longitude_deg": 20.0}
    return dataclasses.replace(record(name, event, station, start, seed), metadata=metadata)


def test_one_earthquake_under_two_ids_is_found():
    test = [located("a", "nc1", seed=1), located("b", "nc2", seed=2, origin="2020-01-01T01:00:00")]
    train = [located("c", "us9", seed=3, latitude=10.2, origin="2020-01-01T00:00:01.5", station="YY.B.")]
    report = leakage_report(test, train)
    assert report.shared_origins == ("nc1",) and not report.shared_event_ids and report.leaks
    assert not leakage_report(test, train, LeakageConfig(within_km=20.0)).leaks
    assert not leakage_report(test, train, LeakageConfig(within_s=1.0)).leaks
    assert leakage_report(test, [located("d", "nc1", seed=4)]).shared_origins == ()


def test_another_sensor_at_the_same_site_saw_the_same_ground():
    test = record("a", "1", "XX.A.00", start=0.0, seed=1)
    train = [record("b", "2", "XX.A.10", start=5.0, seed=2)]
    assert leakage_report([test], train).shared_times == ("a",)


def test_leaking_records_are_listed_with_their_reasons():
    test = [record("a", "1", start=0.0, seed=1), record("b", "2", start=50.0, seed=2)]
    found = leaking_records(test, [record("c", "1", start=5.0, seed=1)])
    assert [(item.item, item.reason) for item in found] == [
        ("a", "in the training data by event id, waveform, time at one site")
    ]


def test_fingerprints_tell_the_same_as_the_records(tmp_path):
    test = [located(str(i), f"e{i}", start=100.0 * i, seed=i) for i in range(6)]
    train = [
        test[0],
        dataclasses.replace(test[1], record_id="x", event_id="y", station_id="", metadata={}),
        located("z", "w", start=205.0, seed=50, origin="2021-01-01T00:00:00"),
    ]
    write_fingerprints(fingerprints_of({"train": train}), tmp_path)
    assert leakage_report(test, read_fingerprints(tmp_path)) == leakage_report(test, train)
    report = leakage_report(test, train)
    assert report.shared_waveforms == ("0", "1") and report.shared_times == ("0", "2")


def test_a_folder_that_does_not_tell_is_unknown_and_not_clean(tmp_path):
    report = leakage_report([record("a")], read_fingerprints(tmp_path, "model M"))
    assert not report.known and not report.leaks
    assert report.summary() == "Leakage unknown: model M has no training_data.parquet."
    (tmp_path / "tuned").mkdir()
    tuned = fingerprints_of({"train": [record("b", seed=1)]}, tmp_path, "the base model M")
    report = leakage_report([record("a")], tuned)
    assert (
        report.known and "part of the training data is unknown: the base model M has no" in report.summary()
    )


def test_what_could_not_be_compared_is_told():
    report = leakage_report([record("a", seed=1)], [record("b", seed=2)])
    assert report.not_compared == ("event ids", "origins", "times")
    assert "Not compared, since one side does not tell: event ids, origins, times." in report.summary()


class Watched(list):
    """Records that count how often each is read."""

    reads = 0

    def __getitem__(self, index):
        self.reads += 1
        return super().__getitem__(index)

    def __iter__(self):
        return (self[i] for i in range(len(self)))


def test_each_side_is_read_once():
    test, train = Watched([record("a", seed=1)] * 5), Watched([record("b", seed=2)] * 7)
    leakage_report(test, train)
    assert (test.reads, train.reads) == (5, 7)
