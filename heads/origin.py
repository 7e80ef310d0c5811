"""When the event began whose P and S a station sees: the origin head."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import initialization as init

from ..data.batch import WaveformBatch
from ..data.masks import finite
from ..foundation.features import FeatureSpec, SeismicFeatures
from ..foundation.processes import mean_over_all
from .base import Head
from .network_attention import NetworkConfig, StationExchange
from .regression import UNIT_SOFTPLUS, gaussian_nll
from .targets import gaussian
from .time_axis import TimeGrid

PRIOR_LOGIT = -3.0
LEAST_S = 0.1
TYPICAL_LOG_S, SPREAD_LOG = 2.0, 1.0
"""An untrained head answers with 7 s, give or take a factor of e."""

LEAST_STD = 0.02


@dataclass(frozen=True, kw_only=True)
class OriginConfig:
    """How origin times are learned.

    hidden: width of the layer between tokens and answers.
    sigma_s: width of the Gaussian around the middle between P and S.
    network: how stations of one network listen to each other, None where each is asked by itself.
    """

    hidden: int = 64
    sigma_s: float = 0.5
    network: NetworkConfig | None = None

    def __post_init__(self) -> None:
        if self.hidden < 1 or not self.sigma_s > 0:
            raise ValueError(
                "hidden must be at least 1 and sigma_s positive seconds, "
                f"found {self.hidden} and {self.sigma_s}"
            )


class OriginHead(Head):
    """Where an event's middle between P and S lies in a window, and how long ago the event then began.

    As PhaseNet+ has it (Zhu et al. 2025, arXiv 2506.06939: event centre and event time), so that picks of
    several stations find each other by the origin that each of them names. The difference: the time since the
    origin is a log-normal with its own error. `predict` gives at each sample `center_probability`, and
    `since_origin_s` (median) with `since_origin_log_std` (of its natural logarithm), which mean something
    where the first is high: the origin time is the sample's time minus it.
    """

    config_class = OriginConfig

    def __init__(self, spec: FeatureSpec, config: OriginConfig) -> None:
        super().__init__(spec, config)
        self.config = config
        self.grid: TimeGrid = TimeGrid(spec.rate_hz, spec.token_samples / 2, spec.token_samples)
        self.exchange = StationExchange(spec, config.network) if config.network else None
        self.hidden = nn.Linear(spec.dim, config.hidden)
        self.answer = nn.Linear(config.hidden, 3, bias=False)
        self.prior = nn.Parameter(torch.zeros(3))

    def init_prior(self) -> None:
        """Begin with hardly an event anywhere."""
        init.normal_(self.answer.weight, std=0.02)
        init.copy_(self.prior, torch.tensor([PRIOR_LOGIT, 0.0, 0.0]))
        if self.exchange is not None:
            self.exchange.init_prior()

    def forward(self, features: SeismicFeatures) -> dict[str, Tensor]:
        """`center` (logits), `log_since` (logarithm of seconds) and `raw_std` `(window, token)`."""
        tokens = features["tokens"] if self.exchange is None else self.exchange(features)
        answer = self.answer(F.gelu(self.hidden(tokens))).float() + self.prior.float()
        center, since, raw_std = answer.unbind(dim=-1)
        return {"center": center, "log_since": TYPICAL_LOG_S + SPREAD_LOG * since, "raw_std": raw_std}

    def predict(self, output: dict[str, Tensor], observed: Tensor | None) -> dict[str, Tensor]:
        """Probabilities, 0 where nothing was observed, and seconds since the origin."""
        probability = output["center"].sigmoid()
        return {
            "center_probability": probability if observed is None else probability * observed,
            "since_origin_s": output["log_since"].exp(),
            "since_origin_log_std": _std(output),
        }

    def loss(
        self, output: dict[str, Tensor], batch: WaveformBatch, features: SeismicFeatures
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross entropy of the middle where P and S are labelled, likelihood of the origin near it."""
        time_s = self.grid.time_s(batch, output["center"].shape[-1])
        center_s, origin_s, listed = _events(batch)
        target = gaussian(center_s, time_s, self.config.sigma_s)
        counts = listed[:, None] & features["token_observed"]
        entropy = F.binary_cross_entropy_with_logits(output["center"], target, reduction="none")
        center = mean_over_all(torch.where(counts, entropy, 0.0).sum(), counts.sum())
        since_s, near = _since_origin(center_s, origin_s, time_s, self.config.sigma_s)
        near &= features["token_observed"]
        answer = {"mean": output["log_since"], "std": _std(output)}
        nll = gaussian_nll(answer, since_s.clamp(min=LEAST_S).log(), LEAST_STD)
        since = mean_over_all(torch.where(near, nll, 0.0).sum(), near.sum())
        known = (counts | near).float().mean()
        logs = {"center": center.detach(), "since": since.detach(), "labelled_share": known}
        return center + since, {"loss": (center + since).detach(), **logs}


def _std(output: dict[str, Tensor]) -> Tensor:
    return LEAST_STD + SPREAD_LOG * F.softplus(output["raw_std"] + UNIT_SOFTPLUS)


def _events(batch: WaveformBatch) -> tuple[Tensor, Tensor, Tensor]:
    """The middle between P and S and the origin `(window, event)`, NaN for unknown; are all middles listed.

    An event of which one phase is told and the other not has a middle that nobody knows.
    """
    nothing = batch.waveform.new_full((len(batch), 1), torch.nan)
    p_s, s_s, origin_s = (
        batch.labels.get(name, nothing).float() for name in ("p_arrival_s", "s_arrival_s", "origin_s")
    )
    num_events = max(part.shape[1] for part in (p_s, s_s, origin_s))
    p_s, s_s, origin_s = (
        F.pad(part, (0, num_events - part.shape[1]), value=torch.nan) for part in (p_s, s_s, origin_s)
    )
    unknown = batch.observed.new_zeros(len(batch))
    listed = batch.labels.get("p_labelled", unknown) & batch.labels.get("s_labelled", unknown)
    return (p_s + s_s) / 2, origin_s, listed & (finite(p_s) == finite(s_s)).all(dim=1)


def _since_origin(
    center_s: Tensor, origin_s: Tensor, time_s: Tensor, reach_s: float
) -> tuple[Tensor, Tensor]:
    """Seconds since the origin of the event whose middle is nearest, and where one is near."""
    apart_s = (time_s[:, None] - center_s[..., None]).abs().nan_to_num(nan=torch.inf)
    nearest_s, event = apart_s.min(dim=1)
    since_s = time_s - origin_s.gather(1, event)
    near = (nearest_s <= reach_s) & finite(since_s)
    return since_s.where(near, 1.0), near
