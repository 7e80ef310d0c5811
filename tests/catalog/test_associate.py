"""Synthetic earthquakes with known answers, and real ones that an analyst located."""

import numpy as np
import obspy
import pandas as pd
import pyproj
import pytest
from seisfm.catalog.associate import AssociationConfig, associate
from seisfm.catalog.locate import locate_event
from seisfm.catalog.origins import azimuthal_gap_deg
from seisfm.catalog.pick_table import PickTable
from seisfm.catalog.projection import LocalProjection
from seisfm.catalog.quakeml import picks_from_obspy
from seisfm.data.continuous.examples import uh_reference_event, uh_stations
from seisfm.data.earth.velocity import VelocityModel

LAYERS = VelocityModel((-1.0, 1.0, 3.0, 8.0), (3.3, 4.6, 6.0, 6.8), (1.85, 2.6, 3.4, 3.9))
HOMOGENEOUS = VelocityModel((0.0,), (6.0,), (3.46,))
# The four stations of the test event: vp/vs = 1.83, after the analyst's NonLinLoc run; velocities are a fit.
START_S = 1546138800.0


def network(num_stations: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    plane = LocalProjection(latitude_deg=64.05, longitude_deg=-21.3)
    latitude, longitude = plane.to_degrees(*rng.uniform(-12, 12, (2, num_stations)))
    names = [f"ST{i:02d}" for i in range(num_stations)]
    return pd.DataFrame(
        {
            "network": "XX",
            "station": names,
            "location": "",
            "latitude_deg": latitude,
            "longitude_deg": longitude,
            "elevation_m": rng.uniform(100, 500, num_stations),
            "id": [f"XX.{name}." for name in names],
        }
    )


def events(num_events: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    plane = LocalProjection(latitude_deg=64.05, longitude_deg=-21.3)
    latitude, longitude = plane.to_degrees(*rng.uniform(-8, 8, (2, num_events)))
    return pd.DataFrame(
        {
            "latitude_deg": latitude,
            "longitude_deg": longitude,
            "depth_km": rng.uniform(2, 8, num_events),
            "time_s": START_S + np.sort(rng.uniform(0, 3600, num_events)),
        }
    )


def synthetic_picks(sources, stations, model, noise_s, seed, false_picks=0) -> PickTable:
    """Picks from travel times along geodesics, with noise, one in ten P and one in five S missed."""
    rng = np.random.default_rng(seed)
    rows = []
    for source in sources.to_dict("records"):
        for station in stations.to_dict("records"):
            metres = obspy.geodetics.gps2dist_azimuth(
                source["latitude_deg"],
                source["longitude_deg"],
                station["latitude_deg"],
                station["longitude_deg"],
            )[0]
            for phase, seen, sigma in (("P", 0.9, noise_s), ("S", 0.8, 2 * noise_s)):
                travel_s = model.travel_time_s(
                    metres / 1e3, source["depth_km"], phase, station["elevation_m"]
                )
                if rng.uniform() < seen:
                    time_s = source["time_s"] + float(travel_s) + rng.normal(0, sigma)
                    rows.append(
                        {"station_id": station["id"], "phase": phase, "time": time_s, "probability": 0.8}
                    )
    for _ in range(false_picks):
        rows.append(
            {
                "station_id": rng.choice(stations["id"].tolist()),
                "phase": rng.choice(["P", "S"]),
                "time": START_S + rng.uniform(0, 3600),
                "probability": 0.4,
            }
        )
    return PickTable.from_rows(rows)


def match(catalog, sources) -> pd.DataFrame:
    """For each true event, how far the nearest found one within 2 s is."""
    found_s = catalog.events["time"].astype("int64").to_numpy() / 1e9
    rows = []
    for source in sources.to_dict("records"):
        near = np.flatnonzero(np.abs(found_s - source["time_s"]) < 2.0)
        if not len(near):
            rows.append({"distance_km": np.inf, "depth_km": np.inf, "time_s": np.inf})
            continue
        event = catalog.events.iloc[near[np.argmin(np.abs(found_s[near] - source["time_s"]))]]
        metres = obspy.geodetics.gps2dist_azimuth(
            source["latitude_deg"], source["longitude_deg"], event["latitude_deg"], event["longitude_deg"]
        )[0]
        rows.append(
            {
                "distance_km": metres / 1e3,
                "depth_km": abs(event["depth_km"] - source["depth_km"]),
                "time_s": abs(event["time"].timestamp() - source["time_s"]),
            }
        )
    return pd.DataFrame(rows)


@pytest.mark.parametrize("model", [LAYERS, HOMOGENEOUS], ids=["layers", "homogeneous"])
def test_synthetic_events_are_recovered(model):
    stations, sources = network(12, seed=0), events(12, seed=1)
    picks = synthetic_picks(sources, stations, model, noise_s=0.03, seed=2, false_picks=200)
    catalog = associate(picks, stations, AssociationConfig(), model)
    errors = match(catalog, sources)
    assert (errors["distance_km"] < 1.0).mean() >= 0.9
    assert errors["distance_km"].median() < 0.3
    assert errors["depth_km"].median() < 0.8
    assert len(catalog) <= len(sources) + 2
    assert len(catalog.arrivals) + len(catalog.unassociated) == len(picks)


def test_residuals_are_observed_minus_calculated_and_balanced():
    stations, sources = network(10, seed=3), events(3, seed=4)
    picks = synthetic_picks(sources, stations, LAYERS, noise_s=0.02, seed=5)
    catalog = associate(picks, stations, AssociationConfig(), LAYERS)
    place = stations.set_index("id")
    for event in catalog.events.to_dict("records"):
        arrivals = catalog.arrivals_of(event["event_id"])
        for arrival in arrivals.to_dict("records"):
            travel_s = LAYERS.travel_time_s(
                arrival["distance_km"],
                event["depth_km"],
                arrival["phase"],
                place.loc[arrival["station_id"], "elevation_m"],
            )
            observed_s = (arrival["time"] - event["time"]).total_seconds()
            assert arrival["residual_s"] == pytest.approx(observed_s - float(travel_s), abs=2e-3)
        sigma = np.where(arrivals["phase"] == "P", 0.1, 0.2)
        mean_s = np.average(arrivals["residual_s"], weights=arrivals["weight"] / sigma**2)
        assert abs(mean_s) < 1e-6
        assert event["rms_s"] < 0.1
        assert event["num_stations"] == arrivals["station_id"].nunique()


def test_exact_times_give_the_exact_place():
    stations = network(8, seed=6)
    plane = LocalProjection.around(stations)
    x, y = plane.to_km(stations["latitude_deg"], stations["longitude_deg"])
    truth = np.array([1.5, -2.0, 4.4])
    rows = []
    for phase in "PS":
        distance = np.hypot(x - truth[0], y - truth[1])
        travel_s = LAYERS.travel_time_s(distance, truth[2], phase, stations["elevation_m"].to_numpy())
        rows.append(
            pd.DataFrame(
                {
                    "x_km": x,
                    "y_km": y,
                    "elevation_m": stations["elevation_m"],
                    "phase": phase,
                    "time": pd.to_datetime(((START_S + travel_s) * 1e9).astype("int64"), unit="ns", utc=True),
                }
            )
        )
    located = locate_event(pd.concat(rows, ignore_index=True), np.array([0.0, 0.0, 10.0]), LAYERS)
    np.testing.assert_allclose(located.hypocentre_km, truth, atol=0.01)
    assert located.time_s == pytest.approx(START_S, abs=2e-3)
    assert located.rms_s < 1e-3


def test_an_analysts_picks_give_his_location():
    event = uh_reference_event()
    model = VelocityModel((0.0,), (4.3,), (2.35,))
    config = AssociationConfig(n_picks=6, n_p_picks=3, n_s_picks=3, n_p_and_s_picks=3, depth_km=(0.0, 15.0))
    catalog = associate(picks_from_obspy(obspy.Catalog([event])), uh_stations(), config, model)
    assert len(catalog) == 1
    assert len(catalog.arrivals) == 8
    found, origin = catalog.events.iloc[0], event.origins[0]
    metres = obspy.geodetics.gps2dist_azimuth(
        found["latitude_deg"], found["longitude_deg"], origin.latitude, origin.longitude
    )[0]
    assert metres < 1000
    assert abs(found["depth_km"] - origin.depth / 1e3) < 2.0
    assert abs(found["time"].timestamp() - origin.time.timestamp) < 0.3


def test_uh_stations_agree_with_the_analysts_distances():
    event = uh_reference_event()
    origin, stations = event.origins[0], uh_stations().set_index("station")
    for arrival in origin.arrivals:
        pick = arrival.pick_id.get_referred_object()
        place = stations.loc[pick.waveform_id.station_code]
        metres = obspy.geodetics.gps2dist_azimuth(
            origin.latitude, origin.longitude, place["latitude_deg"], place["longitude_deg"]
        )[0]
        assert metres / 1e3 == pytest.approx(arrival.distance * 111.195, abs=0.03)


def test_picks_of_unknown_stations_are_named():
    stations = network(6, seed=7)
    picks = PickTable.from_rows(
        [{"station_id": "ZZ.NOWHERE.", "phase": "P", "time": START_S}] * 2
        + [{"station_id": "XX.ST00.00", "phase": "P", "time": START_S}]
    )
    catalog = associate(picks, stations)
    assert len(catalog) == 0
    assert len(catalog.unassociated) == 3
    assert [(s.item, s.reason[:45]) for s in catalog.skipped] == [
        ("ZZ.NOWHERE.", "2 picks of a station that is not in the stati")
    ]


def test_an_unknown_elevation_is_taken_as_zero_and_told():
    stations, sources = network(8, seed=13), events(1, seed=14)
    picks = synthetic_picks(sources, stations, LAYERS, noise_s=0.01, seed=15)
    stations.loc[2, "elevation_m"] = np.nan
    catalog = associate(picks, stations, AssociationConfig(), LAYERS)
    assert len(catalog) == 1
    assert ("XX.ST02.", "elevation unknown: taken as 0 m") in [(s.item, s.reason) for s in catalog.skipped]


def test_no_picks_no_events():
    assert len(associate(PickTable.empty(), network(4, seed=8))) == 0


def test_two_instruments_of_a_station_count_once():
    stations, sources = network(8, seed=9), events(1, seed=10)
    picks = synthetic_picks(sources, stations, LAYERS, noise_s=0.01, seed=11)
    twice = PickTable.concat(
        [
            PickTable(picks.frame.assign(instrument="HH")),
            PickTable(picks.frame.assign(instrument="HN", probability=0.5)),
        ]
    )
    catalog = associate(twice, stations, AssociationConfig(), LAYERS)
    assert len(catalog) == 1
    assert set(catalog.arrivals["instrument"]) == {"HH"}
    assert not catalog.arrivals.duplicated(["station_id", "phase"]).any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_picks": 3, "n_p_picks": 3, "n_s_picks": 1}, "n_picks must be at least"),
        ({"n_p_and_s_picks": 2, "n_s_picks": 1, "n_picks": 8}, "n_p_and_s_picks must not exceed"),
        ({"depth_km": (-1.0, 10.0)}, "depth_km must be 0 ≤ shallowest"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        AssociationConfig(**settings)


def test_a_location_needs_four_arrivals():
    arrivals = pd.DataFrame({"phase": ["P"] * 3})
    with pytest.raises(ValueError, match="at least 4 arrivals, found 3"):
        locate_event(arrivals, np.zeros(3), LAYERS)


@pytest.mark.parametrize(("latitude", "longitude"), [(64.05, -21.3), (-38.2, 179.9), (0.1, -78.0)])
def test_the_plane_agrees_with_proj(latitude, longitude):
    rng = np.random.default_rng(12)
    plane = LocalProjection(latitude_deg=latitude, longitude_deg=longitude)
    proj = pyproj.Proj(proj="tmerc", lat_0=latitude, lon_0=longitude, ellps="WGS84", units="km")
    far = latitude + rng.uniform(-2, 2, 50), (longitude + rng.uniform(-3, 3, 50) + 180) % 360 - 180
    np.testing.assert_allclose(plane.to_km(*far), proj(far[1], far[0]), atol=1e-5)
    np.testing.assert_allclose(plane.to_degrees(*plane.to_km(*far)), far, atol=1e-9)


def test_a_network_across_the_date_line_has_its_centre_there():
    stations = pd.DataFrame({"latitude_deg": [-38.0, -39.0], "longitude_deg": [179.5, -179.0]})
    plane = LocalProjection.around(stations)
    assert plane.longitude_deg == pytest.approx(-179.75)
    with pytest.raises(ValueError, match="at least one station"):
        LocalProjection.around(stations.iloc[:0])


@pytest.mark.parametrize(("azimuths", "gap"), [([0, 90, 180, 270], 90), ([10], 360), ([350, 10], 340)])
def test_azimuthal_gap(azimuths, gap):
    assert azimuthal_gap_deg(np.array(azimuths, float)) == pytest.approx(gap)
