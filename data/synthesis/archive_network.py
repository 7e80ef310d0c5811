"""The network of a synthetic archive: its ground, its stations, and what each of them sees of the events."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from ..loading.window_random import WindowRandom, window_keys
from .config import SynthesisConfig
from .draws import uniform
from .geometry import EARTH_RADIUS_KM, geometry_between
from .media import draw_media
from .plan import Media, Sources
from .seismicity import ROLES, Seismicity
from .seismometers import SENSORS, draw_instrument
from .sites import draw_site
from .sizes import magnitude_for_snr
from .sources import TypeShares, draw_sources, with_magnitude
from .station_noise import NoiseLevels, draw_noise
from .views import Views, views_of

CENTRE_DEG = (46.0, 8.0)
NETWORK_RADIUS_KM = 25.0
QUIET_MID = 0.6
"""Stations of a network that somebody runs are no louder than this level at 1 to 3 Hz."""

MIN_SNR = 3.0
REFERENCE_HOUR = 20.0
"""The hour for which `continuous_noise` wants its levels."""

_KM_PER_DEGREE = EARTH_RADIUS_KM * torch.pi / 180.0


@dataclass(frozen=True, kw_only=True)
class ArchiveInstrument:
    """The sensor of a station: kind, corner, damping, and counts for one unit of its output."""

    sensor: str
    corner_hz: float
    damping: float
    gain_counts_s_m: float


@dataclass(frozen=True, kw_only=True)
class ArchiveStation:
    """A station as its network describes it."""

    station_id: str
    latitude_deg: float
    longitude_deg: float
    elevation_m: float
    instrument: ArchiveInstrument


class ArchiveNetwork:
    """Stations within 25 km over one crust. Everything depends on configuration, seed and numbers alone."""

    def __init__(self, config: SynthesisConfig, seed: int, num_stations: int):
        self.config = config
        self.seed = seed
        self.num_stations = num_stations
        self.stations = self._random("archive station", torch.arange(num_stations))
        self.latitude_deg, self.longitude_deg = self._places()
        self.elevation_m = uniform(self.stations, "geometry/elevation", config.geometry.elevation_m)
        self.instrument = draw_instrument(self.stations, config.instrument, config.sampling_rate_hz)
        hour = torch.full((num_stations,), REFERENCE_HOUR)
        noise = draw_noise(self.stations, config.noise, hour)
        self.noise: NoiseLevels = replace(noise, mid=noise.mid.clamp(max=QUIET_MID))

    def media(self, count: int) -> Media:
        """The one crust, `count` times."""
        zeros = torch.zeros(count, dtype=torch.int64)
        return draw_media(self._random("archive medium", zeros), self.config.media)

    def described(self) -> tuple[ArchiveStation, ...]:
        """The stations, one after the other."""
        instrument = self.instrument
        return tuple(
            ArchiveStation(
                station_id=f"SY.S{number + 1:03d}.",
                latitude_deg=float(self.latitude_deg[number]),
                longitude_deg=float(self.longitude_deg[number]),
                elevation_m=float(self.elevation_m[number]),
                instrument=ArchiveInstrument(
                    sensor=SENSORS[int(instrument.sensor[number])],
                    corner_hz=float(instrument.corner_hz[number]),
                    damping=float(instrument.damping[number]),
                    gain_counts_s_m=float(instrument.gain[number]),
                ),
            )
            for number in range(self.num_stations)
        )

    def sources(self, events: Seismicity) -> Sources:
        """What shakes in each event. Where its size is open, the middle station decides: see `_visible`."""
        random = self._random("archive event", torch.arange(len(events)))
        config = replace(self.config.sources, types=_only("earthquake"))
        quakes = draw_sources(random, config)
        blasts = draw_sources(random, replace(config, types=_only("quarry_blast")))
        blast = torch.from_numpy(events.role == ROLES.index("blast"))
        columns = {
            name: torch.where(blast.reshape(-1, *[1] * (value.ndim - 1)), getattr(blasts, name), value)
            for name, value in vars(quakes).items()
        }
        north_km, east_km = torch.from_numpy(events.north_km), torch.from_numpy(events.east_km)
        latitude_deg, longitude_deg = _moved(north_km, east_km)
        columns |= {
            "depth_km": torch.from_numpy(events.depth_km).float(),
            "latitude_deg": latitude_deg,
            "longitude_deg": longitude_deg,
        }
        sources = Sources(**columns)
        given = torch.from_numpy(events.magnitude).float()
        magnitude = torch.where(given.isnan(), self._visible(random, sources), given)
        return with_magnitude(sources, magnitude, random, config)

    def views(self, station: int, events: Tensor, sources: Sources) -> Views:
        """What one station sees of some events: their int64 numbers, and they themselves."""
        count = len(events)
        own = self.stations.select(torch.full((count,), station))
        way = self._random("archive way", events * self.num_stations + station)
        place = (self.latitude_deg[station], self.longitude_deg[station], self.elevation_m[station])
        geometry = geometry_between(sources, *(value.expand(count) for value in place))
        media = self.media(count)
        event = self._random("archive event", events)
        return views_of((events, events), event, way, own, media, sources, geometry, self.config)

    def _visible(self, random: WindowRandom, sources: Sources) -> Tensor:
        """Magnitudes at which the middle station's P stands out by a ratio drawn from `config.snr`."""
        config, count = self.config, len(random)
        low, high = (max(value, MIN_SNR) for value in config.snr or (MIN_SNR, MIN_SNR))
        snr = low * (high / low) ** random.uniform("size/snr")
        media = self.media(count)
        seen = []
        for station in range(self.num_stations):
            own = self.stations.select(torch.full((count,), station))
            place = (self.latitude_deg[station], self.longitude_deg[station], self.elevation_m[station])
            geometry = geometry_between(sources, *(value.expand(count) for value in place))
            site = draw_site(own, config.site)
            instrument = draw_instrument(own, config.instrument, config.sampling_rate_hz)
            levels = draw_noise(own, config.noise, torch.full((count,), REFERENCE_HOUR))
            levels = replace(levels, mid=levels.mid.clamp(max=QUIET_MID))
            seen.append(magnitude_for_snr(snr, media, sources, geometry, site, instrument, levels))
        return torch.stack(seen).median(dim=0).values.clamp(*config.sources.magnitude)

    def _random(self, name: str, numbers: Tensor) -> WindowRandom:
        return WindowRandom(window_keys(numbers, name, self.seed))

    def _places(self) -> tuple[Tensor, Tensor]:
        """Latitudes and longitudes, spread evenly over a disc."""
        area = 0.01 + 0.99 * self.stations.uniform64("network/radius")
        azimuth = 2.0 * torch.pi * self.stations.uniform64("network/azimuth")
        radius_km = NETWORK_RADIUS_KM * area.sqrt()
        return _moved(radius_km * azimuth.cos(), radius_km * azimuth.sin())


def _only(name: str) -> TypeShares:
    return TypeShares(**(dict.fromkeys((f.name for f in fields(TypeShares)), 0.0) | {name: 1.0}))


def _moved(north_km: Tensor, east_km: Tensor) -> tuple[Tensor, Tensor]:
    """Latitude and longitude, float64, so far from the network's centre."""
    latitude_deg = CENTRE_DEG[0] + north_km.double() / _KM_PER_DEGREE
    shrink = torch.deg2rad(torch.tensor(CENTRE_DEG[0], dtype=torch.float64)).cos()
    return latitude_deg, CENTRE_DEG[1] + east_km.double() / (_KM_PER_DEGREE * shrink)
