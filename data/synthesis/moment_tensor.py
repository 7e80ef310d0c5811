"""How strongly, and with which sign, a source sends P, SV and SH in a direction.

Directions are (north, east, down); the take-off angle is from the downward vertical. Aki & Richards (2002),
sections 3.3 and 4.3 to 4.5.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..mechanism.double_couple import couple_tensors, fault_vectors
from .plan import Sources


def moment_tensors(sources: Sources) -> Tensor:
    """Each record's moment tensor over its moment, float64 `(record, 3, 3)` of north, east and down.

    The double couple is n uᵀ + u nᵀ of fault normal and slip, the isotropic part the identity, and the CLVD
    −½, −½, 1 along north, east and down: every part alone sends a P of at most 1.
    """
    parts = torch.stack([sources.double_couple, sources.isotropic, sources.clvd], dim=1).double()
    couple = couple_tensors(*fault_vectors(sources.mechanism_deg.double().nan_to_num(0.0)))
    clvd = torch.tensor([-0.5, -0.5, 1.0], dtype=torch.float64, device=parts.device).diag()
    identity = torch.eye(3, dtype=torch.float64, device=parts.device)
    share = parts[:, :, None, None]
    return share[:, 0] * couple + share[:, 1] * identity + share[:, 2] * clvd


def radiated(tensors: Tensor, azimuth_deg: Tensor, takeoff_deg: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Far-field amplitudes of P, SV and SH `(record, ray)` in directions of that shape, NaN where they are.

    tensors: `(record, 3, 3)`. With the ray γ and the directions θ and φ across it, F_P = γ·M·γ,
    F_SV = θ·M·γ, F_SH = φ·M·γ. P is positive outwards (first motion up at a station above), SV along θ
    (upwards for any ray), SH along φ (clockwise from above).
    """
    azimuth, takeoff = torch.broadcast_tensors(azimuth_deg.double().deg2rad(), takeoff_deg.double().deg2rad())
    sin_a, cos_a, sin_i, cos_i = azimuth.sin(), azimuth.cos(), takeoff.sin(), takeoff.cos()
    ray = torch.stack([sin_i * cos_a, sin_i * sin_a, cos_i], dim=-1)
    theta = torch.stack([cos_i * cos_a, cos_i * sin_a, -sin_i], dim=-1)
    phi = torch.stack([-sin_a, cos_a, torch.zeros_like(sin_a)], dim=-1)
    pulled = ray @ tensors
    return (pulled * ray).sum(dim=-1), (pulled * theta).sum(dim=-1), (pulled * phi).sum(dim=-1)


def with_water_level(amplitude: Tensor, level: Tensor | float) -> Tensor:
    """Amplitudes kept away from zero, sign preserved: scattering fills the nodes of real radiation."""
    lifted = torch.hypot(amplitude, torch.as_tensor(level, dtype=amplitude.dtype, device=amplitude.device))
    return torch.where(amplitude < 0, -lifted, lifted)
