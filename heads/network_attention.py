"""Stations of one network tell each other what they see: attention over stations and moments.

That a phase should be picked with an eye on what other stations saw is the idea of EdgePhase (Feng et al.
2022, G-cubed 23, e2022GC010453), of the Siamese EQTransformer (Xiao et al. 2021, JGR 126, e2021JB022130) and
of PhaseNO (Sun et al. 2023, GRL 50, e2023GL106434). Here the backbone reads each station by itself; between
its tokens and a head, each station asks the others about the moments at which the same wave could have passed
them, with a weight that is a learned function of the distance, the difference in elevation and the seconds
between the two.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import initialization as init

from ..foundation.features import FeatureSpec, SeismicFeatures
from ..foundation.places import WindowPlaces

TIME_SCALE_S = 10.0
DISTANCE_SCALE_KM = 30.0
NEAR_KM = 5.0
P_KM_S, S_KM_S = 6.0, 3.5
"""Typical crustal velocities: a time difference is also told in units of how long P and S take."""

NUM_RELATIONS = 7

NOBODY_LOGIT = 4.0
"""Before training a moment turns to nobody about as much as to some fifty moments of other stations."""


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """How stations listen to each other.

    num_layers, dim, num_attention_heads: of the attention over stations.
    pool: tokens that are joined to one moment. Costs fall with its square.
    slowest_km_s, slack_s: two moments at stations d km apart may have to do with each other where they are no
        more than d / slowest_km_s + slack_s apart.
    """

    num_layers: int = 2
    dim: int = 32
    num_attention_heads: int = 4
    pool: int = 4
    slowest_km_s: float = 2.0
    slack_s: float = 2.0

    def __post_init__(self) -> None:
        counts = (self.num_layers, self.dim, self.num_attention_heads, self.pool)
        if min(counts) < 1 or self.dim % self.num_attention_heads:
            raise ValueError(
                "num_layers, dim, num_attention_heads and pool must be at least 1 and dim a multiple of "
                f"num_attention_heads, found {counts}"
            )
        if not (self.slowest_km_s > 0 and self.slack_s >= 0):
            raise ValueError(
                "slowest_km_s must be positive and slack_s not negative, "
                f"found {self.slowest_km_s} and {self.slack_s}"
            )


class StationExchange(nn.Module):
    """Tokens of each station that know what the other stations of its network saw.

    What holds exactly: stations may come in any order; a network that is moved or turned as a whole, or seen
    earlier or later, is told the same (only distances, differences in elevation and in time enter); padding
    and what nobody observed says nothing; a window without companions keeps its tokens, bit for bit, and
    untrained every window does. Each station gets what it is told in addition to what it sees itself.
    """

    def __init__(self, spec: FeatureSpec, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.moment_s = config.pool * spec.token_samples / spec.rate_hz
        self.norm = nn.LayerNorm(spec.dim)
        self.into = nn.Linear(spec.dim, config.dim)
        num_biases = config.num_layers * config.num_attention_heads
        self.relation = nn.Sequential(nn.Linear(NUM_RELATIONS, 16), nn.GELU(), nn.Linear(16, num_biases))
        self.layers = nn.ModuleList(
            StationAttention(config.dim, config.num_attention_heads) for _ in range(config.num_layers)
        )
        self.out = nn.Linear(config.dim, spec.dim, bias=False)

    def init_prior(self) -> None:
        """Begin as if every station were alone, but with scores and values from which can be learned."""
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                init.normal_(layer.weight, std=layer.in_features**-0.5)
            elif isinstance(layer, StationAttention):
                init.constant_(layer.nobody.bias, NOBODY_LOGIT)
        init.zeros_(self.out.weight)

    def forward(self, features: SeismicFeatures) -> Tensor:
        """Tokens `(window, token, dim)`."""
        tokens, places = features["tokens"], features.places
        rows = None if places is None else places.grid()
        if places is None or rows is None or len(rows) == 0:
            return tokens + self._nothing()
        told = self._told(tokens, features["token_observed"], places, rows)
        there = rows >= 0
        # Laid out in memory as the tokens are: another order of sums downstream would change last bits.
        added = torch.zeros_like(tokens).index_put((rows[there],), told[there].to(tokens.dtype))
        return tokens + added

    def _nothing(self) -> Tensor:
        """Zero, from all parameters: processes that train together want a gradient of each."""
        return torch.stack([parameter.sum() for parameter in self.parameters()]).sum() * 0.0

    def _told(self, tokens: Tensor, observed: Tensor, places: WindowPlaces, rows: Tensor) -> Tensor:
        """What is added to the tokens of each network's stations `(network, station, token, dim)`."""
        moments, heard = self._moments(tokens[rows], observed[rows] & (rows >= 0)[..., None])
        biases = self._biases(places, rows, heard)
        state = moments
        for layer, bias in zip(self.layers, biases.chunk(len(self.layers), dim=1), strict=True):
            state = layer(state, bias)
        told = self.out(state - moments)
        return _spread(told, self.config.pool, tokens.shape[1])

    def _moments(self, tokens: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
        """Means over `pool` tokens `(network, station, moment, dim)`, and whether any of those has data."""
        padding = -tokens.shape[2] % self.config.pool
        values = F.pad(self.into(self.norm(tokens)), (0, 0, 0, padding))
        seen = F.pad(observed, (0, padding)).unflatten(2, (-1, self.config.pool))
        values = values.unflatten(2, (-1, self.config.pool)) * seen[..., None]
        return values.sum(dim=3) / seen.sum(dim=3).clamp(min=1)[..., None], seen.any(dim=3)

    def _biases(self, places: WindowPlaces, rows: Tensor, heard: Tensor) -> Tensor:
        """What is added to the scores of all layers `(network, layer · head, moment, moment)`, −∞ for never.

        Moments of all stations stand one after the other. Every step of time between two stations has one
        value, which is computed once and laid out along the diagonals.
        """
        num_moments = heard.shape[2]
        steps = torch.arange(1 - num_moments, num_moments, device=rows.device, dtype=torch.float64)
        start_s, up_km = places.start_s[rows], places.elevation_km[rows]
        apart_s = (start_s[:, None, :] - start_s[:, :, None])[..., None] + steps * self.moment_s
        distance_km = places.distance_km(rows)[..., None].expand_as(apart_s)
        up_km = (up_km[:, None, :] - up_km[:, :, None])[..., None].expand_as(apart_s)
        possible = apart_s.abs() <= distance_km / self.config.slowest_km_s + self.config.slack_s
        possible &= ~torch.eye(rows.shape[1], dtype=torch.bool, device=rows.device)[:, :, None]
        relations = _relations(distance_km, up_km, apart_s).to(self.into.weight.dtype)
        table = self.relation(relations).masked_fill(~possible[..., None], -torch.inf)
        # (network, here, there, step, head) to (network, head, here · moment, there · moment)
        laid_out = table.permute(0, 4, 1, 2, 3).unfold(-1, num_moments, 1).flip(-2)
        laid_out = laid_out.masked_fill(~heard[:, None, None, :, None, :], -torch.inf)
        return laid_out.transpose(3, 4).flatten(4, 5).flatten(2, 3)


class StationAttention(nn.Module):
    """One round: every moment of a station asks those of the others, and makes something of the answer.

    A moment may also turn to nobody, with a learned score: how many others saw something is then not lost in
    the mean over them. One that no other could tell anything stays as it is.
    """

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.norm, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(2 * dim)
        self.query, self.key, self.value, self.out = (nn.Linear(dim, dim) for _ in range(4))
        self.nobody = nn.Linear(dim, num_heads)
        self.up, self.down = nn.Linear(2 * dim, 2 * dim), nn.Linear(2 * dim, dim)

    def forward(self, state: Tensor, bias: Tensor) -> Tensor:
        """New states `(network, station, moment, dim)`; bias: `(network, head, moment, moment)`."""
        normed = self.norm(state).flatten(1, 2)
        query, key, value = (
            part(normed).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        nobody = self.nobody(normed).transpose(1, 2)[..., None].to(bias.dtype)
        key, value = (F.pad(part, (0, 0, 0, 1)) for part in (key, value))
        mixed = F.scaled_dot_product_attention(
            query, key, value, attn_mask=torch.cat((bias, nobody), dim=-1).to(query.dtype)
        )
        answer = self.out(mixed.transpose(1, 2).flatten(-2)).view_as(state)
        both = self.norm2(torch.cat((state, answer), dim=-1))
        told = answer + self.down(F.gelu(self.up(both)))
        asked = bias.amax(dim=(1, 3)).isfinite().view(state.shape[:3])
        return state + torch.where(asked[..., None], told, 0.0)


def _relations(distance_km: Tensor, up_km: Tensor, apart_s: Tensor) -> Tensor:
    """What is known of two moments at two stations, numbers of about 1 `(…, 7)`."""
    late_s = apart_s.abs()
    parts = (
        apart_s / TIME_SCALE_S,
        late_s / TIME_SCALE_S,
        distance_km / DISTANCE_SCALE_KM,
        (distance_km / NEAR_KM).log1p(),
        up_km,
        late_s / (distance_km / P_KM_S + 1.0),
        late_s / (distance_km / S_KM_S + 1.0),
    )
    return torch.stack(parts, dim=-1)


def _spread(moments: Tensor, pool: int, num_tokens: int) -> Tensor:
    """Moments `(network, station, moment, dim)` at their tokens, straight lines between them."""
    flat = moments.flatten(0, 1).transpose(1, 2)
    fine = F.interpolate(flat, scale_factor=float(pool), mode="linear") if pool > 1 else flat
    return fine[..., :num_tokens].transpose(1, 2).unflatten(0, moments.shape[:2])
