"""Directions of rays in trials, and the published Northridge answers where the data are at hand."""

import math
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import torch
from seisfm.data.earth.velocity import VelocityModel
from seisfm.data.formats.hash_files import (
    ReadEvent,
    Reading,
    corrected,
    read_fpfit,
    read_mechanisms,
    read_reversals,
)
from seisfm.eval.mechanism.grid_search import GridSearchConfig, search_mechanisms
from seisfm.eval.mechanism.scores import kagan_to_reference, score_mechanisms
from seisfm.eval.mechanism.takeoff import TrialConfig, given_angles, traced_angles, traced_directions

NORTHRIDGE = Path(os.environ.get("SEISFM_DATA", "../shared/data")) / "northridge_hash"
HALFSPACE = VelocityModel((0.0,), (6.0,), (3.5,))
FASTER = VelocityModel((0.0, 5.0), (4.0, 6.0), (2.3, 3.5))


@pytest.fixture
def event():
    readings = (
        Reading(station="N", polarity=1, impulsive=True),
        Reading(station="E", polarity=-1),
        Reading(station="E", log10_sp_ratio=0.5),
        Reading(station="far", polarity=1),
        Reading(station="lost", polarity=1),
        Reading(station="E"),
    )
    return ReadEvent(
        event_id="7",
        origin_time=datetime(1994, 1, 1, tzinfo=UTC),
        latitude_deg=0.0,
        longitude_deg=0.0,
        depth_km=10.0,
        magnitude=2.0,
        horizontal_error_km=1.0,
        depth_error_km=2.0,
        readings=readings,
    )


PLACES = {"N": (0.0904, 0.0, 0.0), "E": (0.0, 0.0898, 0.0), "far": (5.0, 0.0, 0.0)}


def test_rays_in_a_halfspace_are_straight(event):
    motions, skipped = traced_angles(event, PLACES, [HALFSPACE], TrialConfig(trials=20))
    assert [(one.item, one.reason) for one in skipped] == [("7/lost", "no place known")]
    assert motions.azimuth_deg[0].tolist() == pytest.approx([0.0, 90.0, 90.0], abs=0.01)
    assert motions.takeoff_deg[0].tolist() == pytest.approx([135.0] * 3, abs=0.1)
    assert motions.polarity.tolist() == [1, -1, 0] and motions.num_ratios == 1
    assert (motions.takeoff_deg.std(dim=0) > 2.0).all()


def test_channels_of_a_station_share_their_directions(event):
    motions, _ = traced_angles(event, PLACES, [HALFSPACE, FASTER], TrialConfig(trials=6))
    assert torch.equal(motions.azimuth_deg[:, 1], motions.azimuth_deg[:, 2])


def test_velocity_models_take_turns(event):
    sure = replace(event, horizontal_error_km=0.0, depth_error_km=0.0)
    motions, _ = traced_angles(sure, PLACES, [HALFSPACE, FASTER], TrialConfig(trials=5))
    first, second = motions.takeoff_deg[:2, 0].tolist()
    assert motions.takeoff_deg[:, 0].tolist() == pytest.approx([first, second] * 2 + [first])
    assert abs(first - second) > 1.0


def test_rays_end_at_the_height_of_the_station():
    azimuth_deg, takeoff_deg = traced_directions(
        np.array([10.0, 10.0]),
        np.array([0.0, 90.0]),
        depth_km=8.0,
        depth_error_km=0.0,
        horizontal_error_km=0.0,
        models=[HALFSPACE],
        config=TrialConfig(trials=1),
        station_elevation_m=np.array([0.0, 2000.0]),
    )
    assert azimuth_deg[0].tolist() == pytest.approx([0.0, 90.0])
    assert takeoff_deg[0].tolist() == pytest.approx([180.0 - math.degrees(math.atan(10.0 / 8.0)), 135.0])


def test_a_trial_is_needed():
    with pytest.raises(ValueError, match="at least one trial"):
        TrialConfig(trials=0)


def test_given_angles_are_disturbed_by_their_errors(event):
    readings = tuple(
        Reading(
            station=str(number),
            polarity=1,
            distance_km=50.0 if number else 500.0,
            azimuth_deg=100.0,
            takeoff_deg=90.0,
            azimuth_error_deg=3.0,
            takeoff_error_deg=math.nan,
        )
        for number in range(40)
    )
    motions = given_angles(replace(event, readings=readings), TrialConfig(trials=50))
    assert motions.azimuth_deg.shape == (50, 39)
    assert (motions.azimuth_deg[0] == 100.0).all()
    assert motions.azimuth_deg[1:].std() == pytest.approx(3.0, rel=0.1)
    assert motions.takeoff_deg[1:].std() == pytest.approx(10.0, rel=0.1)


@pytest.mark.skipif(not NORTHRIDGE.is_dir(), reason="HASH's example files are not at hand (SEISFM_DATA)")
def test_northridge_answers_are_those_published():
    reversals = read_reversals(NORTHRIDGE / "scsn.reverse")
    published = {
        one.event_id: one.mechanism_deg for one in reversed(read_mechanisms(NORTHRIDGE / "example1.out"))
    }
    answers = {}
    for event in read_fpfit(NORTHRIDGE / "north1.phase")[3:12]:
        motions = given_angles(corrected(event, reversals), TrialConfig(trials=4))
        answers[event.event_id] = search_mechanisms(motions, GridSearchConfig(step_deg=7.5))[0].mechanism_deg
    scores = score_mechanisms(list(kagan_to_reference(answers, published).values()))
    assert scores.count == 9 and scores.median_deg < 10.0 and scores.p90_deg < 20.0
