"""Sources that are not one pulse: sub-events, ripple-fired shots, and motion that begins without an onset."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..loading.window_random import WindowRandom
from .plan import Sources

FINER = 4
"""Delays are placed on a grid this much finer than the samples: shots lie 0.8 samples apart and more."""

LONGEST_RISES = 8.0


@dataclass(frozen=True, kw_only=True)
class SourceTrains:
    """What the sources that are not one pulse multiply their spectra with.

    parts: pairs of rows, int64 `(row,)`, and their complex spectra `(row, frequency)`; the sources of other
    rows are single pulses.
    """

    parts: tuple[tuple[Tensor, Tensor], ...]

    def shape(self, spectrum: Tensor) -> Tensor:
        """A spectrum `(record, frequency)` from zero frequency on, changed in place where its source asks."""
        for rows, train in self.parts:
            spectrum[rows] *= train[:, : spectrum.shape[1]]
        return spectrum


def source_trains(
    sources: Sources, event: WindowRandom, num_frequencies: int, rate_hz: float
) -> SourceTrains:
    """The trains of a batch: most of its sources have none, and cost nothing."""
    parts = []
    several = (sources.weights[:, 1:] != 0).any(dim=1).nonzero().flatten()
    if len(several):
        delays_s, weights = sources.delays_s[several], sources.weights[several]
        parts.append((several, train_spectrum(delays_s, weights, num_frequencies, rate_hz)))
    emergent = (sources.emergence_s > 0).nonzero().flatten()
    if len(emergent):
        rise_s, own = sources.emergence_s[emergent], event.select(emergent)
        parts.append((emergent, emergent_spectrum(rise_s, own, num_frequencies, rate_hz)))
    return SourceTrains(parts=tuple(parts))


def train_spectrum(delays_s: Tensor, weights: Tensor, num_frequencies: int, rate_hz: float) -> Tensor:
    """Spectrum of weighted impulses, complex64 `(record, frequency)`: Σ w exp(−2πi f d) up to half the rate.

    Each impulse is shared by two places of a grid of a quarter sample: its delay is exact, and at 0.45 of the
    rate 4 % of its amplitude are lost.
    """
    length = 2 * (num_frequencies - 1) * FINER
    place = (delays_s * (rate_hz * FINER)).clamp(max=length - 2.0)
    before = place.floor()
    after_share = place - before
    series = torch.zeros(len(delays_s), length, device=delays_s.device)
    series.scatter_add_(1, before.long(), weights * (1.0 - after_share))
    series.scatter_add_(1, before.long() + 1, weights * after_share)
    return torch.fft.rfft(series)[:, :num_frequencies]


def emergent_spectrum(rise_s: Tensor, event: WindowRandom, num_frequencies: int, rate_hz: float) -> Tensor:
    """Spectrum of very many small impulses that grow in number and strength for `rise_s` and then fade.

    Landslides and rockfalls are such sums: coherent, with all of the moment, at the lowest frequencies and
    incoherent above. Complex64 `(record, frequency)`, 1 at zero frequency.
    """
    length = 2 * (num_frequencies - 1)
    time = torch.arange(length, device=rise_s.device) / (rise_s[:, None] * rate_hz)
    # Cubes of uniform numbers: a few blocks fall hard, most do not.
    strength = event.uniform("source/emergent", length).pow_(3)
    series = time * torch.exp((1.0 - time).clamp(min=-80.0)) * strength * (time < LONGEST_RISES)
    return torch.fft.rfft(series / series.sum(dim=1, keepdim=True))
