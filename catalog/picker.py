"""The picker: an ObsPy stream in, probabilities or picks out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import obspy
import pandas as pd
import torch
from torch import Tensor, nn

from ..data.batch import COMPONENT_SLOTS
from ..data.continuous.streams import stream_to_records
from ..data.records import Record, Skipped
from ..eval.peaks import PeakPicks, pick_peaks
from ..heads.task_model import load_model, pick_calibration
from .companions import Companions
from .curves import CURVES, curves_as_traces, find_detections, no_detections
from .first_motions import first_motion
from .network_looks import NetworkLooks
from .pick_measures import amplitude_and_snr
from .pick_table import PickTable
from .picker_config import UNKNOWN_THRESHOLD, PickerConfig, PickResult
from .refinement import Refinement
from .station_places import Stations, places_of, station_table
from .window_model import Look, Shifted, WindowModel

__all__ = ["UNKNOWN_THRESHOLD", "PickResult", "Picker", "PickerConfig", "fingerprint"]


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
        self.windows = WindowModel(model, self.config.window_s, self.config.overlap, self.config.batch_size)
        self.window_s = self.windows.window_s
        self.tells_first_motions = self.windows.tells_first_motions
        self.revision = revision or fingerprint(model)
        self.calibration = known = pick_calibration(model)
        self.thresholds = {
            "P": self.config.p_threshold or known.p_threshold or UNKNOWN_THRESHOLD,
            "S": self.config.s_threshold or known.s_threshold or UNKNOWN_THRESHOLD,
        }

    @classmethod
    def from_pretrained(
        cls, name_or_path: str, revision: str | None = None, *, device: str = "cpu", **config: object
    ) -> Picker:
        """A picker from a folder, hub id or bundled name; further arguments are those of `PickerConfig`."""
        settings = PickerConfig(**config)  # type: ignore[arg-type]  # a wrong name is a TypeError
        model = load_model(name_or_path, revision=revision).to(device)  # type: ignore[arg-type]
        return cls(model, settings, name=str(name_or_path), revision=revision)

    def annotate(self, stream: obspy.Stream, stations: Stations | None = None) -> obspy.Stream:
        """Probability against time: traces seisfm_P, seisfm_S and seisfm_D for each station and instrument.

        At the rate of the recording, without samples where nothing was observed. Two instruments of a station
        give two traces of one id, told apart by `trace.stats.seisfm["instrument"]`. What is left out and why
        is told by `classify`, and so is what `stations` are for.
        """
        annotated = obspy.Stream()
        records, _ = self._usable(stream)
        for record, curves, _ in self._looked(records, stations, []):
            annotated += curves_as_traces(record, curves[: len(CURVES)].numpy())
        return annotated

    def classify(self, stream: obspy.Stream, stations: Stations | None = None) -> PickResult:
        """P and S picks with their amplitudes, detections, and what was skipped.

        stations: where they stand, for a model whose heads listen to other stations: an ObsPy inventory, a
            table as `read_stations` gives it, or the file of either. All stations of the stream that stand
            within reach of each other are then picked together. One that is not among `stations`, and every
            one without `stations`, is picked by itself, which `skipped` tells. Other models do not need it.

        Raises FileNotFoundError or ValueError where `stations` cannot be read.
        """
        records, skipped = self._usable(stream)
        parts = [self._picked(*looked) for looked in self._looked(records, stations, skipped)]
        detections = [part for _, part in parts if len(part)]
        return PickResult(
            picks=PickTable.concat(picks for picks, _ in parts),
            detections=pd.concat(detections, ignore_index=True) if detections else no_detections(),
            skipped=skipped,
            num_records=len(records),
        )

    def pick_record(self, record: Record) -> tuple[PickTable, pd.DataFrame]:
        """Picks and detections of one station's record, seen by itself."""
        return self._picked(record, self.windows.curves(record), partial(self.windows.moved, record))

    def _picked(self, record: Record, curves: Tensor, look: Look) -> tuple[PickTable, pd.DataFrame]:
        """Picks and detections from a record's curves, and a second look at each from windows of its own."""
        probability = torch.cat([curves[:2], 1.0 - curves[:2].sum(dim=0, keepdim=True)]).clamp_(0.0, 1.0)
        config = self.config
        fraction = config.candidate_fraction if config.refine else 1.0
        first = {phase: fraction * threshold for phase, threshold in self.thresholds.items()}
        found = pick_peaks(probability, record.sampling_rate_hz, first, config.min_separation_s)
        if config.refine:
            found = self._refinement(record, first, look)(found).above(self.thresholds)
        table = PickTable.from_rows(self._rows(record, found, curves[len(CURVES) :].numpy()))
        return table, find_detections(record, curves[2].numpy(), config.detection_threshold)

    def _usable(self, stream: obspy.Stream) -> tuple[list[Record], list[Skipped]]:
        records, skipped = stream_to_records(stream, max_gap_s=self.config.max_gap_s)
        usable, components = [], self.windows.contract.components
        for record in records:
            reason = self.windows.unusable(record)
            if reason:
                skipped.append(Skipped(record.record_id, reason))
                continue
            skipped += [
                Skipped(f"{record.record_id} {name}", f"the model takes components {components}")
                for name in record.component_names
                if COMPONENT_SLOTS[name] not in components
            ]
            usable.append(record)
        return usable, skipped

    def _looked(
        self, records: Sequence[Record], stations: Stations | None, skipped: list[Skipped]
    ) -> Iterator[tuple[Record, Tensor, Look]]:
        """Each record with its curves and a way to look at some of its windows again."""
        network = self._network(records, stations, skipped) if self.windows.listening else None
        told = {} if network is None else network.curves()
        for number, record in enumerate(records):
            if network is not None and number in told:
                yield record, told.pop(number), partial(network.moved, number)
            else:
                yield record, self.windows.curves(record), partial(self.windows.moved, record)

    def _network(
        self, records: Sequence[Record], stations: Stations | None, skipped: list[Skipped]
    ) -> NetworkLooks | None:
        if stations is None:
            reason = "not said where they stand: each is picked by itself, though the model's heads listen"
            skipped.append(Skipped("stations", reason))
            return None
        names = [record.station_id for record in records]
        places, notes = places_of(names, station_table(stations))
        unplaced = dict.fromkeys(names[row] for row in np.flatnonzero(np.isnan(places[:, 0])).tolist())
        skipped += notes
        skipped += [Skipped(name, "place unknown: picked by itself, without the others") for name in unplaced]
        companions = Companions(records, places, self.config.nearest_stations, self.config.within_km)
        return NetworkLooks(self.windows, records, places, companions)

    def _refinement(self, record: Record, thresholds: dict[str, float], look: Look) -> Refinement:
        def classes(moved: Shifted, shift: int) -> Tensor:
            phases = moved(shift)[:, :2]
            return torch.cat([phases, 1.0 - phases.sum(dim=1, keepdim=True)], dim=1).clamp_(0.0, 1.0)

        return Refinement(
            look=lambda starts: partial(classes, look(starts)),
            window_samples=self.windows.window_samples(record),
            sampling_rate_hz=record.sampling_rate_hz,
            shifts=self._shifts(record),
            thresholds=thresholds,
            min_separation_s=self.config.min_separation_s,
            batch_size=self.config.batch_size,
        )

    def _shifts(self, record: Record) -> tuple[int, ...]:
        """Samples of the record by which refining windows are moved: evenly over one token."""
        token = self.windows.token_s * record.sampling_rate_hz
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
