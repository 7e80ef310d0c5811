"""Contrast of a seismogram with what catalogs say about it: which earthquake, how large, how far, from where?

After SeisCLIP (Si et al. 2024, arXiv 2309.02320), with the symmetric InfoNCE of CLIP (Radford et al. 2021,
arXiv 2103.00020), and without SeisCLIP's leak (see `metadata_text`). The waveform's side is the backbone's
pooled features; SeisCLIP had a spectrogram there.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...data.batch import WaveformBatch
from ...foundation.backbones.base import Backbone
from .base import Objective
from .gathering import gather_over_all
from .metadata_encoders import MetadataEncoder, NumbersEncoder, TextEncoder
from .metadata_text import EVENT_FACTS, FACTS, NOISE, Facts, facts_of

METADATA = ("numbers", "text", "both")
MAX_LOG_SCALE = math.log(100.0)
NO_PAIR = 0
"""The key of windows that take no part."""


@dataclass(frozen=True, kw_only=True)
class ClipConfig:
    """The pairs, and what reads them.

    metadata: how facts are told: as numbers, as a text, or both, whose readings are averaged.
    facts: those of `FACTS` that are told.
    own_share: of a window's target, what its own metadata get; the rest is shared by those of the event's
        other windows, mostly other stations'. 1 asks to tell the stations of an event apart.
    dim: of the space in which both sides meet. hidden: width of the metadata's networks.
    text_layers, text_heads: of the transformer that reads the text.
    first_scale: of the similarities, before it is learned.
    """

    metadata: str = "both"
    facts: tuple[str, ...] = FACTS
    own_share: float = 0.5
    dim: int = 128
    hidden: int = 128
    text_layers: int = 2
    text_heads: int = 4
    first_scale: float = 1 / 0.07

    def __post_init__(self) -> None:
        if self.metadata not in METADATA:
            raise ValueError(f"metadata must be one of {METADATA}, found {self.metadata!r}")
        strange = sorted(set(self.facts) - set(FACTS))
        if strange or not set(self.facts) & set(EVENT_FACTS):
            raise ValueError(
                f"facts must be some of {FACTS}, and at least one of {EVENT_FACTS} among them, "
                f"found {self.facts}"
            )
        if not 0.0 < self.own_share <= 1.0:
            raise ValueError(f"own_share must lie above 0 and not above 1, found {self.own_share}")
        if not 1.0 <= self.first_scale <= 100.0:
            raise ValueError(f"first_scale must lie in 1 to 100, found {self.first_scale}")


class WaveformMetadataContrast(Objective):
    """Find the metadata that belong to a waveform among all others' of the batch, and the other way round.

    The pairs of all processes are one set, in which every process computes the whole loss: that of two
    processes is exactly the one with twice the batch, which only has to be of the same size in each.

    A window takes part when its event has an id and anything is told about it (`Facts.of_event`); positives
    are all windows of its event. Noise takes part, too: it is one event for all windows, since their metadata
    say no more than that; its target is the same for each of them.
    """

    config_class = ClipConfig

    def __init__(self, model: Backbone, config: ClipConfig) -> None:
        super().__init__(model, config)
        self.config = config
        self.project = nn.Linear(model.feature_spec.dim, config.dim, bias=False)
        readers: dict[str, nn.Module] = {}
        if config.metadata != "text":
            readers["numbers"] = NumbersEncoder(config.dim, config.hidden)
        if config.metadata != "numbers":
            sizes = config.hidden, config.text_layers, config.text_heads
            readers["text"] = TextEncoder(config.dim, *sizes, model.config.initializer_range)
        self.metadata = MetadataEncoder(*readers.values())
        # Not a scalar: FSDP shards none.
        self.log_scale = nn.Parameter(torch.tensor([math.log(config.first_scale)]))

    def forward(self, model: Backbone, batch: WaveformBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """The contrast, how often the nearest is a right one in either direction, and the share of pairs."""
        facts = facts_of(batch, self.config.facts)
        pair = gather_over_all(pair_keys(batch, facts))
        waveform = F.normalize(self.project(model(batch).pooled).float(), dim=-1)
        metadata = self.metadata(facts)
        with torch.autocast(device_type=batch.device.type, enabled=False):
            similarity = gather_over_all(waveform) @ gather_over_all(metadata).T
            loss = contrast(similarity * self.scale(), pair, self.config.own_share)
        return loss, {
            "waveform_accuracy": nearest_is_right(similarity, pair),
            "metadata_accuracy": nearest_is_right(similarity.T, pair),
            "scale": self.scale().squeeze(0),
            "paired_share": (pair != NO_PAIR).float().mean(),
        }

    def scale(self) -> Tensor:
        """What similarities are multiplied with, 1 to 100, `(1,)`."""
        return self.log_scale.clamp(0.0, MAX_LOG_SCALE).exp()

    def after_update(self, model: Backbone) -> None:
        """Bring the scale back to its range: outside of it, no gradient would."""
        self.log_scale.clamp_(0.0, MAX_LOG_SCALE)

    def trivial_loss(self, model: Backbone, batch: WaveformBatch) -> Tensor:
        """The loss when all similarities are the same: the logarithm of the number of pairs."""
        pair = gather_over_all(pair_keys(batch, facts_of(batch, self.config.facts)))
        return contrast(batch.waveform.new_zeros(len(pair), len(pair)), pair, self.config.own_share)


def pair_keys(batch: WaveformBatch, facts: Facts) -> Tensor:
    """What the windows of an event have in common, int64 `(window,)`; `NO_PAIR` for those without a pair.

    A hash of the event's id, so that processes agree on it without talking about names.
    """
    names = batch.event_id or ("",) * len(batch)
    hashes = torch.tensor([_hash(name) if name else NO_PAIR for name in names], device=batch.device)
    keys = torch.where(facts.event_type == NOISE, _hash("noise of all windows"), hashes)
    return torch.where(facts.of_event(), keys, NO_PAIR)


def contrast(logits: Tensor, pair: Tensor, own_share: float) -> Tensor:
    """Symmetric cross entropy of similarities `(waveform, metadata)` with the targets of `pair_targets`.

    The mean over the pairs, and over both directions; 0 with a gradient of 0 where there are none.
    """
    target, there = pair_targets(pair, own_share), pair != NO_PAIR
    entropy = (_cross_entropy(logits, target, there) + _cross_entropy(logits.T, target, there)) / 2
    return torch.where(there, entropy, 0.0).sum() / there.sum().clamp(min=1)


def pair_targets(pair: Tensor, own_share: float) -> Tensor:
    """What each row's columns are due, float32 `(window, window)`: in all 1, or 0 for one without a pair."""
    same = (pair[:, None] == pair) & (pair != NO_PAIR)
    own = torch.eye(len(pair), dtype=torch.bool, device=pair.device) & same
    others = same & ~own
    count = others.sum(dim=1, keepdim=True)
    is_noise = (pair == _hash("noise of all windows"))[:, None]
    share = torch.where(is_noise, 1.0 / (count + 1), own_share)
    share = torch.where(count > 0, share, 1.0)
    return own * share + others * (1.0 - share) / count.clamp(min=1)


def nearest_is_right(similarity: Tensor, pair: Tensor) -> Tensor:
    """Share of the rows, a scalar, whose largest similarity is that of a window of the same event."""
    there = pair != NO_PAIR
    nearest = similarity.masked_fill(~there, -torch.inf).argmax(dim=1)
    right = (pair[nearest] == pair) & there
    return right.float().sum() / there.sum().clamp(min=1)


def _cross_entropy(logits: Tensor, target: Tensor, there: Tensor) -> Tensor:
    """Of each row over the columns that are there; a row that is not itself there sees itself."""
    itself = torch.eye(len(there), dtype=torch.bool, device=there.device)
    log_share = logits.masked_fill(~(there | itself), -torch.inf).log_softmax(dim=1)
    return -torch.where(target > 0, target * log_share.masked_fill(target == 0, 0.0), 0.0).sum(dim=1)


def _hash(name: str) -> int:
    """Never `NO_PAIR`."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True) | 1
