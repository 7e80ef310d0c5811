"""The picks of each station of an archive: a table's lines matched, sorted and without doubles."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ..formats.tables import station_id_of_codes
from ..records import Arrival, Skipped

_ARRIVAL_FIELDS = tuple(
    field.name for field in dataclasses.fields(Arrival) if field.name not in ("time_s", "event")
)
_EVALUATION_RANK = {"manual": 0, "unknown": 1, "automatic": 2}


@dataclass(frozen=True, kw_only=True)
class StationPick:
    """One pick at a station, UTC seconds since 1970; one without an event has an event of its own.

    The rest is as in `Arrival`.
    """

    event_id: str
    has_event: bool
    phase: str
    time: float
    polarity: str | None
    evaluation: str
    onset: str | None
    uncertainty_s: float | None
    probability: float | None
    author: str | None

    def arrival(self, start_time: float, event: int) -> Arrival:
        """The pick as an arrival of a record that starts at a time."""
        told = {name: getattr(self, name) for name in _ARRIVAL_FIELDS}
        return Arrival(time_s=self.time - start_time, event=event, **told)


def utc_seconds_of(times: pd.Series) -> pd.Series:
    """Seconds since 1970, of UTC times or of such seconds."""
    if pd.api.types.is_numeric_dtype(times):
        return times.astype(float)
    # Microseconds since 1970 are exact in a float; nanoseconds are not.
    return pd.to_datetime(times, utc=True).dt.as_unit("us").astype("int64") / 1e6


def picks_by_station(
    picks: pd.DataFrame, known: list[str], skipped: list[Skipped]
) -> dict[str, list[StationPick]]:
    """The picks of each of the `known` stations (NET.STA.LOC), in order of time, one for a phase of an event.

    A pick whose location code is not known goes to all locations of its NET.STA, and one without a network to
    the only station of that code. Picks of no known station are told in `skipped`.

    Raises ValueError where the table lacks columns.
    """
    absent = [name for name in ("event_id", "station_id", "phase", "time") if name not in picks]
    if absent:
        raise ValueError(f"picks lack the columns {absent}, found {list(picks.columns)}: see read_picks")
    table = picks.assign(time=utc_seconds_of(picks["time"]))
    rows: dict[str, list[Mapping[Any, Any]]] = defaultdict(list)
    for picked_id, lines in table.groupby("station_id"):
        matching = _matching(str(picked_id), known)
        if not matching:
            reason = f"{len(lines)} picks, but no data of such a station; there are {known}"
            skipped.append(Skipped(str(picked_id), reason))
        for station_id in matching:
            rows[station_id].extend(lines.to_dict("records"))
    return {
        station_id: _without_doubles(station_id, rows[station_id], skipped) for station_id in sorted(rows)
    }


def _matching(picked_id: str, known: list[str]) -> list[str]:
    """The known stations that a pick's NET.STA.LOC, or as much as is given of it, can mean."""
    if picked_id in known:
        return [picked_id]
    *network, station = station_id_of_codes(picked_id).split(".")[:2]
    matching = [other for other in known if other.split(".")[1] == station]
    networks = {other.split(".")[0] for other in matching}
    if network:
        return [other for other in matching if other.startswith(f"{network[0]}.")]
    return matching if len(networks) == 1 else []


def _without_doubles(
    station_id: str, rows: Iterable[Mapping[Any, Any]], skipped: list[Skipped]
) -> list[StationPick]:
    """Of several picks of one phase of one event the best: manual before automatic, then the earliest."""
    best: dict[tuple[str, str], StationPick] = {}
    for number, row in enumerate(rows):
        event_id = str(row["event_id"])
        pick = StationPick(
            event_id=event_id or f"#{number}",
            has_event=event_id != "",
            phase=str(row["phase"]),
            time=float(row["time"]),
            polarity=row.get("polarity") or None,
            evaluation=str(row.get("evaluation", "unknown")),
            onset=row.get("onset") or None,
            uncertainty_s=_number(row.get("uncertainty_s")),
            probability=_number(row.get("probability")),
            author=row.get("author") or None,
        )
        other = best.setdefault((pick.event_id, pick.phase), pick)
        if other is not pick:
            best[pick.event_id, pick.phase] = min(other, pick, key=_rank)
            worse = max(other, pick, key=_rank)
            reason = f"the {worse.evaluation} {pick.phase} pick is one of several of its event: left out"
            skipped.append(Skipped(f"event {event_id} at {station_id}", reason))
    return sorted(best.values(), key=lambda pick: pick.time)


def _rank(pick: StationPick) -> tuple[int, float]:
    return _EVALUATION_RANK.get(pick.evaluation, 1), pick.time


def _number(value: Any) -> float | None:
    return None if value is None or pd.isna(value) else float(value)
