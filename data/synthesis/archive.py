"""A small seismic network's continuous archive with a true catalog: the ground truth for whole workflows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..records import Arrival
from .archive_files import write_catalog, write_day_files, write_inventory, write_stations_csv
from .generate import EPOCH_2020_S, SynthesisConfig
from .network import KM_PER_DEGREE, Medium, Site, Source, random_medium, random_site, random_source
from .recording import magnitude_for_snr, p_snr_db, station_noise
from .scattering import Scattering, random_scattering
from .seismogram import event_seismogram

NETWORK_RADIUS_KM = 25.0
CENTRE_DEG = (46.0, 8.0)
EVENT_SPAN_S = 75.0
LEAD_S = 12.0
MIN_SNR = 3.0
PICK_SNR_DB = 6.0
EDGE_S = 20.0


@dataclass(frozen=True, kw_only=True)
class TrueEvent:
    """One event of an archive: its source, origin time (UTC seconds), and what each station sees of it."""

    event_id: str
    source: Source
    origin_time: float
    arrivals: dict[str, tuple[Arrival, ...]]


@dataclass(frozen=True, kw_only=True)
class SyntheticArchive:
    """Where an archive lies and what is true about it.

    sds: root of the SDS tree. stations_csv, inventory, catalog, velocity_model: files beside it.
    """

    sds: Path
    stations_csv: Path
    inventory: Path
    catalog: Path
    velocity_model: Path
    events: tuple[TrueEvent, ...]
    sites: tuple[Site, ...]


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

    The stations lie within 25 km, the events among them, their sizes such that the middle station sees each
    with an amplitude ratio of 3 or more (up to `config.snr`). The catalog holds the picks that stand 6 dB out
    of the noise; the archive begins at 2020-01-01 and holds int32 counts. `progress` hears how many stations
    are done.

    Raises ValueError where the duration is too short for the first event or there is no station.
    """
    if num_stations < 1 or duration_s <= 2 * EDGE_S + EVENT_SPAN_S:
        raise ValueError(
            f"an archive needs a station and more than {2 * EDGE_S + EVENT_SPAN_S:g} s, "
            f"found {num_stations} stations and {duration_s:g} s"
        )
    generator = np.random.default_rng([seed, 0])
    medium = random_medium(generator)
    sites = _network(config, generator, num_stations)
    sources, origins_s = _seismicity(config, generator, medium, sites, num_events, duration_s)
    root = Path(folder)
    root.mkdir(parents=True, exist_ok=True)
    heard: list[dict[str, tuple[Arrival, ...]]] = [{} for _ in sources]
    for number, site in enumerate(sites):
        local = np.random.default_rng([seed, 1, number])
        waveform, arrivals = _continuous(config, local, medium, site, sources, origins_s, duration_s)
        write_day_files(root / "SDS", site.station_id, waveform, config.sampling_rate_hz, EPOCH_2020_S)
        for event, labels in arrivals.items():
            heard[event][site.station_id] = labels
        if progress is not None:
            progress(number + 1)
    events = tuple(
        TrueEvent(
            event_id=f"synthetic/{seed}/{i}",
            source=source,
            origin_time=EPOCH_2020_S + origin_s,
            arrivals=seen,
        )
        for i, (source, origin_s, seen) in enumerate(zip(sources, origins_s, heard, strict=True))
    )
    return _write_about(root, config, sites, events, medium)


def _write_about(
    root: Path, config: SynthesisConfig, sites: list[Site], events: tuple[TrueEvent, ...], medium: Medium
) -> SyntheticArchive:
    archive = SyntheticArchive(
        sds=root / "SDS",
        stations_csv=root / "stations.csv",
        inventory=root / "stations.xml",
        catalog=root / "catalog.xml",
        velocity_model=root / "velocity_model.csv",
        events=events,
        sites=tuple(sites),
    )
    write_stations_csv(archive.stations_csv, sites)
    write_inventory(archive.inventory, sites, config.sampling_rate_hz, EPOCH_2020_S)
    write_catalog(
        archive.catalog, [(e.event_id, e.source, e.origin_time, e.arrivals) for e in events], EPOCH_2020_S
    )
    medium.model.to_csv(archive.velocity_model)
    return archive


def _network(config: SynthesisConfig, generator: np.random.Generator, num_stations: int) -> list[Site]:
    """Stations spread over a disc; quiet enough for a network that somebody runs."""
    sites = []
    for number in range(num_stations):
        site = random_site(
            generator,
            station_id=f"SY.S{number + 1:03d}.",
            source_latitude_deg=CENTRE_DEG[0],
            source_longitude_deg=CENTRE_DEG[1],
            distance_km=NETWORK_RADIUS_KM * float(np.sqrt(generator.uniform(0.01, 1.0))),
            sampling_rate_hz=config.sampling_rate_hz,
        )
        sites.append(replace(site, noise=replace(site.noise, mid=min(site.noise.mid, 0.6))))
    return sites


def _seismicity(
    config: SynthesisConfig,
    generator: np.random.Generator,
    medium: Medium,
    sites: list[Site],
    num_events: int,
    duration_s: float,
) -> tuple[list[Source], list[float]]:
    """Events inside the network at random times, each large enough for the middle station."""
    origins_s = np.sort(
        generator.uniform(EDGE_S, duration_s - EDGE_S - EVENT_SPAN_S / 2, num_events)
    ).tolist()
    lowest, highest = max(config.snr[0], MIN_SNR), max(config.snr[1], MIN_SNR)
    sources = []
    for _ in range(num_events):
        radius_km = 0.8 * NETWORK_RADIUS_KM * np.sqrt(generator.random())
        azimuth = generator.uniform(0.0, 2.0 * np.pi)
        shrink = np.cos(np.radians(CENTRE_DEG[0]))
        source = random_source(
            generator,
            source_type="earthquake",
            magnitude=1.0,
            depth_km=float(generator.uniform(max(config.depth_km[0], 1.0), min(config.depth_km[1], 15.0))),
            latitude_deg=float(CENTRE_DEG[0] + radius_km * np.cos(azimuth) / KM_PER_DEGREE),
            longitude_deg=float(CENTRE_DEG[1] + radius_km * np.sin(azimuth) / (KM_PER_DEGREE * shrink)),
        )
        snr = float(np.exp(generator.uniform(np.log(lowest), np.log(highest))))
        wanted = [magnitude_for_snr(source, site, medium, snr, config.sampling_rate_hz) for site in sites]
        sources.append(replace(source, magnitude=float(np.clip(np.median(wanted), *config.magnitude))))
    return sources, origins_s


def _continuous(
    config: SynthesisConfig,
    generator: np.random.Generator,
    medium: Medium,
    site: Site,
    sources: list[Source],
    origins_s: list[float],
    duration_s: float,
) -> tuple[NDArray[np.int32], dict[int, tuple[Arrival, ...]]]:
    """A station's counts `(3, sample)`, and by event number its arrivals above the noise.

    Arrival times are after the archive's start.
    """
    rate_hz = config.sampling_rate_hz
    scattering = random_scattering(generator)
    noise = station_noise(site, generator, round(duration_s * rate_hz), rate_hz, config.disturbance_share)
    waveform = noise.copy()
    arrivals = {}
    for event, (source, origin_s) in enumerate(zip(sources, origins_s, strict=True)):
        first = round((origin_s - LEAD_S) * rate_hz)
        motion, labels = _one_event(
            generator, medium, site, scattering, source, origin_s - first / rate_hz, rate_hz
        )
        part = slice(first, min(first + motion.shape[1], waveform.shape[1]))
        waveform[:, part] += motion[:, : part.stop - first]
        snr_db = p_snr_db(motion[0], noise[0, : motion.shape[1]], tuple(labels), rate_hz)
        if snr_db >= PICK_SNR_DB:
            arrivals[event] = tuple(replace(label, time_s=label.time_s + first / rate_hz) for label in labels)
    return np.rint(waveform * site.instrument.gain_counts_s_m).astype(np.int32), arrivals


def _one_event(
    generator: np.random.Generator,
    medium: Medium,
    site: Site,
    scattering: Scattering,
    source: Source,
    origin_s: float,
    rate_hz: float,
) -> tuple[NDArray[np.float32], list[Arrival]]:
    num_samples = round((LEAD_S + EVENT_SPAN_S) * rate_hz)
    return event_seismogram(
        source,
        site,
        medium,
        scattering,
        generator,
        origin_s=origin_s,
        num_samples=num_samples,
        rate_hz=rate_hz,
    )
