"""What shook the ground: the event type head."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import initialization as init

from ..data.batch import WaveformBatch
from ..data.event_types import EVENT_TYPES
from ..foundation.features import FeatureSpec, SeismicFeatures
from .arrival_looks import ArrivalLooks
from .base import Head
from .calibration import ClassTemperature
from .groups import mean_of_groups
from .spectrum import FLOOR, frame_frequencies_hz, in_bands, token_power
from .window_summary import WindowSummary, in_full_precision

RATIO_BANDS_HZ = ((1.0, 2.0), (2.0, 4.0), (4.0, 8.0), (8.0, 16.0))
"""Where P is compared with S: explosions have the larger P above some 4 Hz (Wang et al. 2020, JGR)."""

ARRIVAL_S = 1.5
"""How much of a window behind P or S the network's look at P or S should rest on."""


@dataclass(frozen=True, kw_only=True)
class EventTypeConfig:
    """How event types are told apart.

    classes: what an event can be, some of `EVENT_TYPES`. Events of another type teach nothing.
    hidden: width of the layers. looks: learned attentions over the window, see `WindowSummary`.
    arrival_weight: of the part of the loss that teaches two of the looks where P and S are.
    """

    classes: tuple[str, ...] = EVENT_TYPES
    hidden: int = 48
    looks: int = 2
    arrival_weight: float = 0.1

    def __post_init__(self) -> None:
        unknown = [name for name in self.classes if name not in EVENT_TYPES]
        if unknown or len(set(self.classes)) != len(self.classes) or len(self.classes) < 2:
            raise ValueError(f"classes must be two or more of {EVENT_TYPES}, each once, found {self.classes}")
        if min(self.hidden, self.looks) < 1 or self.arrival_weight < 0:
            raise ValueError(
                "hidden and looks must be at least 1 and arrival_weight not negative, "
                f"found {self.hidden}, {self.looks} and {self.arrival_weight}"
            )


class EventTypeHead(Head):
    """Earthquake, blast, noise … : the probability of each class for a window.

    Three things enter: the tokens; a spectrogram of the window; and the ratio of the amplitudes of P and S in
    the bands `RATIO_BANDS_HZ`, the classical discriminant, measured where two learned looks find P and S.
    None of them knows the gain. `predict` gives `probability` `(window, class)` in the order of the settings'
    `classes`. All classes that a batch holds weigh the same, so the probability is that of a world where they
    are equally frequent.
    """

    config_class = EventTypeConfig
    calibration_class = ClassTemperature

    def __init__(self, spec: FeatureSpec, config: EventTypeConfig) -> None:
        super().__init__(spec, config)
        self.config = config
        self.token_samples, self.rate_hz = spec.token_samples, spec.rate_hz
        num_frequencies = len(frame_frequencies_hz(spec.rate_hz))
        self.spectrogram = nn.Conv1d(num_frequencies, config.hidden, 5, padding=2)
        self.arrivals = ArrivalLooks(spec.dim + config.hidden, ("p", "s"), ARRIVAL_S)
        seen = replace(spec, dim=spec.dim + config.hidden)
        self.summary = WindowSummary(seen, config.hidden, config.looks, with_gain=False)
        self.hidden = nn.Linear(self.summary.width + len(RATIO_BANDS_HZ), config.hidden)
        self.answer = nn.Linear(config.hidden, len(config.classes))

    def init_prior(self) -> None:
        """Begin with all classes alike."""
        init.normal_(self.answer.weight, std=0.02)

    def forward(self, features: SeismicFeatures) -> dict[str, Tensor]:
        """Logits `(window, class)`, and log attention `(window, token, 2)` of the looks for P and S."""
        with in_full_precision(features["tokens"]):
            dtype = self.answer.weight.dtype
            power = token_power(features["waveform"], self.token_samples, self.rate_hz)
            spectrum = (power + FLOOR).log10().to(dtype).transpose(1, 2)
            tokens = [features["tokens"].to(dtype), F.gelu(self.spectrogram(spectrum)).transpose(1, 2)]
            seen = SeismicFeatures(**{**features, "tokens": torch.cat(tokens, dim=-1)})
            looks = self.arrivals(seen["tokens"], seen["token_observed"])
            ratios = self._ratios(power, looks).to(dtype)
            summary = torch.cat([self.summary(seen), ratios], dim=1)
            logits = self.answer(F.gelu(self.hidden(summary))).float()
        return {"logits": logits, "looks": looks}

    def _ratios(self, power: Tensor, looks: Tensor) -> Tensor:
        """log₁₀ of P over S amplitude `(window, band)`."""
        bands = in_bands(power, frame_frequencies_hz(self.rate_hz).to(power.device), RATIO_BANDS_HZ)
        p, s = torch.einsum("wtl,wtb->lwb", looks.exp(), bands).unbind(0)
        return 0.5 * ((p + FLOOR).log10() - (s + FLOOR).log10())

    def predict(self, output: dict[str, Tensor], observed: Tensor | None) -> dict[str, Tensor]:
        """The probability of each class."""
        return {"probability": output["logits"].softmax(dim=-1)}

    def loss(
        self, output: dict[str, Tensor], batch: WaveformBatch, features: SeismicFeatures
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross entropy, the mean over classes of all processes' mean within each, and the looks' part."""
        logits = output["logits"]
        target = self._target(batch)
        classes = torch.arange(logits.shape[1], device=logits.device)[:, None]
        entropy = F.cross_entropy(logits, target.clamp(min=0), reduction="none")
        loss = mean_of_groups(entropy, target == classes)
        if self.config.arrival_weight > 0:
            misplaced = self.arrivals.misplaced(output["looks"], batch, features, target >= 0)
            loss = loss + self.config.arrival_weight * misplaced
        return loss, {"loss": loss.detach(), "labelled_share": (target >= 0).float().mean()}

    def _target(self, batch: WaveformBatch) -> Tensor:
        """The position in `classes` of each window's type, −1 where unknown or none of them."""
        places = [self.config.classes.index(n) if n in self.config.classes else -1 for n in EVENT_TYPES]
        lookup = torch.tensor([*places, -1], device=batch.device)
        unknown = batch.waveform.new_full((len(batch),), -1, dtype=torch.int64)
        return lookup[batch.labels.get("event_type", unknown).long()]
