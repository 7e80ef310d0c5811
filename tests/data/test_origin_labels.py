"""Windows of records know when their event began, where the record's metadata do."""

import numpy as np
import pytest
import torch
from obspy import UTCDateTime
from seisfm.data.corpus.convert import write_corpus
from seisfm.data.corpus.corpus import Corpus
from seisfm.data.loading.stacking import _stacked_labels
from seisfm.data.loading.window_labels import window_labels
from seisfm.data.record_table import RecordTable
from seisfm.data.records import Arrival, Record

START = UTCDateTime(2020, 1, 31, 23, 59, 50)


def record(name, origin=None, arrivals=((10.0, 14.0),), start=START.timestamp):
    """A minute of noise. arrivals: P and S of each event."""
    listed = [
        (phase, time_s, n)
        for n, pair in enumerate(arrivals)
        for phase, time_s in zip("PS", pair, strict=True)
    ]
    return Record(
        record_id=name,
        waveform=np.random.default_rng(0).normal(size=(3, 6000)).astype(np.float32),
        component_names=("Z", "N", "E"),
        sampling_rate_hz=100.0,
        start_time=start,
        station_id="XX.A.",
        event_id=name,
        unit="counts",
        arrivals=tuple(Arrival(phase=phase, time_s=t, event=n) for phase, t, n in listed if not np.isnan(t)),
        labelled_phases=frozenset("PS"),
        metadata={} if origin is None else {"source_origin_time": origin},
    )


def origins(record, start_s, window_s=20.0):
    table = RecordTable.from_records([record])
    labels = window_labels(table, np.zeros(len(start_s), np.int64), np.array(start_s), window_s)
    assert labels["origin_s"].shape == labels["p_arrival_s"].shape
    return labels


def test_the_origin_is_in_seconds_after_the_windows_first_sample():
    labels = origins(record("a", "2020-01-31T23:59:56.25Z"), [0.0, 3.5])
    assert labels["origin_s"].tolist() == [[6.25], [2.75]]
    assert (labels["p_arrival_s"] - labels["origin_s"]).tolist() == [[3.75], [3.75]]


@pytest.mark.parametrize(
    ("unknown", "start_s"),
    [
        (record("nobody says"), 0.0),
        (record("after P", "2020-02-01T00:00:05Z"), 0.0),
        (record("without arrivals", "2020-01-31T23:59:56Z", arrivals=()), 0.0),
        (record("of no known time", "2020-01-31T23:59:56Z", start=float("nan")), 0.0),
        (record("long past", "2020-01-31T23:59:56Z"), 39.0),
    ],
    ids=lambda value: getattr(value, "record_id", ""),
)
def test_an_origin_that_is_unknown_or_cannot_be_is_none(unknown, start_s):
    assert origins(unknown, [start_s])["origin_s"].isnan().all()


def test_it_is_that_of_the_event_that_the_metadata_describe():
    """Event 0 is the second one in time."""
    labels = origins(record("two", "2020-02-01T00:00:00Z", ((15.0, 17.0), (4.0, 6.0))), [0.0])
    assert labels["p_arrival_s"].tolist() == [[4.0, 15.0]]
    assert labels["origin_s"][0, 0].isnan() and labels["origin_s"][0, 1] == 10.0


def test_records_of_a_corpus_say_the_same(tmp_path):
    records = [record("a", "2020-01-31T23:59:56.25Z"), record("b")]
    write_corpus(records, tmp_path / "corpus")
    stored = Corpus(tmp_path / "corpus").record_table()
    np.testing.assert_allclose(stored.origin_s, RecordTable.from_records(records).origin_s, atol=1e-6)


def test_an_added_earthquake_brings_its_origin_along():
    own = {
        "p_arrival_s": torch.tensor([[2.0], [3.0]]),
        "s_arrival_s": torch.tensor([[4.0], [5.0]]),
        "polarity": torch.tensor([[0], [1]]),
        "origin_s": torch.tensor([[-1.0], [0.0]]),
    }
    other = {name: label[:1] for name, label in own.items()}
    stacked = _stacked_labels(own, torch.tensor([1]), other, torch.tensor([6.0]))
    assert stacked["origin_s"][1].tolist() == [0.0, 5.0] and stacked["origin_s"][0, 1].isnan()
    del other["origin_s"]
    assert _stacked_labels(own, torch.tensor([1]), other, torch.tensor([6.0]))["origin_s"][1, 1].isnan()
