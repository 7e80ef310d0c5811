"""The mechanism of an event from the set of its stations: a network that reads first motions and S/P ratios.

It takes observations of events, not features of windows, and so is not among the heads of a task model. A
transformer over stations trained on synthetic radiation is FocoNet's idea; the answer here is a density.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from ..configs.loader import build_config
from ..data.mechanism.double_couple import (
    couple_tensors,
    frame_vectors,
    frames_of,
    mechanisms_of,
    quaternions_of,
    rotations_of,
)
from ..data.mechanism.grid import mechanism_grid
from ..data.mechanism.observations import EventObservations
from ..data.mechanism.radiation import SP_AT_EQUAL_RADIATION, ray_products, rays_of, tensor_weights
from .mechanism_density import NUM_STATISTICS, answer_of, log_density, statistics
from .model_folder import WEIGHTS, ModelError, ModelFolder, check_weights

MODEL_TYPE = "seisfm-mechanism"
TOKEN_FEATURES = 21


@dataclass(frozen=True, kw_only=True)
class MechanismConfig:
    """The size of the network and its loss.

    dim, num_layers, num_attention_heads: of the transformer over stations.
    radiation_weight: of the loss that asks the expected radiation for the observed polarities, 0 for without.
    radiation_sharpness: log-odds of an upward first motion where P is strongest.
    training_step_deg, step_deg: of the grids over mechanisms in training and for answers.
    """

    dim: int = 64
    num_layers: int = 3
    num_attention_heads: int = 4
    radiation_weight: float = 0.0
    radiation_sharpness: float = 6.0
    training_step_deg: float = 10.0
    step_deg: float = 6.0

    def __post_init__(self) -> None:
        if self.dim < 1 or self.num_layers < 1 or self.dim % self.num_attention_heads:
            raise ValueError(
                "dim and num_layers must be positive and dim a multiple of num_attention_heads, found "
                f"{self.dim}, {self.num_layers}, {self.num_attention_heads}"
            )
        if self.radiation_weight < 0:
            raise ValueError(f"radiation_weight must not be negative, found {self.radiation_weight}")


class MechanismHead(nn.Module):
    """How an event's fault moved, and how sure that is, from 6 to 100 stations in any order.

    Azimuths are counted from the mean direction of the stations and the answer is turned back, so a network
    turned about the vertical turns the answer with it, exactly.
    """

    def __init__(self, config: MechanismConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Linear(TOKEN_FEATURES, config.dim)
        self.layers = nn.ModuleList(
            _Layer(config.dim, config.num_attention_heads) for _ in range(config.num_layers)
        )
        self.norm = nn.LayerNorm(config.dim)
        self.answer = nn.Linear(config.dim, NUM_STATISTICS)
        # Untrained, every mechanism is about as probable as any other.
        nn.init.normal_(self.answer.weight, std=0.01)

    def forward(self, observations: EventObservations) -> Tensor:
        """The density's natural parameters `(event, 12)` in the stations' own frame; see `log_density`."""
        reference_deg = reference_azimuths_deg(observations)
        tokens = self.embed(station_features(observations.rotated(-reference_deg)))
        for layer in self.layers:
            tokens = layer(tokens, observations.observed)
        there = observations.observed[..., None]
        # The sum over stations, not their mean: every station adds to what is known.
        pooled = (self.norm(tokens) * there).sum(dim=1) / there.sum(dim=1).clamp(min=1).sqrt()
        return self.answer(pooled)

    def predict(self, observations: EventObservations) -> dict[str, Tensor]:
        """The answers in physical terms, by event.

        mechanism_deg `(event, 3)` strike, dip, rake; quaternion `(event, 4)` of the T, B and P axes;
        error_deg `(event,)` the expected Kagan angle; radius_deg `(event, 2)` for 68 and 95 %.
        """
        with torch.no_grad():
            grid = frames_of(*mechanism_grid(self.config.step_deg)).float().to(observations.polarity.device)
            answer = answer_of(self(observations), grid)
            frames = (turns(reference_azimuths_deg(observations)) @ answer.frame).double()
        return {
            "mechanism_deg": mechanisms_of(*frame_vectors(frames)).float(),
            "quaternion": quaternions_of(frames).float(),
            "error_deg": answer.error_deg,
            "radius_deg": answer.radius_deg,
        }

    def loss(
        self, observations: EventObservations, frames: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Negative log-likelihood of the true axes, and with `radiation_weight` that of the polarities.

        frames: `(event, 3, 3)`, NaN where the mechanism is unknown: such an event has the second part alone.
        Events without labels and polarities give exactly zero. generator: turns the grid.
        """
        natural = self(observations)
        turn = rotations_of(torch.randn(4, generator=generator)).to(natural.device)
        grid = turn @ frames_of(*mechanism_grid(self.config.training_step_deg)).to(natural)
        known = frames.isfinite().all(dim=(1, 2))
        own = turns(-reference_azimuths_deg(observations)) @ frames.where(known[:, None, None], turn)
        nll = -log_density(natural, own, grid).where(known, 0.0).sum() / known.sum().clamp(min=1)
        logs = {"nll": nll.detach()}
        if self.config.radiation_weight == 0.0:
            return nll, logs
        radiation = self._radiation_loss(natural, observations, grid)
        return nll + self.config.radiation_weight * radiation, logs | {"radiation": radiation.detach()}

    def _radiation_loss(self, natural: Tensor, observations: EventObservations, grid: Tensor) -> Tensor:
        """Cross entropy of the observed first motions with those that the mean moment tensor radiates."""
        weights = tensor_weights(couple_tensors(*frame_vectors(grid)))
        mean = (natural @ statistics(grid).mT).softmax(dim=-1) @ weights
        own = observations.rotated(-reference_azimuths_deg(observations))
        p = (_products(own) * mean[:, None]).sum(dim=-1)
        known = observations.observed & observations.polarity.isfinite()
        up = (observations.polarity.where(known, 0.0) + 1.0) / 2.0
        entropy = F.binary_cross_entropy_with_logits(
            self.config.radiation_sharpness * p, up, reduction="none"
        )
        return entropy.where(known, 0.0).sum() / known.sum().clamp(min=1)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write `config.json` and `model.safetensors`, each under another name first."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        settings = {"model_type": MODEL_TYPE} | asdict(self.config)
        partial = folder / "config.json.partial"
        partial.write_text(json.dumps(settings, indent=2))
        partial.replace(folder / "config.json")
        save_file(self.state_dict(), folder / f"{WEIGHTS}.partial")
        (folder / f"{WEIGHTS}.partial").replace(folder / WEIGHTS)

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path, revision: str | None = None) -> MechanismHead:
        """The network of a folder or hub id. Raises ModelError for a model of another kind."""
        folder = ModelFolder.find(name_or_path, revision)
        settings = folder.settings()
        if (kind := settings.pop("model_type", None)) != MODEL_TYPE:
            raise ModelError(f"{folder.source} is a model of type {kind!r}: expected {MODEL_TYPE!r}")
        head = cls(build_config(MechanismConfig, settings, source=folder.source))
        weights = folder.weights()
        check_weights(weights, head.state_dict(), folder.source)
        head.load_state_dict(weights)
        return head.eval()


class _Layer(nn.Module):
    """Attention over the stations of an event and a feed-forward part, both after a norm."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.norm, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.query, self.key, self.value, self.out = (nn.Linear(dim, dim) for _ in range(4))
        self.up, self.down = nn.Linear(dim, 2 * dim), nn.Linear(2 * dim, dim)

    def forward(self, tokens: Tensor, observed: Tensor) -> Tensor:
        normed = self.norm(tokens)
        query, key, value = (
            part(normed).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        # An event without any station would divide by zero: it attends to its padding, which is not pooled.
        mask = (observed | ~observed.any(dim=1, keepdim=True))[:, None, None]
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        tokens = tokens + self.out(mixed.transpose(1, 2).flatten(-2))
        return tokens + self.down(F.gelu(self.up(self.norm2(tokens))))


def station_features(observations: EventObservations) -> Tensor:
    """What the network reads of each station `(event, station, 21)`, all zero for padding.

    The ray's products, their products with the polarity and with log10 S/P, and the last three numbers:
    whether polarity and ratio are known, and the ratio. A double couple's P is linear in the first.
    """
    products = _products(observations)
    polarity = observations.polarity.nan_to_num(0.0)
    known = observations.polarity.isfinite(), observations.log10_sp_ratio.isfinite()
    ratio = (observations.log10_sp_ratio - SP_AT_EQUAL_RADIATION).nan_to_num(0.0)
    parts = [products, products * polarity[..., None], products * ratio[..., None]]
    parts.append(torch.stack([known[0].to(ratio), known[1].to(ratio), ratio], dim=-1))
    return torch.cat(parts, dim=-1).where(observations.observed[..., None], 0.0)


def _products(observations: EventObservations) -> Tensor:
    """The rays' products, of downward rays for padding."""
    observed = observations.observed
    return ray_products(
        rays_of(observations.azimuth_deg.where(observed, 0.0), observations.takeoff_deg.where(observed, 0.0))
    )


def reference_azimuths_deg(observations: EventObservations) -> Tensor:
    """The direction in which the stations lie on average `(event,)`: it turns with them."""
    weight = observations.takeoff_deg.deg2rad().sin().where(observations.observed, 0.0)
    azimuth = observations.azimuth_deg.deg2rad().where(observations.observed, 0.0)
    return torch.atan2((weight * azimuth.sin()).sum(dim=1), (weight * azimuth.cos()).sum(dim=1)).rad2deg()


def turns(angle_deg: Tensor) -> Tensor:
    """Rotations clockwise about the vertical `(event, 3, 3)`, for vectors of north, east and down."""
    cos, sin = angle_deg.deg2rad().cos(), angle_deg.deg2rad().sin()
    zero, one = torch.zeros_like(cos), torch.ones_like(cos)
    rows = [[cos, -sin, zero], [sin, cos, zero], [zero, zero, one]]
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
