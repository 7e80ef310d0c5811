"""When and where events of an archive happen: laws with known answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from seisfm.configs.loader import build_config
from seisfm.data.loading.window_random import WindowRandom, window_keys
from seisfm.data.synthesis.seismicity import ROLES, SeismicityConfig, draw_seismicity, omori_delay_s

NEW_YEAR_2020 = 1577836800.0  # a Wednesday
WEEK_S = 7 * 86400.0


def draw(count=4000, seed=0, span_s=(0.0, WEEK_S), **settings):
    random = WindowRandom(window_keys(torch.zeros(1, dtype=torch.int64), "archive", seed))
    return draw_seismicity(random, SeismicityConfig(**settings), count, span_s, NEW_YEAR_2020)


def test_background_is_a_poisson_process_in_a_disc():
    """Kolmogorov–Smirnov: times uniform, gaps exponential, r² uniform (n = 4,000, seed 0)."""
    events = draw()
    assert stats.kstest(events.origin_s / WEEK_S, "uniform").pvalue > 0.01
    gaps = np.diff(events.origin_s)
    assert stats.kstest(gaps / gaps.mean(), "expon").pvalue > 0.01
    radius_km = np.hypot(events.north_km, events.east_km)
    assert stats.kstest((radius_km / 20.0) ** 2, "uniform").pvalue > 0.01
    assert (np.diff(events.origin_s) >= 0).all() and np.isnan(events.magnitude).all()


@pytest.mark.parametrize("b_value", [0.8, 1.0, 1.3])
def test_magnitudes_have_the_b_value_within_5_percent(b_value):
    """Aki's estimate log10 e / (mean M − Mmin) of 20,000 events up to 5 magnitudes above the least."""
    magnitude = draw(20000, magnitude=(0.5, 5.5), b_value=b_value).magnitude
    assert magnitude.min() >= 0.5 and magnitude.max() <= 5.5
    assert np.log10(np.e) / (magnitude.mean() - 0.5) == pytest.approx(b_value, rel=0.05)


@pytest.mark.parametrize("p", [0.9, 1.0, 1.2])
def test_aftershock_rate_falls_as_omori_says(p):
    """The cumulative number after t, by integration of (t + c)^−p, at 30,000 even shares."""
    config = SeismicityConfig(omori_c_s=200.0, omori_p=p)
    delays_s = omori_delay_s((np.arange(30000) + 0.5) / 30000, config, np.full(30000, 1e5))
    rate = (np.arange(0, 100000, 10) + 5 + 200.0) ** -p
    for until_s in (100, 1000, 10000):
        expected = rate[: until_s // 10].sum() / rate.sum()
        assert np.mean(delays_s < until_s) == pytest.approx(expected, abs=0.002)


def test_aftershocks_follow_larger_events_nearby():
    events = draw(3000, magnitude=(0.0, 5.0), aftershock_share=0.5, cluster_km=0.3)
    main = events.role == ROLES.index("background")
    aftershocks = np.flatnonzero(events.role == ROLES.index("aftershock"))
    assert 0.45 < len(aftershocks) / 3000 < 0.55
    for row in aftershocks[:200]:
        offset_km = np.hypot(
            events.north_km[main] - events.north_km[row], events.east_km[main] - events.east_km[row]
        )
        parents = (
            (offset_km < 1.8)
            & (events.origin_s[main] <= events.origin_s[row])
            & (events.magnitude[main] >= events.magnitude[row])
        )
        assert parents.any()


def test_swarms_are_bursts():
    """Half of the events of a swarm come within 0.67 standard deviations of its middle."""
    events = draw(15, swarm_share=1.0, swarm_duration_s=3600.0, span_s=(0.0, 10 * WEEK_S))
    spread_s = np.subtract(*np.percentile(events.origin_s, [75, 25]))
    assert 0.5 < spread_s / (1.35 * 3600.0) < 2.0
    assert np.std(events.north_km) < 3.0


def test_blasts_keep_working_hours_at_the_quarries():
    events = draw(500, blast_share=1.0, num_quarries=2, span_s=(0.0, WEEK_S))
    hours = (events.origin_s % 86400) / 3600
    assert hours.min() >= 8 and hours.max() <= 17
    # The archive begins on a Wednesday: the days 3 and 4 are the week's end.
    assert set((events.origin_s // 86400).astype(int).tolist()) == {0, 1, 2, 5, 6}
    assert (
        len({(round(n, 6), round(e, 6)) for n, e in zip(events.north_km, events.east_km, strict=True)}) == 2
    )
    assert events.depth_km.max() <= 0.3


def test_the_same_seed_gives_the_same_events():
    first, again, other = draw(50), draw(50), draw(50, seed=1)
    np.testing.assert_array_equal(first.origin_s, again.origin_s)
    assert not np.array_equal(first.origin_s, other.origin_s)


def test_blasts_without_working_hours():
    with pytest.raises(ValueError, match="nobody works"):
        draw(5, blast_share=1.0, span_s=(0.0, 3600.0))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"aftershock_share": 0.7, "blast_share": 0.7}, "must leave room for background"),
        ({"b_value": 0.0}, "b_value must be positive"),
        ({"num_quarries": 0}, "num_quarries must be 1 or more"),
        ({"depth_km": (5.0, 1.0)}, "depth_km must be a range"),
        ({"swarm_share": 1.5}, "swarm_share must be between 0 and 1"),
        ({"magnitude": (3.0, 1.0)}, "magnitude must be a range"),
        ({"omori": 1.0}, "unknown key"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        build_config(SeismicityConfig, settings)
