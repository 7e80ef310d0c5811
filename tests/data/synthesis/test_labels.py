"""Labels of the arrivals: times, polarities, and what is left out."""

from __future__ import annotations

import pytest
import torch
from seisfm.data.loading.window_random import WindowRandom, window_keys
from seisfm.data.records import POLARITIES
from seisfm.data.synthesis.geometry import GeometryConfig, draw_geometry
from seisfm.data.synthesis.labels import ArrivalTable, arrival_table, arrival_tuples
from seisfm.data.synthesis.media import MediaConfig, draw_media
from seisfm.data.synthesis.plan import BRANCHES, Sources, Waves
from seisfm.data.synthesis.sources import SourcesConfig, TypeShares, draw_sources, is_kind
from seisfm.data.synthesis.waves import WavesConfig, arriving_waves

MIXED = TypeShares(earthquake=3, explosion=1, collapse=1, surface_event=1, noise=1)


@pytest.fixture(scope="module")
def world() -> tuple[Sources, Waves, ArrivalTable]:
    random = WindowRandom(window_keys(torch.arange(600), "event", 0))
    sources = draw_sources(random, SourcesConfig(types=MIXED))
    geometry = draw_geometry(random, random, sources, GeometryConfig())
    waves = arriving_waves(draw_media(random, MediaConfig()), sources, geometry, random, WavesConfig())
    return sources, waves, arrival_table(waves, sources, torch.full((600,), 7.5))


def test_arrivals_come_a_travel_time_after_the_origin(world):
    sources, waves, table = world
    event = ~is_kind(sources.kind, "noise")
    torch.testing.assert_close(table.time_s[event] - 7.5, waves.travel_time_s[event], equal_nan=True)
    torch.testing.assert_close(table.of("S"), table.time_s[:, BRANCHES.index("S")], equal_nan=True)
    assert bool(table.time_s[~event].isnan().all() and (table.polarity[~event] == -1).all())
    assert torch.equal(table.takeoff_deg.isnan(), table.time_s.isnan())


def test_polarities_follow_the_source(world):
    """Explosions up, collapses down, surface events undecidable, earthquakes both."""
    sources, _, table = world
    for kind, words in {
        "explosion": {"positive"},
        "collapse": {"negative"},
        "surface_event": {"undecidable"},
        "earthquake": {"positive", "negative"},
    }.items():
        found = {POLARITIES[i] for i in table.polarity[is_kind(sources.kind, kind)].tolist()}
        assert found == words


def test_tuples_hold_what_is_inside_in_order(world):
    sources, _, table = world
    records = arrival_tuples(table, 40.0, event=2)
    for number, arrivals in enumerate(records):
        times_s = [arrival.time_s for arrival in arrivals]
        inside = table.time_s[number]
        assert times_s == sorted(times_s) and len(arrivals) == int(((inside >= 0) & (inside < 40)).sum())
        for arrival in arrivals:
            assert arrival.time_s == float(table.of(arrival.phase)[number])
            assert arrival.event == 2 and arrival.evaluation == "synthetic"
            assert (arrival.polarity is not None) == (arrival.phase == "P")
            assert (arrival.onset == "emergent") == bool(sources.emergence_s[number] > 0)
        assert bool(arrivals) or not (inside < 40).any()
