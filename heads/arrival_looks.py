"""Looks at a window that are taught to rest on P or S."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..data.batch import WaveformBatch
from ..foundation.features import SeismicFeatures
from ..foundation.processes import mean_over_all


class ArrivalLooks(nn.Module):
    """One attention over the tokens for each phase, whose place labelled arrivals teach.

    Without labels the attentions are free to look elsewhere: they learn from the head that they serve.

    width: of the tokens. phases: "p", "s", one look each. span_s: how much of a window behind an arrival a
    look should rest on.
    """

    def __init__(self, width: int, phases: tuple[str, ...], span_s: float) -> None:
        super().__init__()
        self.phases, self.span_s = phases, span_s
        self.score = nn.Linear(width, len(phases))

    def forward(self, tokens: Tensor, observed: Tensor) -> Tensor:
        """Log attention `(window, token, look)` over the observed tokens (all, where none is)."""
        visible = observed | ~observed.any(dim=1, keepdim=True)
        score = self.score(tokens) / math.sqrt(tokens.shape[-1])
        return score.float().masked_fill(~visible[..., None], -1e4).log_softmax(dim=1)

    def misplaced(
        self, looks: Tensor, batch: WaveformBatch, features: SeismicFeatures, known: Tensor
    ) -> Tensor:
        """−log of the attention within `span_s` behind the labelled arrivals, mean over all processes' looks.

        looks: of `forward`. known: bool `(window,)`, which windows count.
        """
        time_s = features["token_time_s"]
        nothing = batch.waveform.new_full((len(batch), 1), torch.nan)
        arrivals_s = [batch.labels.get(f"{phase}_arrival_s", nothing) for phase in self.phases]
        since_s = [time_s[:, :, None] - arrival_s[:, None] for arrival_s in arrivals_s]
        behind = [((since >= 0) & (since < self.span_s)).any(dim=-1) for since in since_s]
        inside = torch.stack(behind, dim=-1) & features["token_observed"][..., None]
        on_arrival = torch.where(inside, looks, -1e4).logsumexp(dim=1)
        counts = inside.any(dim=1) & known[:, None]
        return mean_over_all(torch.where(counts, -on_arrival, 0.0).sum(), counts.sum())
