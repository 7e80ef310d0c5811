"""What training and test data have in common, printed beside every score."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..data.records import Record


@dataclass(frozen=True, kw_only=True)
class LeakageReport:
    """Overlap of the scored records with those that a model was trained on.

    known: False where no training records were given, so that nothing is known about leakage.
    shared_event_ids, shared_record_ids, shared_waveforms, shared_times: leaks. The latter two list scored
    record ids: the same samples under any name, and the same station at the same time.
    shared_station_ids: no leak, but the scores do not show how the model does at a new station.
    """

    known: bool
    shared_event_ids: tuple[str, ...] = ()
    shared_record_ids: tuple[str, ...] = ()
    shared_waveforms: tuple[str, ...] = ()
    shared_times: tuple[str, ...] = ()
    shared_station_ids: tuple[str, ...] = ()

    @property
    def leaks(self) -> bool:
        """Whether the model may have seen what it is scored on."""
        return bool(
            self.shared_event_ids or self.shared_record_ids or self.shared_waveforms or self.shared_times
        )

    def summary(self) -> str:
        """One sentence for a report."""
        if not self.known:
            return "Leakage unknown: no training records were given to compare with."
        stations = f"{len(self.shared_station_ids)} stations occur in both"
        if not self.leaks:
            return (
                f"No leakage found: training and test share no event, record, waveform or time; {stations}."
            )
        return (
            f"LEAKAGE: training and test share {len(self.shared_event_ids)} events, "
            f"{len(self.shared_record_ids)} record ids, {len(self.shared_waveforms)} waveforms and "
            f"{len(self.shared_times)} spans of time at one station; {stations}. These scores are not valid."
        )


def leakage_report(records: Sequence[Record], train_records: Sequence[Record]) -> LeakageReport:
    """Compare scored records with training records by event, record id, samples, station and time."""
    if not train_records:
        return LeakageReport(known=False)
    train_hashes = {_waveform_hash(record) for record in train_records}
    return LeakageReport(
        known=True,
        shared_event_ids=_shared((r.event_id for r in records), (r.event_id for r in train_records)),
        shared_record_ids=_shared((r.record_id for r in records), (r.record_id for r in train_records)),
        shared_waveforms=tuple(r.record_id for r in records if _waveform_hash(r) in train_hashes),
        shared_times=_shared_times(records, train_records),
        shared_station_ids=_shared((r.station_id for r in records), (r.station_id for r in train_records)),
    )


def _shared(scored: Iterable[str], train: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted((set(scored) & set(train)) - {""}))


def _waveform_hash(record: Record) -> bytes:
    """Of the samples alone, whatever the record is called and in which order its components come."""
    rows = sorted(np.ascontiguousarray(row).tobytes() for row in record.waveform)
    return hashlib.sha256(b"".join(rows)).digest()


def _shared_times(records: Sequence[Record], train_records: Sequence[Record]) -> tuple[str, ...]:
    """Scored records of which a station's training records cover some time, known by a running last end."""
    spans: dict[str, list[tuple[float, float]]] = {}
    for record in train_records:
        if record.station_id and np.isfinite(record.start_time):
            span = (record.start_time, record.start_time + record.duration_s)
            spans.setdefault(record.station_id, []).append(span)
    tables = {station: np.asarray(sorted(of_station)) for station, of_station in spans.items()}
    ends = {station: np.maximum.accumulate(table[:, 1]) for station, table in tables.items()}
    shared = []
    for record in records:
        if record.station_id not in tables or not np.isfinite(record.start_time):
            continue
        starts = tables[record.station_id][:, 0]
        before_end = np.searchsorted(starts, record.start_time + record.duration_s, side="left")
        if before_end and ends[record.station_id][before_end - 1] > record.start_time:
            shared.append(record.record_id)
    return tuple(shared)
