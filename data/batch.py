"""The one batch that every part of seisfm speaks: `WaveformBatch`."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from .masks import all_true
from .masks import finite as finite_samples

COMPONENTS = ("Z", "N", "E", "H")
"""Directions of motion that a network input can have; H is a hydrophone."""

COMPONENT_SLOTS = {"Z": "Z", "N": "N", "E": "E", "1": "N", "2": "E", "H": "H", "3": "Z", "U": "Z"}
"""Where a recorded component goes. Unoriented horizontals 1 and 2 take the slots of N and E."""

UNITS = ("counts", "m/s", "m/s**2", "unknown")

_TENSORS = (
    "waveform",
    "sampling_rate_hz",
    "observed",
    "start_time",
    "station_geometry",
    "event_index",
    "window_key",
)


@dataclass(frozen=True, kw_only=True)
class WaveformBatch:
    """Windows of ground motion with what is known about them; validated at birth and never mutated.

    waveform: float32 `(window, component, sample)`, NaN where nothing was observed.
    sampling_rate_hz: float32 `(window,)`.
    component_names: one name of `COMPONENTS` for each row of `waveform`.
    unit: one of `UNITS` for each window.
    observed: bool like `waveform`; made from the NaN where it is not given.
    station_id, event_id: one string a window ("" where unknown); station_id is NET.STA.LOC.
    start_time: float64 `(window,)`, UTC seconds since 1970, NaN where unknown.
    station_geometry: float32 `(window, 3)`: latitude and longitude in degrees, elevation in metres.
    event_index: int64 `(window,)`; windows with the same index belong to one event.
    window_key: int64 `(window,)`, from which whatever is drawn by chance for a window is drawn, so that it is
        the same in any batch and process (`WindowRandom`).
    labels: tensors with the window first; NaN (float) or −1 (integer) where unknown. Arrival times are
        `{phase}_arrival_s` `(window, event)`, seconds after the window's first sample, with the P and S of
        one event in one column. They may lie outside of the window (negative, or beyond its end), where
        the event's other phase or its coda is inside. `{phase}_labelled` `(window,)` bool says that *all*
        arrivals of that phase are listed, so that their absence elsewhere is knowledge, not ignorance.

    Raises ValueError with what was expected and what was found.
    """

    waveform: Tensor
    sampling_rate_hz: Tensor
    component_names: tuple[str, ...]
    unit: tuple[str, ...]
    observed: Tensor = None  # type: ignore[assignment]  # filled from the NaN in __post_init__
    station_id: tuple[str, ...] | None = None
    event_id: tuple[str, ...] | None = None
    start_time: Tensor | None = None
    station_geometry: Tensor | None = None
    event_index: Tensor | None = None
    window_key: Tensor | None = None
    labels: Mapping[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.waveform.ndim != 3 or self.waveform.dtype != torch.float32:
            raise ValueError(
                "waveform must be float32 (window, component, sample), "
                f"found {self.waveform.dtype} {tuple(self.waveform.shape)}"
            )
        num_windows, num_components, _ = self.waveform.shape
        unknown = [name for name in self.component_names if name not in COMPONENTS]
        if unknown:
            raise ValueError(
                f"unknown component {unknown}: a batch takes {COMPONENTS}; map others with COMPONENT_SLOTS"
            )
        if len(self.component_names) != num_components or len(set(self.component_names)) != num_components:
            raise ValueError(
                f"component_names must name each of the {num_components} rows once, "
                f"found {self.component_names}"
            )
        finite = finite_samples(self.waveform)
        if self.observed is None:
            object.__setattr__(self, "observed", finite)
        if self.observed.shape != self.waveform.shape or self.observed.dtype != torch.bool:
            raise ValueError(
                f"observed must be bool {tuple(self.waveform.shape)}, "
                f"found {self.observed.dtype} {tuple(self.observed.shape)}"
            )
        if self.observed is not finite and not all_true(self.observed <= finite):
            raise ValueError("observed samples must be finite: found NaN or infinity where observed is True")
        bad_units = sorted(set(self.unit) - set(UNITS))
        if bad_units or len(self.unit) != num_windows:
            raise ValueError(
                f"unit must hold one of {UNITS} for each of {num_windows} windows, found {self.unit}"
            )
        if self.sampling_rate_hz.shape != (num_windows,) or not bool((self.sampling_rate_hz > 0).all()):
            raise ValueError(
                f"sampling_rate_hz must be positive with shape ({num_windows},), "
                f"found {self.sampling_rate_hz}"
            )
        for name in ("station_id", "event_id", "start_time", "station_geometry", "event_index", "window_key"):
            value = getattr(self, name)
            if value is not None and len(value) != num_windows:
                raise ValueError(f"{name} must have {num_windows} entries, one a window, found {len(value)}")
        for name, label in self.labels.items():
            if label.ndim == 0 or label.shape[0] != num_windows:
                raise ValueError(
                    f"label {name!r} must begin with {num_windows} windows, found shape {tuple(label.shape)}"
                )

    def __len__(self) -> int:
        return self.waveform.shape[0]

    @property
    def device(self) -> torch.device:
        """Where the tensors lie."""
        return self.waveform.device

    @property
    def num_samples(self) -> int:
        """Samples in a window."""
        return self.waveform.shape[-1]

    def replace(self, **changes: object) -> WaveformBatch:
        """A new batch with some fields changed; a changed waveform brings its own `observed`."""
        if "waveform" in changes and "observed" not in changes:
            changes["observed"] = None
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]

    def with_window_key(self, window_key: Tensor) -> WaveformBatch:
        """The same windows under other keys. Nothing else is checked again: that would read every sample."""
        if window_key.shape != (len(self),) or window_key.dtype != torch.int64:
            raise ValueError(
                f"window_key must be int64 ({len(self)},), found {window_key.dtype} {tuple(window_key.shape)}"
            )
        keyed = copy.copy(self)
        object.__setattr__(keyed, "window_key", window_key)
        return keyed

    def to(self, device: torch.device | str) -> WaveformBatch:
        """The same batch with its tensors on another device; itself where they lie there already."""
        if torch.device(device) == self.device:
            return self
        moved = {name: value.to(device) for name in _TENSORS if (value := getattr(self, name)) is not None}
        labels = {name: label.to(device) for name, label in self.labels.items()}
        return dataclasses.replace(self, **moved, labels=labels)

    def select(self, index: Tensor) -> WaveformBatch:
        """The windows of `index` (int64 or bool), in that order."""
        positions = index.nonzero().flatten() if index.dtype == torch.bool else index
        listed = positions.tolist()
        tensors = {name: value[positions] for name in _TENSORS if (value := getattr(self, name)) is not None}
        names: dict[str, Any] = {
            name: tuple(value[i] for i in listed)
            for name in ("unit", "station_id", "event_id")
            if (value := getattr(self, name)) is not None
        }
        labels = {name: label[positions] for name, label in self.labels.items()}
        return dataclasses.replace(self, **tensors, **names, labels=labels)

    def with_components(self, component_names: tuple[str, ...]) -> WaveformBatch:
        """The batch with its rows in this order; a component that it lacks is NaN and unobserved.

        Raises ValueError where a component of the batch has no place in `component_names`: data are never
        dropped in silence.
        """
        if component_names == self.component_names:
            return self
        lost = [name for name in self.component_names if name not in component_names]
        if lost:
            raise ValueError(
                f"components {lost} have no place in {component_names}: drop them first, on purpose"
            )
        shape = (len(self), len(component_names), self.num_samples)
        waveform = self.waveform.new_full(shape, torch.nan)
        observed = self.observed.new_zeros(shape)
        rows = [component_names.index(name) for name in self.component_names]
        waveform[:, rows] = self.waveform
        observed[:, rows] = self.observed
        return self.replace(waveform=waveform, observed=observed, component_names=component_names)
