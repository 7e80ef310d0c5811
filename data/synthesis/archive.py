"""A small seismic network's continuous archive with a true catalog: the ground truth for whole workflows."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ..event_types import EVENT_TYPES
from ..loading.window_random import WindowRandom, window_keys
from ..records import Arrival
from .archive_files import channel_prefix, write_catalog, write_day_files, write_inventory, write_stations_csv
from .archive_network import ArchiveNetwork, ArchiveStation
from .config import SynthesisConfig
from .disturbances import disturb
from .labelled_windows import EPOCH_2020_S
from .labels import arrival_table, arrival_tuples
from .media import velocity_model
from .motion import ground_motion
from .network_health import StationHealth, draw_health, write_health
from .plan import Sources
from .recorder import FULL_SCALE_COUNTS
from .seismicity import draw_seismicity
from .snr import phase_snr_db
from .station_noise import continuous_noise
from .views import rows_of

EVENT_SPAN_S = 75.0
LEAD_S = 12.0
PICK_SNR_DB = 6.0
EDGE_S = 20.0
HOURS_AT_ONCE = 6
EVENTS_AT_ONCE = 32


@dataclass(frozen=True, kw_only=True)
class TrueSource:
    """What shook. mechanism: strike, dip, rake in degrees, None for a source that is no double couple."""

    source_type: str
    magnitude: float
    latitude_deg: float
    longitude_deg: float
    depth_km: float
    mechanism: tuple[float, float, float] | None


@dataclass(frozen=True, kw_only=True)
class TrueEvent:
    """One event of an archive: its source, origin time (UTC seconds), and what each station sees of it."""

    event_id: str
    source: TrueSource
    origin_time: float
    arrivals: dict[str, tuple[Arrival, ...]]


@dataclass(frozen=True, kw_only=True)
class SyntheticArchive:
    """Where an archive lies and what is true about it.

    sds: root of the SDS tree. stations_csv, inventory, catalog, velocity_model, health: files beside it, the
    last one of outages and sick stations.
    """

    sds: Path
    stations_csv: Path
    inventory: Path
    catalog: Path
    velocity_model: Path
    health: Path
    events: tuple[TrueEvent, ...]
    sites: tuple[ArchiveStation, ...]


def synthesize_archive(
    config: SynthesisConfig,
    seed: int,
    duration_s: float,
    num_stations: int,
    num_events: int,
    folder: str | Path,
    progress: Callable[[int], None] | None = None,
) -> SyntheticArchive:
    """Write a network's miniSEED archive (SDS), StationXML, stations.csv, true QuakeML and velocity model.

    The stations lie within 25 km, the events as `config.seismicity` says, by default among them and of sizes
    such that the middle station sees each with an amplitude ratio of 3 or more (up to `config.snr`). The
    catalog holds the picks that stand 6 dB out of the noise and in no outage (`config.health`); the archive
    begins at 2020-01-01 and holds int32 counts. `progress` hears how many stations are done.

    Raises ValueError where the duration is too short for the first event or there is no station.
    """
    if num_stations < 1 or duration_s <= 2 * EDGE_S + EVENT_SPAN_S:
        raise ValueError(
            f"an archive needs a station and more than {2 * EDGE_S + EVENT_SPAN_S:g} s, "
            f"found {num_stations} stations and {duration_s:g} s"
        )
    network = ArchiveNetwork(config, seed, num_stations)
    random = WindowRandom(window_keys(torch.zeros(1, dtype=torch.int64), "archive", seed))
    span_s = (EDGE_S, duration_s - EDGE_S - EVENT_SPAN_S / 2)
    seismicity = draw_seismicity(random, config.seismicity, num_events, span_s, EPOCH_2020_S)
    sources = network.sources(seismicity)
    root = Path(folder)
    root.mkdir(parents=True, exist_ok=True)
    health = draw_health(network.stations, config.health, duration_s)
    heard: list[dict[str, tuple[Arrival, ...]]] = [{} for _ in range(num_events)]
    sites = network.described()
    for number, site in enumerate(sites):
        station = _Station(network, number, sources, seismicity.origin_s, health[number], duration_s)
        for event, labels in station.write(root / "SDS", site).items():
            heard[event][site.station_id] = labels
        if progress is not None:
            progress(number + 1)
    events = tuple(
        TrueEvent(
            event_id=f"synthetic/{seed}/{i}",
            source=_true_source(sources, i),
            origin_time=EPOCH_2020_S + float(origin_s),
            arrivals=seen,
        )
        for i, (origin_s, seen) in enumerate(zip(seismicity.origin_s, heard, strict=True))
    )
    velocity_model(network.media(1), 0).to_csv(root / "velocity_model.csv")
    return _write_about(root, config, sites, events, health)


def _write_about(
    root: Path,
    config: SynthesisConfig,
    sites: tuple[ArchiveStation, ...],
    events: tuple[TrueEvent, ...],
    health: list[StationHealth],
) -> SyntheticArchive:
    archive = SyntheticArchive(
        sds=root / "SDS",
        stations_csv=root / "stations.csv",
        inventory=root / "stations.xml",
        catalog=root / "catalog.xml",
        velocity_model=root / "velocity_model.csv",
        health=root / "health.csv",
        events=events,
        sites=sites,
    )
    write_stations_csv(archive.stations_csv, sites)
    write_inventory(archive.inventory, sites, config.sampling_rate_hz, EPOCH_2020_S)
    prefixes = {
        site.station_id: channel_prefix(site.instrument.sensor, config.sampling_rate_hz) for site in sites
    }
    write_catalog(archive.catalog, events, prefixes, EPOCH_2020_S)
    write_health(archive.health, [site.station_id for site in sites], health, EPOCH_2020_S)
    return archive


class _Station:
    """One station's time, made and written in pieces of some hours, so that weeks fit into memory."""

    def __init__(
        self,
        network: ArchiveNetwork,
        number: int,
        sources: Sources,
        origins_s: NDArray[np.float64],
        health: StationHealth,
        duration_s: float,
    ):
        self.network = network
        self.number = number
        self.health = health
        self.rate_hz = network.config.sampling_rate_hz
        self.num_samples = round(duration_s * self.rate_hz)
        self.random = network.stations.select(torch.tensor([number]))
        self.origins_s = origins_s
        self.sources = sources
        self.arrivals: dict[int, tuple[Arrival, ...]] = {}

    def write(self, sds: Path, site: ArchiveStation) -> dict[int, tuple[Arrival, ...]]:
        """Write the day files; by event number the arrivals above the noise, after the archive's start."""
        piece = round(HOURS_AT_ONCE * 3600 * self.rate_hz)
        day: list[NDArray[np.float32]] = []
        for first in range(0, self.num_samples, piece):
            last = min(first + piece, self.num_samples)
            day.append(self._counts(first, last, site))
            ends_day = last == self.num_samples or (last / self.rate_hz) % 86400.0 == 0
            if ends_day:
                counts = np.concatenate(day, axis=1)
                begin_s = (last - counts.shape[1]) / self.rate_hz
                write_day_files(sds, site, counts, self.rate_hz, EPOCH_2020_S + begin_s)
                day = []
        return self.arrivals

    def _counts(self, first: int, last: int, site: ArchiveStation) -> NDArray[np.float32]:
        """Counts `(Z N E, sample)` of a piece, NaN in an outage."""
        motion = self._noise(first, last)
        noise = motion.clone()
        lead, span = round(LEAD_S * self.rate_hz), round((LEAD_S + EVENT_SPAN_S) * self.rate_hz)
        begins = np.round(self.origins_s * self.rate_hz).astype(np.int64) - lead
        rows = np.flatnonzero((begins < last) & (begins + span > first))
        for some in np.array_split(rows, max(1, math.ceil(len(rows) / EVENTS_AT_ONCE))):
            if len(some):
                self._add_events(motion, noise, some, begins[some], (first, last))
        counts = (motion[0] * site.instrument.gain_counts_s_m).clamp(-FULL_SCALE_COUNTS, FULL_SCALE_COUNTS)
        return self.health.applied(counts.round().numpy(), first, self.rate_hz)

    def _noise(self, first: int, last: int) -> torch.Tensor:
        """The station's noise and what disturbs it in a piece, `(1, 3, sample)`."""
        network, row = self.network, torch.tensor([self.number])
        levels, instrument = rows_of(network.noise, row), rows_of(network.instrument, row)
        hour = first / self.rate_hz / 3600.0
        noise = continuous_noise(
            levels,
            self.random,
            last - first,
            self.rate_hz,
            hour % 24.0,
            instrument.response,
            round(hour),
        )
        random = self.random.derive(f"disturbance {first}")
        return disturb(noise, random, self.rate_hz, network.config.disturbances)[0]

    def _add_events(
        self,
        motion: torch.Tensor,
        noise: torch.Tensor,
        events: NDArray[np.int64],
        begins: NDArray[np.int64],
        piece: tuple[int, int],
    ) -> None:
        """Add some events' motion to a piece, and note their arrivals where they stand out of the noise."""
        rate_hz, span = self.rate_hz, round((LEAD_S + EVENT_SPAN_S) * self.rate_hz)
        numbers = torch.from_numpy(events)
        views = self.network.views(self.number, numbers, rows_of(self.sources, numbers))
        origin_s = torch.from_numpy(self.origins_s[events] - begins / rate_hz)
        config = self.network.config.motion
        made = ground_motion(views.scene, origin_s, span, views.event, views.station, config)
        table = arrival_table(views.scene.waves, views.scene.sources, origin_s)
        labels = arrival_tuples(table, span / rate_hz)
        for row, (event, begin) in enumerate(zip(events.tolist(), begins.tolist(), strict=True)):
            low, high = max(begin, piece[0]), min(begin + span, piece[1])
            motion[0, :, low - piece[0] : high - piece[0]] += made[row, :, low - begin : high - begin]
            p_s, s_s = table.of("P")[row : row + 1], table.of("S")[row : row + 1]
            onset = begin + round(float(p_s) * rate_hz)
            if not piece[0] <= onset < piece[1] or self.health.is_out(onset / rate_hz):
                continue
            last = max(high - piece[0], span)
            around = noise[:, :, max(last - span, 0) : last]
            snr_db = phase_snr_db(made[row : row + 1], around, p_s, s_s, rate_hz)
            if float(snr_db[0, 0]) >= PICK_SNR_DB:
                begin_s = begin / rate_hz
                self.arrivals[event] = tuple(replace(one, time_s=one.time_s + begin_s) for one in labels[row])


def _true_source(sources: Sources, event: int) -> TrueSource:
    strike, dip, rake = sources.mechanism_deg[event].tolist()
    return TrueSource(
        source_type=EVENT_TYPES[int(sources.kind[event])],
        magnitude=float(sources.magnitude[event]),
        latitude_deg=float(sources.latitude_deg[event]),
        longitude_deg=float(sources.longitude_deg[event]),
        depth_km=float(sources.depth_km[event]),
        mechanism=None if math.isnan(strike) else (strike, dip, rake),
    )
