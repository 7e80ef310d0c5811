"""Numbers from ranges."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from seisfm.data.loading.window_random import WindowRandom, window_keys
from seisfm.data.synthesis.draws import check_ranges, check_shares, integers, log_uniform, uniform

RANDOM = WindowRandom(window_keys(torch.arange(20000), "draws", 0))


@dataclass
class Config:
    distance_km: tuple[float, float] = (5.0, 2.0)
    share: float = 1.5


def test_ranges_are_filled_evenly():
    """20,000 numbers: uniform by their mean, log-uniform by the geometric mean, integers by count."""
    even = uniform(RANDOM, "a", (2.0, 6.0))
    assert float(even.mean()) == pytest.approx(4.0, abs=0.03)
    assert float(even.min()) >= 2.0 and float(even.max()) <= 6.0
    assert float(log_uniform(RANDOM, "b", (0.1, 1000.0)).log10().mean()) == pytest.approx(1.0, abs=0.03)
    counts = torch.bincount(integers(RANDOM, "c", (3, 7)))
    assert counts[:3].sum() == 0 and len(counts) == 8
    assert counts[3:].tolist() == pytest.approx([4000] * 5, rel=0.06)


def test_wrong_ranges_and_shares():
    with pytest.raises(ValueError, match=r"distance_km must be a range .* found \(5\.0, 2\.0\)"):
        check_ranges(Config(), "distance_km")
    with pytest.raises(ValueError, match=r"distance_km must be a range .* at least 3"):
        check_ranges(Config(distance_km=(2.0, 5.0)), "distance_km", lowest=3.0)
    with pytest.raises(ValueError, match=r"share must be between 0 and 1, found 1\.5"):
        check_shares(Config(), "share")
