"""How well a double couple agrees with what the stations of an event saw, each as far as it is trusted.

A grid search asks which mechanisms have few wrong first motions and small misfits of S/P; this asks how
probable the observations are under each mechanism, with errors that a network estimates for each station from
all of them. With the same errors everywhere it is the Bayesian grid search of Walsh et al. (2009, J. Geophys.
Res. 114, B12304) in a form that gradients pass through.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..data.mechanism.double_couple import couple_tensors, frame_vectors
from ..data.mechanism.observations import EventObservations
from ..data.mechanism.radiation import log10_sp_ratio, p_radiation
from .mechanism_density import statistics
from .mechanism_tokens import products_of

NUM_TRUSTS = 4

USUAL_WRONG, USUAL_SHARPNESS, USUAL_SP_SCALE = 0.1, 12.0, 0.3
"""Where training starts: the share of wrong polarities, the log-odds of a polarity where P is strongest, and
the scale of the errors of log10 S/P."""


@dataclass(frozen=True, kw_only=True)
class StationTrust:
    """How far each station is believed, all `(event, station)`.

    wrong: probability that a first motion is wrong whatever the mechanism, up to a half. sharpness: log-odds
    of an upward first motion where P is strongest; small, where directions are uncertain. sp_weight: of an
    S/P ratio. sp_scale: of its errors, in log10.
    """

    wrong: Tensor
    sharpness: Tensor
    sp_weight: Tensor
    sp_scale: Tensor

    @classmethod
    def of(cls, numbers: Tensor) -> StationTrust:
        """From four numbers for each station `(event, station, 4)`; zeros are what is usual."""
        wrong, sharpness, weight, scale = numbers.unbind(dim=-1)
        usual = math.log(USUAL_WRONG / (0.5 - USUAL_WRONG))
        return cls(
            wrong=0.5 * (wrong + usual).sigmoid(),
            sharpness=USUAL_SHARPNESS * sharpness.clamp(-3.0, 3.0).exp(),
            sp_weight=weight.clamp(-4.0, 2.0).exp(),
            sp_scale=USUAL_SP_SCALE * scale.clamp(-2.0, 2.0).exp(),
        )


@dataclass(frozen=True, kw_only=True)
class MechanismEvidence:
    """All that a network knows of the mechanisms of some events.

    observations: with azimuths in the frame in which the answer holds. natural: `(event, 12)`, the entries
    nn, ee, dd, ne, nd, ed of the density's A and of its C. trust: None for a network that leaves the
    radiation out. read: polarities that waveforms tell `(event, station)`.
    """

    observations: EventObservations
    natural: Tensor
    trust: StationTrust | None
    read: Tensor | None

    def __len__(self) -> int:
        return len(self.natural)

    def events(self, chosen: slice) -> MechanismEvidence:
        """What is known of some of the events."""
        trust = self.trust
        return MechanismEvidence(
            observations=self.observations.events(chosen),
            natural=self.natural[chosen],
            trust=None if trust is None else StationTrust(**{k: v[chosen] for k, v in vars(trust).items()}),
            read=None if self.read is None else self.read[chosen],
        )

    def log_probability(self, frames: Tensor) -> Tensor:
        """log p `(event, mechanism)` up to a constant of each event.

        frames: axes `(mechanism, 3, 3)`, or of each event its own `(event, mechanism, 3, 3)`.
        """
        said = (statistics(frames) @ self.natural[..., None]).squeeze(-1)
        if self.trust is None:
            return said
        return said + log_likelihood(self.observations, self.trust, frames, self.read)


def log_likelihood(
    observations: EventObservations, trust: StationTrust, frames: Tensor, read: Tensor | None = None
) -> Tensor:
    """log p `(event, mechanism)` of first motions and S/P ratios under each mechanism, up to a constant.

    frames: axes `(mechanism, 3, 3)`, or of each event its own `(event, mechanism, 3, 3)`. read: polarities
    `(event, station)` that waveforms tell, NaN without; they count beside those that were observed.
    """
    products, tensors = products_of(observations), couple_tensors(*frame_vectors(frames)).to(trust.wrong)
    p = p_radiation(products, tensors)
    up = (
        trust.wrong[..., None]
        + (1.0 - 2.0 * trust.wrong[..., None]) * (trust.sharpness[..., None] * p).sigmoid()
    )
    total = _of_polarity(observations.polarity, observations.observed, up)
    if read is not None:
        total = total + _of_polarity(read, observations.observed, up)
    known = observations.observed & observations.log10_sp_ratio.isfinite()
    if not bool(known.any()):
        return total
    off = (log10_sp_ratio(products, tensors) - observations.log10_sp_ratio.nan_to_num(0.0)[..., None]) / (
        trust.sp_scale[..., None]
    )
    # Student's t, not Gauss: one S/P of another phase must not decide.
    agreement = -trust.sp_weight[..., None] * off.square().div(4.0).log1p()
    return total + agreement.where(known[..., None], 0.0).sum(dim=1)


def _of_polarity(polarity: Tensor, observed: Tensor, up: Tensor) -> Tensor:
    """log probability `(event, mechanism)` of first motions that are themselves known with a probability."""
    seen = polarity.where(observed, torch.nan)
    share = ((1.0 + seen.nan_to_num(0.0)) / 2.0)[..., None]
    log_p = (share * up + (1.0 - share) * (1.0 - up)).clamp(min=1e-6).log()
    return log_p.where(seen.isfinite()[..., None], 0.0).sum(dim=1)
