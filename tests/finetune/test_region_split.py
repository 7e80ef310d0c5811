"""Held out means held out: no event and no moment of time on two sides."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seisfm.data.records import Record
from seisfm.finetune.region_split import overlapping_groups, split_region


def _record(event_id, start_s, station="XX.A.", duration_s=90.0, record_id=None):
    return Record(
        record_id=record_id or f"{event_id}/{station}",
        waveform=np.zeros((1, round(duration_s)), dtype=np.float32),
        component_names=("Z",),
        sampling_rate_hz=1.0,
        start_time=start_s,
        station_id=station,
        event_id=event_id,
    )


def _spans(records):
    return [(record.start_time, record.start_time + record.duration_s) for record in records]


@settings(max_examples=50)
@given(
    st.lists(st.integers(0, 5000), min_size=12, max_size=30, unique=True),
    st.integers(2, 8),
    st.integers(0, 100),
)
def test_no_side_shares_an_event_or_a_moment_with_another(starts, num_training_events, seed):
    records = [
        _record(f"e{i}", start + delay, station)
        for i, start in enumerate(starts)
        for station, delay in (("XX.A.", 0), ("XX.B.", 3))
    ]
    try:
        split = split_region(records, [], num_training_events, 0.2, seed)
    except ValueError as error:
        assert "cannot be divided" in str(error)
        return
    sides = [split.train, split.validation, split.test]
    assert sum(map(len, sides)) == len(records)
    assert split.num_events()["train"] + split.num_events()["validation"] <= num_training_events
    for i, side in enumerate(sides):
        for other in sides[i + 1 :]:
            assert not {r.event_id for r in side} & {r.event_id for r in other}
            assert all(b <= c or d <= a for a, b in _spans(side) for c, d in _spans(other))


def test_an_aftershock_stays_with_its_main_shock():
    groups = overlapping_groups([_record("late", 300), _record("main", 0), _record("after", 80)])
    assert [{r.event_id for r in group} for group in groups] == [{"main", "after"}, {"late"}]


def test_an_event_stays_whole_though_its_records_do_not_overlap():
    records = [_record("e", 0, "XX.A.", 20), _record("e", 40, "XX.FAR.", 20), _record("f", 200)]
    assert [len(group) for group in overlapping_groups(records)] == [2, 1]


def test_an_event_stays_whole_though_another_lies_between_its_records():
    records = [_record("e", 0, "XX.A.", 20), _record("f", 40, "XX.A.", 20), _record("e", 80, "XX.FAR.", 20)]
    groups = overlapping_groups([*records, _record("g", 200)])
    assert [{r.event_id for r in group} for group in groups] == [{"e", "f"}, {"g"}]


def test_the_split_depends_on_the_seed_alone():
    records = [_record(f"e{i}", 1000 * i) for i in range(20)]
    one = split_region(records, [], 8, 0.25, 0)
    again = split_region(list(reversed(records)), [], 8, 0.25, 0)
    other = split_region(records, [], 8, 0.25, 1)
    assert one.num_events() == {"train": 6, "validation": 2, "test": 12}
    assert {r.event_id for r in one.train} == {r.event_id for r in again.train}
    assert {r.event_id for r in one.train} != {r.event_id for r in other.train}


def test_noise_is_divided_in_the_same_proportion():
    records = [_record(f"e{i}", 1000 * i) for i in range(20)]
    noise = [_record("", 1000 * i + 500, record_id=f"noise/{i}") for i in range(20)]
    split = split_region(records, noise, 5, 0.2, 0)
    assert (len(split.train_noise), len(split.test_noise)) == (5, 15)


@pytest.mark.parametrize("num_training_events", [4, 3])
def test_too_few_events_are_told_with_the_way_out(num_training_events):
    records = [_record(f"e{i}", 40 * i) for i in range(4)]
    with pytest.raises(ValueError, match=r"4 events in 1 groups .* give more events, fewer training events"):
        split_region(records, [], num_training_events, 0.2, 0)
