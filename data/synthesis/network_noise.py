"""Noise of a network of which no catalog exists: what many stations feel at once is cut out as an event."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import obspy
import pandas as pd
from obspy.signal.trigger import coincidence_trigger

from ..continuous.archive import Archive
from ..records import Record, Skipped
from .noise_bank import Known, NoiseBankConfig, cut_noise

_CHUNK_S, _OVERLAP_S = 3600.0, 120.0
_NYQUIST_SHARE, _TAPER_S = 0.45, 2.0
QUIET_BY = "coincidence and veto"


@dataclass(frozen=True, kw_only=True)
class CoincidenceConfig:
    """What counts as an event that a network feels.

    least_stations: whose recursive STA/LTA (Withers et al. 1998) rises above `on` at once, before it falls
        below `off`. band_hz: of the vertical; an upper end gives way to 0.45 of a low sampling rate.
    """

    least_stations: int = 4
    band_hz: tuple[float, float] = (2.0, 15.0)
    sta_s: float = 0.5
    lta_s: float = 10.0
    on: float = 3.5
    off: float = 1.5

    def __post_init__(self) -> None:
        if self.least_stations < 2:
            raise ValueError(f"least_stations must be 2 or more, found {self.least_stations}")
        if not 0 < self.band_hz[0] < self.band_hz[1]:
            raise ValueError(f"band_hz must rise from above 0, found {self.band_hz}")
        if not 0 < self.sta_s < self.lta_s or not 0 < self.off < self.on:
            raise ValueError(
                "sta_s must lie below lta_s and off below on, all above 0, found "
                f"{self.sta_s:g}, {self.lta_s:g} and {self.off:g}, {self.on:g}"
            )


@dataclass(frozen=True, kw_only=True)
class NetworkNoiseConfig:
    """Which noise is taken from a network without a catalog: what is an event there, and what is noise.

    Windows of the bank are short, so that some fit between the events of a swarm; its clearance counts from
    the beginning and the end of what the network feels.
    """

    coincidence: CoincidenceConfig = field(default_factory=CoincidenceConfig)
    bank: NoiseBankConfig = field(
        default_factory=lambda: NoiseBankConfig(duration_s=15.0, clearance_s=(6.0, 4.0))
    )


def cut_network_noise(
    archive: Archive, skipped: list[Skipped], config: NetworkNoiseConfig | None = None
) -> Iterator[Record]:
    """Windows of all stations in which the network feels no event, and which pass the veto.

    skipped: gets every vetoed window and every trace that was of no use for finding events, with reasons.
    """
    config = config or NetworkNoiseConfig()
    picks = coincident_picks(archive, skipped, config.coincidence)
    # No picks at all would mean stations that nobody has searched.
    known = Known(picks=picks if len(picks) else None)
    for record in cut_noise(archive, known, skipped, config.bank):
        yield dataclasses.replace(record, metadata={**record.metadata, "trace_quiet_by": QUIET_BY})


def coincident_picks(
    archive: Archive, skipped: list[Skipped], config: CoincidenceConfig | None = None
) -> pd.DataFrame:
    """The beginning (as P) and the end (as S) of each event that many stations feel, for every station.

    These are no onsets: they say when a network is not quiet. `event_id, station_id, phase, time` as
    `picks_by_station` takes them, UTC seconds.
    """
    config = config or CoincidenceConfig()
    spans = [span for station_id in archive.station_ids for span in archive.spans(station_id)]
    begin, end = min(span[0] for span in spans), max(span[1] for span in spans)
    rows = []
    for first in np.arange(begin, end, _CHUNK_S).tolist():
        stream = _verticals(archive, (first, min(first + _CHUNK_S + _OVERLAP_S, end)), skipped, config)
        for event in _events(stream, config):
            times = {"P": event["time"].timestamp, "S": event["time"].timestamp + event["duration"]}
            rows += [
                {
                    "event_id": f"coincidence/{times['P']:.2f}",
                    "station_id": station_id,
                    "phase": phase,
                    "time": time,
                }
                for station_id in archive.station_ids
                for phase, time in times.items()
            ]
    table = pd.DataFrame(rows, columns=["event_id", "station_id", "phase", "time"])
    return table.drop_duplicates(ignore_index=True)


def _verticals(
    archive: Archive, span: tuple[float, float], skipped: list[Skipped], config: CoincidenceConfig
) -> obspy.Stream:
    """The band-passed verticals of all stations that are long enough for a long average."""
    kept = obspy.Stream()
    low_hz, high_hz = config.band_hz
    for station_id in archive.station_ids:
        for trace in archive.read(station_id, *span).select(component="Z").split():
            reason = _unfit(trace.stats, config)
            if reason is not None:
                skipped.append(Skipped(trace.id, f"not asked for events: {reason}"))
                continue
            top_hz = min(high_hz, _NYQUIST_SHARE * trace.stats.sampling_rate)
            trace.detrend("linear").taper(None, max_length=_TAPER_S)
            kept += trace.filter("bandpass", freqmin=low_hz, freqmax=top_hz)
    stations = len({trace.id for trace in kept})
    if stations < config.least_stations:
        reason = f"only {stations} of the {config.least_stations} stations that it takes to tell an event"
        skipped.append(Skipped(f"{archive.path} from {obspy.UTCDateTime(span[0])}", reason))
    return kept


def _unfit(stats: obspy.core.Stats, config: CoincidenceConfig) -> str | None:
    """Why a trace cannot tell events, None where it can."""
    if stats.npts < 2 * config.lta_s * stats.sampling_rate:
        return f"{stats.npts * stats.delta:.1f} s are too few for an average of {config.lta_s:g} s"
    if _NYQUIST_SHARE * stats.sampling_rate <= config.band_hz[0]:
        return f"{stats.sampling_rate:g} Hz are too few for {config.band_hz[0]:g} Hz"
    return None


def _events(stream: obspy.Stream, config: CoincidenceConfig) -> list[dict[str, Any]]:
    if len(stream) == 0:
        return []
    return coincidence_trigger(
        "recstalta", config.on, config.off, stream, config.least_stations, sta=config.sta_s, lta=config.lta_s
    )
