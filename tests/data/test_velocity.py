"""Travel times against closed forms, against ObsPy's taup, and through the files that hold them."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from obspy.taup import TauPyModel
from seisfm.data.earth.velocity import TravelTimeTable, VelocityModel

DATA = Path(os.environ.get("SEISFM_DATA", Path(__file__).parents[2] / "../shared/data"))
TWO_LAYERS = VelocityModel((0.0, 10.0), (5.0, 8.0), (2.9, 4.6))
IASP91_CRUST = VelocityModel((0.0, 20.0, 35.0), (5.8, 6.5, 8.04), (3.36, 3.75, 4.47))


def test_homogeneous_times_are_straight_lines():
    model = VelocityModel((0.0,), (6.0,), (3.5,))
    distance_km, depth_km = np.meshgrid([0.0, 0.1, 7.0, 300.0], [0.0, 0.5, 12.0])
    expected = np.hypot(distance_km, depth_km + 1.2)
    np.testing.assert_allclose(
        model.travel_time_s(distance_km, depth_km, "P", 1200.0), expected / 6.0, rtol=1e-9
    )
    np.testing.assert_allclose(
        model.travel_time_s(distance_km, depth_km, "S", 1200.0), expected / 3.5, rtol=1e-9
    )


def test_head_wave_and_crossover_of_a_layer_over_a_half_space():
    """T = X/v2 + 2h √(1/v1² − 1/v2²), first beyond X = 2h √((v2 + v1)/(v2 − v1))."""
    crossover_km = 20.0 * np.sqrt(13.0 / 3.0)
    head_s = crossover_km / 8.0 + 20.0 * np.sqrt(1 / 25.0 - 1 / 64.0)
    assert TWO_LAYERS.travel_time_s(crossover_km, 0.0, "Pn") == pytest.approx(head_s)
    assert TWO_LAYERS.travel_time_s(crossover_km, 0.0, "Pg") == pytest.approx(head_s)
    before, after = TWO_LAYERS.rays([crossover_km - 1, crossover_km + 1], 0.0, "P").ray_parameter_s_km
    assert (before, after) == pytest.approx((1 / 5.0, 1 / 8.0))
    critical_km = 20.0 * np.tan(np.arcsin(5.0 / 8.0))
    assert np.isnan(TWO_LAYERS.travel_time_s(critical_km - 0.01, 0.0, "Pn"))


def test_reflection_from_the_moho_is_a_mirror_image():
    distance_km = np.array([0.0, 15.0, 60.0])
    expected = np.hypot(distance_km, 20.0 - 4.0) / 5.0
    np.testing.assert_allclose(TWO_LAYERS.travel_time_s(distance_km, 4.0, "PmP"), expected)
    assert np.isnan(TWO_LAYERS.travel_time_s(30.0, 12.0, "PmP"))


@settings(max_examples=60, deadline=None)
@given(
    distance_km=st.floats(0, 200),
    depth_km=st.floats(-1, 60),
    elevation_m=st.floats(-500, 3000),
    phase=st.sampled_from(["P", "S"]),
)
def test_reciprocity_fermat_and_slowness(distance_km, depth_km, elevation_m, phase):
    """Times are the same both ways, no later than the direct ray, and their slope is the ray parameter."""
    model = VelocityModel.default()
    here = model.rays(distance_km, depth_km, phase, elevation_m)
    back = model.travel_time_s(distance_km, -elevation_m / 1000.0, phase, -depth_km * 1000.0)
    assert here.time_s == pytest.approx(back, abs=1e-7)
    assert here.time_s <= model.travel_time_s(distance_km, depth_km, phase + "g", elevation_m) + 1e-9
    further_s = model.travel_time_s(distance_km + 0.1, depth_km, phase, elevation_m)
    slowest_km_s = min(model.vp_km_s if phase == "P" else model.vs_km_s)
    assert -1e-9 <= further_s - here.time_s <= 0.1 / slowest_km_s + 1e-9
    assert 0 <= here.incidence_deg <= 90 and 0 <= here.takeoff_deg <= 180


def test_ray_parameter_is_the_slope_of_the_travel_time():
    distance_km = np.linspace(1, 140, 40)
    rays = IASP91_CRUST.rays(distance_km, 12.0, "Pg")
    slope = (IASP91_CRUST.travel_time_s(distance_km + 0.01, 12.0, "Pg") - rays.time_s) / 0.01
    np.testing.assert_allclose(slope, rays.ray_parameter_s_km, atol=1e-4)
    np.testing.assert_allclose(np.sin(np.radians(rays.incidence_deg)) / 5.8, rays.ray_parameter_s_km)
    assert (rays.takeoff_deg > 90).all()
    assert (IASP91_CRUST.rays([150.0], 12.0, "Pn").takeoff_deg < 90).all()


def test_a_slow_layer_makes_no_head_wave_and_hides_none():
    model = VelocityModel((0.0, 5.0, 10.0), (6.0, 4.0, 7.8), (3.4, 2.2, 4.4))
    rays = model.rays([100.0], 0.0, "P")
    assert rays.ray_parameter_s_km[0] == pytest.approx(1 / 7.8)
    assert model.rays([20.0], 0.0, "P").ray_parameter_s_km[0] == pytest.approx(1 / 6.0)


@pytest.fixture(scope="module")
def taup() -> TauPyModel:
    return TauPyModel("iasp91")


@pytest.mark.parametrize("phase", ["P", "S"])
@pytest.mark.parametrize("depth_km", [1.0, 8.0, 15.0])
def test_agrees_with_taup(taup, phase, depth_km):
    """Within 0.02 s up to 50 km. At 150 km the flat Earth is late by 0.085 s for P; S is slower by vp/vs."""
    names = [phase.lower(), phase, f"{phase}n", f"{phase}g"]
    for distance_km, tolerance_s in ((5, 0.02), (20, 0.02), (50, 0.02), (150, 0.085)):
        degrees = np.degrees(distance_km / 6371.0)
        arrivals = taup.get_travel_times(depth_km, degrees, phase_list=names)
        scale = 1.8 if phase == "S" and distance_km > 50 else 1.0
        ours = IASP91_CRUST.travel_time_s(distance_km, depth_km, phase)
        assert ours == pytest.approx(min(a.time for a in arrivals), abs=tolerance_s * scale)


def test_table_agrees_with_the_model_and_knows_its_slopes():
    model = VelocityModel.default()
    table = TravelTimeTable(model, 100.0, 20.0)
    generator = np.random.default_rng(0)
    distance_km, depth_km = generator.uniform(0, 100, 3000), generator.uniform(0, 20, 3000)
    elevation_m = generator.uniform(0, 1500, 3000)
    assert table.max_error_s(generator) < 0.04
    for phase in "PS":
        exact = model.travel_time_s(distance_km, depth_km, phase, elevation_m)
        error = np.abs(table.travel_time_s(distance_km, depth_km, phase, elevation_m) - exact)
        assert np.percentile(error, 98) < 0.01
        along, down = table.gradient_s_km(distance_km, depth_km, phase)
        rays = model.rays(distance_km, depth_km, phase)
        assert np.median(np.abs(along - rays.ray_parameter_s_km)) < 2e-3
        vertical = -np.cos(np.radians(rays.takeoff_deg)) / model.velocity_km_s(depth_km, phase)
        assert np.median(np.abs(down - vertical)) < 4e-3


# PyOcto 0.1.4 calls DataFrame.drop(inplace=True), which pandas 3.1 deprecates.
@pytest.mark.filterwarnings("ignore:The inplace keyword:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:The inplace keyword:pandas.errors.Pandas4Warning")
def test_pyocto_reads_the_table(tmp_path):
    pyocto = pytest.importorskip("pyocto")
    path = tmp_path / "model.bin"
    table = TravelTimeTable(VelocityModel.default(), 60.0, 20.0, 1.0)
    table.write_pyocto(path)
    content = path.read_bytes()
    num_distances, num_depths, spacing_km = struct.unpack_from("iid", content)
    times = np.frombuffer(content, offset=16).reshape(2, num_distances, num_depths)
    assert spacing_km == 1.0
    assert times[1, 30, 8] == VelocityModel.default().travel_time_s(30.0, 8.0, "S")
    model = pyocto.VelocityModel1D(path, tolerance=0.5)
    events = _associate_one_event(pyocto, model)
    assert len(events) == 1
    assert (events["x"][0], events["y"][0]) == pytest.approx((5.0, -3.0), abs=1.5)
    assert events["time"][0] == pytest.approx(1000.0, abs=0.5)


def _associate_one_event(pyocto, model):
    generator = np.random.default_rng(3)
    stations = pd.DataFrame({"id": [f"S{i}" for i in range(8)], "z": 0.0})
    stations["x"], stations["y"] = generator.uniform(-25, 25, (2, 8))
    distance_km = np.hypot(stations["x"] - 5.0, stations["y"] + 3.0)
    picks = [
        {"station": name, "phase": phase, "time": 1000.0 + float(time_s)}
        for phase in "PS"
        for name, time_s in zip(
            stations["id"], VelocityModel.default().travel_time_s(distance_km, 8.0, phase), strict=True
        )
    ]
    associator = pyocto.OctoAssociator(
        xlim=(-30, 30), ylim=(-30, 30), zlim=(0, 20), velocity_model=model, time_before=30,
        n_picks=8, n_p_picks=3, n_s_picks=3, n_p_and_s_picks=3,
    )  # fmt: skip
    return associator.associate(pd.DataFrame(picks), stations)[0]


def test_files_round_trip_and_the_layer_table_reads(tmp_path):
    VelocityModel.default().to_csv(tmp_path / "crust.csv")
    assert VelocityModel.from_file(tmp_path / "crust.csv") == VelocityModel.default()
    table = tmp_path / "layers.txt"
    table.write_text("# layers\n-0.2 3.32 0.0 1.87 0.0 2.7 0.0\nLAYER 0.8 4.2 0 2.36 0 2.7 0\n")
    assert VelocityModel.from_file(table) == VelocityModel((-0.2, 0.8), (3.32, 4.2), (1.87, 2.36))


def test_real_layer_table():
    path = DATA / "iceland_continuous" / "velocity_model.txt"
    if not path.is_file():
        pytest.skip(f"no {path}: set SEISFM_DATA to the folder with the real data")
    model = VelocityModel.from_file(path)
    assert model.depth_km[0] == -0.2 and model.vp_km_s[1] == 4.2 and model.vs_km_s[1] == 2.36


def test_errors(tmp_path):
    with pytest.raises(ValueError, match="vp > vs > 0"):
        VelocityModel((0.0,), (3.0,), (5.0,))
    with pytest.raises(ValueError, match="must increase downwards"):
        VelocityModel((0.0, 0.0), (5.0, 6.0), (3.0, 3.5))
    with pytest.raises(ValueError, match="as many depths as vp and vs"):
        VelocityModel((0.0,), (5.0, 6.0), (3.0,))
    with pytest.raises(ValueError, match="phase must be one of"):
        TWO_LAYERS.travel_time_s(10.0, 1.0, "PKP")
    (tmp_path / "a.csv").write_text("depth,vp_km_s,vs_km_s\n0,5,3\n")
    with pytest.raises(ValueError, match="missing in"):
        VelocityModel.from_file(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_text("depth_km,vp_km_s,vs_km_s\n0,fast,3\n")
    with pytest.raises(ValueError, match="must be numbers"):
        VelocityModel.from_file(tmp_path / "b.csv")
    (tmp_path / "c.txt").write_text("0 5 0.1 3 0\n")
    with pytest.raises(ValueError, match="gradients"):
        VelocityModel.from_file(tmp_path / "c.txt")
    (tmp_path / "d.txt").write_text("0 5\n")
    with pytest.raises(ValueError, match="a layer is"):
        VelocityModel.from_file(tmp_path / "d.txt")
    (tmp_path / "e.txt").write_text("# nothing\n")
    with pytest.raises(ValueError, match="found none"):
        VelocityModel.from_file(tmp_path / "e.txt")
    table = TravelTimeTable(TWO_LAYERS, 10.0, 5.0)
    with pytest.raises(ValueError, match="make it wider"):
        table.travel_time_s(11.0, 1.0, "P")
    with pytest.raises(ValueError, match="make it deeper"):
        table.travel_time_s(1.0, 6.0, "P")
    with pytest.raises(ValueError, match="ask the VelocityModel"):
        table.travel_time_s(1.0, 1.0, "Pn")
    with pytest.raises(ValueError, match="positive distance and spacing"):
        TravelTimeTable(TWO_LAYERS, 0.0, 5.0)
