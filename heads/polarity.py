"""Whether the ground first moves up or down: the polarity head."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import initialization as init

from ..data.batch import WaveformBatch
from ..data.records import POLARITIES
from ..foundation.features import FeatureSpec, SeismicFeatures
from ..foundation.processes import mean_over_all
from ..foundation.stem import ChannelNorm
from .base import Head
from .calibration import LEAST_PROBABILITY, ClassTemperature
from .decoder import DenseDecoder
from .time_axis import TimeGrid


@dataclass(frozen=True, kw_only=True)
class PolarityConfig:
    """How first motions are learned.

    jitter_s: the answer is to be the same this much before and after the true P, since those who ask for it
        have picks, not truths. channels: of the decoder at full, half and quarter rate.
    dropout: the chance that training leaves one of the decoder's full-rate channels out of a whole window.
    mc_passes: a head in evaluation mode answers with the mean of so many passes, each of which leaves other
        channels out, and tells how far they are apart; with 0, with one pass that has all channels.
    mc_seed: decides which channels each pass leaves out.

    Raises ValueError for a jitter, channels or a dropout that cannot be, for passes without a dropout that
    would make them differ, and for a single pass, which is apart from nothing.
    """

    jitter_s: float = 0.1
    channels: tuple[int, int, int] = (8, 12, 16)
    dropout: float = 0.0
    mc_passes: int = 0
    mc_seed: int = 0

    def __post_init__(self) -> None:
        if self.jitter_s < 0 or min(self.channels) < 1:
            raise ValueError(
                "jitter_s must not be negative and channels at least 1, "
                f"found {self.jitter_s} and {self.channels}"
            )
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout must be 0 or more and below 1, found {self.dropout}")
        if self.mc_passes < 0 or self.mc_passes == 1:
            raise ValueError(f"mc_passes must be 0 or at least 2, found {self.mc_passes}")
        if self.mc_passes and not self.dropout:
            raise ValueError(
                f"mc_passes need a dropout above 0, or all passes say the same, found {self.mc_passes} "
                "passes without: train the head with a dropout such as 0.2"
            )


class PolarityHead(Head):
    """The first motion of a P: positive (up), negative (down) or undecidable.

    `predict` gives `probability` `(window, class, sample)` in the order of `POLARITIES`: at each sample, of
    the P that would be there. It means something at P picks alone; `at_picks` asks there.

    With `mc_passes` this is the mean of passes that leave channels out by chance, as in training (Monte Carlo
    dropout: Gal & Ghahramani 2016, ICML, section 4), and `spread` `(window, class, sample)` their standard
    deviation, NaN where nothing was observed. It tells how far the answer hangs on single channels of this
    one network, before any calibration: a part of what the network does not know, not the chance of being
    wrong.
    """

    config_class = PolarityConfig
    calibration_class = ClassTemperature

    def __init__(self, spec: FeatureSpec, config: PolarityConfig) -> None:
        super().__init__(spec, config)
        self.config = config
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
        """Logits `(window, class, sample)` at the model's rate, padded to whole tokens; with passes `spread`.

        The logits of passes are the logarithm of their mean probability, so that a temperature, which is
        fitted to what the head answers, divides them as it divides those of a single pass.
        """
        channels = self.norm(self.decoder(features))
        if self.config.mc_passes and not self.training:
            mean, spread = self._passes(channels)
            return {"logits": mean.clamp(min=LEAST_PROBABILITY).log(), "spread": spread}
        if self.config.dropout:
            channels = F.dropout1d(channels, self.config.dropout, self.training)
        return {"logits": self.classify(channels).float()}

    def _passes(self, channels: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the probability over the passes, `(window, class, sample)`."""
        mean, squares = torch.zeros((), device=channels.device), torch.zeros((), device=channels.device)
        # As they come (Welford 1962): all passes at once would be the largest array of the whole model.
        for number, factor in enumerate(self._factors().to(channels), start=1):
            probability = self.classify(channels * factor).float().softmax(dim=1)
            step = probability - mean
            mean = mean + step / number
            squares = squares + step * (probability - mean)
        return mean, (squares / (self.config.mc_passes - 1)).sqrt()

    def _factors(self) -> Tensor:
        """What each pass multiplies the channels by, `(pass, channel, 1)`.

        The same for all windows and samples: an answer does not depend on a window's company or on where in
        it P lies, and windows that overlap can be compared. Drawn anew, since a buffer would be one more
        weight in the file.
        """
        generator = torch.Generator().manual_seed(self.config.mc_seed)
        shape = (self.config.mc_passes, self.config.channels[0], 1)
        kept = torch.rand(shape, generator=generator, device="cpu") >= self.config.dropout
        return kept.float() / (1.0 - self.config.dropout)

    def predict(self, output: dict[str, Tensor], observed: Tensor | None) -> dict[str, Tensor]:
        """Probabilities, undecidable where nothing was observed; of passes also their spread."""
        answer = {}
        if "spread" in output:
            # Between the samples of two rates a cubic curve may swing below 0.
            spread = output["spread"].clamp(min=0.0)
            answer["spread"] = (
                spread if observed is None else spread.masked_fill(~observed[:, None], torch.nan)
            )
        probability = output["logits"].softmax(dim=1)
        if observed is not None:
            undecidable = probability.new_tensor([name == "undecidable" for name in POLARITIES])
            probability = torch.where(observed[:, None], probability, undecidable[None, :, None])
        return {"probability": probability, **answer}

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


def at_picks(answer: Tensor, sampling_rate_hz: Tensor, pick_s: Tensor) -> Tensor:
    """What `predict` says of P picks, `(window, pick, class)`.

    answer: its `probability`, or its `spread`. sampling_rate_hz: of the recordings `(window,)`. pick_s:
        `(window, pick)`, after each window's first sample; what is said of one that is NaN or outside of the
        window is NaN.
    """
    sample = (pick_s.double() * sampling_rate_hz.double()[:, None]).round()
    inside = (sample >= 0) & (sample < answer.shape[-1])
    index = torch.where(inside, sample, 0.0).long()
    window = torch.arange(len(answer), device=answer.device)[:, None]
    return torch.where(inside[..., None], answer[window, :, index], torch.nan)


def _first_motions(batch: WaveformBatch) -> tuple[Tensor, Tensor]:
    """P arrivals in seconds and their polarity `(window, event)`; one unknown event where there are none."""
    unknown = batch.waveform.new_full((len(batch), 1), torch.nan)
    p_s = batch.labels.get("p_arrival_s", unknown).float()
    polarity = batch.labels.get("polarity", torch.full_like(p_s, -1.0)).long()
    return p_s, polarity
