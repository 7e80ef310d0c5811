"""Where the event is to be looked for: the back azimuth head."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import initialization as init

from ..data.batch import WaveformBatch
from ..foundation.features import FeatureSpec, SeismicFeatures
from ..foundation.processes import mean_over_all
from .arrival_looks import ArrivalLooks
from .base import Head
from .calibration import KappaFactor
from .polarization import BANDS_HZ, INVARIANTS, token_polarization
from .regression import window_label
from .window_summary import WindowSummary, in_full_precision

P_MOTION_S = 0.6
"""How much of a window behind P tells the direction before the Earth's scatter does."""

BELIEF_SCALE = 10.0
"""The κ of motion wholly along a line that a belief of 1 stands for."""


@dataclass(frozen=True, kw_only=True)
class BackAzimuthConfig:
    """How back azimuths are learned.

    hidden: width of the layers. looks: learned attentions over the window, see `WindowSummary`.
    max_kappa: the largest concentration that is ever answered; 400 stands for a standard deviation of 2.9°.
    arrival_weight: of the part of the loss that teaches where P is, whose motion tells the direction.
    """

    hidden: int = 64
    looks: int = 2
    max_kappa: float = 400.0
    arrival_weight: float = 0.1

    def __post_init__(self) -> None:
        if min(self.hidden, self.looks) < 1 or self.arrival_weight < 0:
            raise ValueError(
                "hidden and looks must be at least 1 and arrival_weight not negative, "
                f"found {self.hidden}, {self.looks} and {self.arrival_weight}"
            )
        if not self.max_kappa > 0:
            raise ValueError(f"max_kappa must be positive, found {self.max_kappa}")


class BackAzimuthHead(Head):
    """The direction from the station to the event, clockwise from north, and how sure it is.

    The answer is a von Mises distribution, the Gaussian of angles (Mardia & Jupp 2000, section 3.5.4), by a
    vector `(north, east)`: its direction, and its length, which is the concentration κ. Without any idea the
    vector is short, and no angle is a place where the answer must jump. `predict` gives `back_azimuth_deg`,
    0 to 360, and `back_azimuth_kappa` `(window,)`; for a large κ the standard deviation is 57.3° / √κ.

    The directions themselves are measured: how vertical and horizontal motion go together in short frames
    (`token_polarization`), where a look finds P. What is learned is where to look, and how much each band is
    to be believed. A window without both horizontals gives κ = 0. The gain does not enter.

    Raises ValueError where the features are not of Z, N and E.
    """

    config_class = BackAzimuthConfig
    calibration_class = KappaFactor

    def __init__(self, spec: FeatureSpec, config: BackAzimuthConfig) -> None:
        super().__init__(spec, config)
        self.config, self.spec = config, spec
        seen = replace(spec, dim=spec.dim + INVARIANTS * len(BANDS_HZ))
        self.arrivals = ArrivalLooks(seen.dim, ("p",), P_MOTION_S)
        self.summary = WindowSummary(seen, config.hidden, config.looks, with_gain=False)
        self.hidden = nn.Linear(self.summary.width, config.hidden)
        self.belief = nn.Linear(config.hidden, len(BANDS_HZ))
        if not {"Z", "N", "E"} <= set(spec.components):
            raise ValueError(f"a back azimuth needs the components Z, N and E, found {spec.components}")

    def init_prior(self) -> None:
        """Begin without an idea of the direction."""
        init.normal_(self.belief.weight, std=0.02)

    def forward(self, features: SeismicFeatures) -> dict[str, Tensor]:
        """The vector `(window, 2)` to north and east, and log attention `(window, token, 1)` for P."""
        with in_full_precision(features["tokens"]):
            dtype = self.belief.weight.dtype
            toward, plain = token_polarization(
                features["waveform"], self.spec.components, self.spec.token_samples, self.spec.rate_hz
            )
            tokens = torch.cat((features["tokens"].to(dtype), plain.to(dtype)), dim=-1)
            seen = SeismicFeatures(**{**features, "tokens": tokens})
            looks = self.arrivals(tokens, seen["token_observed"])
            motion = torch.einsum("wtl,wtbd->wlbd", looks.exp(), toward).squeeze(1)
            belief = BELIEF_SCALE * self.belief(F.gelu(self.hidden(self.summary(seen)))).float()
            raw = torch.einsum("wb,wbd->wd", belief, motion)
        return {"vector": raw / (1.0 + _length(raw) / self.config.max_kappa), "looks": looks}

    def predict(self, output: dict[str, Tensor], observed: Tensor | None) -> dict[str, Tensor]:
        """Direction in degrees and concentration."""
        north, east = output["vector"].unbind(-1)
        return {
            "back_azimuth_deg": torch.rad2deg(torch.atan2(east, north)).remainder(360.0),
            "back_azimuth_kappa": _length(output["vector"]).squeeze(-1),
        }

    def loss(
        self, output: dict[str, Tensor], batch: WaveformBatch, features: SeismicFeatures
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Negative log likelihood above its lowest possible value, and the look's part, means over all
        processes' labels.
        """
        target_deg = window_label(batch, "back_azimuth_deg")
        known = target_deg.isfinite()
        lowest = float(torch.special.i0e(torch.tensor(self.config.max_kappa)).log())
        nll = von_mises_nll(output["vector"], torch.where(known, target_deg, 0.0)) - lowest
        loss = mean_over_all(torch.where(known, nll, 0.0).sum(), known.sum())
        if self.config.arrival_weight > 0:
            misplaced = self.arrivals.misplaced(output["looks"], batch, features, known)
            loss = loss + self.config.arrival_weight * misplaced
        return loss, {"loss": loss.detach(), "labelled_share": known.float().mean()}


def von_mises_nll(vector: Tensor, target_deg: Tensor) -> Tensor:
    """log I₀(κ) − κ cos(θ − target), `(window,)`: −log of the density of a von Mises, without log 2π.

    vector: `(window, 2)` to north and east, of length κ and direction θ. I₀ itself overflows beyond κ = 88;
    I₀(κ) e^(−κ) does not, and the κ that is taken out joins the cosine.
    """
    angle = target_deg * (math.pi / 180.0)
    along = vector[..., 0] * angle.cos() + vector[..., 1] * angle.sin()
    kappa = _length(vector).squeeze(-1)
    return torch.special.i0e(kappa).log() + (kappa - along)


def _length(vector: Tensor) -> Tensor:
    """Of `(…, 2)`, kept as `(…, 1)`; never quite 0, where its gradient would be none."""
    return (vector.square().sum(dim=-1, keepdim=True) + 1e-12).sqrt()
