"""S/P ratios at the stations of a catalog's events, measured in the archive at the picks, and corrected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..data.continuous.archive import Archive
from ..data.continuous.streams import stream_to_records
from ..data.earth.velocity import VelocityModel
from ..data.records import Record, Skipped
from .amplitudes import FROM_CATALOG, Amplitudes, AmplitudesConfig, measured

RATIO_COLUMNS = ("log10_s_to_p", "p_snr_db", "s_snr_db")

MEAN_LOG10_S_TO_P = 0.97
"""The mean of `log10_sp_ratio` over the focal sphere."""

MIN_FOR_CORRECTIONS = 30
"""From fewer ratios no correction is derived: an event's own mechanism would be taken for the Earth's."""

SHRINKING_RATIOS = 5.0
"""A station's own correction counts half, where it has this many ratios."""

PAD_S = 1.0
"""Read on either side beyond what is measured, since files do not begin at our samples."""


class StationRatios:
    """Measures S/P at the stations of located events.

    velocity_model: the one that located them; tells when S comes where nobody picked it.

    Raises FileNotFoundError or ValueError for a file of corrections that cannot be read.
    """

    def __init__(self, config: AmplitudesConfig, archive: Archive, velocity_model: VelocityModel) -> None:
        self.config, self.archive, self.velocity_model = config, archive, velocity_model
        named = config.corrections if config.corrections != FROM_CATALOG else None
        self.corrections = read_corrections(named) if named else {}

    def of_catalog(self, events: pd.DataFrame, arrivals: pd.DataFrame) -> tuple[pd.DataFrame, list[Skipped]]:
        """`RATIO_COLUMNS` of each P arrival, and how many of an event could not be measured and why.

        arrivals: P and S with the places of their stations (`with_stations`).

        log10_s_to_p is NaN where P or S is too weak or nothing could be measured; the signal-to-noise ratios
        of the vector amplitudes in dB only where nothing could.
        """
        by_event = dict(list(arrivals.groupby("event_id")))
        parts = [pd.DataFrame(columns=list(RATIO_COLUMNS), dtype=float)]
        notes: list[Skipped] = []
        for event in events.to_dict("records"):
            if event["event_id"] in by_event:
                found, skipped = self._of_event(event, by_event[event["event_id"]])
                parts.append(found)
                notes += skipped
        ratios = pd.concat([part for part in parts if len(part)] or parts)
        stations = arrivals["station_id"].loc[ratios.index]
        corrections, reason = self._corrections(ratios["log10_s_to_p"], stations)
        ratios["log10_s_to_p"] -= corrections
        return ratios, notes + ([Skipped("corrections of S/P", reason)] if reason else [])

    def _of_event(
        self, event: Mapping[Any, Any], arrivals: pd.DataFrame
    ) -> tuple[pd.DataFrame, list[Skipped]]:
        p_rows = arrivals[arrivals["phase"] == "P"]
        s_times = arrivals[arrivals["phase"] == "S"].groupby("site")["time"].min()
        travel_s = self._travel_s(event, p_rows)
        lost = self.config.log10_attenuation(travel_s["P"], travel_s["S"])
        rows = []
        reasons: Counter[str] = Counter()
        for number, arrival in enumerate(p_rows.to_dict("records")):
            p_time = arrival["time"].timestamp()
            picked = s_times.get(arrival["site"])
            predicted = p_time + travel_s["S"][number] - travel_s["P"][number]
            amplitudes = self._measured(arrival, p_time, predicted if picked is None else picked.timestamp())
            if isinstance(amplitudes, str):
                reasons[amplitudes] += 1
                rows.append((np.nan,) * 3)
            elif not amplitudes.stand_out(self.config.min_snr):
                reasons[f"P or S below {self.config.min_snr:g} times the noise"] += 1
                rows.append((np.nan, *amplitudes.snr_db))
            else:
                rows.append((amplitudes.log10_s_to_p + lost[number], *amplitudes.snr_db))
        notes = [
            Skipped(f"S/P of {event['event_id']}", f"{count} of {len(p_rows)} stations: {reason}")
            for reason, count in reasons.items()
        ]
        return pd.DataFrame(rows, index=p_rows.index, columns=list(RATIO_COLUMNS), dtype=float), notes

    def _travel_s(self, event: Mapping[Any, Any], p_rows: pd.DataFrame) -> dict[str, np.ndarray]:
        """Travel times of P and S to the stations."""
        where = (p_rows["distance_km"].to_numpy(float), event["depth_km"])
        elevation_m = p_rows["elevation_m"].to_numpy(float)
        return {phase: self.velocity_model.rays(*where, phase, elevation_m).time_s for phase in "PS"}

    def _measured(self, arrival: Mapping[Any, Any], p_time: float, s_time: float) -> Amplitudes | str:
        station_id = arrival["station_id"]
        if station_id not in self.archive.entries:
            return "not in the archive"
        if s_time <= p_time:
            return "S not after P"
        stream = self.archive.read(
            station_id, p_time - self.config.before_s - PAD_S, s_time + self.config.window_s + PAD_S
        )
        record = _covering(stream_to_records(stream)[0], arrival["instrument"], p_time)
        if record is None:
            return "no waveform of the pick's instrument"
        return measured(record, p_time - record.start_time, s_time - record.start_time, self.config)

    def _corrections(self, log10_s_to_p: pd.Series, station_id: pd.Series) -> tuple[pd.Series, str]:
        """What each ratio has too much, and why that is not known where it is not."""
        if self.config.corrections != FROM_CATALOG:
            return station_id.map(self.corrections).astype(float).fillna(0.0), ""
        count = int(log10_s_to_p.notna().sum())
        if count < MIN_FOR_CORRECTIONS:
            reason = f"{count} ratios, at least {MIN_FOR_CORRECTIONS} are needed: ratios are left out"
            return pd.Series(np.nan, index=station_id.index), reason
        return corrections_of(log10_s_to_p, station_id), ""


def corrections_of(log10_s_to_p: pd.Series, station_id: pd.Series) -> pd.Series:
    """What ratios have too much on average, at all stations and at their own, one for each ratio.

    A station with many events of many mechanisms sees the focal sphere's mean (Hardebeck & Shearer, 2003);
    what it has beyond is its ground and the way to it. Few ratios are drawn to the mean of all stations.
    """
    everywhere = log10_s_to_p.mean() - MEAN_LOG10_S_TO_P
    beyond = (log10_s_to_p - log10_s_to_p.mean()).groupby(station_id)
    own = beyond.sum() / (beyond.count() + SHRINKING_RATIOS)
    return everywhere + station_id.map(own)


def _covering(records: list[Record], instrument: str, time: float) -> Record | None:
    """The record of an instrument at a time; of the first one where the pick names none."""
    for record in records:
        same = instrument in ("", record.metadata["trace_channel"])
        if same and record.start_time <= time <= record.start_time + record.duration_s:
            return record
    return None


def read_corrections(path: str | Path) -> dict[str, float]:
    """What log10 S/P is too much at each station, from a CSV file with columns `station_id`, `log10_s_to_p`.

    Raises FileNotFoundError, or ValueError for other columns, a number that is none, or a station twice.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"expected a CSV file of station corrections, found nothing at {path}")
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    if list(table.columns) != ["station_id", "log10_s_to_p"]:
        raise ValueError(
            f"{path} must have the columns station_id, log10_s_to_p, found {list(table.columns)}"
        )
    values = pd.to_numeric(table["log10_s_to_p"], errors="coerce").astype(float)
    bad = table["station_id"][~np.isfinite(values) | table["station_id"].duplicated()]
    if len(bad):
        raise ValueError(f"{path} must have one number for each station, found otherwise for {list(bad)[:5]}")
    return dict(zip(table["station_id"], values, strict=True))
