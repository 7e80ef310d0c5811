"""The moving parts of a training: weights, optimizer, average; begun, saved and taken up again."""

from __future__ import annotations

import contextlib
import copy
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from ..data.batch import WaveformBatch
from .checkpoints import Checkpoint, Part
from .compiling import compile_layers
from .ema import WeightAverage
from .optimizer import load_optimizer_tensors, make_adamw, optimizer_tensors
from .sharding import laid_out_like, own_rows, shard, wants_shards, whole_tensors
from .training_config import TrainingConfig


@dataclass(kw_only=True)
class TrainingRun:
    """The moving parts of a run: what is trained, how far it is, and what updates it.

    objective: what the optimizer updates. given: what the caller gave; the same object, except where the
        weights are shared out among processes: there it stays a plain module, with the whole weights of when
        `gather` was called last.
    step: updates done.
    """

    config: TrainingConfig
    accelerator: Accelerator
    given: nn.Module
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
        given = objective
        if config.compile:
            compile_layers(objective)
        if wants_shards():
            objective = copy.deepcopy(given)
            prepared = shard(_Detached(objective, config.mixed_precision), accelerator)
        else:
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
            given=given,
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
            weights = checkpoint.tensors["ema"]
            own = self.average.weights
            self.average.load({n: laid_out_like(w, own[n]) if n in own else w for n, w in weights.items()})
        self.step = checkpoint.step

    @property
    def is_sharded(self) -> bool:
        """Whether each process has only some rows of the weights."""
        return self.given is not self.objective

    @property
    def windows_per_update(self) -> int:
        """Windows of all processes in one update."""
        config = self.config
        return config.batch_size * config.gradient_accumulation_steps * self.accelerator.num_processes

    def checkpoint(self) -> Checkpoint:
        """All that is needed to go on from here; of sharded weights, this process's rows."""
        tensors = {
            "objective": self.objective.state_dict(),
            "optimizer": optimizer_tensors(self.optimizer, self.objective),
        }
        if self.average is not None:
            tensors["ema"] = self.average.weights
        if self.is_sharded:
            is_first = self.accelerator.is_main_process
            tensors = {group: own_rows(named, is_first) for group, named in tensors.items()}
        return Checkpoint(step=self.step, windows_seen=self.step * self.windows_per_update, tensors=tensors)

    def part(self) -> Part | None:
        """Which part of a checkpoint is this process's; None where the first one writes all of it."""
        if not self.is_sharded:
            return None
        accelerator = self.accelerator
        return Part(
            number=accelerator.process_index,
            count=accelerator.num_processes,
            wait=accelerator.wait_for_everyone,
        )

    def gather(self) -> WeightAverage | None:
        """Give whole weights to `given`, and return the whole average; every process must ask."""
        if not self.is_sharded:
            return self.average
        self.given.load_state_dict(whole_tensors(self.objective.state_dict()))
        if self.average is None:
            return None
        gathered = WeightAverage(self.given, self.average.decay)
        gathered.weights = whole_tensors(self.average.weights)
        return gathered


class _Detached(nn.Module):
    """The objective with its figures cut from the graph: no process waits for their gradients.

    precision: bf16 where this module is to see to autocast, which `Accelerator.prepare` does otherwise.
    """

    def __init__(self, objective: nn.Module, precision: str = "no"):
        super().__init__()
        self.objective = objective
        self.precision = precision

    def forward(self, batch: WaveformBatch) -> tuple[Tensor, dict[str, Tensor]]:
        with self._autocast(batch.device.type):
            loss, logs = self.objective(batch)
        return loss, {name: value.detach() for name, value in logs.items()}

    def _autocast(self, device_type: str) -> contextlib.AbstractContextManager[None]:
        if self.precision == "no":
            return contextlib.nullcontext()
        # No cache: it would keep a copy of every layer's gathered weights until the end of the forward pass.
        return torch.autocast(device_type, dtype=torch.bfloat16, cache_enabled=False)
