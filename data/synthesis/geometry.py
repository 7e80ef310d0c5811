"""Where stations stand around their events, on a spherical Earth."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..loading.window_random import WindowRandom
from .draws import Range, check_ranges, log_uniform, uniform
from .plan import Geometry, Sources

EARTH_RADIUS_KM = 6371.0


@dataclass(frozen=True, kw_only=True)
class GeometryConfig:
    """How far and how high the stations are.

    distance_km: log-uniform epicentral distance, one value an event. distance_scatter: standard deviation of
    the logarithm of a station's own distance about it. nearest_km: no station is nearer; none is further
    than 1.3 times the largest distance. elevation_m: uniform, above the depth 0 of `Media`.
    """

    distance_km: Range = (1.0, 130.0)
    distance_scatter: float = 0.4
    nearest_km: float = 0.3
    elevation_m: Range = (0.0, 1500.0)

    def __post_init__(self) -> None:
        check_ranges(self, "distance_km", lowest=0.01)
        check_ranges(self, "elevation_m")
        for name in ("distance_scatter", "nearest_km"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be at least 0, found {getattr(self, name)}")


def draw_geometry(
    event: WindowRandom, station: WindowRandom, sources: Sources, config: GeometryConfig
) -> Geometry:
    """A station for each record, in a random direction, the stations of an event at similar distances."""
    scale_km = log_uniform(event, "geometry/distance", config.distance_km).double()
    scatter = (config.distance_scatter * station.normal("geometry/scatter").double()).exp()
    distance_km = (scale_km * scatter).clamp(config.nearest_km, 1.3 * config.distance_km[1])
    azimuth_deg = 360.0 * station.uniform64("geometry/azimuth")
    latitude, longitude = sources.latitude_deg.double().deg2rad(), sources.longitude_deg.double().deg2rad()
    latitude_deg, longitude_deg = _destination(latitude, longitude, distance_km, azimuth_deg.deg2rad())
    elevation_m = uniform(station, "geometry/elevation", config.elevation_m)
    return geometry_between(sources, latitude_deg, longitude_deg, elevation_m)


def geometry_between(
    sources: Sources, latitude_deg: Tensor, longitude_deg: Tensor, elevation_m: Tensor
) -> Geometry:
    """The geometry of stations whose places `(record,)` are given: great circles on a sphere of 6371 km.

    Latitudes and longitudes are float64.
    """
    source = sources.latitude_deg.double().deg2rad()
    station = latitude_deg.double().deg2rad()
    apart = (longitude_deg.double() - sources.longitude_deg.double()).deg2rad()
    # Haversines keep their precision for stations a few metres away.
    haversine = ((station - source) / 2).sin() ** 2 + source.cos() * station.cos() * (apart / 2).sin() ** 2
    return Geometry(
        distance_km=2.0 * EARTH_RADIUS_KM * haversine.clamp(max=1.0).sqrt().asin().float(),
        azimuth_deg=_bearing_deg(source, station, apart),
        back_azimuth_deg=_bearing_deg(station, source, -apart),
        station_latitude_deg=latitude_deg.double(),
        station_longitude_deg=longitude_deg.double(),
        station_elevation_m=elevation_m,
    )


def _bearing_deg(here: Tensor, there: Tensor, apart: Tensor) -> Tensor:
    """Direction at one latitude to another, `apart` in longitude, clockwise from north, 0 to 360."""
    east = apart.sin() * there.cos()
    north = (there - here).sin() + 2.0 * here.sin() * there.cos() * (apart / 2).sin() ** 2
    return torch.atan2(east, north).rad2deg().float() % 360.0


def _destination(
    latitude: Tensor, longitude: Tensor, distance_km: Tensor, azimuth: Tensor
) -> tuple[Tensor, Tensor]:
    """Latitude and longitude in degrees after a way along a great circle; the arguments in radians."""
    angle = distance_km / EARTH_RADIUS_KM
    north = latitude.sin() * angle.cos() + latitude.cos() * angle.sin() * azimuth.cos()
    east = azimuth.sin() * angle.sin() * latitude.cos()
    turned = torch.atan2(east, angle.cos() - latitude.sin() * north)
    longitude_deg = (longitude + turned).rad2deg()
    return north.clamp(-1.0, 1.0).asin().rad2deg(), (longitude_deg + 180.0) % 360.0 - 180.0
