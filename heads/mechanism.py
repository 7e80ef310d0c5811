"""The mechanism of an event from the set of its stations: a network that reads first motions and S/P ratios.

It takes observations of events, not features of windows, and so is not among the heads of a task model. A
transformer over stations trained on synthetic radiation is FocoNet's idea, reading their waveforms FMNet's;
the answer here is a density, and the radiation of a double couple is not learned but known.
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
from ..data.mechanism.radiation import tensor_weights
from .mechanism_density import NUM_STATISTICS, answer_of, log_density
from .mechanism_evidence import NUM_TRUSTS, MechanismEvidence, StationTrust
from .mechanism_tokens import (
    TOKEN_FEATURES,
    WaveformReader,
    products_of,
    reference_azimuths_deg,
    station_features,
)
from .model_folder import WEIGHTS, ModelError, ModelFolder, check_weights

MODEL_TYPE = "seisfm-mechanism"


@dataclass(frozen=True, kw_only=True)
class MechanismConfig:
    """The size of the network and its loss.

    dim, num_layers, num_attention_heads: of the transformer over stations.
    likelihood: whether the radiation of each mechanism is held against what the stations saw, as far as the
        network trusts each; otherwise the network alone says which mechanisms are probable.
    waveform_samples: how many samples about each P the network reads, 0 for none.
    radiation_weight: of the loss that asks the expected radiation for the observed polarities, 0 for without.
    radiation_sharpness: log-odds of an upward first motion where P is strongest.
    training_step_deg, step_deg: of the grids over mechanisms in training and for answers.
    """

    dim: int = 64
    num_layers: int = 3
    num_attention_heads: int = 4
    likelihood: bool = True
    waveform_samples: int = 0
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
        if self.waveform_samples < 0:
            raise ValueError(f"waveform_samples must not be negative, found {self.waveform_samples}")
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
        self.reader = WaveformReader(config.waveform_samples, config.dim) if config.waveform_samples else None
        self.layers = nn.ModuleList(
            _Layer(config.dim, config.num_attention_heads) for _ in range(config.num_layers)
        )
        self.norm = nn.LayerNorm(config.dim)
        self.answer = nn.Linear(config.dim, NUM_STATISTICS)
        self.trust = nn.Linear(config.dim, NUM_TRUSTS) if config.likelihood else None
        # Untrained, every mechanism is about as probable as any other, or as the usual errors make it.
        for layer in (self.answer, self.trust):
            if layer is not None:
                nn.init.normal_(layer.weight, std=0.01)
                nn.init.zeros_(layer.bias)

    def forward(self, observations: EventObservations) -> MechanismEvidence:
        """What is known of each event, in the stations' own frame."""
        own = observations.rotated(-reference_azimuths_deg(observations))
        tokens, read = self.embed(station_features(own)), None
        if self.reader is not None:
            read, numbers = self.reader(own)
            tokens = tokens + numbers
        for layer in self.layers:
            tokens = layer(tokens, own.observed)
        tokens = self.norm(tokens)
        there = own.observed[..., None]
        # The sum over stations, not their mean: every station adds to what is known.
        pooled = (tokens * there).sum(dim=1) / there.sum(dim=1).clamp(min=1).sqrt()
        trust = None if self.trust is None else StationTrust.of(self.trust(tokens))
        return MechanismEvidence(observations=own, natural=self.answer(pooled), trust=trust, read=read)

    def predict(self, observations: EventObservations) -> dict[str, Tensor]:
        """The answers in physical terms, by event.

        mechanism_deg `(event, 3)` strike, dip, rake; quaternion `(event, 4)` of the T, B and P axes;
        error_deg `(event,)` the expected Kagan angle; radius_deg `(event, 2)` for 68 and 95 %.
        """
        with torch.no_grad():
            grid = frames_of(*mechanism_grid(self.config.step_deg)).float().to(observations.polarity.device)
            evidence = self(observations)
            # One event at a time: stations × mechanisms of all events at once would not fit in memory.
            on_grid = [evidence.events(slice(i, i + 1)).log_probability(grid) for i in range(len(evidence))]
            answer = answer_of(torch.cat(on_grid), grid)
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
        evidence = self(observations)
        turn = rotations_of(torch.randn(4, generator=generator)).to(evidence.natural.device)
        grid = turn @ frames_of(*mechanism_grid(self.config.training_step_deg)).to(evidence.natural)
        known = frames.isfinite().all(dim=(1, 2))
        truth = turns(-reference_azimuths_deg(observations)) @ frames.where(known[:, None, None], turn)
        at_truth = evidence.log_probability(truth[:, None]).squeeze(-1)
        on_grid = evidence.log_probability(grid)
        nll = -log_density(at_truth, on_grid).where(known, 0.0).sum() / known.sum().clamp(min=1)
        logs = {"nll": nll.detach()}
        if self.config.radiation_weight == 0.0:
            return nll, logs
        radiation = self._radiation_loss(evidence.observations, on_grid, grid)
        return nll + self.config.radiation_weight * radiation, logs | {"radiation": radiation.detach()}

    def _radiation_loss(self, own: EventObservations, on_grid: Tensor, grid: Tensor) -> Tensor:
        """Cross entropy of the observed first motions with those that the mean moment tensor radiates."""
        mean = on_grid.softmax(dim=-1) @ tensor_weights(couple_tensors(*frame_vectors(grid)))
        p = (products_of(own) * mean[:, None]).sum(dim=-1)
        known = own.observed & own.polarity.isfinite()
        up = (own.polarity.where(known, 0.0) + 1.0) / 2.0
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


def turns(angle_deg: Tensor) -> Tensor:
    """Rotations clockwise about the vertical `(event, 3, 3)`, for vectors of north, east and down."""
    cos, sin = angle_deg.deg2rad().cos(), angle_deg.deg2rad().sin()
    zero, one = torch.zeros_like(cos), torch.ones_like(cos)
    rows = [[cos, -sin, zero], [sin, cos, zero], [zero, zero, one]]
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
