"""Magnitude from amplitude and distance by a law with a handful of parameters that are learned."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..data.batch import UNITS
from ..foundation.features import SeismicFeatures

KNOWN_UNITS = ("m/s", "m/s**2")
"""Of these an amplitude means something; counts do only together with their instrument."""

ABOVE_NOISE = 3.0
"""An amplitude counts where it is so many times the largest before P."""


class AttenuationLaw(nn.Module):
    """M = log₁₀ A + n log₁₀ R + k R + c, the form of local magnitudes (Richter 1935; Hutton & Boore 1987).

    A: largest amplitude in m/s or m/s², R: hypocentral distance in km. n begins at 1.11 and k at 0.00189 per
    km, Hutton and Boore's for Southern California; c, one for each unit, where they have some magnitude 2 for
    1 µm/s at 50 km.
    """

    def __init__(self) -> None:
        super().__init__()
        self.spreading = nn.Parameter(torch.tensor([1.11]))
        self.absorption_per_100_km = nn.Parameter(torch.tensor([0.189]))
        self.offset = nn.Parameter(torch.tensor([6.0 if unit == "m/s" else 4.5 for unit in UNITS]))

    def forward(self, log_amplitude: Tensor, length_km: Tensor, unit_index: Tensor) -> Tensor:
        """Magnitude `(window,)` of log₁₀ amplitudes at hypocentral distances."""
        length_km = length_km.clamp(min=0.1)
        path = self.spreading * length_km.log10() + self.absorption_per_100_km * (length_km / 100.0)
        return log_amplitude + path + self.offset[unit_index]


def log_peak(features: SeismicFeatures, p_s: Tensor, rate_hz: float) -> tuple[Tensor, Tensor]:
    """log₁₀ of the largest amplitude from P on, in input units, and whether it stands out, `(window,)`.

    p_s: P after each window's first sample `(window,)`. rate_hz: the model's.
    """
    size = features["waveform"].float().abs().amax(dim=1)
    time_s = torch.arange(size.shape[-1], device=size.device) / rate_hz
    after = time_s >= p_s[:, None]
    signal = torch.where(after, size, 0.0).amax(dim=-1)
    # Half a second before P is left to those who pick late.
    noise = torch.where(time_s < p_s[:, None] - 0.5, size, 0.0).amax(dim=-1)
    stands_out = (signal > 0) & (signal >= ABOVE_NOISE * noise)
    return features["log_gain"] + signal.clamp(min=1e-6).log10(), stands_out


def units_of(units: tuple[str, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """Each window's position in `UNITS`, and whether its amplitudes mean something."""
    index = torch.tensor([UNITS.index(unit) for unit in units], device=device)
    known = torch.tensor([unit in KNOWN_UNITS for unit in units], device=device)
    return index, known
