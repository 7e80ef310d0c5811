"""From ground motion and noise to what an archive holds: counts with faults, gaps and missing components."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..loading.window_random import WindowRandom
from .draws import check_shares
from .faults import FaultConfig, clip, draw_wiring, lose, wire
from .hydrophone import IMPEDANCE_PA_S_M, HydrophoneConfig, draw_hydrophone, pressure_pa

FULL_SCALE_COUNTS = float(2**23 - 1)
"""A digitizer of 24 bits goes no further."""


@dataclass(frozen=True, kw_only=True)
class RecorderConfig:
    """How motion is written down.

    velocity_share: records that are given in physical units, their gain removed, instead of counts.
    vertical_share: stations with the vertical alone. min_noise_counts: a station's gain is raised until its
    noise's root mean square reaches this, as whoever installs one does.
    faults: of installation and telemetry. hydrophone: of ocean bottom stations; None for land.
    """

    velocity_share: float = 0.3
    vertical_share: float = 0.15
    min_noise_counts: float = 1.0
    faults: FaultConfig = field(default_factory=FaultConfig)
    hydrophone: HydrophoneConfig | None = None

    def __post_init__(self) -> None:
        check_shares(self, "velocity_share", "vertical_share")
        if self.min_noise_counts < 0:
            raise ValueError(f"min_noise_counts must not be negative, found {self.min_noise_counts}")

    @property
    def num_noise_components(self) -> int:
        """How many components of noise `record` takes: one more for the water."""
        return 3 if self.hydrophone is None else 4


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What stations wrote down.

    waveform: float32 `(record, component, sample)`, NaN where not observed. component_names: its rows.
    in_counts: bool `(record,)`; the others are in the motion's own unit. gain_counts_s_m: `(record,)`.
    reversed_vertical: bool `(record,)`, where a polarity has to be turned with the record.
    wrong_horizontals: bool `(record,)`, where the record says nothing true about the back azimuth.
    The hydrophone's row holds pressure over ρ c, the m/s of a plane wave in water, scaled like the others.
    """

    waveform: Tensor
    component_names: tuple[str, ...]
    in_counts: Tensor
    gain_counts_s_m: Tensor
    reversed_vertical: Tensor
    wrong_horizontals: Tensor

    def units(self, physical: str = "m/s") -> tuple[str, ...]:
        """The unit of each record, one of `batch.UNITS`."""
        return tuple("counts" if counts else physical for counts in self.in_counts.tolist())


def record(
    motion: Tensor,
    noise: Tensor,
    gain_counts_s_m: Tensor,
    station: WindowRandom,
    rate_hz: float,
    config: RecorderConfig | None = None,
) -> Recorded:
    """What each station writes down of an event's motion and its own noise.

    motion: `(record, 3, sample)`, Z up, N, E in m/s as the instrument sees it. noise: likewise, with
    `config.num_noise_components`. gain_counts_s_m: counts for 1 m/s, `(record,)`.

    Raises ValueError where motion and noise are not of these shapes.
    """
    config = config or RecorderConfig()
    expected = (len(station), config.num_noise_components, motion.shape[-1])
    if motion.shape != (len(station), 3, motion.shape[-1]) or noise.shape != expected:
        raise ValueError(
            f"motion must be (record, 3, sample) for {len(station)} records and noise {expected}, found "
            f"{tuple(motion.shape)} and {tuple(noise.shape)}: see RecorderConfig.num_noise_components"
        )
    wiring = draw_wiring(station, config.faults)
    waveform = wire(motion + noise[:, :3], wiring)
    if config.hydrophone is not None:
        water = _hydrophone(motion[:, 0] + noise[:, 3], station, rate_hz, config.hydrophone)
        waveform = torch.cat([waveform, water[:, None]], dim=1)
    gain = _at_least(gain_counts_s_m, noise, config.min_noise_counts)
    waveform.mul_(gain[:, None, None]).clamp_(-FULL_SCALE_COUNTS, FULL_SCALE_COUNTS)
    clip(waveform, station, config.faults)
    waveform.round_()
    lose(waveform, station, rate_hz, config.faults)
    kind = station.uniform("recorder/kind", 2)
    alone = (kind[:, 0] < config.vertical_share).nonzero().flatten()
    # A dead vertical is not the only one that a station has.
    waveform[alone, 1:] = torch.where(
        waveform[alone, :1].isnan().all(-1, True), waveform[alone, 1:], torch.nan
    )
    in_counts = kind[:, 1] >= config.velocity_share
    waveform.mul_(torch.where(in_counts, 1.0, 1.0 / gain)[:, None, None])
    return Recorded(
        waveform=waveform,
        component_names=("Z", "N", "E") if config.hydrophone is None else ("Z", "N", "E", "H"),
        in_counts=in_counts,
        gain_counts_s_m=gain,
        reversed_vertical=wiring.reversed_vertical,
        wrong_horizontals=wiring.wrong_horizontals,
    )


def _hydrophone(vertical: Tensor, station: WindowRandom, rate_hz: float, config: HydrophoneConfig) -> Tensor:
    """Pressure over ρ c `(record, sample)`, NaN for stations without a hydrophone."""
    there, depth_m, reflection = draw_hydrophone(station, config)
    pressure = pressure_pa(vertical, depth_m, reflection, rate_hz) / IMPEDANCE_PA_S_M
    return pressure.masked_fill_(~there[:, None], torch.nan)


def _at_least(gain_counts_s_m: Tensor, noise: Tensor, min_counts: float) -> Tensor:
    """The gain, raised where the vertical's noise would drown in the digitizer's steps."""
    rms = noise[:, 0].square().mean(dim=-1).sqrt_().clamp_(min=1e-15)
    return torch.maximum(gain_counts_s_m, min_counts / rms)
