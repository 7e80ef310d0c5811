"""Where a run's records come from, as a configuration says it."""

from __future__ import annotations

import bisect
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from pathlib import Path
from typing import Any, overload

import numpy as np
from obspy import UTCDateTime

from .continuous.archive import DAY_S, Archive
from .continuous.streams import stream_to_records
from .corpus.corpus import Corpus
from .formats.diting import DiTing
from .formats.phasenet_npz import read_phasenet_npz
from .formats.seisbench_format import SeisBenchDataset
from .loading.sampler import record_weights
from .record_facts import RecordFacts, record_facts
from .record_table import RecordTable, record_table
from .records import Record, Skipped, event_keys, instrument_of, waveform_of
from .region.source import RegionFiles, iterate_region
from .splitting.exclusion import leave_out
from .splitting.split_sides import SplitConfig
from .splitting.splits import split_records
from .synthesis import SynthesisConfig, SyntheticRecords, synthesize_records

KINDS = ("synthetic", "corpus", "seisbench", "phasenet_npz", "diting", "region", "archive")


_MARKS = {
    "corpus": ("corpus.json", "unfinished.json"),
    "seisbench": ("waveforms*.hdf5",),
    "phasenet_npz": ("*.npz",),
}
"""Files that tell the kind of a data set."""


@dataclass(frozen=True, kw_only=True)
class SourceConfig:
    """One source of records.

    kind: synthetic, corpus (our own format, see `corpus.Corpus`), seisbench (a data set in SeisBench's
        format), phasenet_npz (a folder of npz files), diting (its HDF5 and CSV files), region (an archive
        with stations and picks: see `region`) or archive (continuous waveforms without labels: an SDS tree
        or a folder of files).
    path: of all but the synthetic kind; `$NAME` and `~` are filled in.
    synthesis, num_events, seed: of the synthetic kind. endless: its training windows show records that are
        made when they are asked for and never come again; nothing is held in memory, and num_events is the
        length of an epoch (see `SyntheticRecords`).
    licence: of the data, for the cards of the models that learn from them.
    part, split: only one side of a split, such as `part: train` of `split: {fractions: {train: 0.7,
        test: 0.3}}`. Other sources that name the same split get the other sides.
    exclude: records to leave out: a CSV with a column record_id, such as `seisfm data check` writes, or a
        file with one id a line.
    weight: how often its records are met in training, relative to those of other sources.
    event_words: of the kind seisbench: whose words its event types are, such as pnw; None leaves them as they
        are (see `event_types`).
    region: stations, picks and events of the kind region, whose noise is drawn by `seed`. All its records are
        in memory: of a large one make a corpus first (`seisfm data convert`).
    unit: of an archive's samples.
    piece_s: an archive is cut into records of this length. Those of one piece of time share an `event_id`
        whatever their station, so that a split keeps an earthquake that many stations saw on one side.
    """

    kind: str
    path: str | None = None
    synthesis: SynthesisConfig = field(default_factory=SynthesisConfig)
    num_events: int = 0
    seed: int = 0
    endless: bool = False
    licence: str | None = None
    part: str | None = None
    split: SplitConfig = field(default_factory=SplitConfig)
    exclude: str | None = None
    weight: float = 1.0
    event_words: str | None = None
    region: RegionFiles | None = None
    unit: str = "counts"
    piece_s: float = 300.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"the kind of a source must be one of {KINDS}, found {self.kind!r}")
        if self.kind == "synthetic" and self.num_events < 1:
            raise ValueError(f"a synthetic source needs num_events of at least 1, found {self.num_events}")
        if self.endless and self.kind != "synthetic":
            raise ValueError(f"only a synthetic source can be endless, found kind {self.kind!r}")
        if self.kind != "synthetic" and not self.path:
            raise ValueError(f"a source of kind {self.kind} needs a path")
        if (self.kind == "region") != (self.region is not None):
            raise ValueError(
                f"a source of kind region, and no other, needs region (stations and picks), found {self.kind}"
            )
        if self.part is not None and self.part not in self.split.sides:
            raise ValueError(f"part must be one of {sorted(self.split.sides)}, found {self.part!r}")
        if self.piece_s <= 0:
            raise ValueError(f"piece_s must be positive, found {self.piece_s}")
        if not 0 < self.weight < float("inf"):
            raise ValueError(f"the weight of a source must be positive, found {self.weight}")

    def folder(self) -> Path:
        """The path with variables and `~` filled in. Raises FileNotFoundError where nothing is there."""
        return _existing(self.path or "")


def _existing(given: str) -> Path:
    path = Path(os.path.expandvars(given)).expanduser()
    if not path.exists():
        raise FileNotFoundError(f"no data at {path} (from {given!r}): check the path of the source")
    return path


class JoinedRecords(Sequence[Record]):
    """Several sequences of records as one, each still read when it is asked for.

    weights: of each part, how often its records are met in training; 1 where they are not given.
    """

    def __init__(self, parts: Sequence[Sequence[Record]], weights: Sequence[float] | None = None):
        self.parts = list(parts)
        self.weights = [1.0] * len(self.parts) if weights is None else list(weights)
        if len(self.weights) != len(self.parts):
            raise ValueError(f"expected one weight for each of {len(self.parts)} parts, found {self.weights}")
        self._ends = list(accumulate(len(part) for part in self.parts))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Record]: ...
    def __getitem__(self, index: int | slice) -> Record | Sequence[Record]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        part, position = self._place(range(len(self))[index])
        return part[position]

    def waveform(self, position: int, first: int = 0, last: int | None = None) -> np.ndarray:
        """Some of a record's samples, without the rest of it where its part can read them so."""
        return waveform_of(*self._place(position), first, last)

    def instrument(self, position: int) -> dict[str, Any]:
        """See `instrument_of`."""
        return instrument_of(*self._place(position))

    def _place(self, position: int) -> tuple[Sequence[Record], int]:
        part = bisect.bisect_right(self._ends, position)
        return self.parts[part], position - (self._ends[part - 1] if part else 0)

    def event_keys(self) -> list[str]:
        """The event of each record, read from the parts without their waveforms where they can."""
        return [key for part in self.parts for key in event_keys(part)]

    def record_facts(self) -> RecordFacts:
        """The facts of each record, read from the parts without their waveforms where they can."""
        return RecordFacts.concatenate([record_facts(part) for part in self.parts])

    def record_table(self) -> RecordTable | None:
        """What labels need to know, where every part knows it without its waveforms."""
        tables = [record_table(part) for part in self.parts if len(part)]
        known = [table for table in tables if table is not None]
        return RecordTable.concatenate(known) if known and len(known) == len(tables) else None

    def record_weights(self) -> np.ndarray:
        """How often each record is met in training, `(record,)`."""
        weighted = [w * record_weights(part) for w, part in zip(self.weights, self.parts, strict=True)]
        return np.concatenate([np.zeros(0), *weighted])


def load_records(source: SourceConfig) -> tuple[Sequence[Record], list[Skipped]]:
    """The records of a source, or of its part, and what of it could not be used.

    Raises FileNotFoundError where its path, or the file of those to leave out, does not exist.
    """
    records, skipped = _load_whole(source)
    if source.exclude is not None:
        records, left_out = leave_out(records, _existing(source.exclude))
        skipped = [*skipped, left_out]
    if source.part is not None:
        records = split_records(records, source.split)[source.part]
    return records, skipped


def open_records(path: str | Path, kind: str | None = None) -> tuple[Sequence[Record], list[Skipped]]:
    """All records at a path, and what of them could not be used.

    kind: one of `KINDS`; None tells it by the files that are there.

    Raises FileNotFoundError where nothing is there, ValueError where its kind cannot be told.
    """
    return load_records(SourceConfig(kind=kind or guess_kind(_existing(str(path))), path=str(path)))


def guess_kind(folder: Path) -> str:
    """The kind of a data set by its files. Raises ValueError where none of them tells it."""
    for kind, patterns in _MARKS.items():
        if any(next(folder.glob(pattern), None) is not None for pattern in patterns):
            return kind
    raise ValueError(
        f"nothing in {folder} tells what kind of data set it is: expected one of "
        f"{[pattern for patterns in _MARKS.values() for pattern in patterns]}, or say the kind ({KINDS})"
    )


def _load_whole(source: SourceConfig) -> tuple[Sequence[Record], list[Skipped]]:
    if source.kind == "synthetic" and source.endless:
        return SyntheticRecords(source.synthesis, source.seed, source.num_events), []
    if source.kind == "synthetic":
        return synthesize_records(source.synthesis, source.seed, source.num_events), []
    if source.kind == "corpus":
        return Corpus(source.folder()), []
    if source.kind == "phasenet_npz":
        return read_phasenet_npz(source.folder())
    if source.kind == "seisbench":
        dataset = SeisBenchDataset(source.folder(), event_words=source.event_words)
        return dataset, dataset.unknown_event_types()
    return _diting_records(source) if source.kind == "diting" else _continuous_records(source)


def _diting_records(source: SourceConfig) -> tuple[Sequence[Record], list[Skipped]]:
    records = DiTing(source.folder())
    return records, records.skipped


def _continuous_records(source: SourceConfig) -> tuple[Sequence[Record], list[Skipped]]:
    """Of an archive: the events of a region's catalog, or all of it in pieces."""
    if source.region is None:
        return _archive_records(source)
    skipped: list[Skipped] = []
    return list(iterate_region(source.folder(), source.region, source.seed, skipped)), skipped


def load_all(sources: Sequence[SourceConfig]) -> tuple[Sequence[Record], list[Skipped]]:
    """The records of several sources, one after the other, and what could not be used.

    Raises ValueError where there is no record at all.
    """
    loaded = [load_records(source) for source in sources]
    records = JoinedRecords([part for part, _ in loaded], [source.weight for source in sources])
    skipped = [item for _, items in loaded for item in items]
    if not len(records):
        kinds = [source.kind for source in sources]
        reason = f"; the first of {len(skipped)} skipped: {skipped[0]}" if skipped else ""
        raise ValueError(f"the sources {kinds} gave no record{reason}")
    return records, skipped


def _archive_records(source: SourceConfig) -> tuple[list[Record], list[Skipped]]:
    archive = Archive.open(source.folder())
    records: list[Record] = []
    skipped: list[Skipped] = []
    for station_day in archive.station_days():
        whole, reasons = stream_to_records(archive.read_day(station_day), unit=source.unit)
        skipped += reasons
        # A day is read with the sample of the next midnight, which the next day brings again.
        end = UTCDateTime(station_day.day).timestamp + DAY_S
        pieces = [piece for record in whole for piece in _pieces(record, source.piece_s)]
        records += [piece for piece in pieces if piece.start_time + 0.5 / piece.sampling_rate_hz < end]
    return records, skipped + archive.skipped


def _pieces(record: Record, piece_s: float) -> Iterator[Record]:
    """A long record cut at multiples of `piece_s` of absolute time, the same for every station."""
    first_s = -(record.start_time % piece_s)
    for number in range(int((record.duration_s - first_s) / piece_s) + 1):
        begin = max(0, round((first_s + number * piece_s) * record.sampling_rate_hz))
        end = round((first_s + (number + 1) * piece_s) * record.sampling_rate_hz)
        waveform = record.waveform[:, begin:end]
        if waveform.shape[1]:
            start_time = record.start_time + begin / record.sampling_rate_hz
            yield replace(
                record,
                record_id=f"{record.record_id}/{number}",
                waveform=waveform,
                start_time=start_time,
                event_id=f"archive/{int((start_time + 0.5 / record.sampling_rate_hz) // piece_s)}",
            )
