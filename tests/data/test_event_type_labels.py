"""What shook the ground, from the records to the windows' label."""

import numpy as np
import pytest
import torch
from seisfm.data.corpus.convert import write_corpus
from seisfm.data.event_types import EVENT_TYPES, event_type_codes
from seisfm.data.loading.window_source import WindowSource
from seisfm.data.loading.windows import WindowConfig
from seisfm.data.records import Arrival, Record
from seisfm.data.sources import JoinedRecords
from seisfm.data.synthesis import SynthesisConfig, SyntheticEarth

WINDOWS = WindowConfig(window_s=20.0)


def record(kind, *arrivals_s):
    return Record(
        record_id=str(kind),
        waveform=np.ones((3, 6000), dtype=np.float32),
        component_names=("Z", "N", "E"),
        sampling_rate_hz=100.0,
        arrivals=tuple(Arrival(phase="P", time_s=time_s) for time_s in arrivals_s),
        metadata={} if kind is None else {"source_type": kind},
    )


def labels_of(records, start_s=0.0):
    starts = np.full(len(records), round(start_s * 100))
    return WindowSource(records).cut_at(np.arange(len(records)), starts, WINDOWS).labels["event_type"]


def test_a_window_knows_what_its_record_knows():
    kinds = ["earthquake", "quarry_blast", None, "noise", "surface_event"]
    found = labels_of([record(kind, 5.0) for kind in kinds])
    assert found.dtype == torch.int64
    assert found.tolist() == [EVENT_TYPES.index(kind) if kind else -1 for kind in kinds]


def test_a_window_that_misses_the_event_does_not_show_its_kind():
    records = [record("earthquake", 5.0), record("earthquake", 35.0), record("noise")]
    assert labels_of(records).tolist() == [0, -1, EVENT_TYPES.index("noise")]
    assert labels_of(records, start_s=30.0).tolist() == [-1, 0, EVENT_TYPES.index("noise")]


@pytest.mark.parametrize("word", [None, "", "natural earthquake", "EARTHQUAKE", 3.0, float("nan")])
def test_a_word_that_is_none_of_ours_is_no_class(word):
    assert event_type_codes([word, "noise"]).tolist() == [-1, EVENT_TYPES.index("noise")]


def test_stores_and_joined_sequences_keep_the_class(tmp_path):
    records = [record(kind, 5.0) for kind in ("collapse", "thunder")] + [record(None, 5.0)]
    corpus = write_corpus(records, tmp_path / "corpus")
    expected = [*map(EVENT_TYPES.index, ("collapse", "thunder")), -1]
    assert labels_of(corpus).tolist() == expected
    assert labels_of(JoinedRecords([corpus, records])).tolist() == expected * 2


def test_records_and_windows_of_the_synthetic_earth_show_the_same_kind():
    earth = SyntheticEarth(SynthesisConfig(), 0)
    numbers = torch.arange(24)
    kinds = earth.batch(numbers).labels["event_type"]
    records = earth.records(numbers)
    assert len(set(kinds.tolist())) > 1
    whole = WindowConfig(window_s=records[0].duration_s)
    cut = WindowSource(records).cut_at(np.arange(24), np.zeros(24, dtype=np.int64), whole)
    assert torch.equal(cut.labels["event_type"], kinds)
