import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seisfm.data.record_table import RecordTable, component_rows, ranges, record_table
from seisfm.data.records import Arrival, Record

PHASES = st.sampled_from(["P", "Pg", "Pn", "S", "Sg", "Lg"])
ARRIVALS = st.lists(
    st.builds(
        Arrival,
        phase=PHASES,
        time_s=st.integers(-20, 80).map(float),
        event=st.integers(0, 3),
        polarity=st.sampled_from(["positive", "negative", None]),
    ),
    max_size=8,
)


def make_records(all_arrivals):
    return [
        Record(
            record_id=str(i),
            waveform=np.zeros((2, 600 + 10 * i), dtype=np.float32),
            component_names=("Z", "1"),
            sampling_rate_hz=10.0,
            arrivals=tuple(arrivals),
            metadata={"source_magnitude": i, "station_latitude_deg": -33.5},
        )
        for i, arrivals in enumerate(all_arrivals)
    ]


def first_of(record, event, family):
    """The slow, plain answer: an event's first P or S, and who it is."""
    own = [a for a in record.arrivals if a.event == event and a.phase.startswith(family)]
    return min(own, key=lambda a: a.time_s, default=None)


@settings(max_examples=60, deadline=None)
@given(st.lists(ARRIVALS, min_size=1, max_size=5))
def test_events_have_their_first_arrivals(all_arrivals):
    records = make_records(all_arrivals)
    table = RecordTable.from_records(records)
    for i, record in enumerate(records):
        events = range(table.event_start[i], table.event_start[i + 1])
        numbers = {a.event for a in record.arrivals if a.phase != "Lg"}
        assert [table.event_number[k] for k in events] == sorted(numbers)
        for k in events:
            for column, family in enumerate("PS"):
                first = first_of(record, table.event_number[k], family)
                expected = np.nan if first is None else first.time_s
                np.testing.assert_equal(table.event_arrival_s[k, column], expected)
            p = first_of(record, table.event_number[k], "P")
            known = p is not None and p.polarity is not None
            assert (table.event_polarity[k] >= 0) == known
        inside = [a.time_s for a in record.arrivals if a.phase != "Lg" and 0 <= a.time_s < record.duration_s]
        np.testing.assert_equal(table.first_arrival_s[i], min(inside, default=np.nan))
        assert table.has_arrivals[i] == bool(record.arrivals)


def assert_equal(first, second):
    for name in first.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), err_msg=name)


@settings(max_examples=40, deadline=None)
@given(st.lists(ARRIVALS, min_size=1, max_size=5), st.data())
def test_selecting_and_joining_are_those_of_the_records(all_arrivals, data):
    records = make_records(all_arrivals)
    table = RecordTable.from_records(records)
    chosen = data.draw(st.lists(st.integers(0, len(records) - 1), max_size=7))
    assert_equal(table.select(chosen), RecordTable.from_records([records[i] for i in chosen]))
    assert_equal(RecordTable.concatenate([table, table]), RecordTable.from_records(records * 2))


def test_components_stand_where_their_slots_are():
    rows = component_rows([("E", "N", "Z"), ("3", "1", "2"), ("H",), ("U",)])
    assert rows.tolist() == [[2, 1, 0, -1], [0, 1, 2, -1], [-1, -1, -1, 0], [0, -1, -1, -1]]


def test_what_is_unknown_is_no_number():
    table = RecordTable.from_records(make_records([[], []]))
    assert table.source[:, 0].tolist() == [0.0, 1.0]
    assert np.isnan(table.source[:, 1:]).all()
    assert table.station_geometry[0, 0] == -33.5
    assert np.isnan(table.station_geometry[:, 1:]).all()


def test_only_what_lies_in_memory_or_says_so_has_a_table():
    class Lazy:
        def __len__(self):
            return 1

    assert record_table(make_records([[]])) is not None
    assert record_table(Lazy()) is None


@pytest.mark.parametrize(
    ("first", "last", "expected"), [([0, 5, 5], [2, 5, 8], [0, 1, 5, 6, 7]), ([], [], []), ([3], [3], [])]
)
def test_ranges_stand_one_after_the_other(first, last, expected):
    assert ranges(np.array(first, dtype=int), np.array(last, dtype=int)).tolist() == expected
