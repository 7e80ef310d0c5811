"""What a run tells while it runs: a progress bar, TensorBoard, and `log.jsonl`, one line a report."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from accelerate import Accelerator
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from ..data.batch import WaveformBatch
from .throughput import Forward, OperationCount, datasheet_tflops, measured_tflops, peak_memory_gib


class TrainingLog:
    """Gathers the figures of every step and reports them every `log_every` steps.

    A report holds the means since the last one: the loss (over all processes), the objective's own figures
    (of the first process), learning rate, gradient norm, windows per second over all processes,
    `data_wait`, the share of the time that the step stood still for data, and how well the machine is used:
    `tflops`, the model's operations a second in a process; `mfu`, their share of what a matrix product was
    seen to reach here at the start (`peak_tflops`), and `mfu_datasheet`, of what the maker states, where we
    know it; `memory_gib`, the most so far. Tensors stay on their device until a report is due, so that
    logging does not slow the steps down.

    recomputes: activations are computed again instead of being kept.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        output_dir: Path,
        *,
        start: int,
        max_steps: int,
        log_every: int,
        recomputes: bool = False,
    ):
        self.accelerator = accelerator
        self.file = output_dir / "log.jsonl"
        self.start, self.max_steps, self.log_every = start, max_steps, log_every
        self.total_windows = 0
        self._sums: dict[str, Tensor] = {}
        self._num_steps = self._num_windows = 0
        self._wait_s = 0.0
        self._operations = OperationCount(recomputes)
        self._peaks = _peaks(accelerator)
        self._since = time.perf_counter()
        # Standard error: standard output belongs to the results.
        self._console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[status]}"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not (accelerator.is_main_process and self._console.is_terminal),
        )
        self._bar = self._progress.add_task("training", total=max_steps, completed=start, status="")

    def __enter__(self) -> TrainingLog:
        if self.accelerator.is_main_process:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            _forget_after(self.file, self.start)
            # A resumed run overwrites what TensorBoard saw after the checkpoint.
            self.accelerator.init_trackers("", init_kwargs={"tensorboard": {"purge_step": self.start + 1}})
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
        for tracker in self.accelerator.trackers:
            tracker.finish()

    def waiting_for(self, batches: Iterator[WaveformBatch]) -> WaveformBatch:
        """The next batch, with the time that it took counted as waiting for data."""
        before = time.perf_counter()
        batch = next(batches)
        self._wait_s += time.perf_counter() - before
        self._num_windows += len(batch) * self.accelerator.num_processes
        return batch

    def counting(self, batch: WaveformBatch) -> AbstractContextManager[Forward]:
        """Around the two passes of a batch, whose operations are counted."""
        return self._operations.of(batch)

    def step(self, step: int, learning_rate: float, figures: Mapping[str, Tensor]) -> None:
        """Note the figures of update `step` (from 1), and report where it is due."""
        for name, value in figures.items():
            self._sums[name] = self._sums[name] + value.detach() if name in self._sums else value.detach()
        self._num_steps += 1
        self._progress.update(self._bar, completed=step)
        if step % self.log_every == 0 or step == self.max_steps:
            self._report(step, learning_rate)

    def validation(self, step: int, scores: Mapping[str, float]) -> None:
        """Report the scores of a validation after update `step`."""
        self._write(step, {f"validation_{name}": value for name, value in scores.items()})

    def say(self, message: str) -> None:
        """One line for whoever watches, from the first process."""
        if self.accelerator.is_main_process:
            self._console.print(message, highlight=False)

    def _report(self, step: int, learning_rate: float) -> None:
        elapsed_s = time.perf_counter() - self._since
        self._sums["loss"] = self.accelerator.reduce(self._sums["loss"], "mean")
        figures = {name: float(value) / self._num_steps for name, value in self._sums.items()}
        figures["learning_rate"] = learning_rate
        figures["windows_per_s"] = self._num_windows / elapsed_s
        figures["data_wait"] = self._wait_s / elapsed_s
        figures |= self._use_of_the_machine(elapsed_s)
        self._write(step, figures)
        status = (
            f"loss {figures['loss']:.4g}  {figures['windows_per_s']:.0f} windows/s  "
            f"MFU {figures['mfu']:.0%}  {figures['memory_gib']:.1f} GiB  data wait {figures['data_wait']:.0%}"
        )
        self._progress.update(self._bar, status=status)
        if not self._console.is_terminal:
            self.say(f"step {step}/{self.max_steps}  {status}")
        self.total_windows += self._num_windows
        self._sums = {}
        self._num_steps = self._num_windows = 0
        self._operations.total = 0
        self._wait_s, self._since = 0.0, time.perf_counter()

    def _use_of_the_machine(self, elapsed_s: float) -> dict[str, float]:
        tflops = self._operations.total / elapsed_s / 1e12
        shares = {name: tflops / peak for name, peak in self._peaks.items()}
        return {
            "tflops": tflops,
            "peak_tflops": self._peaks["mfu"],
            **shares,
            "memory_gib": peak_memory_gib(self.accelerator.device),
        }

    def _write(self, step: int, figures: dict[str, Any]) -> None:
        self.accelerator.log(figures, step=step)
        if self.accelerator.is_main_process:
            with self.file.open("a") as file:
                file.write(json.dumps({"step": step, **figures}) + "\n")


def _peaks(accelerator: Accelerator) -> dict[str, float]:
    """The machine's peaks in the run's precision, 10¹² operations a second, by the share of it."""
    device = accelerator.device
    dtype = torch.bfloat16 if accelerator.mixed_precision == "bf16" else torch.float32
    stated = datasheet_tflops(torch.cuda.get_device_name(device), dtype) if device.type == "cuda" else None
    peaks = {"mfu": measured_tflops(device, dtype)}
    return peaks if stated is None else peaks | {"mfu_datasheet": stated}


def _forget_after(file: Path, step: int) -> None:
    """Drop the lines that a resumed run is going to write again, and a line that was cut off."""
    if not file.exists():
        return
    kept = [line for line in file.read_text().splitlines() if _step_of(line) <= step]
    unfinished = file.with_suffix(".unfinished")
    unfinished.write_text("".join(line + "\n" for line in kept))
    unfinished.rename(file)


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")
