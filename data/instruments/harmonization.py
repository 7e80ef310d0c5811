"""Windows of different instruments as one kind of data: motion up, north and east in metres per second."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from ..batch import WaveformBatch
from ..continuous.gaps import constant_runs
from .orientation import apply_matrix
from .response import FLAT_ACCELERATION, ResponseKey, remove_response, remove_sensitivity
from .window_instruments import (
    ZNE,
    MissingMetadataError,
    check_mixable,
    component_sources,
    instrument_response,
    orientation,
    sensitivities,
)

Unit = Literal["native", "m/s"]
Removed = Literal["none", "sensitivity", "full"]
Missing = Literal["keep", "error"]

About = Mapping[str, Any]
"""A record's metadata with its `component_names`."""

_GROUND_MOTION = ("m/s", "m/s**2")
_IDENTITY = torch.eye(3, dtype=torch.float64)


@dataclass(frozen=True, kw_only=True)
class HarmonizationConfig:
    """What is done to windows of native values, as far as their metadata allow it.

    unit: `m/s`, or `native`: whatever the instrument measures.
    response: what is taken away: `none`, the `sensitivity` (one number a component), or the `full` response.
    orient: components are turned to up, north and east by their azimuths and dips.
    highpass_hz: corner for the full response and for the integration of acceleration. Periods longer than
        the window cannot be recovered.
    missing: `keep` leaves a window whose metadata do not suffice in its native unit, which `batch.unit`
        tells, and counts it; `error` refuses it.
    constant_gap_s: one value for so long is a gap that somebody filled in, and becomes NaN; None leaves it.
    """

    unit: Unit = "native"
    response: Removed = "none"
    orient: bool = False
    highpass_hz: float = 0.1
    missing: Missing = "keep"
    constant_gap_s: float | None = None

    def __post_init__(self) -> None:
        for name, choices in (("unit", Unit), ("response", Removed), ("missing", Missing)):
            if getattr(self, name) not in get_args(choices):
                raise ValueError(f"{name} must be one of {get_args(choices)}, found {getattr(self, name)!r}")
        if self.unit == "m/s" and self.response == "none":
            raise ValueError("unit m/s needs response sensitivity or full: counts have no unit by themselves")
        if not self.highpass_hz > 0:
            raise ValueError(f"highpass_hz must be positive, found {self.highpass_hz}")
        if self.constant_gap_s is not None and not self.constant_gap_s > 0:
            raise ValueError(f"constant_gap_s must be positive, or null, found {self.constant_gap_s}")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Plan:
    """What happens to one window: counts per unit of each row, and the response to take away, if any."""

    unit: str
    gain: tuple[float, ...]
    response: ResponseKey | None = None


class Harmonizer:
    """Makes windows of different instruments comparable, a whole batch at a time, on any device.

    kept: how many windows so far stayed as they were in one respect, by reason.
    """

    def __init__(self, config: HarmonizationConfig):
        self.config = config
        self.kept: Counter[str] = Counter()

    def __call__(self, batch: WaveformBatch, about: Sequence[About]) -> WaveformBatch:
        """The batch in the configured unit, response and orientation.

        about: of each window the metadata of its record, with the keys of `response_metadata`, and the
            record's `component_names`, to which their lists belong.

        Raises ValueError where `about` does not fit, and with `missing` = error where metadata are lacking.
        """
        if len(about) != len(batch):
            raise ValueError(
                f"about must describe each of the batch's {len(batch)} windows, found {len(about)}"
            )
        config = self.config
        if config.response == "none" and not config.orient and config.constant_gap_s is None:
            return batch
        waveform, unit = torch.where(batch.observed, batch.waveform, torch.nan), batch.unit
        if config.constant_gap_s is not None:
            waveform = _without_constant_runs(waveform, batch.sampling_rate_hz, config.constant_gap_s)
        if config.response != "none":
            plans = [self._plan_or_keep(batch, window, one) for window, one in enumerate(about)]
            waveform = self._ground_motion(waveform, plans, batch.sampling_rate_hz.tolist())
            unit = tuple(plan.unit for plan in plans)
        if config.orient:
            waveform = self._oriented(batch, waveform, unit, about)
        return batch.replace(waveform=waveform, unit=unit)

    def _plan_or_keep(self, batch: WaveformBatch, window: int, about: About) -> _Plan:
        sources = component_sources(about, batch.component_names)
        try:
            return self._plan(about, sources, batch.unit[window])
        except MissingMetadataError as error:
            self._keep(batch, window, error)
            return _Plan(unit=batch.unit[window], gain=(1.0,) * len(sources))

    def _plan(self, about: About, sources: Sequence[int], unit: str) -> _Plan:
        measured, gain = unit, (1.0,) * len(sources)
        if unit not in _GROUND_MOTION:
            measured, gain = sensitivities(about, sources, unit)
        response = None
        if self.config.response == "full" and about.get("trace_response_state") != "response_removed":
            response = instrument_response(about, measured)
        elif self.config.unit == "m/s" and measured == "m/s**2":
            response = FLAT_ACCELERATION
        return _Plan(unit="m/s" if self.config.unit == "m/s" else measured, gain=gain, response=response)

    def _ground_motion(self, waveform: Tensor, plans: Sequence[_Plan], rates_hz: Sequence[float]) -> Tensor:
        """The waveforms in the units of their plans."""
        waveform = remove_sensitivity(waveform, torch.tensor([plan.gain for plan in plans]))
        by_rate: dict[float, list[int]] = defaultdict(list)
        for window, (plan, rate_hz) in enumerate(zip(plans, rates_hz, strict=True)):
            if plan.response is not None:
                by_rate[rate_hz].append(window)
        for rate_hz, windows in by_rate.items():
            waveform[windows] = remove_response(
                waveform[windows],
                rate_hz,
                [plan.response for i in windows if (plan := plans[i]).response is not None],
                self.config.highpass_hz,
                to_velocity=self.config.unit == "m/s",
            )
        return waveform

    def _oriented(
        self, batch: WaveformBatch, waveform: Tensor, unit: Sequence[str], about: Sequence[About]
    ) -> Tensor:
        """The waveforms, of which those whose azimuths and dips are told are turned."""
        matrices, turned = [], []
        for window, one in enumerate(about):
            try:
                matrix = orientation(one, batch.component_names)
                if unit[window] not in _GROUND_MOTION:
                    check_mixable(one, matrix)
            except MissingMetadataError as error:
                self._keep(batch, window, error)
                continue
            if not torch.equal(matrix, _IDENTITY):
                matrices.append(matrix)
                turned.append(window)
        if not turned:
            return waveform
        slots = [ZNE.index(name) for name in batch.component_names if name in ZNE]
        rows = [row for row, name in enumerate(batch.component_names) if name in ZNE]
        place = (
            torch.tensor(turned, device=waveform.device)[:, None],
            torch.tensor(rows, device=waveform.device),
        )
        recorded = waveform.new_full((len(turned), 3, waveform.shape[-1]), torch.nan)
        recorded[:, slots] = waveform[place]
        waveform = waveform.clone()
        waveform[place] = apply_matrix(recorded, torch.stack(matrices).to(waveform))[:, slots]
        return waveform

    def _keep(self, batch: WaveformBatch, window: int, reason: MissingMetadataError) -> None:
        if self.config.missing == "error":
            station = batch.station_id[window] if batch.station_id else ""
            raise ValueError(
                f"window {window} of station {station!r}: {reason}; give the metadata, leave the record out, "
                "or set missing to keep"
            ) from reason
        self.kept[str(reason)] += 1


def _without_constant_runs(waveform: Tensor, rates_hz: Tensor, constant_gap_s: float) -> Tensor:
    waveform = waveform.clone()
    for rate_hz in rates_hz.unique().tolist():
        windows = rates_hz == rate_hz
        part = waveform[windows]
        filled = constant_runs(part, max(3, math.ceil(constant_gap_s * rate_hz)))
        waveform[windows] = part.masked_fill(filled, torch.nan)
    return waveform
