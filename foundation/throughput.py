"""How well a run uses its machine: operations of the model, the machine's own peak, and memory."""

from __future__ import annotations

import contextlib
import resource
import sys
import time
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import (
    flop_registry,
    sdpa_backward_flop_count,
    sdpa_flop_count,
    shape_wrapper,
)

from ..data.batch import WaveformBatch

DATASHEET_TFLOPS: dict[str, dict[torch.dtype, float]] = {
    "A100": {torch.bfloat16: 312.0, torch.float32: 19.5},
    "L40S": {torch.bfloat16: 362.0, torch.float32: 91.6},
    "H100": {torch.bfloat16: 989.0, torch.float32: 67.0},
    "H200": {torch.bfloat16: 989.0, torch.float32: 67.0},
    "B200": {torch.bfloat16: 2250.0, torch.float32: 75.0},
}
"""Dense peaks by what a device's name contains, from NVIDIA's datasheets (SXM where there are several)."""


def datasheet_tflops(device_name: str, dtype: torch.dtype) -> float | None:
    """The peak that the maker states for a device, None where we do not know it."""
    known = [peaks for name, peaks in DATASHEET_TFLOPS.items() if name in device_name]
    return known[0].get(dtype) if known else None


def measured_tflops(device: torch.device, dtype: torch.dtype) -> float:
    """What a square matrix product reaches here, 10¹² operations a second; takes milliseconds."""
    size = 512 if device.type == "cpu" else 8192
    matrix = torch.ones(size, size, device=device, dtype=dtype)
    shortest_s = float("inf")
    for _ in range(4):
        _wait_for(device)
        before_s = time.perf_counter()
        matrix @ matrix
        _wait_for(device)
        shortest_s = min(shortest_s, time.perf_counter() - before_s)
    return 2 * size**3 / shortest_s / 1e12


def _wait_for(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def peak_memory_gib(device: torch.device) -> float:
    """The most memory so far: of tensors on a GPU, or of the whole process where it runs on CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


Shape = tuple[int, ...]


def _attention(query: Shape, key: Shape, value: Shape, *settings: Any, out_shape: Any, **more: Any) -> int:
    return sdpa_flop_count(query, key, value)


def _attention_backward(
    gradient: Shape, query: Shape, key: Shape, value: Shape, *settings: Any, out_shape: Any, **more: Any
) -> int:
    return sdpa_backward_flop_count(gradient, query, key, value)


COUNTED: dict[Any, Any] = flop_registry | {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: shape_wrapper(_attention),
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: shape_wrapper(_attention_backward),
}
"""What counts, with its formula: torch's own, and attention on CPUs, which that lacks."""


class OperationCounter(TorchDispatchMode):
    """Counts operations as they run.

    torch's own FlopCounterMode takes some of them apart, whose results then differ in their last bits: a run
    that is counted at its first batch, and again where it is resumed, would not resume to the same bits.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation, and add its cost."""
        out = func(*args, **(kwargs or {}))
        count = COUNTED.get(getattr(func, "_overloadpacket", None))
        if count is not None:
            self.total += count(*args, **(kwargs or {}), out_val=out)
        return out


class OperationCount:
    """Operations of a model's forward and backward pass, counted once for each shape of a batch.

    It sees matrix products, convolutions and attention; the rest (norms, Fourier transforms) is
    small beside them. Operations that are only done again because activations were not kept do not count:
    they bring the model no further (`recomputes`; then it is three times the forward pass).
    """

    def __init__(self, recomputes: bool):
        self.recomputes = recomputes
        self.total = 0
        self._of_shape: dict[Shape, int] = {}

    @contextlib.contextmanager
    def of(self, batch: WaveformBatch) -> Iterator[Forward]:
        """Around a batch's two passes, to add them to `total`; it must be told when the first is over."""
        shape = tuple(batch.waveform.shape)
        forward = Forward()
        if shape not in self._of_shape:
            # The counter does not see into compiled code: a shape's first batch runs without it.
            counter = OperationCounter()
            with torch.compiler.set_stance("force_eager"), counter:
                forward.counter = counter
                yield forward
            self._of_shape[shape] = 3 * forward.flops if self.recomputes else counter.total
        else:
            yield forward
        self.total += self._of_shape[shape]


class Forward:
    """The forward pass that is being counted, where one is."""

    counter: OperationCounter | None = None
    flops = 0

    def is_over(self) -> None:
        """Note what was counted so far."""
        if self.counter is not None:
            self.flops = self.counter.total
