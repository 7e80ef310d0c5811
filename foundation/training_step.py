"""One update of the weights: forward, backward, checks, optimizer; and the settings that govern it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from ..data.batch import WaveformBatch
from .checkpoints import Checkpoint
from .ema import WeightAverage
from .interruption import StopRequest
from .optimizer import (
    learning_rate_at,
    load_optimizer_tensors,
    make_adamw,
    optimizer_tensors,
    set_learning_rate,
)
from .progress import TrainingLog


class NonFiniteError(ArithmeticError):
    """A loss or a gradient that is not a number; the weights were not touched by it."""


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How a model is trained.

    batch_size: windows of one micro-batch in one process; an update sees batch_size ·
        gradient_accumulation_steps · processes windows.
    learning_rate: its peak, after `warmup_steps`; it falls along a cosine to min_learning_rate_ratio of it.
    max_grad_norm: the gradient's norm is clipped to this; None does not clip.
    ema_decay: decay of the averaged weights, or None for none. Validation uses the average.
    mixed_precision: no, or bf16 (the weights stay float32).
    checkpoint_every: updates between checkpoints, each with a validation where there is one.
    """

    max_steps: int = 1000
    batch_size: int = 32
    gradient_accumulation_steps: int = 1
    learning_rate: float = 1e-3
    warmup_steps: int = 100
    min_learning_rate_ratio: float = 0.05
    weight_decay: float = 0.05
    betas: tuple[float, float] = (0.9, 0.95)
    max_grad_norm: float | None = 1.0
    ema_decay: float | None = None
    mixed_precision: str = "no"
    checkpoint_every: int = 200
    keep_checkpoints: int = 2
    log_every: int = 10
    seed: int = 0
    gradient_checkpointing: bool = False

    def __post_init__(self) -> None:
        counts = (
            "max_steps",
            "batch_size",
            "gradient_accumulation_steps",
            "checkpoint_every",
            "keep_checkpoints",
            "log_every",
        )
        for name in counts:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, found {getattr(self, name)}")
        limits = {
            "learning_rate must be positive": self.learning_rate > 0,
            "warmup_steps must not be negative": self.warmup_steps >= 0,
            "min_learning_rate_ratio must lie in 0 to 1": 0 <= self.min_learning_rate_ratio <= 1,
            "weight_decay must not be negative": self.weight_decay >= 0,
            "betas must lie in 0 to 1, 1 excluded": all(0 <= beta < 1 for beta in self.betas),
            "max_grad_norm must be positive or null": self.max_grad_norm is None or self.max_grad_norm > 0,
            "ema_decay must be null or lie in 0 to 1, 1 excluded": self.ema_decay is None
            or 0 <= self.ema_decay < 1,
        }
        for rule, holds in limits.items():
            if not holds:
                raise ValueError(f"{rule}, found {getattr(self, rule.split()[0])}")
        if self.mixed_precision not in ("no", "bf16"):
            raise ValueError(f"mixed_precision must be no or bf16, found {self.mixed_precision!r}")

    def learning_rate_at(self, step: int) -> float:
        """The learning rate of update `step` (from 0)."""
        return learning_rate_at(
            step,
            max_steps=self.max_steps,
            peak=self.learning_rate,
            warmup_steps=self.warmup_steps,
            min_ratio=self.min_learning_rate_ratio,
        )


@dataclass(kw_only=True)
class TrainingRun:
    """The moving parts of a run: what is trained, how far it is, and what updates it.

    step: updates done.
    """

    config: TrainingConfig
    accelerator: Accelerator
    objective: nn.Module
    prepared: nn.Module
    optimizer: torch.optim.Optimizer
    average: WeightAverage | None
    step: int = 0

    @classmethod
    def begin(
        cls,
        objective: nn.Module,
        config: TrainingConfig,
        accelerator: Accelerator,
        checkpoint: Checkpoint | None,
    ) -> TrainingRun:
        """A run at its first step, or where the checkpoint left it."""
        if checkpoint is not None:
            objective.load_state_dict(dict(checkpoint.tensors["objective"]))
        objective.train()
        prepared = accelerator.prepare(_Detached(objective))
        optimizer = make_adamw(
            objective,
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
            betas=config.betas,
        )
        # After `prepare`, which moves the weights and makes them equal in all processes.
        average = None if config.ema_decay is None else WeightAverage(objective, config.ema_decay)
        run = cls(
            config=config,
            accelerator=accelerator,
            objective=objective,
            prepared=prepared,
            optimizer=optimizer,
            average=average,
        )
        if checkpoint is not None:
            run._go_on(checkpoint)
        return run

    def _go_on(self, checkpoint: Checkpoint) -> None:
        load_optimizer_tensors(self.optimizer, self.objective, checkpoint.tensors["optimizer"])
        if self.average is not None:
            self.average.load(checkpoint.tensors["ema"])
        self.step = checkpoint.step

    def checkpoint(self) -> Checkpoint:
        """All that is needed to go on from here."""
        tensors = {
            "objective": self.objective.state_dict(),
            "optimizer": optimizer_tensors(self.optimizer, self.objective),
        }
        if self.average is not None:
            tensors["ema"] = self.average.weights
        return Checkpoint(step=self.step, tensors=tensors)


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
        with accelerator.accumulate(run.prepared):
            loss, figures = run.prepared(batch)
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
    return nn.utils.clip_grad_norm_(with_gradient, float("inf") if max_norm is None else max_norm)


class _Detached(nn.Module):
    """The objective with its figures cut from the graph: no process waits for their gradients."""

    def __init__(self, objective: nn.Module):
        super().__init__()
        self.objective = objective

    def forward(self, batch: WaveformBatch) -> tuple[Tensor, dict[str, Tensor]]:
        loss, logs = self.objective(batch)
        return loss, {name: value.detach() for name, value in logs.items()}


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
