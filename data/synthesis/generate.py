"""Labelled synthetic records of local earthquakes, blasts and noise: the generator that training calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context

import numpy as np
from numpy.typing import NDArray

from ..records import Arrival, Record
from .network import (
    SOURCE_TYPES,
    Medium,
    Site,
    Source,
    distance_and_azimuths,
    random_medium,
    random_site,
    random_source,
)
from .recording import magnitude_for_snr, p_snr_db, station_noise
from .scattering import Scattering, random_scattering
from .seismogram import event_seismogram

EPOCH_2020_S = 1577836800.0


@dataclass(frozen=True, kw_only=True)
class SynthesisConfig:
    """What the synthetic earthquakes look like.

    sampling_rate_hz: of all records. duration_s: shortest and longest record.
    stations_per_event: fewest and most. distance_km: log-uniform epicentral distances of the nearer stations.
    depth_km: source depths of earthquakes. magnitude: limits; within them the SNR decides.
    snr: log-uniform ratio of P to noise amplitude at the first station, above 1 Hz.
    min_snr_db: the noise of a station where P stands out less is lowered to this ratio.
    type_share: of earthquakes, quarry blasts and collapses. noise_share: events replaced by a noise record.
    vertical_share: stations with the vertical alone. second_event_share: records with another event of the
    same source after the first. disturbance_share: records with something that is no earthquake.
    velocity_share: records in m/s instead of counts. pre_event_s: from the record's start to the first P.
    """

    sampling_rate_hz: float = 100.0
    duration_s: tuple[float, float] = (60.0, 90.0)
    stations_per_event: tuple[int, int] = (1, 4)
    distance_km: tuple[float, float] = (1.0, 130.0)
    depth_km: tuple[float, float] = (0.3, 25.0)
    magnitude: tuple[float, float] = (-1.0, 6.5)
    snr: tuple[float, float] = (0.7, 60.0)
    min_snr_db: float = 0.0
    type_share: tuple[float, float, float] = (0.9, 0.08, 0.02)
    noise_share: float = 0.08
    vertical_share: float = 0.15
    second_event_share: float = 0.12
    disturbance_share: float = 0.2
    velocity_share: float = 0.3
    pre_event_s: tuple[float, float] = (8.0, 30.0)

    def __post_init__(self) -> None:
        for name in ("duration_s", "stations_per_event", "distance_km", "depth_km", "snr", "pre_event_s"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ValueError(f"{name} must be a positive range (low, high), found {(low, high)}")
        for name in (
            "noise_share",
            "vertical_share",
            "second_event_share",
            "disturbance_share",
            "velocity_share",
        ):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be between 0 and 1, found {getattr(self, name)}")
        if abs(sum(self.type_share) - 1.0) > 1e-6 or len(self.type_share) != len(SOURCE_TYPES):
            raise ValueError(f"type_share must sum to 1 over {SOURCE_TYPES}, found {self.type_share}")
        if self.pre_event_s[1] + 10.0 > self.duration_s[0]:
            raise ValueError(
                f"duration_s must leave 10 s after pre_event_s, found {self.duration_s}, {self.pre_event_s}"
            )


def synthesize_records(
    config: SynthesisConfig,
    seed: int,
    num_events: int,
    progress: Callable[[int], None] | None = None,
    workers: int = 1,
) -> list[Record]:
    """Records of random events at random stations, with every label that their physics gives.

    Event i depends on (config, seed, i) alone, not on how many events are made or by how many processes.
    Metadata carry magnitude, depth, distance, back azimuth, mechanism, source type and SNR under their names
    with units. `progress` is called with the number of events done.
    """
    make = partial(synthesize_event, config, seed)
    records: list[Record] = []
    with _each_of(make, num_events, workers) as events:
        for index, event in enumerate(events):
            records += event
            if progress is not None:
                progress(index + 1)
    return records


@contextmanager
def _each_of(
    make: Callable[[int], list[Record]], number: int, workers: int
) -> Iterator[Iterator[list[Record]]]:
    if workers == 1:
        yield map(make, range(number))
        return
    # A forked copy of a process that runs torch's threads can hang; a fresh one cannot.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield pool.map(make, range(number), chunksize=16)


def synthesize_event(config: SynthesisConfig, seed: int, index: int) -> list[Record]:
    """The records of event number `index`: one a station, or a single one of noise."""
    generator = np.random.default_rng([seed, index])
    event_id = f"synthetic/{seed}/{index}"
    start_time = EPOCH_2020_S + 300.0 * index
    medium = random_medium(generator)
    if generator.random() < config.noise_share:
        site = _site(config, generator, f"SY.{generator.integers(100000):05d}.", 0.0, 0.0, 10.0)
        return [
            _record(config, generator, event_id, site, start_time, _Signal.nothing(config, generator), {})
        ]
    source_type = SOURCE_TYPES[generator.choice(3, p=config.type_share)]
    depth_range = config.depth_km if source_type == "earthquake" else (0.01, 0.3)
    depth_km = _log_uniform(generator, *depth_range)
    source = random_source(
        generator,
        source_type=source_type,
        magnitude=1.0,
        depth_km=depth_km,
        latitude_deg=float(generator.uniform(-60, 60)),
        longitude_deg=float(generator.uniform(-170, 170)),
    )
    sites = _sites(config, generator, source)
    wanted_snr = _log_uniform(generator, *config.snr)
    magnitude = magnitude_for_snr(source, sites[0], medium, wanted_snr, config.sampling_rate_hz)
    source = replace(source, magnitude=float(np.clip(magnitude, *config.magnitude)))
    records = []
    for site in sites:
        scattering = random_scattering(generator)
        signal = _signal(config, generator, source, site, medium, scattering)
        about = _metadata(source, site)
        records.append(_record(config, generator, event_id, site, start_time, signal, about))
    return records


@dataclass(frozen=True)
class _Signal:
    """Noise-free motion `(3, sample)` in m/s with its arrivals."""

    motion: NDArray[np.float32]
    arrivals: tuple[Arrival, ...]

    @classmethod
    def nothing(cls, config: SynthesisConfig, generator: np.random.Generator) -> _Signal:
        num_samples = int(generator.uniform(*config.duration_s) * config.sampling_rate_hz)
        return cls(np.zeros((3, num_samples), dtype=np.float32), ())


def _log_uniform(generator: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(generator.uniform(np.log(low), np.log(high))))


def _site(
    config: SynthesisConfig,
    generator: np.random.Generator,
    station_id: str,
    latitude_deg: float,
    longitude_deg: float,
    distance_km: float,
) -> Site:
    return random_site(
        generator,
        station_id=station_id,
        source_latitude_deg=latitude_deg,
        source_longitude_deg=longitude_deg,
        distance_km=distance_km,
        sampling_rate_hz=config.sampling_rate_hz,
    )


def _sites(config: SynthesisConfig, generator: np.random.Generator, source: Source) -> list[Site]:
    """Stations around an event, at distances of the same order; names tell nothing about the event."""
    count = int(generator.integers(config.stations_per_event[0], config.stations_per_event[1] + 1))
    scale_km = _log_uniform(generator, *config.distance_km)
    sites = []
    for _ in range(count):
        distance_km = float(
            np.clip(scale_km * np.exp(generator.normal(0.0, 0.4)), 0.3, 1.3 * config.distance_km[1])
        )
        name = f"SY.{generator.integers(100000):05d}."
        sites.append(_site(config, generator, name, source.latitude_deg, source.longitude_deg, distance_km))
    return sites


def _signal(
    config: SynthesisConfig,
    generator: np.random.Generator,
    source: Source,
    site: Site,
    medium: Medium,
    scattering: Scattering,
) -> _Signal:
    """The event's motion at a station, sometimes followed by another event of the same fault."""
    rate_hz = config.sampling_rate_hz
    num_samples = int(generator.uniform(*config.duration_s) * rate_hz)
    distance_km, _, _ = distance_and_azimuths(source, site)
    travel_s = medium.model.travel_time_s(distance_km, source.depth_km, "P", site.elevation_m)
    first_p_s = float(generator.uniform(*config.pre_event_s))
    origins_s, sources = [first_p_s - float(travel_s)], [source]
    if generator.random() < config.second_event_share:
        origins_s.append(origins_s[0] + float(generator.uniform(3.0, 35.0)))
        magnitude = float(np.clip(source.magnitude + generator.normal(0.1, 0.4), *config.magnitude))
        sources.append(replace(source, magnitude=magnitude))
    motion = np.zeros((3, num_samples), dtype=np.float32)
    arrivals: list[Arrival] = []
    for event, (origin_s, one) in enumerate(zip(origins_s, sources, strict=True)):
        heard, labels = event_seismogram(
            one,
            site,
            medium,
            scattering,
            generator,
            origin_s=origin_s,
            num_samples=num_samples,
            rate_hz=rate_hz,
        )
        motion += heard
        inside = [label for label in labels if 0 <= label.time_s < num_samples / rate_hz]
        arrivals += [replace(label, event=event) for label in inside]
    return _Signal(motion, tuple(arrivals))


def _metadata(source: Source, site: Site) -> dict[str, object]:
    distance_km, _, back_azimuth_deg = distance_and_azimuths(source, site)
    about: dict[str, object] = {
        "source_type": source.source_type,
        "source_magnitude": source.magnitude,
        "source_magnitude_type": "Mw",
        "source_latitude_deg": source.latitude_deg,
        "source_longitude_deg": source.longitude_deg,
        "source_depth_km": source.depth_km,
        "path_ep_distance_km": distance_km,
        "path_back_azimuth_deg": back_azimuth_deg,
    }
    if source.mechanism is not None:
        names = ("source_strike_deg", "source_dip_deg", "source_rake_deg")
        about.update(zip(names, source.mechanism, strict=True))
    return about


def _record(
    config: SynthesisConfig,
    generator: np.random.Generator,
    event_id: str,
    site: Site,
    start_time: float,
    signal: _Signal,
    about: dict[str, object],
) -> Record:
    """Signal plus the station's noise, in the record's unit and with its components."""
    rate_hz = config.sampling_rate_hz
    noise = station_noise(site, generator, signal.motion.shape[1], rate_hz, config.disturbance_share)
    snr_db = p_snr_db(signal.motion[0], noise[0], signal.arrivals, rate_hz)
    if snr_db < config.min_snr_db:
        # An arrival that nobody could see is no label: this station stands on quieter ground.
        noise *= 10.0 ** ((snr_db - config.min_snr_db) / 20.0)
        snr_db = config.min_snr_db
    about = about | {
        "station_latitude_deg": site.latitude_deg,
        "station_longitude_deg": site.longitude_deg,
        "station_elevation_m": site.elevation_m,
        "trace_p_snr_db": snr_db,
    }
    if not about.get("source_type"):
        about["source_type"] = "noise"
    waveform = signal.motion + noise
    unit = "m/s"
    names: tuple[str, ...] = ("Z", "N", "E")
    if generator.random() >= config.velocity_share:
        waveform, unit = np.rint(waveform * site.instrument.gain_counts_s_m), "counts"
    if generator.random() < config.vertical_share:
        waveform, names = waveform[:1], ("Z",)
    return Record(
        record_id=f"{event_id}/{site.station_id}",
        waveform=waveform.astype(np.float32),
        component_names=names,
        sampling_rate_hz=rate_hz,
        start_time=start_time,
        station_id=site.station_id,
        event_id=event_id,
        unit=unit,
        arrivals=signal.arrivals,
        labelled_phases=frozenset({"P", "S"}),
        metadata=about,
    )
