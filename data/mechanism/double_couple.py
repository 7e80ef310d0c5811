"""The geometry of a fault: planes, slip, pressure and tension axes, and how far two mechanisms are apart.

Vectors are (north, east, down), angles in degrees: strike clockwise from north with the fault dipping to its
right, rake of the hanging wall's motion (Aki & Richards, 2002, section 4.5). All functions work on any batch
shape `(…)` and are differentiable except where said.

A double couple looks the same after half a turn about any of its three axes, so it is four rotations at once.
"""

from __future__ import annotations

import torch
from torch import Tensor


def fault_vectors(mechanism_deg: Tensor) -> tuple[Tensor, Tensor]:
    """The fault's normal, pointing up out of the footwall, and the slip of the hanging wall, `(…, 3)`.

    mechanism_deg: strike, dip and rake `(…, 3)`.
    """
    strike, dip, rake = mechanism_deg.deg2rad().unbind(dim=-1)
    normal = torch.stack([-dip.sin() * strike.sin(), dip.sin() * strike.cos(), -dip.cos()], dim=-1)
    slip = torch.stack(
        [
            rake.cos() * strike.cos() + dip.cos() * rake.sin() * strike.sin(),
            rake.cos() * strike.sin() - dip.cos() * rake.sin() * strike.cos(),
            -rake.sin() * dip.sin(),
        ],
        dim=-1,
    )
    return normal, slip


def couple_tensors(normal: Tensor, slip: Tensor) -> Tensor:
    """The moment tensor of a shear fault over its moment, n uᵀ + u nᵀ, `(…, 3, 3)`."""
    return normal[..., :, None] * slip[..., None, :] + slip[..., :, None] * normal[..., None, :]


def mechanisms_of(normal: Tensor, slip: Tensor) -> Tensor:
    """Strike in [0, 360), dip in [0, 90] and rake in (−180, 180] `(…, 3)` of a normal and a slip.

    Both may be of any length and need not be exactly perpendicular. The rake of a horizontal fault is
    measured from the strike that `atan2` gives it. Swap normal and slip for the other nodal plane.
    """
    sign = torch.where(normal[..., 2:] > 0, -1.0, 1.0).to(normal)
    normal, slip = (sign * vector / vector.norm(dim=-1, keepdim=True) for vector in (normal, slip))
    strike = torch.atan2(-normal[..., 0], normal[..., 1])
    dip = torch.atan2(torch.hypot(normal[..., 0], normal[..., 1]), -normal[..., 2])
    along = slip[..., 0] * strike.cos() + slip[..., 1] * strike.sin()
    # Up the dip, within the plane: across the strike times its horizontal part, or straight up.
    across = slip[..., 0] * strike.sin() - slip[..., 1] * strike.cos()
    up_dip = across * dip.cos() - slip[..., 2] * dip.sin()
    return torch.stack(
        [strike.rad2deg() % 360.0, dip.rad2deg(), torch.atan2(up_dip, along).rad2deg()], dim=-1
    )


def auxiliary_planes(mechanism_deg: Tensor) -> Tensor:
    """The other nodal plane's strike, dip and rake `(…, 3)`: the radiation cannot tell them apart."""
    normal, slip = fault_vectors(mechanism_deg)
    return mechanisms_of(slip, normal)


def frames_of(normal: Tensor, slip: Tensor) -> Tensor:
    """The tension, null and pressure axes as the columns of a rotation matrix `(…, 3, 3)`."""
    tension, pressure = normal + slip, normal - slip
    tension = tension / tension.norm(dim=-1, keepdim=True)
    pressure = pressure / pressure.norm(dim=-1, keepdim=True)
    return torch.stack([tension, torch.linalg.cross(pressure, tension, dim=-1), pressure], dim=-1)


def frame_vectors(frames: Tensor) -> tuple[Tensor, Tensor]:
    """Normal and slip `(…, 3)` of frames of axes: the inverse of `frames_of`."""
    tension, pressure = frames[..., 0], frames[..., 2]
    root_half = 0.5**0.5
    return (tension + pressure) * root_half, (tension - pressure) * root_half


def nearest_frames(tensors: Tensor) -> Tensor:
    """The axes of the double couple nearest to each symmetric tensor `(…, 3, 3)`, as `frames_of` gives them.

    The eigenvectors of the largest, middle and smallest eigenvalue are T, B and P. Not to be differentiated:
    eigenvectors have no derivative where eigenvalues meet.
    """
    _, vectors = torch.linalg.eigh(tensors.detach())
    tension, pressure = vectors[..., 2], vectors[..., 0]
    return torch.stack([tension, torch.linalg.cross(pressure, tension, dim=-1), pressure], dim=-1)


def frame_angles_deg(first: Tensor, second: Tensor) -> Tensor:
    """The smallest rotation `(…)` that turns one frame of axes `(…, 3, 3)` into the other, 0 to 120 degrees.

    Kagan (1991), Geophys. J. Int. 106, 709–716, through the four rotations that are one double couple:
    cos α = (max over sign pairs of ±t·t′ ± b·b′ ± p·p′ − 1) / 2.
    """
    t, b, p = (first * second).sum(dim=-2).unbind(dim=-1)
    traces = torch.stack([t + b + p, t - b - p, b - t - p, p - t - b], dim=-1)
    cosine = (traces.amax(dim=-1) - 1.0) / 2.0
    return cosine.clamp(-1.0, 1.0).acos().rad2deg()


def kagan_angles_deg(first_deg: Tensor, second_deg: Tensor) -> Tensor:
    """How far mechanisms `(…, 3)` of strike, dip and rake are apart, in degrees `(…)`.

    0 for the same mechanism by either plane, at most 120; random ones have a mean of 75.3.
    """
    frames = [frames_of(*fault_vectors(angles.double())) for angles in (first_deg, second_deg)]
    return frame_angles_deg(frames[0], frames[1])


def aligned_frames(frames: Tensor, reference: Tensor) -> Tensor:
    """Each frame `(…, 3, 3)` with its axes signed so that it is nearest to the reference."""
    t, b, p = (frames * reference).sum(dim=-2).unbind(dim=-1)
    best = torch.stack([t + b + p, t - b - p, b - t - p, p - t - b], dim=-1).argmax(dim=-1)
    signs = frames.new_tensor([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    return frames * signs[best][..., None, :]


def quaternions_of(frames: Tensor) -> Tensor:
    """Unit quaternions (w, x, y, z) `(…, 4)` of rotation matrices, with w ≥ 0.

    The symmetric 4 × 4 matrix of Bar-Itzhack (2000), J. Guid. Control Dyn. 23, 1085–1087, has the quaternion
    as its leading eigenvector, which is exact for all rotations, half turns included.
    """
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = (row.unbind(dim=-1) for row in frames.unbind(dim=-2))
    rows = [
        [xx + yy + zz, zy - yz, xz - zx, yx - xy],
        [zy - yz, xx - yy - zz, xy + yx, xz + zx],
        [xz - zx, xy + yx, yy - xx - zz, yz + zy],
        [yx - xy, xz + zx, yz + zy, zz - xx - yy],
    ]
    matrix = torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
    quaternion = torch.linalg.eigh(matrix)[1][..., -1]
    return torch.where(quaternion[..., :1] < 0, -quaternion, quaternion)


def rotations_of(quaternions: Tensor) -> Tensor:
    """Rotation matrices `(…, 3, 3)` of quaternions (w, x, y, z) of any length but 0."""
    w, x, y, z = (quaternions / quaternions.norm(dim=-1, keepdim=True)).unbind(dim=-1)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def random_frames(count: int, generator: torch.Generator) -> Tensor:
    """Axes of mechanisms without any preference, float64 `(count, 3, 3)`: uniform over rotations."""
    return rotations_of(torch.randn(count, 4, generator=generator, dtype=torch.float64))
