"""Stations around their events: distances, directions, and the sphere that they stand on."""

from __future__ import annotations

import pytest
import torch
from obspy.geodetics import locations2degrees
from seisfm.data.loading.window_random import WindowRandom, window_keys
from seisfm.data.synthesis.geometry import GeometryConfig, draw_geometry, geometry_between
from seisfm.data.synthesis.sources import SourcesConfig, draw_sources


def randoms(number: int, stations: int = 4) -> tuple[WindowRandom, WindowRandom]:
    numbers = torch.arange(number)
    return (
        WindowRandom(window_keys(numbers // stations, "event", 0)),
        WindowRandom(window_keys(numbers, "station", 0)),
    )


def test_distances_are_log_uniform_and_alike_within_an_event():
    event, station = randoms(8000)
    geometry = draw_geometry(event, station, draw_sources(event, SourcesConfig()), GeometryConfig())
    log_km = geometry.distance_km.log()
    assert float(geometry.distance_km.min()) >= 0.2999 and float(geometry.distance_km.max()) <= 1.3 * 130.001
    assert float(log_km.exp().median()) == pytest.approx(130**0.5, rel=0.08)
    assert float(log_km.reshape(-1, 4).std(dim=1).mean()) == pytest.approx(0.4 * 0.92, abs=0.03)
    assert float(geometry.azimuth_deg.min()) >= 0 and float(geometry.azimuth_deg.max()) < 360
    assert float(geometry.azimuth_deg.mean()) == pytest.approx(180, abs=4)


def test_coordinates_agree_with_the_drawn_distance_and_with_obspy():
    """Great circles: 200 stations' distances by ObsPy are right to a metre, across the date line too."""
    event, station = randoms(200)
    sources = draw_sources(event, SourcesConfig(longitude_deg=(179.0, 180.0)))
    geometry = draw_geometry(event, station, sources, GeometryConfig(distance_km=(5.0, 500.0)))
    degrees = [
        locations2degrees(*(float(value) for value in place))
        for place in zip(
            sources.latitude_deg,
            sources.longitude_deg,
            geometry.station_latitude_deg,
            geometry.station_longitude_deg,
            strict=True,
        )
    ]
    expected_km = torch.tensor(degrees, dtype=torch.float64).deg2rad() * 6371.0
    torch.testing.assert_close(geometry.distance_km.double(), expected_km, rtol=1e-6, atol=1e-3)
    assert float(geometry.station_longitude_deg.min()) < 0 < float(geometry.station_longitude_deg.max())
    assert float(geometry.station_longitude_deg.abs().max()) <= 180


def test_given_stations_lie_in_the_right_directions():
    """A degree to the north and to the east of the equator is 111.195 km; the back azimuth points back."""
    event, _ = randoms(4)
    sources = draw_sources(event, SourcesConfig(latitude_deg=(0.0, 0.0), longitude_deg=(10.0, 10.0)))
    latitude = torch.tensor([1.0, 0.0, -1.0, 0.0])
    longitude = torch.tensor([10.0, 11.0, 10.0, 9.0])
    geometry = geometry_between(sources, latitude, longitude, torch.zeros(4))
    torch.testing.assert_close(geometry.distance_km, torch.full((4,), 111.1949), rtol=1e-6, atol=0)
    torch.testing.assert_close(geometry.azimuth_deg, torch.tensor([0.0, 90.0, 180.0, 270.0]))
    torch.testing.assert_close(geometry.back_azimuth_deg, torch.tensor([180.0, 270.0, 0.0, 90.0]))


def test_a_station_does_not_depend_on_its_batch():
    event, station = randoms(16)
    whole = draw_geometry(event, station, draw_sources(event, SourcesConfig()), GeometryConfig())
    for number in range(16):
        one = event.select(torch.tensor([number])), station.select(torch.tensor([number]))
        alone = draw_geometry(*one, draw_sources(one[0], SourcesConfig()), GeometryConfig())
        for name, value in vars(whole).items():
            torch.testing.assert_close(vars(alone)[name][0], value[number], msg=name)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"distance_km": (0.0, 10.0)}, "distance_km must be a range"),
        ({"elevation_m": (10.0, 0.0)}, "elevation_m must be a range"),
        ({"distance_scatter": -1.0}, "distance_scatter must be at least 0"),
    ],
)
def test_wrong_geometry(settings, message):
    with pytest.raises(ValueError, match=message):
        GeometryConfig(**settings)
