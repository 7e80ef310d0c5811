"""What physics says of several answers together, as losses: they must fit each other and the arrivals."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..data.batch import WaveformBatch
from ..data.earth.velocity import VelocityModel
from ..foundation.features import SeismicFeatures
from ..foundation.processes import mean_over_all
from .attenuation import AttenuationLaw, log_peak, units_of
from .regression import window_label
from .sp_times import SpTimes

Answers = dict[str, dict[str, Tensor]]

SP_TOLERANCE_S = 0.2
SP_TOLERANCE = 0.05
"""A misfit of S − P of so much and such a share of it counts 1: what a crust differs from another."""

MAGNITUDE_TOLERANCE = 0.3
"""What one station's magnitude misses the network's by."""

NEEDED = {"sp_time": "distance", "attenuation": "magnitude"}
"""The head without which a loss has nothing to say."""


@dataclass(frozen=True, kw_only=True)
class PhysicsConfig:
    """Which laws the answers are held to, each with its weight in the loss; 0 leaves it out.

    sp_time: the S − P of the arrivals fits the answered distance and depth. Each window with one event that
        has both arrivals counts, also one whose distance nobody knows.
    attenuation: the answered magnitude fits amplitude and distance by a law of its own, learned beside it
        from the windows that have both labels.
    velocity_model: file of the layers for S − P; None takes a mean continental crust.
    typical_depth_km: where neither a head nor a label tells the depth.
    """

    sp_time: float = 0.0
    attenuation: float = 0.0
    velocity_model: str | None = None
    typical_depth_km: float = 10.0

    def __post_init__(self) -> None:
        for name in NEEDED:
            if getattr(self, name) < 0:
                raise ValueError(f"the weight {name} must not be negative, found {getattr(self, name)}")

    @property
    def weights(self) -> dict[str, float]:
        """Of the losses that are switched on."""
        return {name: getattr(self, name) for name in NEEDED if getattr(self, name) > 0}


class PhysicsLosses(nn.Module):
    """The losses of `PhysicsConfig`. They belong to a training: nothing of them is saved with the model.

    heads: names of those that the model has. rate_hz: the model's.

    Raises ValueError where a law needs a head that the model does not have.
    """

    def __init__(self, config: PhysicsConfig, heads: tuple[str, ...], rate_hz: float) -> None:
        super().__init__()
        absent = [f"{name} needs {NEEDED[name]}" for name in config.weights if NEEDED[name] not in heads]
        if absent:
            raise ValueError(f"physics: {', '.join(absent)}, but the heads are {sorted(heads)}")
        self.config, self.rate_hz = config, rate_hz
        if "sp_time" in config.weights:
            layers = config.velocity_model
            self.sp_times = SpTimes(
                VelocityModel.default() if layers is None else VelocityModel.from_file(layers)
            )
        if "attenuation" in config.weights:
            self.law = AttenuationLaw()

    def forward(
        self, answers: Answers, batch: WaveformBatch, features: SeismicFeatures
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum, and each loss by its name."""
        total = features["log_gain"].new_zeros(())
        logs: dict[str, Tensor] = {}
        for name, weight in self.config.weights.items():
            loss = getattr(self, f"{name}_loss")(answers, batch, features)
            total = total + weight * loss
            logs[f"physics_{name}"] = loss.detach()
        return total, logs

    def sp_time_loss(self, answers: Answers, batch: WaveformBatch, features: SeismicFeatures) -> Tensor:
        """Huber's loss of S − P by the answers against S − P of the labelled arrivals, in tolerances."""
        arrivals_s, known = single_event(batch)
        # What is unknown is filled in before gradients see it: 0 times NaN would be NaN.
        sp_s = torch.where(known, arrivals_s[1] - arrivals_s[0], 1.0)
        expected_s = self.sp_times(answers["distance"]["distance_km"], self._depth_km(answers, batch))
        misfit = (expected_s - sp_s) / (SP_TOLERANCE_S + SP_TOLERANCE * sp_s.abs())
        return _huber_mean(misfit, known)

    def attenuation_loss(self, answers: Answers, batch: WaveformBatch, features: SeismicFeatures) -> Tensor:
        """Labels teach the law, and the law the answer; never the answer the law, as both could drift."""
        arrivals_s, known = single_event(batch)
        log_amplitude, stands_out = log_peak(features, arrivals_s[0], self.rate_hz)
        unit_index, means_something = units_of(batch.unit, batch.device)
        known = (
            known & stands_out & means_something & (arrivals_s[1] < features["num_samples"] / self.rate_hz)
        )
        labelled_km, magnitude = (window_label(batch, name) for name in ("distance_km", "magnitude"))
        both = known & magnitude.isfinite() & labelled_km.isfinite()
        at_km, magnitude = torch.where(both, labelled_km, 1.0), torch.where(both, magnitude, 0.0)
        learned = self._law(log_amplitude, at_km, self._label_depth_km(batch), unit_index)
        fit = _huber_mean((learned - magnitude) / MAGNITUDE_TOLERANCE, both)
        with torch.no_grad():
            answered = answers.get("distance", {}).get("distance_km", labelled_km)
            distance_km = torch.where(labelled_km.isfinite(), labelled_km, answered)
            known = known & distance_km.isfinite()
            distance_km = distance_km.nan_to_num(nan=1.0)
            lawful = self._law(log_amplitude, distance_km, self._depth_km(answers, batch), unit_index)
        misfit = (answers["magnitude"]["magnitude"] - lawful) / MAGNITUDE_TOLERANCE
        return fit + _huber_mean(misfit, known)

    def _law(
        self, log_amplitude: Tensor, distance_km: Tensor, depth_km: Tensor, unit_index: Tensor
    ) -> Tensor:
        return self.law(log_amplitude, torch.hypot(distance_km, depth_km), unit_index)

    def _label_depth_km(self, batch: WaveformBatch) -> Tensor:
        return window_label(batch, "depth_km").nan_to_num(nan=self.config.typical_depth_km)

    def _depth_km(self, answers: Answers, batch: WaveformBatch) -> Tensor:
        """The answered depth, else the labelled one, else the typical one."""
        return answers["depth"]["depth_km"] if "depth" in answers else self._label_depth_km(batch)


def single_event(batch: WaveformBatch) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """P and S `(window,)` of windows near which there is one event alone, with both; and which those are."""
    nothing = batch.waveform.new_full((len(batch), 1), torch.nan)
    p_s, s_s = (batch.labels.get(f"{phase}_arrival_s", nothing).float() for phase in ("p", "s"))
    num_events = (p_s.isfinite() | s_s.isfinite()).sum(dim=1)
    both = p_s.isfinite() & s_s.isfinite()
    known = (num_events == 1) & both.any(dim=1)
    first = torch.where(both, 1, 0).argmax(dim=1, keepdim=True)
    return (p_s.gather(1, first).squeeze(1), s_s.gather(1, first).squeeze(1)), known


def _huber_mean(misfit: Tensor, known: Tensor) -> Tensor:
    """Mean over all processes' known windows of x²/2, beyond 1 of |x| − 1/2 (Huber 1964)."""
    loss = F.smooth_l1_loss(misfit, torch.zeros_like(misfit), reduction="none")
    return mean_over_all(torch.where(known, loss, 0.0).sum(), known.sum())
