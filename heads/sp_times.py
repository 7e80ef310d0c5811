"""How long S comes after P, for any distance and depth, as something that gradients pass through."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ..data.earth.velocity import VelocityModel


class SpTimes(nn.Module):
    """S − P of the first arrivals in a layered velocity model, by interpolation.

    What is interpolated, linearly in distance and depth, is seconds per km of the straight way, which varies
    slowly. Beyond the table's edge the seconds per km stay what they are there.

    spacing_km: of the table, in both directions.
    """

    def __init__(
        self,
        model: VelocityModel,
        max_distance_km: float = 400.0,
        max_depth_km: float = 80.0,
        spacing_km: float = 2.0,
    ) -> None:
        super().__init__()
        if not (max_distance_km > spacing_km > 0 and max_depth_km > spacing_km):
            raise ValueError(
                "spacing_km must be positive and below max_distance_km and max_depth_km, "
                f"found {spacing_km}, {max_distance_km} and {max_depth_km}"
            )
        self.spacing_km = spacing_km
        # Half a cell off: the way from a source at the station has no length to divide by.
        distance_km = (np.arange(round(max_distance_km / spacing_km)) + 0.5) * spacing_km
        depth_km = np.arange(round(max_depth_km / spacing_km) + 1) * spacing_km
        distance_km, depth_km = np.meshgrid(distance_km, depth_km, indexing="ij")
        p_s, s_s = (model.travel_time_s(distance_km, depth_km, phase) for phase in "PS")
        table = torch.from_numpy((s_s - p_s) / np.hypot(distance_km, depth_km)).float()
        self.register_buffer("s_per_km", table, persistent=False)
        self.s_per_km: Tensor

    def forward(self, distance_km: Tensor, depth_km: Tensor) -> Tensor:
        """S − P in seconds, of the arguments' shape; a negative depth counts as 0."""
        depth_km = depth_km.clamp(min=0.0)
        length_km = (distance_km.square() + depth_km.square() + 1e-6).sqrt()
        rows, columns = self.s_per_km.shape
        row = (distance_km / self.spacing_km - 0.5).clamp(0, rows - 1)
        column = (depth_km / self.spacing_km).clamp(0, columns - 1)
        i, j = row.detach().long().clamp(max=rows - 2), column.detach().long().clamp(max=columns - 2)
        x, z = row - i, column - j
        near = self.s_per_km[i, j] * (1 - z) + self.s_per_km[i, j + 1] * z
        far = self.s_per_km[i + 1, j] * (1 - z) + self.s_per_km[i + 1, j + 1] * z
        return length_km * (near * (1 - x) + far * x)
