"""Which of the run's processes this is, on CPUs and GPUs alike."""

from __future__ import annotations

import atexit
import os

import torch
from accelerate import PartialState


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
