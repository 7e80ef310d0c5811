"""How probable every mechanism is: densities over double couples that know their symmetry.

log p(R) = ⟨A, TTᵀ − PPᵀ⟩ + ⟨C, BBᵀ⟩ + L(R) − log Z with symmetric A and C. The statistics are the same for
the four rotations that are one double couple: their part is the Bingham distribution of the quaternion
(Bingham, 1974, Ann. Stat. 2, 1201–1225) made symmetric. L is what the stations say of the moment tensor
(`mechanism_evidence`), which is the same for them too. Z is a sum over a grid, turned at random in training,
and good to a few percent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..data.mechanism.double_couple import aligned_frames, couple_tensors, frame_angles_deg, frame_vectors
from ..data.mechanism.radiation import tensor_weights

NUM_STATISTICS = 12


def statistics(frames: Tensor) -> Tensor:
    """TTᵀ − PPᵀ and BBᵀ of axes `(…, 3, 3)` as twelve numbers `(…, 12)`, off the diagonal twice."""
    null = frames[..., 1]
    tensors = couple_tensors(*frame_vectors(frames)), null[..., :, None] * null[..., None, :]
    return torch.cat([tensor_weights(tensor) for tensor in tensors], dim=-1)


def log_density(at_truth: Tensor, on_grid: Tensor) -> Tensor:
    """log p `(event,)` of the true axes against uniform, with Z from a grid of axes.

    at_truth, on_grid: log p up to a constant of each event, `(event,)` and `(event, mechanism)`.
    """
    return at_truth - on_grid.logsumexp(dim=-1) + math.log(on_grid.shape[-1])


@dataclass(frozen=True, kw_only=True)
class MechanismAnswer:
    """What is known of each event's mechanism.

    frame: the axes `(event, 3, 3)` of the best answer. error_deg: expected Kagan angle `(event,)`.
    radius_deg: Kagan angle within which the truth lies with a probability of 68 and 95 % `(event, 2)`.
    """

    frame: Tensor
    error_deg: Tensor
    radius_deg: Tensor


def answer_of(on_grid: Tensor, grid: Tensor, cone_deg: float = 45.0) -> MechanismAnswer:
    """The mean of the density within a cone about its mode, as a grid search averages acceptable ones.

    on_grid: log p up to a constant of each event `(event, mechanism)`; grid: `(mechanism, 3, 3)`.
    """
    answers = [_answer(one, grid, cone_deg) for one in on_grid.softmax(dim=-1)]
    frames, errors_deg, radii_deg = zip(*answers, strict=True)
    return MechanismAnswer(
        frame=torch.stack(frames), error_deg=torch.stack(errors_deg), radius_deg=torch.stack(radii_deg)
    )


def _answer(probability: Tensor, grid: Tensor, cone_deg: float) -> tuple[Tensor, Tensor, Tensor]:
    mode = grid[probability.argmax()]
    near = probability * (frame_angles_deg(grid, mode) <= cone_deg)
    left, _, right = torch.linalg.svd((near[:, None, None] * aligned_frames(grid, mode)).sum(dim=0))
    frame = torch.cat([left[:, :2], left[:, 2:] * torch.det(left @ right)], dim=1) @ right
    angles_deg, order = frame_angles_deg(grid, frame).sort()
    below = probability[order].cumsum(dim=0)
    rank = torch.searchsorted(below, below.new_tensor([0.68, 0.95])).clamp(max=len(grid) - 1)
    return frame, (probability[order] * angles_deg).sum(), angles_deg[rank]
