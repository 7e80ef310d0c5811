"""What a seismologist would read off a window: S − P, and the amplitudes of both."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..foundation.features import FeatureSpec, SeismicFeatures
from .arrival_looks import ArrivalLooks
from .spectrum import FLOOR, frame_frequencies_hz, in_bands, token_power

BANDS_HZ = ((0.7, 2.0), (2.0, 4.0), (4.0, 8.0), (8.0, 16.0))
ARRIVAL_S = 0.5
LEAST_SP_S = 0.1
SP_SCALE_S = 10.0


class MeasuredArrivals(nn.Module):
    """Two looks that find P and S, the seconds between them, and log₁₀ of the power in bands at each.

    width: how many figures a window has. The powers are those of the normalized waveform: with the log gain
    they are amplitudes, without it only their ratios tell something.
    """

    width = 2 + 2 * len(BANDS_HZ)

    def __init__(self, spec: FeatureSpec) -> None:
        super().__init__()
        self.token_samples, self.rate_hz = spec.token_samples, spec.rate_hz
        self.looks = ArrivalLooks(spec.dim, ("p", "s"), ARRIVAL_S)

    def forward(self, features: SeismicFeatures) -> tuple[Tensor, Tensor]:
        """The figures `(window, width)`, and log attention `(window, token, 2)`, both float32."""
        dtype = self.looks.score.weight.dtype
        looks = self.looks(features["tokens"].to(dtype), features["token_observed"])
        weight = looks.exp()
        p_s, s_s = torch.einsum("wtl,wt->lw", weight, features["token_time_s"].float())
        sp_s = s_s - p_s
        power = token_power(features["waveform"], self.token_samples, self.rate_hz)
        bands = in_bands(power, frame_frequencies_hz(self.rate_hz).to(power.device), BANDS_HZ)
        level = (torch.einsum("wtl,wtb->wlb", weight, bands) + FLOOR).log10().flatten(1)
        sp = torch.stack((sp_s / SP_SCALE_S, sp_s.clamp(min=LEAST_SP_S).log()), dim=1)
        return torch.cat((sp, level), dim=1), looks
