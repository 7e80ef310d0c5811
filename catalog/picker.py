"""The picker: an ObsPy stream in, probabilities or picks out."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import obspy
import pandas as pd
import torch
from torch import Tensor, nn

from ..data.batch import COMPONENT_SLOTS
from ..data.continuous.streams import stream_to_records
from ..data.records import POLARITIES, Record, Skipped
from ..eval.peaks import PeakPicks, pick_peaks
from ..foundation.backbones.base import Backbone
from ..foundation.contract import InputContract
from ..heads.task_model import load_model, pick_calibration
from .curves import CURVES, curves_as_traces, find_detections, no_detections
from .first_motions import first_motion
from .pick_measures import amplitude_and_snr
from .pick_table import PickTable
from .refinement import Refinement
from .windows import Blend, batched, cut_record, grid_starts, model_components

UNKNOWN_THRESHOLD = 0.3
"""The least probability of a pick where neither the user nor the model says one."""


@dataclass(frozen=True, kw_only=True)
class PickerConfig:
    """How picks are made.

    p_threshold, s_threshold, detection_threshold: least probabilities. None takes what the model recommends
        (`PickCalibration`), or `UNKNOWN_THRESHOLD` where it does not.
    window_s: what the model sees at once; None takes what its contract prefers.
    overlap: share of a window that the next one covers too.
    min_separation_s: of two picks of a phase that are closer, the more probable one stays.
    refine: look at each pick again from the middle of windows of its own, so that it does not depend on
        where the stream began. The first look then takes peaks of `candidate_fraction` of the thresholds.
    refine_shifts: how many windows, spread over one token of the network, that second look has. With 16 (one
        a sample at 100 Hz) picks stay within some 5 ms, with fewer they cost less and move by up to 50 ms.
    max_gap_s: longer gaps end a record; shorter ones are NaN inside of it.
    """

    p_threshold: float | None = None
    s_threshold: float | None = None
    detection_threshold: float = 0.5
    window_s: float | None = None
    overlap: float = 0.5
    batch_size: int = 16
    min_separation_s: float = 0.5
    refine: bool = True
    refine_shifts: int = 16
    candidate_fraction: float = 0.5
    max_gap_s: float = 60.0

    def __post_init__(self) -> None:
        for name in ("p_threshold", "s_threshold", "detection_threshold", "candidate_fraction"):
            value = getattr(self, name)
            if value is not None and not 0.0 < value <= 1.0:
                raise ValueError(f"{name} must be above 0 and at most 1, found {value}")
        if not 0.0 <= self.overlap < 1.0:
            raise ValueError(f"overlap must be from 0 to below 1, found {self.overlap}")
        if self.batch_size < 1 or self.min_separation_s < 0:
            raise ValueError(
                "batch_size must be at least 1 and min_separation_s not negative, found "
                f"{self.batch_size} and {self.min_separation_s}"
            )


@dataclass(frozen=True, kw_only=True)
class PickResult:
    """What a picker found in a stream.

    detections: one row an event at a station, `DETECTION_COLUMNS`: UTC start and end of the time when the
        detection curve stays above its threshold, and the highest probability in it.
    skipped: what was not looked at, and why.
    num_records: recordings that were looked at, gaps and all, one or more for each station's instrument.
    """

    picks: PickTable
    detections: pd.DataFrame
    skipped: list[Skipped]
    num_records: int


class Picker:
    """A task model that picks P and S arrivals in continuous records of any length.

    Takes what recordings look like: gaps, one component or three, Z12, 20 to 500 Hz (or what the contract
    says), many stations, several instruments at one. A record that is shorter than the window is padded with
    unobserved samples to the window's length, which is never shorter than the contract's minimum. P picks of
    a model with a polarity head get their first motion; other heads are not asked. Stations
    are worked on one after the other in batches of windows, so that memory does not grow with their number.
    """

    def __init__(
        self,
        model: nn.Module,
        config: PickerConfig | None = None,
        *,
        name: str = "unnamed",
        revision: str | None = None,
    ) -> None:
        """A picker around a `SeismicTaskModel` with a picking head.

        name, revision: written beside each pick; without a revision, a fingerprint of the weights.

        Raises ValueError where the window does not fit the model's contract.
        """
        self.model, self.config, self.name = model, config or PickerConfig(), name
        encoder = _encoder(model)
        self.contract = encoder.contract
        self.token_s = encoder.config.token_samples / self.contract.model_rate_hz
        self.window_s = self.config.window_s or self.contract.window_s.preferred
        shortest, longest = self.contract.window_s.min, self.contract.window_s.max
        if not shortest <= self.window_s <= longest:
            raise ValueError(
                f"window_s must be {shortest:g} to {longest:g} s for this model, found {self.window_s:g} s"
            )
        self.revision = revision or fingerprint(model)
        self.calibration = known = pick_calibration(model)
        self.thresholds = {
            "P": self.config.p_threshold or known.p_threshold or UNKNOWN_THRESHOLD,
            "S": self.config.s_threshold or known.s_threshold or UNKNOWN_THRESHOLD,
        }
        self.tells_first_motions = "polarity" in getattr(model, "heads", ())
        self.num_curves = len(CURVES) + (len(POLARITIES) if self.tells_first_motions else 0)

    @classmethod
    def from_pretrained(
        cls, name_or_path: str, revision: str | None = None, *, device: str = "cpu", **config: object
    ) -> Picker:
        """A picker from a folder, hub id or bundled name; further arguments are those of `PickerConfig`."""
        settings = PickerConfig(**config)  # type: ignore[arg-type]  # a wrong name is a TypeError
        model = load_model(name_or_path, revision=revision).to(device)  # type: ignore[arg-type]
        return cls(model, settings, name=str(name_or_path), revision=revision)

    def annotate(self, stream: obspy.Stream) -> obspy.Stream:
        """Probability against time: traces seisfm_P, seisfm_S and seisfm_D for each station and instrument.

        At the rate of the recording, without samples where nothing was observed. Two instruments of a station
        give two traces of one id, told apart by `trace.stats.seisfm["instrument"]`. What is left out and why
        is told by `classify`.
        """
        annotated = obspy.Stream()
        records, _ = self._usable(stream)
        for record in records:
            annotated += curves_as_traces(record, self._curves(record)[: len(CURVES)].numpy())
        return annotated

    def classify(self, stream: obspy.Stream) -> PickResult:
        """P and S picks with their amplitudes, detections, and what was skipped."""
        records, skipped = self._usable(stream)
        parts = [self.pick_record(record) for record in records]
        detections = [part for _, part in parts if len(part)]
        return PickResult(
            picks=PickTable.concat(picks for picks, _ in parts),
            detections=pd.concat(detections, ignore_index=True) if detections else no_detections(),
            skipped=skipped,
            num_records=len(records),
        )

    def pick_record(self, record: Record) -> tuple[PickTable, pd.DataFrame]:
        """Picks and detections of one station's record."""
        curves = self._curves(record)
        probability = torch.cat([curves[:2], 1.0 - curves[:2].sum(dim=0, keepdim=True)]).clamp_(0.0, 1.0)
        config = self.config
        fraction = config.candidate_fraction if config.refine else 1.0
        first = {phase: fraction * threshold for phase, threshold in self.thresholds.items()}
        found = pick_peaks(probability, record.sampling_rate_hz, first, config.min_separation_s)
        if config.refine:
            found = self._refinement(record, first)(found).above(self.thresholds)
        table = PickTable.from_rows(self._rows(record, found, curves[len(CURVES) :].numpy()))
        return table, find_detections(record, curves[2].numpy(), config.detection_threshold)

    def _usable(self, stream: obspy.Stream) -> tuple[list[Record], list[Skipped]]:
        records, skipped = stream_to_records(stream, max_gap_s=self.config.max_gap_s)
        usable = []
        for record in records:
            reason = _unusable(record, self.contract)
            if reason:
                skipped.append(Skipped(record.record_id, reason))
                continue
            skipped += [
                Skipped(
                    f"{record.record_id} {name}", f"the model takes components {self.contract.components}"
                )
                for name in record.component_names
                if COMPONENT_SLOTS[name] not in self.contract.components
            ]
            usable.append(record)
        return usable, skipped

    def _window_samples(self, record: Record) -> int:
        # Rounding up never breaks the contract, which allows one per cent around its limits.
        return math.ceil(self.window_s * record.sampling_rate_hz - 1e-6)

    def _curves(self, record: Record) -> Tensor:
        """The curves `CURVES` of a whole record `(curve, sample)`, NaN where nothing was observed.

        Behind them, of a model with a polarity head, the probability of each of `POLARITIES`.
        """
        num_samples, window = record.waveform.shape[1], self._window_samples(record)
        blend = Blend(self.num_curves, num_samples, window)
        for starts in batched(grid_starts(num_samples, window, self.config.overlap), self.config.batch_size):
            blend.add(starts, self._predict(record, starts))
        curves = blend.result()
        curves[:, torch.from_numpy(~np.isfinite(record.waveform).any(axis=0))] = torch.nan
        return curves

    def _predict(self, record: Record, starts: np.ndarray) -> Tensor:
        """Curves `(window, curve, sample)` of windows at these first samples."""
        components = model_components(self.contract.components)
        batch = cut_record(record, starts, self._window_samples(record), components)
        with _evaluating(self.model) as device:
            output = self.model(batch.to(device))
        picking = output["picking"]["probability"][:, :2]
        if "detection" in output:
            detection = output["detection"]["probability"][:, None]
        else:
            detection = torch.full_like(picking[:, :1], torch.nan)
        curves = [picking, detection]
        if self.num_curves > len(CURVES):
            curves.append(output["polarity"]["probability"])
        return torch.cat(curves, dim=1).float().cpu()

    def _refinement(self, record: Record, thresholds: dict[str, float]) -> Refinement:
        def predict(starts: np.ndarray) -> Tensor:
            parts = [self._predict(record, some)[:, :2] for some in batched(starts, self.config.batch_size)]
            phases = torch.cat(parts)
            return torch.cat([phases, 1.0 - phases.sum(dim=1, keepdim=True)], dim=1).clamp_(0.0, 1.0)

        return Refinement(
            predict=predict,
            window_samples=self._window_samples(record),
            sampling_rate_hz=record.sampling_rate_hz,
            shifts=self._shifts(record),
            thresholds=thresholds,
            min_separation_s=self.config.min_separation_s,
        )

    def _shifts(self, record: Record) -> tuple[int, ...]:
        """Samples of the record by which refining windows are moved: evenly over one token."""
        token = self.token_s * record.sampling_rate_hz
        count = self.config.refine_shifts
        return tuple(sorted({round(token * ((i + 0.5) / count - 0.5)) for i in range(count)}))

    def _rows(self, record: Record, found: PeakPicks, polarity: np.ndarray) -> Iterator[dict[str, object]]:
        std_s = self.calibration.time_std_s(found.probability, found.time_uncertainty_s)
        for phase, time_s, probability, uncertainty in zip(
            found.phase.tolist(), found.time_s, found.probability, std_s, strict=True
        ):
            amplitude, snr_db = amplitude_and_snr(record, phase, time_s)
            yield {
                "station_id": record.station_id,
                "phase": phase,
                "time": record.start_time + float(time_s),
                "time_uncertainty_s": uncertainty,
                "probability": probability,
                "amplitude": amplitude,
                "snr_db": snr_db,
                "instrument": record.metadata.get("trace_channel", ""),
                "model": self.name,
                "model_revision": self.revision,
                **first_motion(record, polarity, phase, float(time_s)),
            }


def fingerprint(model: nn.Module) -> str:
    """Twelve digits of the SHA-256 of a model's weights: what it is, whatever its folder is called.

    The same weights with another calibration or other settings of a head, such as passes with dropout, say
    other probabilities, and are another model.
    """
    digest = hashlib.sha256()
    config = getattr(model, "config", None)
    for settings in (getattr(config, "calibration", None), getattr(config, "heads", None)):
        if settings:
            digest.update(json.dumps(settings, sort_keys=True).encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:12]


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[torch.device]:
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


def _unusable(record: Record, contract: InputContract) -> str | None:
    """Why a model cannot take a record, or None."""
    low, high = contract.sampling_rates_hz
    if not low * 0.999 <= record.sampling_rate_hz <= high * 1.001:
        return f"sampled at {record.sampling_rate_hz:g} Hz: the model takes {low:g} to {high:g} Hz"
    if record.unit not in contract.units:
        return f"the unit is {record.unit}: the model takes {contract.units}"
    if not any(COMPONENT_SLOTS[name] in contract.components for name in record.component_names):
        return f"components {record.component_names}: the model takes {contract.components}"
    return None
