"""How a source goes on after its first pulse: sub-events of large earthquakes, shots of a quarry blast."""

from __future__ import annotations

import torch
from torch import Tensor

from ..loading.window_random import WindowRandom
from .draws import Range, integers, uniform

SUBEVENT_MAGNITUDE = 3.0
MAX_SUBEVENTS = 10


def subevents(event: WindowRandom, magnitude: Tensor) -> tuple[Tensor, Tensor]:
    """Delays (s) and weights `(record, 10)` of an earthquake's sub-events, one alone up to magnitude 3.

    Their number beyond the first is Poisson's with the mean M − 3, at most 9, within 0.15 · 2^(M − 3) s.
    """
    larger = (magnitude - SUBEVENT_MAGNITUDE).clamp(min=0.0)
    place = torch.arange(MAX_SUBEVENTS, device=event.device)
    # The chance of at most k events of a Poisson process is an incomplete gamma function.
    chances = torch.special.gammaincc(place[None] + 1.0, larger[:, None])
    following = (event.uniform("rupture/count")[:, None] >= chances[:, :-1]).sum(dim=1)
    used = place <= following[:, None]
    later = event.uniform("rupture/delays", MAX_SUBEVENTS - 1).where(used[:, 1:], torch.inf)
    later = later.sort(dim=1).values
    delays_s = 0.15 * 2.0 ** larger[:, None] * torch.cat([torch.zeros_like(later[:, :1]), later], dim=1)
    weights = uniform(event, "rupture/weights", (0.3, 1.2), MAX_SUBEVENTS)
    weights[:, 0] = 1.0
    return _normalized(delays_s, weights, used)


def ripple_fire(
    event: WindowRandom, shots: tuple[int, int], interval_s: Range, scatter: float
) -> tuple[Tensor, Tensor]:
    """Delays (s) and weights `(record, shot)` of a blast's row of shots, fired one after another.

    shots: fewest and most. interval_s: between two shots, one value a blast. scatter: standard deviation of
    a shot's delay, relative to the interval.
    """
    place = torch.arange(shots[1], device=event.device)
    used = place < integers(event, "blast/shots", shots)[:, None]
    rhythm = place + scatter * event.normal("blast/scatter", shots[1]).clamp(-3.0, 3.0)
    rhythm[:, 0] = 0.0
    delays_s = uniform(event, "blast/interval", interval_s)[:, None] * rhythm.clamp(min=0.0)
    return _normalized(delays_s, uniform(event, "blast/weights", (0.5, 1.0), shots[1]), used)


def _normalized(delays_s: Tensor, weights: Tensor, used: Tensor) -> tuple[Tensor, Tensor]:
    """Zeros where there is no pulse, and weights that sum to 1."""
    weights = weights.where(used, 0.0)
    return delays_s.where(used, 0.0), weights / weights.sum(dim=1, keepdim=True)
