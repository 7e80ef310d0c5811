import numpy as np
import pytest
from seisfm.data.earth.velocity import VelocityModel
from seisfm.eval.references.sp_distance import SpDistance, SpDistanceConfig

HALF_SPACE = VelocityModel((0.0,), (6.0,), (6.0 / 1.75,))


def test_a_half_space_gives_the_formula():
    reference = SpDistance(SpDistanceConfig(depths_km=(10.0,), velocity_sigma=0.0), HALF_SPACE)
    distance_km = np.array([5.0, 20.0, 80.0, 200.0])
    sp_s = np.hypot(distance_km, 10.0) * 0.75 / 6.0
    answer = reference.from_times(sp_s)
    assert answer["distance_km"] == pytest.approx(distance_km, abs=0.05)
    # Far away, 0.2 s of S − P are 1.6 km.
    assert answer["distance_log_std"][3] == pytest.approx(1.6 / 200.0, rel=0.03)


def test_a_layered_model_is_inverted_where_the_depth_is_right():
    model = VelocityModel.default()
    distance_km = np.linspace(3.0, 250.0, 60)
    sp_s = model.travel_time_s(distance_km, 9.0, "S") - model.travel_time_s(distance_km, 9.0, "P")
    answer = SpDistance(SpDistanceConfig(depths_km=(9.0,))).from_times(sp_s)
    assert answer["distance_km"] == pytest.approx(distance_km, abs=1.0)


def test_unknown_depth_is_uncertainty_that_matters_near_and_fades_away():
    reference = SpDistance(SpDistanceConfig(velocity_sigma=0.0, sp_sigma_s=1e-6))
    answer = reference.from_times(np.array([2.0, 15.0]))
    near_km, far_km = answer["distance_log_std"] * answer["distance_km"]
    assert near_km > 3.0 > far_km


def test_what_no_depth_allows_has_no_answer():
    reference = SpDistance(SpDistanceConfig(depths_km=(10.0, 15.0)), HALF_SPACE)
    answer = reference.from_times(np.array([0.5, 60.0, np.nan]))
    assert np.isnan(answer["distance_km"]).all() and np.isnan(answer["distance_log_std"]).all()
    assert "S − P of 0.50 s is outside of 1.25 to" in answer["reason"][0]
    assert answer["reason"][2] == "no pair of P and S picks"


def test_near_sources_are_not_called_deep():
    both = SpDistance(SpDistanceConfig(depths_km=(2.0, 15.0)), HALF_SPACE)
    shallow = SpDistance(SpDistanceConfig(depths_km=(2.0,)), HALF_SPACE)
    sp_s = np.array([1.0])
    assert both.from_times(sp_s)["distance_km"] == shallow.from_times(sp_s)["distance_km"]


def test_it_reads_the_labels_of_windows(windows_of):
    batch = windows_of([np.zeros((3, 4000))] * 2, p_s=[5.0, 5.0], s_s=[13.0, float("nan")])
    answer = SpDistance().predict(batch)
    assert answer["distance_km"][0] == pytest.approx(65.0, abs=5.0)
    assert np.isnan(answer["distance_km"][1])


@pytest.mark.parametrize("settings", [{"depths_km": ()}, {"depths_km": (-1.0,)}, {"spacing_km": 0.0}])
def test_impossible_settings_are_refused(settings):
    with pytest.raises(ValueError, match="must"):
        SpDistanceConfig(**settings)
