"""Which tokens a guess is held against: some of its own window, some of the others'.

Everything is drawn from the windows' keys, and other windows stand in the order of their keys, so that the
negatives of a window are the same on one process as on several.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...data.loading.window_random import WindowRandom
from .gathering import gather_over_all

NOT_THERE = float("-inf")
"""The similarity of what is no negative: it adds nothing to the sum."""


def own_window(similarity: Tensor, code: Tensor, judged: Tensor, random: WindowRandom, count: int) -> Tensor:
    """Similarities `(window, token, negative)` of each token's guess to others of its window.

    similarity: `(window, guessed token, true token)`. code: int64 `(window, token)`. judged: bool likewise,
    the tokens that may be drawn, each as often as chance has it.
    """
    number = judged.sum(dim=1)[:, None, None]
    rank = draw_other(
        random.uniform("own window", code.shape[1], count), number, judged.cumsum(dim=1)[..., None] - 1
    )
    chosen = judged_first(judged)[:, None].expand(-1, code.shape[1], -1).gather(2, rank)
    is_one = (code[:, None].expand_as(similarity).gather(2, chosen) != code[..., None]) & (number > 1)
    return similarity.gather(2, chosen).where(is_one, NOT_THERE)


def other_windows(
    guess: Tensor, truth: Tensor, code: Tensor, judged: Tensor, random: WindowRandom, count: int
) -> Tensor:
    """Similarities `(window, token, negative)` of each token's guess to tokens of other windows.

    guess, truth: `(window, token, dim)`. Every window of every process offers `count` of its tokens; negative
    number i is the i-th offer of another window. Processes may have windows of different lengths: what they
    offer is equally large. A window that is alone in the batch has no such negatives.
    """
    rank = draw(random.uniform("offer", count), judged.sum(dim=1, keepdim=True))
    offered = judged_first(judged).gather(1, rank)
    offers = gather_over_all(truth.gather(1, offered[..., None].expand(-1, -1, truth.shape[-1])))
    codes = gather_over_all(code.gather(1, offered))
    offering = gather_over_all(judged.any(dim=1))
    keys, order = gather_over_all(random.keys).sort()
    own = torch.searchsorted(keys, random.keys)[:, None]
    window = order[draw_other(random.uniform("window", count), torch.full_like(own, len(keys)), own)]
    number = torch.arange(count, device=window.device)
    is_one = (codes[window, number][:, None] != code[..., None]) & offering[window][:, None]
    return (guess @ offers[window, number].transpose(1, 2)).where(is_one & (len(keys) > 1), NOT_THERE)


def judged_first(judged: Tensor) -> Tensor:
    """The places of the judged tokens in order, then the others, int64 `(window, token)`."""
    return (~judged).int().argsort(dim=1, stable=True)


def draw(uniform: Tensor, number: Tensor) -> Tensor:
    """Whole numbers from 0 to `number` − 1 with equal chance, int64 like `uniform`; 0 where there is none."""
    # Uniform is below 1, but its product in float32 may be rounded up to `number`.
    return torch.minimum((uniform * number).long(), number - 1).clamp(min=0)


def draw_other(uniform: Tensor, number: Tensor, own: Tensor) -> Tensor:
    """Whole numbers from 0 to `number` − 1 that are not `own`; 0 where there is no other."""
    drawn = draw(uniform, number - 1)
    return (drawn + (drawn >= own)).where(number > 1, 0)
