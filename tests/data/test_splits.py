import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seisfm.configs.loader import build_config
from seisfm.data.record_facts import RecordFacts, record_facts
from seisfm.data.records import Record
from seisfm.data.splitting.split_sides import LinkConfig, SplitConfig
from seisfm.data.splitting.splits import UNASSIGNED, assign_sides, split_records

HALVES = {"train": 0.5, "test": 0.5}
DAY_S = 86400.0


def facts_of(rows) -> RecordFacts:
    """Facts with names of their own, 60 s long."""
    return RecordFacts.from_rows(
        {"record_id": f"r{i}", "station_id": "XX.A.", "duration_s": 60.0} | row for i, row in enumerate(rows)
    )


def random_facts(num_events: int, seed: int, stations: int = 3) -> RecordFacts:
    """Earthquakes anywhere on Earth within a year, each at some stations."""
    generator = np.random.default_rng(seed)
    rows = []
    for event in range(num_events):
        origin_time = generator.uniform(0, 365 * DAY_S)
        place = {
            "event_latitude_deg": generator.uniform(-90, 90),
            "event_longitude_deg": generator.uniform(-180, 180),
        }
        rows += [
            {"record_id": f"{event}/{i}", "event_id": f"event {event}", "station_id": f"XX.S{i}."}
            | {"origin_time": origin_time, "start_time": origin_time + generator.uniform(-30, 60)} | place
            for i in range(stations)
        ]  # fmt: skip
    return facts_of(rows)


SPLITS = {
    "event": SplitConfig(fractions=HALVES),
    "time_block": SplitConfig(kind="time_block", fractions=HALVES, block_s=10 * DAY_S, gap_s=3600.0),
    "time": SplitConfig(kind="time", starts={"train": "1970-01-01", "test": "1970-06-01T12:00:00"}),
    "cells": SplitConfig(kind="region", fractions=HALVES, cell_deg=10.0),
    "region": SplitConfig(kind="region", regions={"test": ((0.0, -30.0), (40.0, 60.0))}),
    "station": SplitConfig(kind="station", fractions=HALVES),
}


@pytest.mark.parametrize("name", SPLITS)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), num_events=st.integers(1, 40), kept=st.integers(0, 10**6))
def test_a_corpus_that_grows_moves_no_record(name, seed, num_events, kept):
    facts = random_facts(num_events, seed)
    config = dataclasses.replace(SPLITS[name], seed=seed)
    sides = assign_sides(facts, config)
    assert set(sides) <= {*config.sides, UNASSIGNED}
    before = np.random.default_rng(kept).permutation(len(facts))[: 1 + kept % len(facts)]
    assert (assign_sides(facts.select(before), config) == sides[before]).all()


@pytest.mark.parametrize("name", [name for name in SPLITS if name != "station"])
def test_an_event_is_whole(name):
    facts = random_facts(300, 1)
    sides = assign_sides(facts, SPLITS[name])
    whole = {(event, side) for event, side in zip(facts.event_id, sides, strict=True) if side != UNASSIGNED}
    assert len(whole) == len({event for event, _ in whole}) > 250
    assert min((sides == side).sum() for side in SPLITS[name].sides) > 40


def test_the_seed_and_the_fractions_decide():
    facts = random_facts(3000, 1, stations=1)
    config = SplitConfig()
    sides = assign_sides(facts, config)
    shares = [(sides == side).mean() for side in config.sides]
    assert shares == pytest.approx([0.7, 0.1, 0.2], abs=0.03)
    assert (assign_sides(facts, SplitConfig(seed=1)) != sides).mean() > 0.2


def test_sides_of_time_are_a_gap_apart_even_with_their_coda():
    generator = np.random.default_rng(0)
    starts = np.sort(generator.uniform(0, 20 * DAY_S, 3000))
    facts = facts_of({"start_time": start, "duration_s": generator.uniform(10, 7200)} for start in starts)
    config = SplitConfig(kind="time_block", fractions=HALVES, block_s=DAY_S, gap_s=1800.0)
    sides = assign_sides(facts, config)
    for side, other in (("train", "test"), ("test", "train")):
        begins = facts.start_time[sides == other]
        next_begin = np.searchsorted(begins, facts.end_time[sides == side])
        later = next_begin < len(begins)
        distance_s = begins[next_begin[later]] - facts.end_time[sides == side][later]
        assert distance_s.min() >= 1800.0
        overlap = np.searchsorted(begins, facts.start_time[sides == side]) != next_begin
        assert not overlap.any()
    assert 0.01 < (sides == UNASSIGNED).mean() < 0.3


def test_a_date_divides_and_its_neighbourhood_belongs_to_nobody():
    config = SplitConfig(kind="time", starts={"test": "1970-02-01", "train": "1970-01-02"}, gap_s=100.0)
    edge = 31 * DAY_S
    starts = [0.0, 2 * DAY_S, edge - 161, edge - 159, edge + 50, edge + 101]
    sides = assign_sides(facts_of({"start_time": start} for start in starts), config)
    assert list(sides) == [UNASSIGNED, "train", "train", UNASSIGNED, UNASSIGNED, "test"]


def test_regions_are_boxes_and_polygons_also_across_the_date_line():
    places = [(0.0, 179.5), (0.0, -179.5), (0.0, 0.0), (5.0, 10.0), (8.0, 19.0)]
    facts = facts_of({"event_latitude_deg": lat, "event_longitude_deg": lon} for lat, lon in places)
    regions = {"test": ((-1.0, 179.0), (1.0, -179.0)), "valid": ((0.0, 5.0), (10.0, 5.0), (0.0, 25.0))}
    sides = assign_sides(facts, SplitConfig(kind="region", regions=regions))
    assert list(sides) == ["test", "test", "train", "valid", "train"]


def test_noise_lies_where_its_station_is():
    noise = {"station_latitude_deg": 5.0, "station_longitude_deg": 5.0}
    event = {"event_id": "1", "event_latitude_deg": 50.0, "event_longitude_deg": 5.0}
    config = SplitConfig(kind="region", regions={"test": ((0.0, 0.0), (10.0, 10.0))})
    assert list(assign_sides(facts_of([noise, noise | event]), config)) == ["test", "train"]


def test_stations_are_held_out_with_all_their_sensors():
    facts = facts_of({"station_id": name} for name in ("XX.A.", "XX.A.10", "XX.AB.", "YY.A.00", "PLAIN"))
    config = SplitConfig(kind="station", stations={"test": ("XX.A", "PLAIN"), "valid": ("YY.A.00",)})
    assert list(assign_sides(facts, config)) == ["test", "test", "train", "valid", "test"]
    sides = assign_sides(facts, SplitConfig(kind="station", seed=4))
    assert sides[0] == sides[1]


def test_one_earthquake_under_two_ids_stays_on_one_side():
    generator = np.random.default_rng(0)
    first = random_facts(200, 5, stations=1)
    shift = {
        "event_id": np.array([f"other {i}" for i in range(200)], dtype=object),
        "record_id": np.array([f"other {i}" for i in range(200)], dtype=object),
        "station_id": np.array(["YY.B."] * 200, dtype=object),
        "origin_time": first.origin_time + generator.uniform(-1.5, 1.5, 200),
        "event_latitude_deg": first.event_latitude_deg + generator.uniform(-0.05, 0.05, 200),
    }
    both = RecordFacts.concatenate([first, dataclasses.replace(first, **shift)])
    apart = assign_sides(both, SplitConfig(fractions=HALVES))
    assert (apart[:200] != apart[200:]).sum() > 50
    for kind in ("event", "region", "time_block"):
        linked = assign_sides(both, dataclasses.replace(SPLITS["event"], kind=kind, link=LinkConfig()))
        same = (linked[:200] == linked[200:]) | (linked[:200] == UNASSIGNED) | (linked[200:] == UNASSIGNED)
        assert same.all()


def test_records_that_share_samples_stay_together_through_a_chain():
    long = {"event_id": "long", "start_time": 0.0, "duration_s": 1000.0}
    inside = [{"event_id": f"{i}", "start_time": 100.0 * i} for i in range(1, 9)]
    alone = [{"event_id": f"alone {i}", "start_time": 1e5 * i} for i in range(1, 30)]
    elsewhere = [{"event_id": "0", "start_time": 500.0, "station_id": "XX.B."}]
    facts = facts_of([*inside, long, *alone, *elsewhere])
    sides = assign_sides(facts, SplitConfig(fractions=HALVES, link=LinkConfig()))
    assert len(set(sides[:9])) == 1 and len(set(sides[9:38])) == 2
    without = assign_sides(facts, SplitConfig(fractions=HALVES, link=LinkConfig(overlap=False)))
    assert len(set(without[:9])) == 2


def test_an_event_with_two_origins_is_refused_unless_linked():
    rows = [{"event_id": "1", "origin_time": 3 * DAY_S}, {"event_id": "1", "origin_time": 100 * DAY_S}]
    config = dataclasses.replace(SPLITS["time"], starts={"train": "1970-01-01", "test": "1970-02-01"})
    with pytest.raises(ValueError, match=r"1 events would lie on two sides, such as '1'.*longer gap_s"):
        assign_sides(facts_of(rows), config)


def test_unknown_places_are_refused_or_left_out():
    facts = facts_of([{"event_id": "1"}, {"event_latitude_deg": 1.0, "event_longitude_deg": 2.0}])
    with pytest.raises(
        ValueError, match=r"1 of 2 records have no epicentre .*such as 'r0'.*unassigned leaves"
    ):
        assign_sides(facts, SPLITS["region"])
    for kind in ("region", "time_block"):
        config = dataclasses.replace(SPLITS["event"], kind=kind, unknown=UNASSIGNED)
        assert assign_sides(facts, config)[0] == UNASSIGNED
    with pytest.raises(ValueError, match="no time to split them by time_block"):
        assign_sides(facts, SPLITS["time_block"])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "colour"}, "kind of a split must be one of"),
        ({"unknown": "guess"}, "unknown must be error or unassigned"),
        ({"kind": "time", "starts": {"train": "2020"}}, "starts of two sides or more"),
        ({"block_s": 0.0}, "must be positive"),
        ({"kind": "time_block", "block_s": 1000.0, "gap_s": 500.0}, "longer than two gaps"),
        ({"kind": "station", "link": LinkConfig()}, "leave one out"),
        ({"kind": "station", "stations": {"train": ("XX.A",)}}, "rest must be another side"),
        ({"fractions": {"train": 0.5, UNASSIGNED: 0.5}}, "no side may be called unassigned"),
        ({"fractions": {"train": 0.5}}, "must sum to 1"),
    ],
)
def test_a_split_that_makes_no_sense_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        SplitConfig(**fields)


def test_names_and_regions_that_fit_nothing_are_told():
    facts = facts_of([{"event_latitude_deg": 1.0, "event_longitude_deg": 1.0}])
    with pytest.raises(ValueError, match=r"no record is of the stations \['XX.TYPO'\]"):
        assign_sides(facts, SplitConfig(kind="station", stations={"test": ("XX.TYPO",)}))
    box = ((0.0, 0.0), (2.0, 2.0))
    with pytest.raises(ValueError, match="region b overlaps with another: 1 records lie in both"):
        assign_sides(facts, SplitConfig(kind="region", regions={"a": box, "b": box}))
    with pytest.raises(ValueError, match="needs two corners"):
        assign_sides(facts, SplitConfig(kind="region", regions={"a": ((0.0, 0.0),)}))


def test_a_split_is_written_in_yaml_and_gives_views():
    settings = {"kind": "region", "regions": {"test": [[0, 0], [2, 2]]}, "rest": "train"}
    config = build_config(SplitConfig, settings)
    place = {"source_latitude_deg": 1.0, "source_longitude_deg": 1.0}
    records = [
        Record(
            record_id=str(i), waveform=np.zeros((1, 10), np.float32), component_names=("Z",),
            sampling_rate_hz=1.0, metadata=place if i % 2 else place | {"source_latitude_deg": 3.0},
        )
        for i in range(4)
    ]  # fmt: skip
    sides = split_records(records, config)
    assert {name: [r.record_id for r in side] for name, side in sides.items()} == {
        "train": ["0", "2"],
        "test": ["1", "3"],
    }
    assert record_facts(sides["test"]).record_id.tolist() == ["1", "3"]
