"""DiTing, China's benchmark set of local and regional earthquakes: its HDF5 and CSV files as records."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

import h5py
import numpy as np
import pandas as pd

from ..records import Arrival, Record, Skipped
from .catalogs.columns import ONSET_OF

SAMPLING_RATE_HZ = 50.0
COMPONENTS = ("Z", "N", "E")
_PART_NAME = re.compile(r"_part_(\d+)\.hdf5$")

# U and D are clear first motions, C and R (compression, rarefaction) those of long-period instruments.
_POLARITY = {"U": "positive", "C": "positive", "D": "negative", "R": "negative"}
_MAGNITUDE_TYPE = {"ml": "ML", "ms": "Ms", "mb": "mb", "mw": "Mw", "mwc": "Mwc"}
_REQUIRED = ("part", "key", "ev_id", "p_pick", "s_pick")
_FIELDS = ("part", "key", "ev_id", "net", "sta_id", "p_pick", "s_pick")
_OWN = (*_FIELDS, "p_clarity", "p_motion", "evmag", "mag_type", "dis", "baz")
_NOT_AVAILABLE = ["", "nan", "NaN", "NAN", "None", "none", "null"]


class DiTing(Sequence[Record]):
    """DiTing (Zhao et al. 2023, Earthquake Science 36, 84–94), or its light version: P and S of each record.

    path: the folder with the HDF5 parts (`…_part_0.hdf5` …, each with `earthquake/<key>` of `(sample, 3)` in
        the order Z, N, E at 50 Hz) and the CSV tables of them, by default one beside each part with its name.
    tables: other tables, such as that of DiTing-light or the one of all parts.
    keep_after_s: seconds kept after the last listed arrival, None for all. One event is listed, and nobody
        vouches that the rest of the 180 s holds no other: what is left counts as fully labelled.

    The tables give `p_pick` and `s_pick` in samples, and keys that a spreadsheet may have shortened: they are
    filled with zeros to six digits before the point and four after it. Onsets come from `p_clarity` (I, E),
    polarities from `p_motion` (U, C up; D, R down; others unknown), back azimuths are taken modulo 360. The
    set tells neither times nor units. Its other columns stay in the metadata under their own names.

    Raises FileNotFoundError where a part or a table is missing, ValueError for tables that are not DiTing's.
    """

    def __init__(
        self, path: str | Path, tables: Sequence[str | Path] | None = None, keep_after_s: float | None = 30.0
    ) -> None:
        self.path = Path(path)
        self._keep_after_s = keep_after_s
        self._parts = _parts(self.path)
        listed = [part.with_suffix(".csv") for part in self._parts.values()] if tables is None else tables
        self._table = pd.concat([_read_table(Path(table)) for table in listed], ignore_index=True)
        self.skipped: list[Skipped] = []
        self._leave_out_unusable()
        self._files: dict[Path, h5py.File] = {}

    def __len__(self) -> int:
        return len(self._table)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> list[Record]: ...
    def __getitem__(self, index: int | slice) -> Record | list[Record]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        told = self._table.iloc[range(len(self))[index]].to_dict()
        row = {str(name): cell for name, cell in told.items() if not pd.isna(cell)}
        return self._record(row)

    def event_keys(self) -> list[str]:
        """The event of each record, from the tables alone."""
        return [_event_id(row) for row in self._table[["ev_id", "part"]].to_dict("records")]

    def __getstate__(self) -> dict[str, Any]:
        """Open files do not travel to another process: it opens its own."""
        return self.__dict__ | {"_files": {}}

    def _leave_out_unusable(self) -> None:
        """Rows without any pick, or of a part that is not there, are told and left out."""
        known = {str(number) for number in self._parts}
        for reason, bad in (
            ("neither P nor S is picked", self._table[["p_pick", "s_pick"]].isna().all(axis=1)),
            (f"its part is not in {self.path}", ~self._table["part"].isin(known)),
        ):
            keys = self._table.loc[bad, "key"]
            self.skipped += [Skipped(f"DiTing {key}", reason) for key in keys]
            self._table = self._table[~bad.reindex(self._table.index)]

    def _record(self, row: dict[str, Any]) -> Record:
        picks = {phase: _samples(row, column) for phase, column in (("P", "p_pick"), ("S", "s_pick"))}
        picks = {phase: sample for phase, sample in picks.items() if not math.isnan(sample)}
        key = _full_key(str(row["key"]))
        waveform = self._waveform(str(row["part"]), key, picks)
        return Record(
            record_id=f"diting/{row['part']}/{key}",
            waveform=waveform,
            component_names=COMPONENTS,
            sampling_rate_hz=SAMPLING_RATE_HZ,
            station_id=_station_id(row),
            event_id=_event_id(row),
            arrivals=tuple(_arrival(phase, sample, row) for phase, sample in picks.items()),
            labelled_phases=frozenset(picks),
            metadata=_metadata(row),
        )

    def _waveform(self, part: str, key: str, picks: dict[str, float]) -> np.ndarray:
        file = self._parts[int(part)]
        if file not in self._files:
            self._files[file] = h5py.File(file, "r")
        group = self._files[file].get("earthquake", {})
        if key not in group:
            raise ValueError(f"{file} has no earthquake/{key}, which its table names")
        stored = group[key]
        if stored.ndim != 2 or stored.shape[1] != len(COMPONENTS):
            raise ValueError(f"{file}: earthquake/{key} must be (sample, 3), found {stored.shape}")
        if not all(0 <= sample < len(stored) for sample in picks.values()):
            raise ValueError(
                f"{file}: the picks of earthquake/{key} must lie in its {len(stored)} samples, found {picks}"
            )
        last = len(stored)
        if self._keep_after_s is not None:
            last = min(last, int(max(picks.values()) + self._keep_after_s * SAMPLING_RATE_HZ))
        waveform = np.array(stored[:last], dtype=np.float32).T.copy()
        waveform[(waveform == 0).all(axis=1)] = np.nan
        return waveform


def _parts(folder: Path) -> dict[int, Path]:
    found = {int(name[1]): file for file in folder.glob("*.hdf5") if (name := _PART_NAME.search(file.name))}
    if not found:
        raise FileNotFoundError(f"no DiTing in {folder}: expected files such as DiTing330km_part_0.hdf5")
    return dict(sorted(found.items()))


def _read_table(file: Path) -> pd.DataFrame:
    """A table as text, since its columns are told in several ways, and spaces count for nothing in it."""
    if not file.is_file():
        raise FileNotFoundError(f"no table {file}: expected the CSV file of DiTing's records")
    table = pd.read_csv(file, dtype=str, keep_default_na=False, skipinitialspace=True)
    table.columns = [str(name).strip() for name in table.columns]
    absent = [name for name in _REQUIRED if name not in table]
    if absent:
        raise ValueError(f"{file} lacks the columns {absent} of DiTing, found {list(table.columns)}")
    stripped = table.apply(lambda column: column.str.replace(" ", ""))
    return stripped.drop(columns=[n for n in table.columns if n == "" or n.startswith("Unnamed")]).replace(
        dict.fromkeys(_NOT_AVAILABLE, None)
    )


def _full_key(key: str) -> str:
    """Six digits, a point and four digits: 12.3 is 000012.3000."""
    whole, _, fraction = key.partition(".")
    return f"{whole.rjust(6, '0')}.{fraction.ljust(4, '0')}"


def _samples(row: dict[str, Any], column: str) -> float:
    """A pick in samples. Raises ValueError for one that can only be in seconds."""
    sample = _number(row, column)
    if not math.isnan(sample) and not sample.is_integer():
        raise ValueError(
            f"DiTing's {column} must be a whole number of samples at 50 Hz, found {sample} for {row['key']}"
        )
    return sample


def _number(row: dict[str, Any], column: str) -> float:
    try:
        return float(row.get(column, "nan"))
    except ValueError as error:
        raise ValueError(f"DiTing's {column} must be a number, found {row[column]!r}") from error


def _event_id(row: dict[Any, Any]) -> str:
    return "" if pd.isna(row.get("ev_id")) else f"diting/{row['ev_id']}"


def _station_id(row: dict[str, Any]) -> str:
    """The set hides the stations' names: its numbers stand for them."""
    return f"{row.get('net', '')}.{row['sta_id']}." if "sta_id" in row else ""


def _arrival(phase: str, sample: float, row: dict[str, Any]) -> Arrival:
    is_p = phase == "P"
    return Arrival(
        phase=phase,
        time_s=sample / SAMPLING_RATE_HZ,
        evaluation="manual",
        polarity=_POLARITY.get(str(row.get("p_motion", "")).upper()) if is_p else None,
        onset=ONSET_OF.get(str(row.get("p_clarity", "")).lower()) if is_p else None,
    )


def _plain(cell: str) -> float | str:
    try:
        return float(cell)
    except ValueError:
        return cell


def _metadata(row: dict[str, Any]) -> dict[str, Any]:
    own = {
        "source_magnitude": _number(row, "evmag"),
        "path_ep_distance_km": _number(row, "dis"),
        "path_back_azimuth_deg": _number(row, "baz") % 360.0,
    }
    known: dict[str, Any] = {key: value for key, value in own.items() if not math.isnan(value)}
    if kind := row.get("mag_type"):
        known["source_magnitude_type"] = _MAGNITUDE_TYPE.get(str(kind).lower(), str(kind))
    others = {name: _plain(cell) for name, cell in row.items() if name not in _OWN}
    return known | {"source_type": "earthquake", "dataset": "DiTing"} | others
