"""Means in which each class counts the same, however rare it is."""

from __future__ import annotations

import torch
from torch import Tensor

from ..foundation.processes import mean_over_all, sum_over_all


def mean_of_groups(values: Tensor, groups: Tensor) -> Tensor:
    """The mean over the groups that occur in any process of the mean within each of them.

    groups: bool `(group, …)`, which of `values` `(…)` belong to each. Where no process has a member of any,
    exactly 0 with a gradient of exactly 0. Within one process, its part: see `mean_over_all`.
    """
    dims = tuple(range(1, groups.ndim))
    numbers = groups.sum(dim=dims)
    means = mean_over_all(torch.where(groups, values, 0.0).sum(dim=dims), numbers)
    num_present = (sum_over_all(numbers) > 0).sum()
    return means.sum() / num_present.clamp(min=1)
