"""One update of the weights: forward, backward, checks, optimizer."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from ..data.batch import WaveformBatch
from .interruption import StopRequest
from .optimizer import set_learning_rate
from .progress import TrainingLog
from .sharding import whole
from .training_state import TrainingRun


class NonFiniteError(ArithmeticError):
    """A loss or a gradient that is not a number; the weights were not touched by it."""


def training_step(
    run: TrainingRun, batches: Iterator[WaveformBatch], log: TrainingLog, stop: StopRequest
) -> tuple[dict[str, Tensor], int]:
    """One update over `gradient_accumulation_steps` micro-batches.

    Returns the step's figures and the number of the signal that any process has received, or 0.

    Raises NonFiniteError before the optimizer would use a loss or gradient that is not finite.
    """
    config, accelerator = run.config, run.accelerator
    losses: list[Tensor] = []
    stations: list[tuple[str, ...] | None] = []
    figures: dict[str, Tensor] = {}
    for micro_batch in range(config.gradient_accumulation_steps):
        batch = log.waiting_for(batches).to(accelerator.device)
        torch.manual_seed(micro_batch_seed(config.seed, run.step, micro_batch, accelerator.process_index))
        with accelerator.accumulate(run.prepared), log.counting(batch) as forward:
            loss, figures = run.prepared(batch)
            forward.is_over()
            accelerator.backward(loss)
        losses.append(loss.detach())
        stations.append(batch.station_id)
    grad_norm = clip_gradients(run.objective, config.max_grad_norm)
    signal_number = _agree(run, torch.stack(losses), grad_norm, stations, stop)
    learning_rate = config.learning_rate_at(run.step)
    set_learning_rate(run.optimizer, learning_rate)
    run.optimizer.step()
    run.optimizer.zero_grad(set_to_none=True)
    if run.average is not None:
        run.average.update(run.objective, run.step)
    after_update = getattr(run.objective, "after_update", None)
    if after_update is not None:
        after_update()
    run.step += 1
    figures = {**figures, "loss": torch.stack(losses).mean(), "grad_norm": grad_norm}
    log.step(run.step, learning_rate, figures)
    return figures, signal_number


def micro_batch_seed(seed: int, step: int, micro_batch: int, process: int) -> int:
    """The seed of every random number of one micro-batch: resuming needs no state of any generator."""
    digest = hashlib.sha256(f"{seed}/{step}/{micro_batch}/{process}".encode()).digest()
    return int.from_bytes(digest[:8]) >> 1


def clip_gradients(module: nn.Module, max_norm: float | None) -> Tensor:
    """Scale the gradients down to a norm of at most `max_norm`, and return what it was before."""
    with_gradient = [p for p in module.parameters() if p.grad is not None]
    return whole(nn.utils.clip_grad_norm_(with_gradient, float("inf") if max_norm is None else max_norm))


def _agree(
    run: TrainingRun,
    losses: Tensor,
    grad_norm: Tensor,
    stations: list[tuple[str, ...] | None],
    stop: StopRequest,
) -> int:
    """Whether this step may change the weights and whether it is the last one, the same in all processes.

    One reduction and one look at the device a step. Returns the signal's number, 0 where there was none.
    """
    bad = ~losses.isfinite()
    signal_number = losses.new_tensor(stop.signal_number, dtype=torch.float32)
    own = torch.stack((bad.any().float(), (~grad_norm.isfinite()).float(), signal_number))
    every = run.accelerator.gather(own[None]).tolist()
    bad_loss, bad_gradient = any(flags[0] for flags in every), any(flags[1] for flags in every)
    if bad_loss or bad_gradient:
        named = bad.tolist() if bad_loss else [True] * len(stations)
        concerned = [ids for ids, is_bad in zip(stations, named, strict=True) if is_bad]
        what = "loss" if bad_loss else "gradient norm"
        where = f"in the batch of stations {concerned}" if concerned else "in another process, which names it"
        raise NonFiniteError(
            f"the {what} of step {run.step + 1} is not finite {where}. The weights are as before it and the "
            "last checkpoint is kept: look at these records, or lower learning_rate"
        )
    return int(max(flags[2] for flags in every))
