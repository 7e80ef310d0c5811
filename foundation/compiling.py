"""Compiled layers, for the shapes that a run has and no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from transformers.modeling_layers import GradientCheckpointingLayer

MOST_SHAPES = 64
"""Compilations of one layer: lengths of windows × what masks there are × encoder and decoder."""


def compile_layers(objective: nn.Module, backend: str | Callable[..., Any] = "inductor") -> None:
    """Compile the transformer blocks, or the parts of a network that has none; names stay as they are.

    Layer by layer, since the blocks of a network share one compilation, and since what lies between them
    (contract, masks, losses) depends on the data. Each shape is compiled for itself, without dynamic sizes:
    the loader gives a batch one of the few lengths of `WindowConfig.window_s` and `also_s`, and so a run has
    few. One that had more than `MOST_SHAPES` is stopped by torch's error instead of being run uncompiled.
    """
    torch._dynamo.config.recompile_limit = MOST_SHAPES
    torch._dynamo.config.fail_on_recompile_limit_hit = True
    blocks = [module for module in objective.modules() if isinstance(module, GradientCheckpointingLayer)]
    model: nn.Module = objective.model  # type: ignore[assignment]
    for layer in blocks or model.children():
        layer.compile(dynamic=False, backend=backend)
