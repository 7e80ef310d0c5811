"""How a process keeps the memory of its batches."""

from __future__ import annotations

import torch

_LARGEST_BYTES = 31 * 2**20


def keep_freed_memory() -> None:
    """Let the process keep what batches free, instead of handing it back and asking for it again.

    The C library returns freed memory beyond a threshold to the system, and the next batch pays for fresh
    pages, a quarter of the time that loading takes. With glibc the threshold follows the largest block that
    was ever freed, up to 32 MiB (mallopt(3), M_MMAP_THRESHOLD): so free one of that size. Elsewhere this does
    nothing.
    """
    torch.empty(_LARGEST_BYTES, dtype=torch.uint8)
