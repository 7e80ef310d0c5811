"""Picking a whole archive day by day, so that it can be stopped and taken up again."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from pathlib import Path

import pandas as pd
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..data.continuous.archive import DAY_S, Archive, StationDay
from ..data.records import Skipped
from .archive_together import network_fingerprint, pick_date
from .files import replacing
from .pick_formats import read_picks, write_picks
from .pick_table import PickTable
from .picker import Picker

KEY_FILE = "picking.json"
SKIPPED_FILE = "skipped.csv"
SKIPPED_COLUMNS = ("station_day", "item", "reason")


@dataclass(frozen=True, kw_only=True)
class ArchiveRunResult:
    """All picks of an archive, what was skipped, which station-days failed, and how many were done now."""

    picks: PickTable
    skipped: list[Skipped]
    errors: list[Skipped]
    num_computed: int
    num_kept: int


def pick_archive(
    archive: Archive,
    picker: Picker,
    folder: str | Path,
    *,
    stations: Iterable[str] | None = None,
    places: pd.DataFrame | None = None,
    show_progress: bool = True,
) -> ArchiveRunResult:
    """Pick each station-day of an archive into a Parquet file; those that exist are not done again.

    folder: gets `picks/NET.STA.LOC/YYYY-MM-DD.parquet`, `picks/picking.json` (which model, which
        settings), and `picks/skipped.csv`. Every file appears in whole or not at all.
    stations: only these ids (NET.STA.LOC); None takes all.
    places: where they stand, as `read_stations` tells it, for a model whose heads listen to other stations:
        it picks all stations of a day together (see `archive_together`). Other models do not need it.

    A day is read with a window's length of its neighbours on either side, and keeps the picks from midnight
    to midnight, so that none is lost or doubled there. A station-day that fails costs itself alone: it is in
    `errors`, and will be tried again by the next run.

    Raises ValueError where the folder holds picks of another model or other settings, or where the archive
    has none of a wanted station.
    """
    root = Path(folder)
    wanted = set(archive.station_ids if stations is None else stations)
    if absent := sorted(wanted - set(archive.station_ids)):
        raise ValueError(f"no stations {absent} in {archive.path}: it has {archive.station_ids}")
    days = [day for day in archive.station_days() if day.station_id in wanted]
    together = places is not None and bool(picker.windows.listening)
    check_key(root / "picks" / KEY_FILE, picker, network_fingerprint(wanted, places) if together else None)
    log = _SkippedLog(root / "picks" / SKIPPED_FILE)
    errors: list[Skipped] = []
    tables: list[PickTable] = []
    num_kept = 0
    with _progress(show_progress) as progress:
        task = progress.add_task("picking", total=len(days))
        for some in _units(days, together):
            paths = {day: root / "picks" / day.station_id / f"{day.day}.parquet" for day in some}
            if all(path.exists() for path in paths.values()):
                num_kept += len(some)
                tables += map(read_picks, paths.values())
            elif together:
                tables += _try_together(archive, picker, paths, (sorted(wanted), places), log, errors)
            else:
                tables += _try_day(archive, picker, some[0], paths[some[0]], log, errors)
            progress.advance(task, len(some))
    return ArchiveRunResult(
        picks=PickTable.concat(tables),
        skipped=list(dict.fromkeys([*log.all(), *archive.skipped])),
        errors=errors,
        num_computed=len(days) - num_kept - len(errors),
        num_kept=num_kept,
    )


def check_key(path: Path, picker: Picker, network: str | None = None) -> None:
    """Note which picker a new folder of picks belongs to, and compare where it is noted.

    network: a fingerprint of the stations that were picked together; None where each was picked by itself.
    """
    settings = dataclasses.asdict(picker.config)
    # What only changes the speed may change between two runs.
    del settings["batch_size"]
    if network is None:
        # What concerns nobody here: folders from before there were such settings are still good.
        del settings["nearest_stations"], settings["within_km"]
    key = {"model_revision": picker.revision, "config": settings, "network": network}
    if not path.exists():
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(key | {"model": picker.name}, indent=2))
        return
    found = json.loads(path.read_text())
    changed = {name: (found.get(name), value) for name, value in key.items() if found.get(name) != value}
    if changed:
        listed = "; ".join(f"{name} was {was}, is now {now}" for name, (was, now) in changed.items())
        raise ValueError(
            f"{path.parent} holds picks of another model or other settings: {listed}. Give another output "
            "folder, or remove this one to pick again"
        )


def _units(days: list[StationDay], together: bool) -> list[list[StationDay]]:
    """What is picked at once: each station-day, or all of one date."""
    if not together:
        return [[day] for day in days]
    dates = sorted({day.day for day in days})
    return [[day for day in days if day.day == date] for date in dates]


def _try_together(
    archive: Archive,
    picker: Picker,
    paths: Mapping[StationDay, Path],
    network: tuple[Sequence[str], pd.DataFrame],
    log: _SkippedLog,
    errors: list[Skipped],
) -> list[PickTable]:
    """The picks of all stations of a date, or of those that could be read and written, and errors."""
    date = next(iter(paths)).day
    try:
        picks, skipped, unread = pick_date(archive, picker, date, *network)
        log.replace(f"network {date}", skipped)
    except Exception as error:  # one bad day must not cost the others
        errors += [Skipped(f"{day.station_id} {date}", f"{type(error).__name__}: {error}") for day in paths]
        return []
    errors += unread
    failed = {error.item for error in unread}
    tables = []
    for day, path in paths.items():
        name = f"{day.station_id} {date}"
        if name in failed:
            continue
        own = picks.select(picks.frame["station_id"] == day.station_id)
        try:
            write_picks(own, path)
        except Exception as error:  # nor one bad station the other stations
            errors.append(Skipped(name, f"{type(error).__name__}: {error}"))
        else:
            tables.append(own)
    return tables


def _try_day(
    archive: Archive, picker: Picker, day: StationDay, path: Path, log: _SkippedLog, errors: list[Skipped]
) -> list[PickTable]:
    """The picks of one station-day, or none and an error."""
    name = f"{day.station_id} {day.day}"
    try:
        picks, skipped = _pick_day(archive, picker, day)
        # The log first: a station-day whose picks exist is never looked at again.
        log.replace(name, skipped)
        write_picks(picks, path)
    except Exception as error:  # one bad day out of thousands must not cost the others
        errors.append(Skipped(name, f"{type(error).__name__}: {error}"))
        return []
    return [picks]


def _pick_day(archive: Archive, picker: Picker, day: StationDay) -> tuple[PickTable, list[Skipped]]:
    num_known_faults = len(archive.skipped)
    stream = archive.read_day(day, halo_s=picker.window_s)
    # A later run does not read this day's files again, and would not know what was wrong with them.
    unread = archive.skipped[num_known_faults:]
    result = picker.classify(stream)
    midnight = datetime.combine(day.day, time(), UTC).timestamp()
    return result.picks.between(midnight, midnight + DAY_S), unread + result.skipped


def _progress(show: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("station-days, left"),
        TimeRemainingColumn(),
        disable=not show,
    )


class _SkippedLog:
    """`skipped.csv`: what was skipped in each station-day, kept from run to run."""

    def __init__(self, path: Path) -> None:
        self._path = path
        if path.exists():
            self._table = pd.read_csv(path, dtype=str, keep_default_na=False)
        else:
            self._table = pd.DataFrame(columns=list(SKIPPED_COLUMNS), dtype=str)

    def replace(self, station_day: str, skipped: list[Skipped]) -> None:
        """Put these in the place of whatever an earlier run noted of the station-day."""
        others = self._table[self._table["station_day"] != station_day]
        rows = pd.DataFrame(
            [(station_day, note.item, note.reason) for note in skipped],
            columns=list(SKIPPED_COLUMNS),
            dtype=str,
        )
        changed = len(rows) or len(others) != len(self._table)
        self._table = pd.concat([others, rows], ignore_index=True)
        if changed:
            with replacing(self._path) as temporary:
                self._table.to_csv(temporary, index=False)

    def all(self) -> list[Skipped]:
        return [Skipped(row.item, row.reason) for row in self._table.itertuples()]
