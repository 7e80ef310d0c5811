"""A second earthquake in a window: another window of the training data on top of it, with its labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from ..batch import UNITS, WaveformBatch
from .distortions import check_probability, check_range, demeaned, live_components
from .mixing import WindowDraw, first_p_s, signal_rms, window_lengths_s, windows_like
from .window_draft import Draft, edited, log_between
from .window_labels import EVENT_LABELS
from .window_random import WindowRandom

TAPER_S = 0.5
"""An added earthquake fades in and out over this, so that its edges are no steps."""

NEEDED_LABELS = {"p_arrival_s", "s_arrival_s", "p_labelled", "s_labelled"}
"""Without these a window does not tell whether an earthquake can be added."""


@dataclass(frozen=True, kw_only=True)
class Stacking:
    """A second earthquake: a training window drawn for this one, shifted, scaled and added with its labels.

    amplitude_ratio: of the added signal to the window's own, around P; log-uniform.
    max_shift_s: the other window begins later by up to this, in whole samples. Never earlier: its end would
        come into view, and the coda that its label promises would be cut short.

    Only between windows of one unit whose P and S are both labelled and which both show a P; the other must
    have all of its arrivals inside of its window, and data for each component that this one has. A window for
    which none such is drawn stays as it is. What cannot be told of two events together (magnitude, distance
    …) becomes unknown. The added events stand in the columns after the window's own.
    """

    probability: float = 0.2
    amplitude_ratio: tuple[float, float] = (0.3, 3.0)
    max_shift_s: float = 15.0

    def __post_init__(self) -> None:
        check_probability(self)
        check_range("amplitude_ratio", self.amplitude_ratio, above=0.0)
        if not self.max_shift_s >= 0:
            raise ValueError(f"max_shift_s must not be negative, found {self.max_shift_s}")

    def __call__(self, batch: WaveformBatch, random: WindowRandom, training: WindowDraw) -> WaveformBatch:
        """The batch with an earthquake added to some windows."""
        return edited(batch, random, partial(self.apply, training=training))

    def apply(self, draft: Draft, random: WindowRandom, training: WindowDraw) -> None:
        """Add an earthquake to some windows."""
        if not set(draft.labels) >= NEEDED_LABELS or len(draft) == 0:
            return
        draws = random.uniform("stacking", 3)
        p_s = first_p_s(draft.labels, window_lengths_s(draft))
        wanted = (draws[:, 0] < self.probability) & _all_listed(draft.labels) & p_s.isfinite()
        rows = wanted.nonzero().flatten()
        if len(rows) == 0:
            return
        windows = windows_like(draft, arrival_fraction=1.0)
        other = training.draw(random.derive("stacking").select(rows), windows)
        fitting = _fits(draft, rows, other).nonzero().flatten()
        rows = rows[fitting]
        if len(rows):
            self._add(draft, rows, p_s[rows], draws[rows, 1:], _Drawn(other, fitting))

    def _add(self, draft: Draft, rows: Tensor, p_s: Tensor, draws: Tensor, other: _Drawn) -> None:
        """Add the other windows to the draft's rows, with their labels."""
        rate_hz, waveform = draft.sampling_rate_hz[rows], draft.waveform[rows]
        longest = (rate_hz * self.max_shift_s).clamp(max=draft.num_samples)
        shift = (draws[:, 0] * longest).round()
        other_p_s = first_p_s(other.labels, window_lengths_s(draft)[rows])
        strength = signal_rms(waveform, p_s, rate_hz)
        other_strength = signal_rms(other.waveform, other_p_s, rate_hz).clamp(min=1e-30)
        factor = log_between(draws[:, 1], self.amplitude_ratio) * strength / other_strength
        added = _shifted(demeaned(other.waveform), shift.long(), TAPER_S * rate_hz, factor)
        draft.write(rows, waveform.add_(added))
        draft.labels = _stacked_labels(draft.labels, rows, other.labels, shift / rate_hz)


class _Drawn:
    """Some windows of a batch: the tensors alone, since names would wait for the device."""

    def __init__(self, batch: WaveformBatch, rows: Tensor):
        self.waveform = batch.waveform[rows]
        self.labels = {name: label[rows] for name, label in batch.labels.items()}


def _all_listed(labels: Mapping[str, Tensor]) -> Tensor:
    """Whether every P and S of each window is known, bool `(window,)`."""
    return labels["p_labelled"] & labels["s_labelled"]


def _fits(draft: Draft, rows: Tensor, other: WaveformBatch) -> Tensor:
    """Whether each drawn window may be added to its row, bool `(row,)`."""
    window_s = window_lengths_s(draft)[rows]
    times_s = torch.cat([other.labels["p_arrival_s"], other.labels["s_arrival_s"]], dim=1)
    outside = (times_s < 0) | (times_s >= window_s[:, None])
    alike = _unit_codes(draft)[rows] == _unit_codes(other)
    covered = (live_components(draft.waveform[rows]) <= other.observed.any(dim=-1)).all(dim=1)
    complete = _all_listed(other.labels) & first_p_s(other.labels, window_s).isfinite()
    return complete & ~outside.any(dim=1) & alike & covered


def _unit_codes(windows: Draft | WaveformBatch) -> Tensor:
    """The position of each window's unit in `UNITS`, `(window,)`."""
    return torch.tensor([UNITS.index(name) for name in windows.unit], device=windows.device)


def _shifted(waveform: Tensor, shift: Tensor, taper: Tensor, factor: Tensor) -> Tensor:
    """Waveforms later by `shift` samples, times a factor, faded over `taper` samples at their edges."""
    num_samples = waveform.shape[2]
    source = torch.arange(num_samples, device=waveform.device) - shift[:, None]
    edge = torch.minimum(source, num_samples - 1 - source) + 1
    weight = (edge / taper[:, None].clamp(min=1)).clamp(0, 1) * factor[:, None]
    moved = waveform.gather(2, source.clamp(min=0)[:, None].expand_as(waveform))
    # Not by a weight of 0, since the samples there may be NaN.
    return torch.where((source >= 0)[:, None], moved.mul_(weight[:, None]), 0.0)


def _stacked_labels(
    labels: Mapping[str, Tensor], rows: Tensor, other: Mapping[str, Tensor], shift_s: Tensor
) -> dict[str, Tensor]:
    """The labels of all windows, with the added ones' events in the columns after each window's own."""
    stacked = dict(labels)
    for name, label in labels.items():
        unknown = torch.nan if label.is_floating_point() else -1
        if name in EVENT_LABELS:
            width = other["p_arrival_s"].shape[1]
            later = other.get(name, label.new_full((len(rows), width), unknown))
            later = later + (shift_s[:, None] if name.endswith("_s") else 0)
            further = label.new_full((len(label), width), unknown).index_copy_(0, rows, later)
            stacked[name] = torch.cat([label, further], dim=1)
        elif label.dtype != torch.bool:
            stacked[name] = label.index_fill(0, rows, unknown)
    return _without_holes(stacked)


def _without_holes(labels: dict[str, Tensor]) -> dict[str, Tensor]:
    """The labels with each window's events in its first columns.

    How many columns a batch has depends on its fullest window; where a window's events stand should not.
    """
    times_s = torch.stack([labels["p_arrival_s"], labels["s_arrival_s"]])
    order = times_s.isnan().all(dim=0).to(torch.int8).argsort(dim=1, stable=True)
    return labels | {name: labels[name].gather(1, order) for name in EVENT_LABELS if name in labels}
