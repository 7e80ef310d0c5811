"""Numbers from the ranges of a configuration, one a record."""

from __future__ import annotations

import math

from torch import Tensor

from ..loading.window_random import WindowRandom

Range = tuple[float, float]


def uniform(random: WindowRandom, name: str, limits: Range, *shape: int) -> Tensor:
    """Float32 `(record, *shape)`, uniform from the lower limit to the upper one."""
    low, high = limits
    return low + (high - low) * random.uniform(name, *shape)


def log_uniform(random: WindowRandom, name: str, limits: Range, *shape: int) -> Tensor:
    """Float32 `(record, *shape)` whose logarithm is uniform: for what spans decades."""
    return uniform(random, name, (math.log(limits[0]), math.log(limits[1])), *shape).exp()


def integers(random: WindowRandom, name: str, limits: tuple[int, int]) -> Tensor:
    """Int64 `(record,)`, each from the lower limit to the upper one, both included, as often."""
    low, high = limits
    # In float32 the largest share can round up to one more than the last.
    return (random.uniform(name) * (high - low + 1)).long().clamp(max=high - low) + low


def check_ranges(config: object, *names: str, lowest: float = -math.inf) -> None:
    """Raise ValueError for a field that is no range (low, high) with low ≤ high, or is below `lowest`."""
    for name in names:
        low, high = getattr(config, name)
        if not lowest <= low <= high:
            raise ValueError(
                f"{name} must be a range (low, high) of at least {lowest:g}, found {(low, high)}"
            )


def check_shares(config: object, *names: str) -> None:
    """Raise ValueError for a field that is no share between 0 and 1."""
    for name in names:
        if not 0.0 <= getattr(config, name) <= 1.0:
            raise ValueError(f"{name} must be between 0 and 1, found {getattr(config, name)}")
