"""The pressure that a hydrophone at the sea floor hears while the floor moves."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from scipy.fft import next_fast_len
from torch import Tensor

from ..loading.window_random import WindowRandom
from .draws import check_ranges, check_shares, log_uniform, uniform

SOUND_SPEED_M_S = 1500.0
WATER_DENSITY_KG_M3 = 1030.0
IMPEDANCE_PA_S_M = SOUND_SPEED_M_S * WATER_DENSITY_KG_M3
"""Pressure of a plane wave in water for each m/s of its motion."""


@dataclass(frozen=True, kw_only=True)
class HydrophoneConfig:
    """Ocean bottom stations with a fourth component.

    share: of the records that have a hydrophone. depth_m: of the water, log-uniform. bottom_reflection: of
    sound at the sea floor, low on mud and high on basalt.
    """

    share: float = 1.0
    depth_m: tuple[float, float] = (50.0, 5000.0)
    bottom_reflection: tuple[float, float] = (0.2, 0.6)

    def __post_init__(self) -> None:
        check_shares(self, "share")
        check_ranges(self, "depth_m", lowest=1.0)
        check_ranges(self, "bottom_reflection", lowest=0.0)
        if self.bottom_reflection[1] >= 1.0:
            raise ValueError(f"bottom_reflection must stay below 1, found {self.bottom_reflection}")


def draw_hydrophone(station: WindowRandom, config: HydrophoneConfig) -> tuple[Tensor, Tensor, Tensor]:
    """Whether each record has a hydrophone, the water's depth in m, the floor's reflection, `(record,)`."""
    return (
        station.uniform("hydrophone/share") < config.share,
        log_uniform(station, "hydrophone/depth_m", config.depth_m),
        uniform(station, "hydrophone/reflection", config.bottom_reflection),
    )


def pressure_pa(vertical_m_s: Tensor, depth_m: Tensor, bottom_reflection: Tensor, rate_hz: float) -> Tensor:
    """Pressure at the sea floor, `(record, sample)`, positive where the floor rises.

    The floor sends ρ c v upwards; it comes back from the surface with its sign turned after T = 2 h / c, and
    goes up again by the floor's reflection r: p = ρ c v (1 + r)/2 · (1 − z)/(1 + r z), z = exp(−i ω T). The
    factor (1 + r)/2 makes it ρ h times the acceleration at frequencies far below 1/T, where the water rides
    on the floor; for r = 1 it is the i ρ c tan(ω h/c) of a floor whose motion is given.

    vertical_m_s: `(record, sample)`; depth_m, bottom_reflection: `(record,)`.
    """
    num_samples = vertical_m_s.shape[-1]
    length = next_fast_len(2 * num_samples, real=True)
    frequency_hz = torch.fft.rfftfreq(length, 1.0 / rate_hz, device=vertical_m_s.device)
    delay_s = 2.0 * depth_m / SOUND_SPEED_M_S
    turn = torch.outer(delay_s, -2.0 * math.pi * frequency_hz)
    z = torch.polar(torch.ones_like(turn), turn)
    r = bottom_reflection[:, None]
    echoes = 0.5 * (1.0 + r) * (1.0 - z) / (1.0 + r * z)
    spectrum = torch.fft.rfft(vertical_m_s, n=length) * echoes
    return IMPEDANCE_PA_S_M * torch.fft.irfft(spectrum, n=length)[..., :num_samples]
