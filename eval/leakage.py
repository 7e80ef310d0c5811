"""What training and test data have in common, printed beside every score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..data.record_facts import RecordFacts, record_facts
from ..data.records import Record, Skipped
from ..data.splitting.coincidence import covered_by, same_origins, unique_origins
from ..data.splitting.fingerprints import Fingerprints

Known = Sequence[Record] | RecordFacts | Fingerprints
"""Records, or what is known of them without their waveforms."""


@dataclass(frozen=True, kw_only=True)
class LeakageConfig:
    """How near two origins must be to be one earthquake, whatever their ids.

    Wider than for joining two catalogs: a leak that is missed costs more than one that is none.
    """

    within_s: float = 2.0
    within_km: float = 25.0


@dataclass(frozen=True, kw_only=True)
class LeakageReport:
    """Overlap of the scored records with those that a model was trained on.

    known: False where nothing is known of the training records, and so nothing about leakage.
    shared_event_ids, shared_origins, shared_record_ids, shared_waveforms, shared_times: leaks. shared_origins
        lists scored events that training knows under another id; shared_waveforms and shared_times list
        scored record ids: the same samples under any name, and the same site at the same time.
    shared_station_ids: no leak, but the scores do not show how the model does at a new station.
    unknown_parts: what the model learned from besides, and could not be compared.
    not_compared: what one side does not tell of any record: event ids, origins, waveforms, times.
    """

    known: bool
    shared_event_ids: tuple[str, ...] = ()
    shared_origins: tuple[str, ...] = ()
    shared_record_ids: tuple[str, ...] = ()
    shared_waveforms: tuple[str, ...] = ()
    shared_times: tuple[str, ...] = ()
    shared_station_ids: tuple[str, ...] = ()
    unknown_parts: tuple[str, ...] = ()
    not_compared: tuple[str, ...] = ()

    @property
    def leaks(self) -> bool:
        """Whether the model may have seen what it is scored on."""
        return bool(
            self.shared_event_ids
            or self.shared_origins
            or self.shared_record_ids
            or self.shared_waveforms
            or self.shared_times
        )

    def summary(self) -> str:
        """What was found, in one to three sentences."""
        if not self.known:
            return f"Leakage unknown: {'; '.join(self.unknown_parts) or 'no training records were given'}."
        stations = f"{len(self.shared_station_ids)} stations occur in both"
        if self.leaks:
            text = (
                f"LEAKAGE: training and test share {len(self.shared_event_ids)} events by id and "
                f"{len(self.shared_origins)} by origin, {len(self.shared_record_ids)} record ids, "
                f"{len(self.shared_waveforms)} waveforms and {len(self.shared_times)} spans of time at one "
                f"station; {stations}. These scores are not valid."
            )
        else:
            text = (
                f"No leakage found: training and test share no event, record, waveform or time; {stations}."
            )
        if self.not_compared:
            text += f" Not compared, since one side does not tell: {', '.join(self.not_compared)}."
        if self.unknown_parts:
            text += f" A part of the training data is unknown: {'; '.join(self.unknown_parts)}."
        return text


def leakage_report(records: Known, train: Known, config: LeakageConfig | None = None) -> LeakageReport:
    """Compare scored records with training records by event id, origin, record id, samples, site and time.

    Each side's waveforms are read at most once, for their hashes, and not where their store knows those.
    """
    known = _facts(train)
    unknown_parts = train.missing if isinstance(train, Fingerprints) else ()
    if not len(known):
        return LeakageReport(known=False, unknown_parts=unknown_parts)
    scored = _facts(records)
    shared = _shared(scored, known, config or LeakageConfig())
    by_origin = shared["origin"] & ~shared["event id"]
    return LeakageReport(
        known=True,
        shared_event_ids=_names(scored.event_id[shared["event id"]]),
        shared_origins=_names(scored.event_keys[by_origin]),
        shared_record_ids=_names(scored.record_id[shared["record id"]]),
        shared_waveforms=tuple(scored.record_id[shared["waveform"]]),
        shared_times=tuple(scored.record_id[shared["time at one site"]]),
        shared_station_ids=_names(scored.station_id[_among(scored.sites, known.sites)]),
        unknown_parts=unknown_parts,
        not_compared=tuple(name for name, told in _TOLD.items() if not (told(scored) and told(known))),
    )


def leaking_records(records: Known, train: Known, config: LeakageConfig | None = None) -> list[Skipped]:
    """The scored records that training data know, each with everything that gives it away."""
    scored = _facts(records)
    shared = _shared(scored, _facts(train), config or LeakageConfig())
    leaking = np.flatnonzero(np.any(list(shared.values()), axis=0))
    return [
        Skipped(
            str(scored.record_id[row]),
            "in the training data by " + ", ".join(name for name, mask in shared.items() if mask[row]),
        )
        for row in leaking.tolist()
    ]


_TOLD = {
    "event ids": lambda facts: bool((facts.event_id != "").any()),
    "origins": lambda facts: len(unique_origins(facts)[0]) > 0,
    "waveforms": lambda facts: bool((facts.waveform_hash != "").any()),
    "times": lambda facts: bool((np.isfinite(facts.end_time) & (facts.station_id != "")).any()),
}


def _facts(data: Known) -> RecordFacts:
    if isinstance(data, RecordFacts):
        return data
    return data.facts if isinstance(data, Fingerprints) else record_facts(data, hashes=True)


def _shared(scored: RecordFacts, train: RecordFacts, config: LeakageConfig) -> dict[str, np.ndarray]:
    """Which scored records are known to the training data, and by what; bool `(record,)` each."""
    return {
        "event id": _among(scored.event_id, train.event_id),
        "origin": _same_earthquakes(scored, train, config),
        "record id": _among(scored.record_id, train.record_id),
        "waveform": _among(scored.waveform_hash, train.waveform_hash),
        "time at one site": covered_by(scored, train),
    }


def _same_earthquakes(scored: RecordFacts, train: RecordFacts, config: LeakageConfig) -> np.ndarray:
    origins, place = unique_origins(scored)
    near, _ = same_origins(origins, unique_origins(train)[0], config.within_s, config.within_km)
    # One entry more, for the records without an origin: they are at −1.
    known = np.zeros(len(origins) + 1, dtype=bool)
    known[near] = True
    return known[place]


def _among(names: np.ndarray, others: np.ndarray) -> np.ndarray:
    known = set(others) - {""}
    return np.array([name in known for name in names], dtype=bool)


def _names(names: np.ndarray) -> tuple[str, ...]:
    return tuple(sorted(set(names)))
