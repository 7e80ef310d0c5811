import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seisfm.data.records import Arrival, Record, Subset, station_ids
from seisfm.data.splitting.splits import split_by_event, split_validation


def make_record(record_id="r", **fields) -> Record:
    return Record(
        **{
            "record_id": record_id,
            "waveform": np.zeros((3, 500), dtype=np.float32),
            "component_names": ("Z", "1", "2"),
            "sampling_rate_hz": 100.0,
            **fields,
        }
    )


def test_what_a_record_says_of_itself():
    record = make_record(
        arrivals=(Arrival(phase="P", time_s=1.0), Arrival(phase="P", time_s=3.0, event=1)), station_id="NC.A."
    )
    assert record.duration_s == 5.0
    assert (record.arrival_s("P"), record.arrival_s("P", event=1)) == (1.0, 3.0)
    assert math.isnan(record.arrival_s("S"))
    assert (record.num_events, make_record().num_events) == (2, 0)
    assert station_ids([record, make_record(), record]) == ["", "NC.A."]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"waveform": np.zeros((3, 500))}, r"must be float32 \(component, sample\).*found float64"),
        ({"waveform": np.zeros((2, 500), dtype=np.float32)}, "with one row for each of"),
        ({"component_names": ("Z", "N", "Q")}, r"unknown component \['Q'\]"),
        ({"component_names": ("Z", "N", "1")}, "want the same slot twice"),
        ({"sampling_rate_hz": float("nan")}, "sampling rate must be positive, found nan"),
        ({"unit": "m"}, "unit must be one of"),
    ],
)
def test_a_wrong_record_is_not_born(fields, message):
    with pytest.raises(ValueError, match=f"record r: .*{message}"):
        make_record(**fields)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 100), st.integers(1, 60))
def test_a_split_keeps_events_whole_and_stays_when_the_corpus_grows(seed, num_events):
    records = [make_record(f"{e}/{s}", event_id=f"event {e}") for e in range(num_events) for s in range(3)]
    fractions = {"train": 0.7, "validation": 0.1, "test": 0.2}
    split = split_by_event(records, fractions, seed)
    assert sorted(r.record_id for side in split.values() for r in side) == sorted(
        r.record_id for r in records
    )
    sides = [{record.event_id for record in side} for side in split.values()]
    assert sum(map(len, sides)) == num_events
    smaller = split_by_event(records[: len(records) // 2], fractions, seed)
    for name, side in smaller.items():
        assert {r.record_id for r in side} <= {r.record_id for r in split[name]}


def test_a_split_has_about_the_sizes_that_were_asked_for():
    split = split_by_event([make_record(str(i)) for i in range(1000)], {"train": 0.8, "test": 0.2}, seed=0)
    assert 750 < len(split["train"]) < 850


@pytest.mark.parametrize("fractions", [{}, {"train": 0.5}, {"train": 0.9, "test": 0.9}])
def test_fractions_must_make_a_whole(fractions):
    with pytest.raises(ValueError, match="fractions must sum to 1"):
        split_by_event([], fractions, seed=0)


def test_no_fraction_may_be_negative():
    with pytest.raises(ValueError, match="none negative"):
        split_by_event([], {"train": 1.5, "test": -0.5}, seed=0)


def test_a_subset_is_a_view_whose_events_are_its_own():
    records = [make_record(str(i), event_id=f"event {i // 2}") for i in range(6)]
    subset = Subset(records, [5, 0, 2])
    assert [record.record_id for record in subset] == ["5", "0", "2"] and len(subset) == 3
    assert subset[-1] is records[2] and [r.record_id for r in subset[1:]] == ["0", "2"]
    assert subset.event_keys() == ["event 2", "event 0", "event 1"]
    assert subset[1:].event_keys() == ["event 0", "event 1"]
    with pytest.raises(IndexError):
        subset[3]


def test_a_validation_side_without_an_event_is_refused():
    records = [make_record(str(i)) for i in range(20)]
    sides = split_validation(records, 0.3, seed=0)
    assert len(sides["train"]) + len(sides["validation"]) == 20
    with pytest.raises(ValueError, match=r"leaves nothing for \['validation'\] of 20 records: give more"):
        split_validation(records, 1e-9, seed=0)
