"""How far off a pick may be: from the model's calibration into picks, QuakeML and locations."""

import numpy as np
import obspy
import pandas as pd
import pytest
import torch
from seisfm.catalog.locate import LocationConfig, locate_event
from seisfm.catalog.picker import Picker, PickerConfig, fingerprint
from seisfm.catalog.quakeml import picks_from_obspy, write_quakeml
from seisfm.data.earth.velocity import VelocityModel
from seisfm.heads.task_model import SeismicTaskConfig

SETTINGS = {"picking": {"time_floor_s": 0.03, "time_spread_s": 0.2}}


@pytest.fixture
def calibrated(onset_model) -> Picker:
    model = type(onset_model)()
    model.load_state_dict(onset_model.state_dict())
    model.config = SeismicTaskConfig(
        encoder=model.encoder.config, heads={"picking": {}}, calibration=SETTINGS
    )
    return Picker(model, PickerConfig(batch_size=4, refine_shifts=2), name="calibrated")


def test_picks_of_a_calibrated_model_tell_their_error_and_quakeml_keeps_it(
    calibrated, motion, tmp_path
) -> None:
    picks = calibrated.classify(motion()).picks
    expected_s = np.hypot(0.03, 0.2 * (1 - picks.frame["probability"]))
    assert len(picks) >= 4
    np.testing.assert_allclose(picks.frame["time_uncertainty_s"], expected_s)
    write_quakeml(picks, tmp_path / "picks.xml")
    read = obspy.read_events(str(tmp_path / "picks.xml"))
    written_s = sorted(pick.time_errors.uncertainty for event in read for pick in event.picks)
    np.testing.assert_allclose(written_s, sorted(expected_s), rtol=1e-6)
    np.testing.assert_allclose(picks_from_obspy(read).frame["time_uncertainty_s"], expected_s, rtol=1e-6)


def test_without_a_calibration_it_is_the_width_of_the_peak(calibrated, picker, motion) -> None:
    plain = picker.classify(motion()).picks.frame
    assert plain["time"].tolist() == calibrated.classify(motion()).picks.frame["time"].tolist()
    assert (plain["time_uncertainty_s"] != np.hypot(0.03, 0.2 * (1 - plain["probability"]))).all()


def test_another_calibration_is_another_revision(calibrated, onset_model) -> None:
    assert calibrated.revision != fingerprint(onset_model)


def test_passes_with_dropout_are_another_revision(new_model) -> None:
    once, passes = (new_model(polarity={"dropout": 0.2, "mc_passes": count}) for count in (0, 4))
    assert all(torch.equal(a, b) for a, b in zip(once.parameters(), passes.parameters(), strict=True))
    assert fingerprint(once) != fingerprint(passes)


def test_unsure_picks_move_a_location_less_where_they_say_so() -> None:
    model = VelocityModel((0.0,), (6.0,), (3.5,))
    angle = np.radians(np.arange(0, 360, 45))
    x, y = 20 * np.cos(angle), 20 * np.sin(angle)
    distance_km = np.hypot(np.hypot(x, y), 8.0)
    travel_s = np.concatenate([distance_km / 6.0, distance_km / 3.5])
    travel_s[0] += 1.0
    arrivals = pd.DataFrame(
        {
            "x_km": np.tile(x, 2),
            "y_km": np.tile(y, 2),
            "elevation_m": 0.0,
            "phase": ["P"] * 8 + ["S"] * 8,
            "time": pd.to_datetime((1e9 * (1e9 + travel_s)).astype("int64"), unit="ns", utc=True),
            "time_uncertainty_s": [1.0] + [0.02] * 6 + [np.nan] + [0.02] * 8,
        }
    )
    errors_km = []
    for use in (False, True):
        config = LocationConfig(use_pick_uncertainty=use)
        located = locate_event(arrivals, np.array([1.0, 1.0, 8.0]), model, config)
        errors_km.append(np.linalg.norm(located.hypocentre_km - [0, 0, 8.0]))
    assert errors_km[1] < 0.5 * errors_km[0]
