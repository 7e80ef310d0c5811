"""Motion towards up, north and east from components that point anywhere."""

from __future__ import annotations

import torch
from torch import Tensor

from ..continuous.gaps import gappy_rows

SMALLEST_DETERMINANT = 0.1
"""Three axes that span less volume than this (a right-handed set spans 1) do not tell three motions apart."""

_NEGLIGIBLE = 1e-6


def motion_axes(azimuth_deg: Tensor, dip_deg: Tensor) -> Tensor:
    """Unit vectors (up, north, east) of components, `(…, 3)`, from azimuth and dip `(…)` by SEED.

    Azimuth is clockwise from north, dip down from the horizontal: −90 is up, +90 is down.
    """
    azimuth, dip = torch.deg2rad(azimuth_deg.double()), torch.deg2rad(dip_deg.double())
    return torch.stack([-dip.sin(), dip.cos() * azimuth.cos(), dip.cos() * azimuth.sin()], dim=-1)


def zne_matrix(azimuth_deg: Tensor, dip_deg: Tensor) -> Tensor:
    """What turns recorded components into motion up, north and east: float64 `(window, 3, 3)`.

    azimuth_deg, dip_deg: `(window, 3)`, NaN for a component that is not there. Such a one is taken to be
    perpendicular to the others, so that what they can tell alone gets no share of it.

    Sets that are not orthogonal are solved for. Where they do not span the space the matrix is NaN.
    """
    axes = motion_axes(azimuth_deg, dip_deg)
    known = axes.isfinite().all(dim=-1)
    axes = torch.where(known[..., None], axes, 0.0)
    # The rows of the third factor with vanishing singular values are perpendicular to all known axes.
    free = torch.linalg.svd(axes).Vh.flip(-2)
    turn = (~known).long().cumsum(dim=-1).sub(1).clamp(min=0)
    spare = free.gather(-2, turn[..., None].expand_as(free))
    axes = torch.where(known[..., None], axes, spare)
    spans = torch.linalg.det(axes).abs() >= SMALLEST_DETERMINANT
    eye = torch.eye(3, dtype=axes.dtype).expand_as(axes)
    matrix = torch.linalg.inv(torch.where(spans[..., None, None], axes, eye))
    # cos(90°) is not zero to the last bit: exact axes shall give exact samples.
    nearest = matrix.round()
    matrix = torch.where((matrix - nearest).abs() < _NEGLIGIBLE, nearest, matrix)
    return torch.where(spans[..., None, None], matrix, torch.nan)


def rotate_to_zne(waveform: Tensor, azimuth_deg: Tensor, dip_deg: Tensor) -> Tensor:
    """Recorded components `(window, component, sample)` as motion up, north and east, in this order.

    azimuth_deg, dip_deg: `(window, 3)`, see `zne_matrix`. Components that point along an axis, whichever,
    keep their samples to the bit but for the sign. A component's NaN makes those motions NaN that need it.

    Raises ValueError where the components of a window do not span the space.
    """
    if (
        waveform.shape[1] != 3
        or azimuth_deg.shape != waveform.shape[:2]
        or dip_deg.shape != azimuth_deg.shape
    ):
        raise ValueError(
            "expected three components (window, 3, sample) with an azimuth and a dip each, found "
            f"{tuple(waveform.shape)}, {tuple(azimuth_deg.shape)} and {tuple(dip_deg.shape)}"
        )
    matrix = zne_matrix(azimuth_deg.cpu(), dip_deg.cpu())
    flat = matrix.isnan().any(dim=-1).any(dim=-1).nonzero().flatten().tolist()
    if flat:
        raise ValueError(
            f"the components of windows {flat} do not span the space: azimuths "
            f"{azimuth_deg[flat].tolist()}, dips {dip_deg[flat].tolist()}; leave them as they are"
        )
    return apply_matrix(waveform, matrix.to(waveform))


def apply_matrix(waveform: Tensor, matrix: Tensor) -> Tensor:
    """`matrix @ waveform` of each window where a weight of zero takes no part, not even in NaN."""
    gappy = gappy_rows(waveform.flatten(1))
    if not len(gappy):
        return _product(matrix, waveform)
    observed = waveform[gappy].isfinite()
    live = waveform.clone()
    live[gappy] = torch.where(observed, waveform[gappy], 0.0)
    turned = _product(matrix, live)
    lacking = _product((matrix[gappy] != 0).to(waveform), (~observed).to(waveform))
    turned[gappy] = turned[gappy].masked_fill(lacking > 0, torch.nan)
    return turned


def _product(matrix: Tensor, waveform: Tensor) -> Tensor:
    """Not by matmul, which a training run may have set to the ten bits of TF32."""
    first, second, third = matrix[..., None].unbind(dim=-2)
    turned = first * waveform[:, :1]
    return turned.addcmul_(second, waveform[:, 1:2]).addcmul_(third, waveform[:, 2:])
