"""A task model that is asked about windows of records, and answers with curves."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from ..data.batch import COMPONENT_SLOTS, WaveformBatch
from ..data.records import POLARITIES, Record
from ..foundation.backbones.base import Backbone
from ..heads.network_listening import listening_heads
from .curves import CURVES
from .windows import Blend, batched, cut_record, grid_starts, model_components

CURVE_HEADS = ("picking", "detection", "polarity")
"""The heads whose answers become curves."""

Shifted = Callable[[int], Tensor]
"""From samples by which some windows are moved to their curves `(window, curve, sample)`."""

Look = Callable[[np.ndarray], Shifted]
"""From first samples of windows, int64 `(window,)`, to what answers for them."""


class WindowModel:
    """What a picker knows of its model: how long its windows are, and which curves it answers with.

    Curves are `CURVES`, NaN where the model has no such head, and behind them, of a model with a polarity
    head, the probability of each of `POLARITIES`. `listening` are the heads behind them that listen to other
    stations where they are told of any.
    """

    def __init__(self, model: nn.Module, window_s: float | None, overlap: float, batch_size: int) -> None:
        """window_s: None takes what the model's contract prefers. Raises ValueError where it does not fit."""
        self.model, self.overlap, self.batch_size = model, overlap, batch_size
        encoder = _encoder(model)
        self.contract = encoder.contract
        self.token_s = encoder.config.token_samples / self.contract.model_rate_hz
        self.window_s = window_s or self.contract.window_s.preferred
        shortest, longest = self.contract.window_s.min, self.contract.window_s.max
        if not shortest <= self.window_s <= longest:
            raise ValueError(
                f"window_s must be {shortest:g} to {longest:g} s for this model, found {self.window_s:g} s"
            )
        self.tells_first_motions = "polarity" in getattr(model, "heads", ())
        self.listening = tuple(name for name in listening_heads(model) if name in CURVE_HEADS)
        self.num_curves = len(CURVES) + (len(POLARITIES) if self.tells_first_motions else 0)

    def window_samples(self, record: Record) -> int:
        """Samples of a window at a record's rate."""
        # Rounding up never breaks the contract, which allows one per cent around its limits.
        return math.ceil(self.window_s * record.sampling_rate_hz - 1e-6)

    def cut(self, record: Record, starts: np.ndarray) -> WaveformBatch:
        """Windows of a record at these first samples, with the rows that the model takes."""
        return cut_record(
            record, starts, self.window_samples(record), model_components(self.contract.components)
        )

    def predict(self, record: Record, starts: np.ndarray) -> Tensor:
        """Curves `(window, curve, sample)` of windows at these first samples, each seen by itself."""
        batch = self.cut(record, starts)
        with evaluating(self.model) as device:
            return self.as_curves(self.model(batch.to(device)))

    def as_curves(self, output: dict[str, dict[str, Tensor]]) -> Tensor:
        """The heads' answers as curves, on the CPU."""
        picking = output["picking"]["probability"][:, :2]
        if "detection" in output:
            detection = output["detection"]["probability"][:, None]
        else:
            detection = torch.full_like(picking[:, :1], torch.nan)
        curves = [picking, detection]
        if "polarity" in output:
            curves.append(output["polarity"]["probability"])
        return torch.cat(curves, dim=1).float().cpu()

    def curves(self, record: Record) -> Tensor:
        """The curves of a whole record `(curve, sample)`, NaN where nothing was observed."""
        num_samples, window = record.waveform.shape[1], self.window_samples(record)
        blend = Blend(self.num_curves, num_samples, window)
        for starts in batched(grid_starts(num_samples, window, self.overlap), self.batch_size):
            blend.add(starts, self.predict(record, starts))
        return where_observed(blend.result(), record)

    def moved(self, record: Record, starts: np.ndarray) -> Shifted:
        """The curves of windows at these first samples, moved by some samples."""
        return lambda shift: self.predict(record, starts + shift)

    def unusable(self, record: Record) -> str | None:
        """Why the model cannot take a record, or None."""
        contract = self.contract
        low, high = contract.sampling_rates_hz
        if not low * 0.999 <= record.sampling_rate_hz <= high * 1.001:
            return f"sampled at {record.sampling_rate_hz:g} Hz: the model takes {low:g} to {high:g} Hz"
        if record.unit not in contract.units:
            return f"the unit is {record.unit}: the model takes {contract.units}"
        if not any(COMPONENT_SLOTS[name] in contract.components for name in record.component_names):
            return f"components {record.component_names}: the model takes {contract.components}"
        return None


def where_observed(curves: Tensor, record: Record) -> Tensor:
    """The curves of a record, which become NaN where none of its components was observed."""
    curves[:, torch.from_numpy(~np.isfinite(record.waveform).any(axis=0))] = torch.nan
    return curves


@contextmanager
def evaluating(model: nn.Module) -> Iterator[torch.device]:
    """Inference in eval mode, with the model's own mode restored, and the device that it is on."""
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield next(iter(model.parameters())).device
    finally:
        model.train(was_training)


def _encoder(model: nn.Module) -> Backbone:
    encoder = next((module for module in model.modules() if isinstance(module, Backbone)), None)
    if encoder is None:
        raise ValueError(f"a picker needs a task model around a backbone, found {type(model).__name__}")
    return encoder
