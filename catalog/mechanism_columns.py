"""What a catalog says of one solution for the mechanism of an event."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ..data.mechanism.double_couple import auxiliary_planes, couple_tensors, fault_vectors
from ..data.mechanism.radiation import log10_sp_ratio, p_radiation, ray_products, rays_of
from ..eval.mechanism.first_motions import FirstMotions, azimuthal_gap_deg
from ..eval.mechanism.quality import weighted_misfit
from .events import MECHANISM_ANGLES


def columns_of(motions: FirstMotions, mechanism_deg: Sequence[float]) -> dict[str, Any]:
    """Both planes of a mechanism, how first motions lie about them, and how S/P ratios agree."""
    mechanism = torch.tensor(mechanism_deg, dtype=torch.float64)
    products = ray_products(rays_of(motions.azimuth_deg[0], motions.takeoff_deg[0]))
    tensor = couple_tensors(*fault_vectors(mechanism))[None]
    misfit, station_ratio = weighted_misfit(motions, p_radiation(products, tensor)[:, 0])
    off = (log10_sp_ratio(products, tensor)[:, 0] - motions.log10_sp_ratio).abs()
    angles_deg = [*mechanism.tolist(), *auxiliary_planes(mechanism).tolist()]
    return dict(zip(MECHANISM_ANGLES, angles_deg, strict=True)) | {
        "polarity_misfit": misfit,
        "polarity_gap_deg": azimuthal_gap_deg(motions.azimuth_deg[0, motions.polarity != 0]),
        "station_ratio": station_ratio,
        "ratio_misfit_log10": float(off.nanmean()),
    }
