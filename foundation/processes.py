"""Which of the run's processes this is, on CPUs and GPUs alike, and means over what all of them see."""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from accelerate import PartialState
from torch import Tensor


def on_cpu() -> bool:
    """Whether the run is on CPUs: no accelerator is there, or ACCELERATE_USE_CPU says so."""
    return not torch.accelerator.is_available() or os.environ.get("ACCELERATE_USE_CPU", "").lower() == "true"


def this_process() -> PartialState:
    """Join the processes that `torchrun` or `accelerate launch` started; alone where neither did.

    `.process_index` and `.num_processes` are what a `WindowLoader` wants as rank and world_size.

    Raises RuntimeError where a launcher started several processes that do not find each other. Without the
    explicit `cpu`, Accelerate would let each of them train alone on the same data, in silence.
    """
    state = PartialState(cpu=on_cpu())
    launched = int(os.environ.get("WORLD_SIZE", "1"))
    if state.num_processes != launched:
        raise RuntimeError(
            f"{launched} processes were started, but this one is in a group of {state.num_processes}: "
            "start the run with torchrun --nproc_per_node N, and make no PartialState before it"
        )
    if launched > 1:
        # Gloo's threads must be joined before the interpreter ends, or C++ at times aborts a finished run.
        atexit.unregister(_leave_the_group)
        atexit.register(_leave_the_group)
    return state


def _leave_the_group() -> None:
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


_alone: ContextVar[bool] = ContextVar("alone", default=False)


@contextmanager
def this_process_alone() -> Iterator[None]:
    """Within it, means are this process's own: a validation runs in one, and no other would answer it."""
    token = _alone.set(True)
    try:
        yield
    finally:
        _alone.reset(token)


def talks_to_others() -> bool:
    """Whether what is computed now is computed in several processes at once."""
    return torch.distributed.is_initialized() and torch.distributed.get_world_size() > 1 and not _alone.get()


def sum_over_all(count: Tensor) -> Tensor:
    """The sum of a count over all processes, of the same shape, without gradient."""
    count = count.detach().clone()
    if talks_to_others():
        torch.distributed.all_reduce(count)
    return count


def mean_over_all(total: Tensor, count: Tensor) -> Tensor:
    """A sum over this process's windows as its part of the mean over all processes'.

    total: a sum, or several; count: of how many (0 or more), likewise. DDP averages the gradients of its
    processes, so each one's part is its sum over the processes' mean count; the average of the parts is the
    mean over everything.
    """
    processes = torch.distributed.get_world_size() if talks_to_others() else 1
    count = sum_over_all(count).to(total.dtype) / processes
    return torch.where(count > 0, total / count.where(count > 0, torch.ones_like(count)), total * 0.0)
