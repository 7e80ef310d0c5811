"""The one training loop: pretraining and fine-tuning both call `train`.

It knows nothing of the task. An objective maps a batch to a loss; the loop does the rest: devices and
processes (Accelerate), the optimizer, the averaged weights, logs, checkpoints, and stopping without losing
anything. Every random number is a function of (seed, step, micro-batch, process), and every batch one of its
position, so a run that was interrupted and resumed ends with the same bits as one that was not. It may also
go on with another number of processes: each update sees the windows that it would have (`docs/scale.md`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs, ProjectConfiguration
from torch import Tensor, nn

from ..data.batch import WaveformBatch
from .checkpoints import Checkpoint, CheckpointError, CheckpointFolder
from .ema import WeightAverage
from .encoder import Encoder
from .interruption import Stopped, StopRequest
from .processes import on_cpu, this_process
from .progress import TrainingLog
from .training_config import TrainingConfig
from .training_state import TrainingRun
from .training_step import NonFiniteError, training_step
from .validation import BestWeights

__all__ = ["BatchSource", "NonFiniteError", "Stopped", "TrainingConfig", "TrainingResult", "train"]

Validate = Callable[[Any], Mapping[str, float]]


class BatchSource(Protocol):
    """What the loop needs of a loader: the batches of this process from a position on, without end."""

    def batches(self, start: int) -> Iterator[WaveformBatch]:
        """The batches at positions start, start + 1, …, each the same whenever it is asked for."""
        ...


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """What a finished run did.

    steps: updates in all; resumed_from: those that an earlier process had done.
    wall_time_s, windows_per_s: of this process's share of the run, all processes together.
    average: the averaged weights, or None where `ema_decay` is None.
    best: the weights of the best validation (lowest `loss`) with their scores; None without a validation.
    """

    steps: int
    resumed_from: int
    wall_time_s: float
    windows_per_s: float
    average: WeightAverage | None
    best: BestWeights | None


def train(
    objective: nn.Module,
    loader: BatchSource,
    config: TrainingConfig,
    output_dir: str | Path,
    *,
    validate: Validate | None = None,
    resume: bool = True,
    on_step: Callable[[int, Mapping[str, Tensor]], None] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> TrainingResult:
    """Train an objective to the end, from its newest checkpoint in `output_dir` where there is one.

    objective: owns what is trained, `objective(batch) -> (loss, logs)`; `objective.model` is the network. Its
        `after_update()`, where it has one, is called after each update in every process. It ends with its
        last weights; `result.average.copy_to(objective)` gives it the averaged ones.
    loader: gives batches of `config.batch_size` windows to each process.
    validate: gives scores (with `loss`, lower is better) for the objective. Called in the first process at
        every checkpoint, with the averaged weights where there are such, in evaluation mode, no gradients.
    resume: False refuses a folder that already holds checkpoints.
    on_step: called after each update with the number of updates done and its figures.
    settings: the whole run's configuration as plain values; a checkpoint of another one is refused.

    Writes `checkpoints/` with the best weights, `log.jsonl` and `logs/` (TensorBoard). Sets torch's global
    random state.

    Raises NonFiniteError before an update would use a loss or gradient that is not finite, CheckpointError
    for a checkpoint of another run or of updates of another size, and Stopped (a SystemExit) after SIGTERM or
    Ctrl-C, once all is saved.
    """
    folder, began_s = Path(output_dir), time.perf_counter()
    accelerator = _make_accelerator(config, folder)
    checkpoints = CheckpointFolder(
        folder / "checkpoints", _identity(config, settings), config.keep_checkpoints
    )
    newest = _newest(checkpoints, accelerator, resume)
    _set_switches(objective, config)
    run = TrainingRun.begin(objective, config, accelerator, newest)
    best = BestWeights(folder / "checkpoints" / "best.safetensors")
    if newest is None and accelerator.is_main_process:
        best.file.unlink(missing_ok=True)
    start = run.step
    batches = loader.batches(0 if newest is None else _batches_before(newest, run))
    log = TrainingLog(
        accelerator,
        folder,
        start=start,
        max_steps=config.max_steps,
        log_every=config.log_every,
        recomputes=config.gradient_checkpointing,
    )
    with contextlib.closing(batches), log, StopRequest() as stop:  # type: ignore[type-var]
        while run.step < config.max_steps:
            figures, signal_number = training_step(run, batches, log, stop)
            if on_step is not None:
                on_step(run.step, figures)
            is_due = run.step % config.checkpoint_every == 0 or run.step == config.max_steps
            if is_due and validate is not None:
                _validate(run, validate, best, log)
            if is_due or signal_number:
                _save(run, checkpoints)
            if signal_number:
                stopped = Stopped(signal_number, checkpoints.path(run.step))
                log.say(str(stopped))
                raise stopped
    elapsed_s = time.perf_counter() - began_s
    average = run.gather()
    objective.to(accelerator.device)
    return TrainingResult(
        steps=run.step,
        resumed_from=start,
        wall_time_s=elapsed_s,
        windows_per_s=log.total_windows / elapsed_s,
        average=average,
        best=best if validate is not None else None,
    )


def _make_accelerator(config: TrainingConfig, folder: Path) -> Accelerator:
    # Accelerate keeps the precision of a process's first run for ever; two runs in one process may differ.
    AcceleratorState._reset_state(reset_partial_state=False)
    this_process()
    return Accelerator(
        cpu=on_cpu(),
        mixed_precision=config.mixed_precision,
        gradient_accumulation_steps=config.gradient_accumulation_steps,
        log_with="tensorboard",
        # Parameters that no loss reaches (the pooling, while no head asks for it) must not keep the processes
        # waiting, and must get no gradient: one of zero would let the weight decay shrink them.
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
        project_config=ProjectConfiguration(project_dir=str(folder), logging_dir=str(folder / "logs")),
    )


def _identity(config: TrainingConfig, settings: Mapping[str, Any] | None) -> dict[str, Any]:
    """What a checkpoint must have in common with the run that resumes it: all that moves a weight.

    The number of processes is not among it, nor how they share an update's windows: `_batches_before`.
    """
    without_effect = (
        "log_every",
        "checkpoint_every",
        "keep_checkpoints",
        "gradient_checkpointing",
        "compile",
        "packing",
        "batch_size",
        "gradient_accumulation_steps",
    )
    training = {k: v for k, v in dataclasses.asdict(config).items() if k not in without_effect}
    return {"training": training, "run": dict(settings or {})}


def _set_switches(objective: nn.Module, config: TrainingConfig) -> None:
    if config.gradient_checkpointing:
        objective.model.activation_checkpointing_enable()  # type: ignore[union-attr, operator]
    for module in objective.modules():
        if isinstance(module, Encoder):
            module.packing = config.packing


def _batches_before(checkpoint: Checkpoint, run: TrainingRun) -> int:
    """How many batches of this process lie before the place where a checkpoint stands.

    Raises CheckpointError where an update now has another number of windows: the learning rate belongs to it.
    """
    former, now = checkpoint.windows_seen // checkpoint.step, run.windows_per_update
    if former != now:
        config, processes = run.config, run.accelerator.num_processes
        raise CheckpointError(
            f"the checkpoint of step {checkpoint.step} is of updates of {former} windows, and batch_size "
            f"{config.batch_size} × gradient_accumulation_steps {config.gradient_accumulation_steps} × "
            f"{processes} processes makes {now}: choose a product of {former}, or another output_dir"
        )
    return checkpoint.windows_seen // (run.config.batch_size * run.accelerator.num_processes)


def _newest(checkpoints: CheckpointFolder, accelerator: Accelerator, resume: bool) -> Checkpoint | None:
    if not resume and checkpoints.steps():
        raise FileExistsError(
            f"{checkpoints.folder} already holds checkpoints: resume from them, or choose another output_dir"
        )
    # One process clears away what a killed run left unfinished; the others read after it.
    with accelerator.main_process_first():
        return checkpoints.newest()


def _save(run: TrainingRun, checkpoints: CheckpointFolder) -> None:
    if run.is_sharded or run.accelerator.is_main_process:
        checkpoints.save(run.checkpoint(), run.part())
    run.accelerator.wait_for_everyone()


def _validate(run: TrainingRun, validate: Validate, best: BestWeights, log: TrainingLog) -> None:
    """Score the weights in the first process, with the average's where there is one, and keep the best."""
    average = run.gather()
    if not run.accelerator.is_main_process:
        return
    objective = run.given.to(run.accelerator.device)
    lent = average.lent_to(objective) if average else contextlib.nullcontext()
    with lent, torch.no_grad():
        objective.eval()
        scores = dict(validate(objective))
        best.offer(run.step, scores, objective)
        objective.train()
    log.validation(run.step, scores)
