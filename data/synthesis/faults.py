"""What goes wrong between the ground and the archive: wrong gains and wires, dead channels, gaps, clips."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..loading.window_random import WindowRandom
from .draws import check_ranges, check_shares, uniform


@dataclass(frozen=True, kw_only=True)
class FaultConfig:
    """How often an installation or its telemetry is at fault, each a share of the records.

    reversed_share: one component upside down. swapped_share: N and E exchanged. gain_error_share,
    gain_error_db: one component louder or quieter than its metadata say. dead_share: one component not
    observed. gap_share, gap_s: a stretch of all components not observed. clip_share, clip_fraction: nothing
    beyond a fraction of the record's peak.
    """

    reversed_share: float = 0.01
    swapped_share: float = 0.01
    gain_error_share: float = 0.03
    gain_error_db: tuple[float, float] = (-12.0, 12.0)
    dead_share: float = 0.03
    gap_share: float = 0.03
    gap_s: tuple[float, float] = (0.2, 5.0)
    clip_share: float = 0.01
    clip_fraction: tuple[float, float] = (0.2, 0.9)

    def __post_init__(self) -> None:
        check_shares(self, "reversed_share", "swapped_share", "gain_error_share")
        check_shares(self, "dead_share", "gap_share", "clip_share")
        check_ranges(self, "gain_error_db")
        check_ranges(self, "gap_s", "clip_fraction", lowest=1e-3)


@dataclass(frozen=True, kw_only=True)
class Wiring:
    """What a station's wires do to its three components.

    factor: `(record, 3)`, by what each is multiplied, below 0 where it is upside down. swapped: bool
    `(record,)`, whether N and E are exchanged, after that.
    """

    factor: Tensor
    swapped: Tensor

    @property
    def reversed_vertical(self) -> Tensor:
        """Where a first motion is seen upside down, bool `(record,)`."""
        return self.factor[:, 0] < 0

    @property
    def wrong_horizontals(self) -> Tensor:
        """Where the horizontals' directions mislead, bool `(record,)`."""
        return self.swapped | (self.factor[:, 1:] < 0).any(dim=1)


def draw_wiring(station: WindowRandom, config: FaultConfig) -> Wiring:
    """Reversed, exchanged and wrongly scaled components of each record."""
    draws = station.uniform("faults/wiring", 5)
    reversed_ = (draws[:, 0] < config.reversed_share)[:, None] & _one_of_three(draws[:, 1])
    wrong = (draws[:, 2] < config.gain_error_share)[:, None] & _one_of_three(draws[:, 3])
    error = torch.pow(10.0, uniform(station, "faults/gain_error_db", config.gain_error_db) / 20.0)
    factor = torch.where(wrong, error[:, None], 1.0) * torch.where(reversed_, -1.0, 1.0)
    return Wiring(factor=factor, swapped=draws[:, 4] < config.swapped_share)


def wire(motion: Tensor, wiring: Wiring) -> Tensor:
    """Z, N, E `(record, 3, sample)` as they come out of a station's wires; a new tensor."""
    wired = motion * wiring.factor[:, :, None]
    rows = wiring.swapped.nonzero().flatten()
    wired[rows] = wired[rows][:, (0, 2, 1)]
    return wired


def clip(waveform: Tensor, station: WindowRandom, config: FaultConfig) -> None:
    """Cut the peaks of some records, in place."""
    rows = (station.uniform("faults/clip") < config.clip_share).nonzero().flatten()
    if len(rows):
        chosen = waveform[rows]
        fraction = uniform(station.select(rows), "faults/clip_fraction", config.clip_fraction)
        limit = (fraction * chosen.abs().amax(dim=(1, 2)))[:, None, None]
        waveform.index_copy_(0, rows, chosen.clamp_(-limit, limit))


def lose(waveform: Tensor, station: WindowRandom, rate_hz: float, config: FaultConfig) -> None:
    """Dead components and gaps as NaN, in place; a gap is at most half of the record."""
    draws = station.uniform("faults/lose", 5)
    dead = (draws[:, 0] < config.dead_share)[:, None] & _one_of_three(draws[:, 1])
    record, component = dead.nonzero(as_tuple=True)
    waveform[record, component] = torch.nan
    rows = (draws[:, 2] < config.gap_share).nonzero().flatten()
    if len(rows):
        num_samples = waveform.shape[-1]
        low, high = config.gap_s
        length = ((low + (high - low) * draws[rows, 3]) * rate_hz).round().clamp_(1, num_samples // 2)
        first = (draws[rows, 4] * (num_samples - length)).floor()
        sample = torch.arange(num_samples, device=waveform.device)
        lost = (sample >= first[:, None]) & (sample < (first + length)[:, None])
        waveform.index_copy_(0, rows, waveform[rows].masked_fill_(lost[:, None], torch.nan))


def _one_of_three(draw: Tensor) -> Tensor:
    """One component of three, bool `(record, 3)`."""
    return torch.arange(3, device=draw.device) == (3.0 * draw).floor()[:, None]
