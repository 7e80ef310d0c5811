"""All double couples on a grid: what a search goes through."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor


@lru_cache(maxsize=4)
def mechanism_grid(step_deg: float) -> tuple[Tensor, Tensor]:
    """Normals and slips `(mechanism, 3)`, float64, with neighbours some `step_deg` apart.

    Normals lie evenly on half a sphere and slips evenly around each. Of the two nodal planes of a mechanism
    the less steep one stands for both, so that every double couple comes once.

    Raises ValueError for a step outside of 1 to 45 degrees.
    """
    if not 1.0 <= step_deg <= 45.0:
        raise ValueError(f"a grid's step must lie between 1 and 45 degrees, found {step_deg}")
    normals = _upper_hemisphere(step_deg)
    east = torch.zeros_like(normals)
    east[:, 1] = 1.0
    along = torch.linalg.cross(east, normals, dim=1)
    # A normal that points east has no perpendicular to east and itself.
    north = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64).expand_as(normals)
    along = torch.where(along.norm(dim=1, keepdim=True) > 1e-6, along, north)
    along = along / along.norm(dim=1, keepdim=True)
    across = torch.linalg.cross(normals, along, dim=1)
    turn = torch.arange(0.0, 360.0, step_deg, dtype=torch.float64).deg2rad()[None, :, None]
    slips = turn.cos() * along[:, None] + turn.sin() * across[:, None]
    both = normals[:, None].expand_as(slips).reshape(-1, 3), slips.reshape(-1, 3)
    once = both[0][:, 2].abs() >= both[1][:, 2].abs()
    return both[0][once], both[1][once]


def _upper_hemisphere(step_deg: float) -> Tensor:
    """Unit vectors `(point, 3)` that point up, in rings with an equal share of the sphere for each point."""
    points = []
    rings = round(90.0 / step_deg)
    for ring in range(rings):
        polar = math.radians((ring + 0.5) * 90.0 / rings)
        count = max(1, round(360.0 * math.sin(polar) / step_deg))
        around = (torch.arange(count, dtype=torch.float64) + 0.5) * (2.0 * math.pi / count)
        up = torch.full_like(around, -math.cos(polar))
        points.append(
            torch.stack([math.sin(polar) * around.cos(), math.sin(polar) * around.sin(), up], dim=1)
        )
    return torch.cat(points)
