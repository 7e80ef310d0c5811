"""The settings that govern a training."""

from __future__ import annotations

from dataclasses import dataclass

from .optimizer import learning_rate_at


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How a model is trained.

    batch_size: windows of one micro-batch in one process; an update sees batch_size ·
        gradient_accumulation_steps · processes windows. A run may go on with other numbers of the same
        product.
    learning_rate: its peak, after `warmup_steps`; it falls along a cosine to min_learning_rate_ratio of it.
    max_grad_norm: the gradient's norm is clipped to this; None does not clip.
    ema_decay: decay of the averaged weights, or None for none. Validation uses the average.
    mixed_precision: no, or bf16 (the weights stay float32).
    checkpoint_every: updates between checkpoints, each with a validation where there is one.
    gradient_checkpointing: activations of transformer blocks are computed again instead of being kept.
    compile: the layers are compiled for each length of a window (see `compile_layers`).
    packing: attention is not spent on the padding of windows that end early (see `Packing`).
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
    compile: bool = False
    packing: bool = False

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
