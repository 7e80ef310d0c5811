"""From a crowd of acceptable mechanisms to the one that they agree on, or the few."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...data.mechanism.double_couple import aligned_frames, frame_angles_deg, frame_vectors

MAX_SOLUTIONS = 5


@dataclass(frozen=True, kw_only=True)
class Preferred:
    """A mean mechanism: its axes `(3, 3)`, the RMS angles in degrees between the normals of its fault and
    auxiliary planes and those of all acceptable mechanisms, and the share of these that it stands for."""

    frame: Tensor
    plane_errors_deg: tuple[float, float]
    share: float


def preferred_mechanisms(frames: Tensor, cone_deg: float, min_share: float) -> list[Preferred]:
    """The mean of the acceptable mechanisms `(mechanism, 3, 3)` without outliers, then that of the outliers.

    The mechanism furthest from the mean is left out until none is beyond `cone_deg`; those left out may be a
    solution of their own, as long as it has `min_share` of all. The first is named however small.
    """
    left = frames
    found: list[Preferred] = []
    while len(left) and len(found) < MAX_SOLUTIONS:
        mean, inside = _mean_within(left, cone_deg)
        share = int(inside.sum()) / len(frames)
        if found and share <= min_share:
            break
        found.append(Preferred(frame=mean, plane_errors_deg=_plane_errors_deg(frames, mean), share=share))
        left = left[~inside]
    return sorted(found, key=lambda solution: -solution.share)


def mean_frame(frames: Tensor, weights: Tensor | None = None) -> Tensor:
    """The axes nearest to all of some mechanisms, `(3, 3)` of `(mechanism, 3, 3)`.

    Each is first signed like the mean so far, beginning with the first one; the mean of the matrices is then
    made a rotation again by its singular vectors.
    """
    mean = frames[0] if weights is None else frames[int(weights.argmax())]
    weighted = frames if weights is None else frames * weights[:, None, None]
    for _ in range(10):
        signed = aligned_frames(weighted, mean)
        left, _, right = torch.linalg.svd(signed.mean(dim=0))
        left = torch.cat([left[:, :2], left[:, 2:] * torch.det(left @ right)], dim=1)
        moved_deg = float(frame_angles_deg(left @ right, mean))
        mean = left @ right
        if moved_deg < 0.01:
            break
    return mean


def _mean_within(frames: Tensor, cone_deg: float) -> tuple[Tensor, Tensor]:
    """The mean of the mechanisms within a cone about it, and which those are."""
    inside = torch.ones(len(frames), dtype=torch.bool)
    while True:
        mean = mean_frame(frames[inside])
        angles_deg = frame_angles_deg(frames, mean).where(inside, -1.0)
        furthest = int(angles_deg.argmax())
        if float(angles_deg[furthest]) <= cone_deg:
            return mean, inside
        inside[furthest] = False


def _plane_errors_deg(frames: Tensor, mean: Tensor) -> tuple[float, float]:
    """RMS angles of the normals of both planes from those of the mean."""
    errors = []
    for vectors, reference in zip(
        frame_vectors(aligned_frames(frames, mean)), frame_vectors(mean), strict=True
    ):
        angles_deg = (vectors @ reference).clamp(-1.0, 1.0).acos().rad2deg()
        errors.append(float(angles_deg.square().mean().sqrt()))
    return errors[0], errors[1]
