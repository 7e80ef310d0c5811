"""Small networks that read a window's metadata: numbers through a perceptron, a sentence as its bytes.

Layers outside of the transformer keep PyTorch's first weights, which pass the differences of their inputs on.
With the smaller ones of a model, all windows begin at nearly one point, and leave it late.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...foundation.encoder import Encoder
from ...foundation.features import init_module
from .metadata_text import NUM_COLUMNS, Facts

BYTE_S = 0.05
"""A byte's length for the rotary positions, which are in seconds: their shortest period is then 6.4 bytes,
about the 2π of Su et al. 2021."""

PAD_TO = 32
"""Sentences are padded to multiples of so many bytes: few shapes to compile."""


class NumbersEncoder(nn.Module):
    """Facts as numbers to `(window, dim)`, through two hidden layers."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(NUM_COLUMNS, hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Linear(hidden, dim),
        )

    def forward(self, facts: Facts) -> Tensor:
        """Embed each window's facts."""
        return self.layers(facts.vectors())


class TextEncoder(nn.Module):
    """Facts as a sentence to `(window, dim)`: a transformer over UTF-8 bytes, and their mean.

    No tokenizer, which would have to be fetched, and no vocabulary, which a new event type would break.

    std: of the transformer's first weights.
    """

    def __init__(self, dim: int, hidden: int, num_layers: int, num_heads: int, std: float) -> None:
        super().__init__()
        self.byte = nn.Embedding(256, hidden)
        self.encoder = Encoder(hidden, num_layers, num_heads, 2 * hidden)
        for module in self.encoder.modules():
            init_module(module, std)
        self.project = nn.Linear(hidden, dim)

    def forward(self, facts: Facts) -> Tensor:
        """Embed each window's sentence."""
        codes, present = byte_codes(facts.sentences(), facts.event_type.device)
        place_s = BYTE_S * torch.arange(codes.shape[1], device=codes.device, dtype=torch.float32)
        tokens = self.encoder(self.byte(codes), place_s.expand(codes.shape), present)
        weight = present.to(tokens.dtype) / present.sum(dim=1, keepdim=True)
        return self.project(torch.einsum("wt,wtd->wd", weight, tokens))


def byte_codes(sentences: Sequence[str], device: torch.device) -> tuple[Tensor, Tensor]:
    """The bytes of sentences, int64 `(window, byte)`, and where there is one, bool."""
    encoded = [list(sentence.encode()) for sentence in sentences]
    longest = max((len(codes) for codes in encoded), default=0)
    width = -(-longest // PAD_TO) * PAD_TO
    rows = [codes + [0] * (width - len(codes)) for codes in encoded]
    lengths = torch.tensor([len(codes) for codes in encoded])
    present = torch.arange(width) < lengths[:, None]
    return torch.tensor(rows).reshape(-1, width).to(device), present.to(device)


class MetadataEncoder(nn.Module):
    """The metadata's side of the pairs, unit vectors `(window, dim)`: the mean of what its readers say."""

    def __init__(self, *readers: nn.Module) -> None:
        super().__init__()
        self.readers = nn.ModuleList(readers)

    def forward(self, facts: Facts) -> Tensor:
        """Embed each window's facts."""
        said = [F.normalize(reader(facts).float(), dim=-1) for reader in self.readers]
        return F.normalize(torch.stack(said).mean(dim=0), dim=-1)
