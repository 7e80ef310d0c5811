"""Whether the ground first moves up or down: the polarity head."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import initialization as init

from ..data.batch import WaveformBatch
from ..data.records import POLARITIES
from ..foundation.features import FeatureSpec, SeismicFeatures
from ..foundation.processes import mean_over_all
from ..foundation.stem import ChannelNorm
from .base import Head
from .calibration import ClassTemperature
from .decoder import DenseDecoder
from .time_axis import TimeGrid


@dataclass(frozen=True, kw_only=True)
class PolarityConfig:
    """How first motions are learned.

    jitter_s: the answer is to be the same this much before and after the true P, since those who ask for it
        have picks, not truths. channels: of the decoder at full, half and quarter rate.
    """

    jitter_s: float = 0.1
    channels: tuple[int, int, int] = (8, 12, 16)

    def __post_init__(self) -> None:
        if self.jitter_s < 0 or min(self.channels) < 1:
            raise ValueError(
                "jitter_s must not be negative and channels at least 1, "
                f"found {self.jitter_s} and {self.channels}"
            )


class PolarityHead(Head):
    """The first motion of a P: positive (up), negative (down) or undecidable.

    `predict` gives `probability` `(window, class, sample)` in the order of `POLARITIES`: at each sample, of
    the P that would be there. It means something at P picks alone; `at_picks` asks there.
    """

    config_class = PolarityConfig
    calibration_class = ClassTemperature

    def __init__(self, spec: FeatureSpec, config: PolarityConfig) -> None:
        super().__init__(spec, config)
        self.grid: TimeGrid = TimeGrid(spec.rate_hz)
        self.reach = round(config.jitter_s * spec.rate_hz)
        self.decoder = DenseDecoder(spec, config.channels)
        # First motions are small: without a norm the waves behind them would decide.
        self.norm = ChannelNorm(config.channels[0])
        self.classify = nn.Conv1d(config.channels[0], len(POLARITIES), 1)

    def init_prior(self) -> None:
        """Begin with all classes nearly alike."""
        init.normal_(self.classify.weight, std=0.02)

    def forward(self, features: SeismicFeatures) -> dict[str, Tensor]:
        """Logits `(window, class, sample)` at the model's rate, padded to whole tokens."""
        return {"logits": self.classify(self.norm(self.decoder(features))).float()}

    def predict(self, output: dict[str, Tensor], observed: Tensor | None) -> dict[str, Tensor]:
        """Probabilities; undecidable where nothing was observed."""
        probability = output["logits"].softmax(dim=1)
        if observed is not None:
            undecidable = probability.new_tensor([name == "undecidable" for name in POLARITIES])
            probability = torch.where(observed[:, None], probability, undecidable[None, :, None])
        return {"probability": probability}

    def loss(
        self, output: dict[str, Tensor], batch: WaveformBatch, features: SeismicFeatures
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross entropy about each P of known first motion, mean over all of them in all processes."""
        logits = output["logits"]
        p_s, polarity = _first_motions(batch)
        time_s = self.grid.time_s(batch, logits.shape[-1])
        sample = torch.searchsorted(time_s, p_s.nan_to_num(nan=-1.0))
        inside = (p_s >= 0) & (sample < logits.shape[-1])
        sample = sample.clamp(max=logits.shape[-1] - 1)
        counts = inside & (polarity >= 0) & features["sample_observed"].gather(1, sample)
        entropy = self._entropy(logits, sample, polarity.clamp(min=0))
        loss = mean_over_all(torch.where(counts, entropy, 0.0).sum(), counts.sum())
        return loss, {"loss": loss.detach(), "labelled_share": counts.any(dim=1).float().mean()}

    def _entropy(self, logits: Tensor, sample: Tensor, polarity: Tensor) -> Tensor:
        """Cross entropy `(window, event)`, mean over the samples within reach of each P."""
        offset = torch.arange(-self.reach, self.reach + 1, device=logits.device)
        near = (sample[..., None] + offset).clamp(0, logits.shape[-1] - 1)
        log_probability = logits.log_softmax(dim=1)
        chosen = log_probability[
            torch.arange(len(logits), device=logits.device)[:, None, None], polarity[..., None], near
        ]
        return -chosen.mean(dim=-1)


def at_picks(probability: Tensor, sampling_rate_hz: Tensor, pick_s: Tensor) -> Tensor:
    """What `predict` says of P picks, `(window, pick, class)`.

    sampling_rate_hz: of the recordings `(window,)`. pick_s: `(window, pick)`, after each window's first
    sample; the answer to one that is NaN or outside of the window is NaN.
    """
    sample = (pick_s.double() * sampling_rate_hz.double()[:, None]).round()
    inside = (sample >= 0) & (sample < probability.shape[-1])
    index = torch.where(inside, sample, 0.0).long()
    window = torch.arange(len(probability), device=probability.device)[:, None]
    return torch.where(inside[..., None], probability[window, :, index], torch.nan)


def _first_motions(batch: WaveformBatch) -> tuple[Tensor, Tensor]:
    """P arrivals in seconds and their polarity `(window, event)`; one unknown event where there are none."""
    unknown = batch.waveform.new_full((len(batch), 1), torch.nan)
    p_s = batch.labels.get("p_arrival_s", unknown).float()
    polarity = batch.labels.get("polarity", torch.full_like(p_s, -1.0)).long()
    return p_s, polarity
