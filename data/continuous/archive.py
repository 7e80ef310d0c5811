"""Waveform files and archives: single files, folders, and SDS trees, read as ObsPy streams."""

from __future__ import annotations

import datetime
import glob
import math
import re
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import obspy
from obspy import UTCDateTime
from obspy.io.mseed.util import get_record_information

from ..records import Skipped

DAY_S = 86400.0
SMALLEST_RECORD_BYTES = 128

# SDS: <root>/YEAR/NET/STA/CHAN.D/NET.STA.LOC.CHAN.D.YEAR.DAY
_SDS_NAME = re.compile(
    r"(?P<station>[^.]+\.[^.]+\.[^.]*)\.(?P<channel>[^.]+)\.D\.(?P<year>\d{4})\.(?P<day>\d{3})$"
)
_SDS_FRINGE_S = 300.0
"""Day files of real archives reach past midnight by a record or two."""


@dataclass(frozen=True, kw_only=True, order=True)
class StationDay:
    """One station (NET.STA.LOC) on one UTC day: the unit of work of an archive."""

    station_id: str
    day: datetime.date


@dataclass(frozen=True, kw_only=True, slots=True)
class _Entry:
    """What a file holds of one station, UTC seconds since 1970, as far as its header or name tells.

    fringe_s: by how much the times were widened, because the name alone does not tell them.
    """

    path: Path
    start_time: float
    end_time: float
    fringe_s: float = 0.0


def read_waveforms(
    paths: str | Path | Iterable[str | Path],
    start_time: float | UTCDateTime | None = None,
    end_time: float | UTCDateTime | None = None,
) -> tuple[obspy.Stream, list[Skipped]]:
    """The traces of files and folders (with all that lies below them), and what could not be read.

    Every format that ObsPy knows is taken. A damaged file costs itself alone; of a truncated one what is
    readable is kept and the loss is told.

    start_time, end_time: UTC; samples outside are left out.

    Raises FileNotFoundError where a path does not exist.
    """
    stream = obspy.Stream()
    skipped: list[Skipped] = []
    for file in _files(paths):
        found, reasons = _read_file(file, start_time, end_time)
        stream += found
        skipped.extend(reasons)
    return stream, skipped


def _files(paths: str | Path | Iterable[str | Path]) -> Iterator[Path]:
    listed = [paths] if isinstance(paths, str | Path) else list(paths)
    for path in map(Path, listed):
        if not path.exists():
            raise FileNotFoundError(f"no waveforms at {path}: expected a file or folder that ObsPy can read")
        if path.is_dir():
            # Hidden files are an operating system's or an editor's, never a seismologist's.
            yield from sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
        else:
            yield path


def _read_file(
    path: Path,
    start_time: float | UTCDateTime | None = None,
    end_time: float | UTCDateTime | None = None,
    headonly: bool = False,
) -> tuple[obspy.Stream, list[Skipped]]:
    """One file's traces, with a one-line reason for each thing that is wrong with it."""
    if path.stat().st_size == 0:
        return obspy.Stream(), [Skipped(str(path), "the file is empty (0 bytes)")]
    limits = {
        name: UTCDateTime(time)
        for name, time in (("starttime", start_time), ("endtime", end_time))
        if time is not None
    }
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            stream = obspy.read(glob.escape(str(path)), headonly=headonly, **limits)
        except Exception as error:  # a damaged file makes a reader raise nearly anything
            unknown = "Unknown format" in str(error)
            reason = "not a waveform format that ObsPy knows" if unknown else _one_line(error)
            return obspy.Stream(), [Skipped(str(path), reason)]
    reasons = [
        _one_line(warning.message) for warning in caught if "Last record only" not in str(warning.message)
    ]
    if stream and stream[0].stats.get("_format") == "MSEED":
        reasons.extend(_truncation(path))
    return stream, [Skipped(str(path), f"read in part: {reason}") for reason in dict.fromkeys(reasons)]


def _one_line(error: object) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]


def _truncation(path: Path) -> list[str]:
    """Whether a miniSEED file ends inside of a record, which its reader passes over in silence."""
    size = path.stat().st_size
    with path.open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if get_record_information(file)["excess_bytes"] == 0:
            return []
        # The lengths of records may differ, so walk them all before calling the file truncated.
        place = 0
        while place < size:
            file.seek(place)
            left = size - place
            try:
                length = int(get_record_information(file)["record_length"])
            except Exception:  # no header where one should be
                length = left + 1 if left < SMALLEST_RECORD_BYTES else 0
            if length > left:
                return [f"truncated: its last {left} bytes are no whole record"]
            if length == 0:
                return [f"no record header at byte {place} of {size}"]
            place += length
    return []


@dataclass(frozen=True, kw_only=True)
class Archive:
    """Continuous waveforms on disk, by station and time; an SDS tree or any folder of files.

    skipped: files that could not be read, and why. It grows while the archive is read.
    """

    path: Path
    entries: dict[str, list[_Entry]]
    skipped: list[Skipped] = field(default_factory=list)

    @classmethod
    def open(cls, path: str | Path) -> Archive:
        """The archive at a folder. An SDS tree is indexed by its file names, a folder by its files' headers.

        Raises FileNotFoundError where there is no such folder, ValueError where it holds no waveforms.
        """
        root = Path(path)
        if not root.is_dir():
            raise FileNotFoundError(
                f"no archive at {root}: expected a folder of waveform files, or an SDS tree "
                "(YEAR/NET/STA/CHAN.D/NET.STA.LOC.CHAN.D.YEAR.DAY)"
            )
        skipped: list[Skipped] = []
        entries = _sds_entries(root) or _folder_entries(root, skipped)
        if not entries:
            found = f"; {skipped[0].item}: {skipped[0].reason}" if skipped else ""
            raise ValueError(f"no waveforms in {root}: {len(skipped)} files looked at{found}")
        return cls(path=root, entries=entries, skipped=skipped)

    @property
    def station_ids(self) -> list[str]:
        """NET.STA.LOC of every station, sorted."""
        return sorted(self.entries)

    def spans(self, station_id: str) -> list[tuple[float, float]]:
        """Start and end of each file of a station, UTC seconds since 1970; of an SDS tree whole days."""
        return [
            (entry.start_time + entry.fringe_s, entry.end_time - entry.fringe_s)
            for entry in self.entries[station_id]
        ]

    def station_days(self) -> list[StationDay]:
        """Every station and UTC day with data, sorted; of an SDS tree by the names of its files."""
        days = {
            StationDay(station_id=station_id, day=day)
            for station_id, entries in self.entries.items()
            for entry in entries
            for day in _days(entry)
        }
        return sorted(days)

    def read(
        self, station_id: str, start_time: float | UTCDateTime, end_time: float | UTCDateTime
    ) -> obspy.Stream:
        """All channels of a station between two UTC times (both included, as in ObsPy); empty where none are.

        Raises KeyError for a station that the archive does not know, ValueError where the times are in the
        wrong order. What is wrong with files is told in `skipped`.
        """
        if station_id not in self.entries:
            raise KeyError(f"no station {station_id!r} in {self.path}: it has {self.station_ids}")
        start, end = UTCDateTime(start_time), UTCDateTime(end_time)
        if not start < end:
            raise ValueError(f"start_time must lie before end_time, found {start} and {end}")
        paths = [
            entry.path
            for entry in self.entries[station_id]
            if entry.start_time <= end.timestamp and entry.end_time >= start.timestamp
        ]
        stream, reasons = read_waveforms(dict.fromkeys(paths), start, end)
        self.skipped.extend(reason for reason in reasons if reason not in self.skipped)
        return obspy.Stream([trace for trace in stream if _station_id(trace) == station_id])

    def read_day(self, station_day: StationDay, halo_s: float = 0.0) -> obspy.Stream:
        """A station's UTC day, with `halo_s` seconds of its neighbours on either side."""
        midnight = UTCDateTime(station_day.day).timestamp
        return self.read(station_day.station_id, midnight - halo_s, midnight + DAY_S + halo_s)


def _station_id(trace: obspy.Trace) -> str:
    return f"{trace.stats.network}.{trace.stats.station}.{trace.stats.location}"


def _days(entry: _Entry) -> list[datetime.date]:
    """The UTC days that a file touches, without the fringes of an SDS day."""
    first = int((entry.start_time + entry.fringe_s) // DAY_S)
    last = math.ceil((entry.end_time - entry.fringe_s) / DAY_S) - 1
    return [UTCDateTime(day * DAY_S).date for day in range(first, max(first, last) + 1)]


def _sds_entries(root: Path) -> dict[str, list[_Entry]]:
    """Day files by station, from names alone; empty where the folder is no SDS tree.

    ObsPy's SDS client gives up a request at the first damaged file; by the names, each file fails for itself.
    """
    entries: dict[str, list[_Entry]] = defaultdict(list)
    for file in sorted(root.glob("[0-9][0-9][0-9][0-9]/*/*/*.D/*")):
        if name := _SDS_NAME.match(file.name):
            midnight = UTCDateTime(year=int(name["year"]), julday=int(name["day"])).timestamp
            entry = _Entry(
                path=file,
                start_time=midnight - _SDS_FRINGE_S,
                end_time=midnight + DAY_S + _SDS_FRINGE_S,
                fringe_s=_SDS_FRINGE_S,
            )
            entries[name["station"]].append(entry)
    return dict(entries)


def _folder_entries(root: Path, skipped: list[Skipped]) -> dict[str, list[_Entry]]:
    """The files of a folder by station, from their headers; whatever is no waveform is told."""
    entries: dict[str, list[_Entry]] = defaultdict(list)
    for file in _files(root):
        stream, reasons = _read_file(file, headonly=True)
        skipped.extend(reasons)
        spans: dict[str, list[float]] = defaultdict(list)
        for trace in stream:
            spans[_station_id(trace)] += [trace.stats.starttime.timestamp, trace.stats.endtime.timestamp]
        for station_id, times in spans.items():
            entries[station_id].append(_Entry(path=file, start_time=min(times), end_time=max(times)))
    return dict(entries)
