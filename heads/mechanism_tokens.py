"""What a mechanism network reads of each station: its ray, first motion, amplitudes, and its waveform."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..data.mechanism.observations import EventObservations
from ..data.mechanism.radiation import SP_AT_EQUAL_RADIATION, ray_products, rays_of

TOKEN_FEATURES = 23

TYPICAL_LOG10_SNR = 1.0


def station_features(observations: EventObservations) -> Tensor:
    """The numbers of each station `(event, station, 23)`, all zero for padding.

    The ray's products, their products with the polarity and with log10 S/P, and the last five numbers:
    whether polarity and ratio are known, the ratio, whether the SNR is known, and it. A double couple's P is
    linear in the first.
    """
    products = products_of(observations)
    polarity = observations.polarity.nan_to_num(0.0)
    known = observations.polarity.isfinite(), observations.log10_sp_ratio.isfinite()
    ratio = (observations.log10_sp_ratio - SP_AT_EQUAL_RADIATION).nan_to_num(0.0)
    parts = [products, products * polarity[..., None], products * ratio[..., None]]
    parts.append(torch.stack([known[0].to(ratio), known[1].to(ratio), ratio], dim=-1))
    if observations.log10_snr is None:
        parts.append(torch.zeros_like(parts[-1][..., :2]))
    else:
        snr = observations.log10_snr - TYPICAL_LOG10_SNR
        parts.append(torch.stack([snr.isfinite().to(ratio), snr.nan_to_num(0.0)], dim=-1))
    return torch.cat(parts, dim=-1).where(observations.observed[..., None], 0.0)


def products_of(observations: EventObservations) -> Tensor:
    """The rays' products `(event, station, 6)`, of downward rays for padding."""
    observed = observations.observed
    return ray_products(
        rays_of(observations.azimuth_deg.where(observed, 0.0), observations.takeoff_deg.where(observed, 0.0))
    )


def reference_azimuths_deg(observations: EventObservations) -> Tensor:
    """The direction in which the stations lie on average `(event,)`: it turns with them."""
    weight = observations.takeoff_deg.deg2rad().sin().where(observations.observed, 0.0)
    azimuth = observations.azimuth_deg.deg2rad().where(observations.observed, 0.0)
    return torch.atan2((weight * azimuth.sin()).sum(dim=1), (weight * azimuth.cos()).sum(dim=1)).rad2deg()


class WaveformReader(nn.Module):
    """What the motion about a P tells: which way it goes, and numbers that do not depend on the way.

    An upside-down record gives the opposite polarity and the same numbers, exactly. Its own scale does not
    matter.
    """

    def __init__(self, num_samples: int, dim: int) -> None:
        super().__init__()
        self.num_samples = num_samples
        self.layers = nn.Sequential(
            nn.Conv1d(1, 16, 7, stride=2, padding=3),
            nn.GELU(),
            nn.Conv1d(16, 32, 7, stride=2, padding=3),
            nn.GELU(),
            nn.Conv1d(32, 32, 7, stride=2, padding=3),
            nn.GELU(),
            nn.Flatten(),
            nn.Linear(32 * -(-num_samples // 8), 1 + dim),
        )

    def forward(self, observations: EventObservations) -> tuple[Tensor, Tensor]:
        """Polarity `(event, station)` between −1 and 1, NaN without a waveform, and `(event, station, dim)`.

        Raises ValueError for events without waveforms, or with others than the network was made for.
        """
        waveform = observations.waveform
        if waveform is None or waveform.shape[-1] != self.num_samples:
            found = "none" if waveform is None else waveform.shape[-1]
            raise ValueError(
                f"this network reads waveforms of {self.num_samples} samples about each P, found {found}"
            )
        there = observations.observed & waveform.isfinite().all(dim=-1)
        motion = waveform.where(there[..., None], 0.0).flatten(0, 1)
        motion = (motion / motion.abs().amax(dim=-1, keepdim=True).clamp(min=1e-30))[:, None]
        up, down = self.layers(motion), self.layers(-motion)
        polarity = ((up - down)[:, 0]).tanh().unflatten(0, there.shape)
        numbers = F.gelu(up + down)[:, 1:].unflatten(0, there.shape)
        return polarity.masked_fill(~there, torch.nan), numbers.where(there[..., None], 0.0)
