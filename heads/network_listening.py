"""Stations that listen to each other, put together window by window rather than as a batch of networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..foundation.features import SeismicFeatures
from ..foundation.places import WindowPlaces


@dataclass(frozen=True)
class StationWindow:
    """What a backbone knows of one station's window, and where and when it was recorded.

    tokens: `(token, dim)`. observed: bool `(token,)`. place: latitude and longitude in degrees, elevation in
    metres. start_s: of its first sample, after any time that all windows share.
    """

    tokens: Tensor
    observed: Tensor
    place: tuple[float, float, float]
    start_s: float


def listening_heads(model: nn.Module) -> tuple[str, ...]:
    """The names of the heads that listen to other stations."""
    heads = getattr(model, "heads", None) or {}
    return tuple(name for name in heads if getattr(heads[name], "exchange", None) is not None)


def told(head: nn.Module, networks: Sequence[Sequence[StationWindow]]) -> list[Tensor]:
    """What a head adds to the tokens of each network's stations `(station, token, dim)` as they listen.

    A station may be in several networks; each of them is by itself. One whose windows have more tokens than
    others' keeps its own: what is missing at the end of the others was not observed.
    """
    rows = [window for network in networks for window in network]
    num_tokens = max(len(window.tokens) for window in rows)
    tokens = torch.stack([F.pad(w.tokens, (0, 0, 0, num_tokens - len(w.tokens))) for w in rows])
    observed = torch.stack([F.pad(w.observed, (0, num_tokens - len(w.observed))) for w in rows])
    sizes = torch.tensor([len(network) for network in networks])
    numbers = torch.arange(len(networks)).repeat_interleave(sizes)
    known = torch.tensor([(*window.place, window.start_s) for window in rows], dtype=torch.float64)
    latitude_deg, longitude_deg, elevation_m, start_s = known.to(tokens.device).unbind(dim=1)
    places = WindowPlaces(
        numbers.to(tokens.device), latitude_deg, longitude_deg, elevation_m / 1000.0, start_s - start_s.amin()
    )
    features = SeismicFeatures(tokens=tokens, token_observed=observed, places=places)
    added = head.exchange(features) - tokens  # type: ignore[operator]
    return list(added.split(sizes.tolist()))


def with_added(features: SeismicFeatures, added: Sequence[Tensor | None]) -> SeismicFeatures:
    """The same windows with something `(token, dim)` added to the tokens of each; they listen no more."""
    # Laid out in memory as they were: another order of sums downstream would change last bits.
    tokens = torch.empty_like(features["tokens"]).copy_(features["tokens"])
    for row, own in enumerate(added):
        if own is not None:
            tokens[row] += own[: tokens.shape[1]]
    return SeismicFeatures(**{**features, "tokens": tokens, "places": None})
