"""First motions of a catalog's events become mechanisms, or a reason why not."""

import dataclasses

import numpy as np
import obspy
import pandas as pd
import pytest
import torch
from obspy.io.quakeml.core import _validate
from seisfm.catalog.associate import AssociationConfig, associate
from seisfm.catalog.events import EVENT_COLUMNS, MECHANISM_COLUMNS, Catalog
from seisfm.catalog.mechanism_report import add_mechanisms, lower_hemisphere
from seisfm.catalog.mechanisms import MechanismFinder, MechanismsConfig
from seisfm.catalog.quakeml import write_quakeml
from seisfm.data.mechanism.double_couple import kagan_angles_deg
from seisfm.eval.report import Report
from seisfm.heads.mechanism import MechanismConfig, MechanismHead
from seisfm.heads.model_folder import ModelError

TRUE = (210.0, 60.0, -80.0)
PLANES = ["strike_deg", "dip_deg", "rake_deg"]


def kagan_deg(first, second=TRUE) -> float:
    return float(kagan_angles_deg(*(torch.tensor(list(angles)).double() for angles in (first, second))))


@pytest.fixture(scope="module")
def located(network) -> Catalog:
    """The first event has all its first motions, the second five, the third none."""
    config = AssociationConfig(n_picks=20, n_p_picks=10, n_s_picks=10, min_node_size_km=8.0)
    return associate(network.picks, network.stations, config, network.model)


@pytest.fixture(scope="module")
def found(located, network) -> Catalog:
    return MechanismFinder(MechanismsConfig(trials=6), network.model).add_to(located, network.stations)


def with_polarity(catalog, probability, some=slice(None)):
    """The same with another probability of some of the first event's first motions."""
    arrivals = catalog.arrivals.copy()
    first = catalog.events["event_id"][0]
    rows = arrivals.index[(arrivals["event_id"] == first) & (arrivals["phase"] == "P")]
    arrivals.loc[rows[some], "polarity_probability"] = probability
    return dataclasses.replace(catalog, arrivals=arrivals)


def test_an_exact_event_gets_its_mechanism(found, located, network):
    assert len(located) == 3
    event = found.events.iloc[0]
    assert kagan_deg(event[PLANES]) < 15.0
    auxiliary = event[[f"auxiliary_{name}" for name in PLANES]]
    assert kagan_deg(auxiliary, event[PLANES]) < 0.01
    assert abs(auxiliary["auxiliary_dip_deg"] - event["dip_deg"]) > 1.0
    assert event["num_polarities"] == len(network.stations)
    assert event["polarity_misfit"] < 0.1 and event["mechanism_error_deg"] < 25.0
    assert (event["mechanism_quality"], event["mechanism_method"]) == ("A", "grid_search")
    assert 0.0 < event["polarity_gap_deg"] < 90.0 and 0.0 < event["station_ratio"] < 1.0


def test_rays_are_those_of_the_model_that_located_it(found, network):
    event = found.events.iloc[0]
    used = found.arrivals[found.arrivals["takeoff_deg"].notna()]
    assert set(used["event_id"]) == {event["event_id"]} and set(used["phase"]) == {"P"}
    elevation_m = network.stations.set_index("id")["elevation_m"].loc[used["station_id"]]
    rays = network.model.rays(used["distance_km"], event["depth_km"], "P", elevation_m)
    np.testing.assert_allclose(used["takeoff_deg"], rays.takeoff_deg)


def test_the_others_are_skipped_with_their_reasons(found, located):
    ids = found.events["event_id"].tolist()
    notes = {note.item: note.reason for note in found.skipped}
    assert "5 first motions, at least 8" in notes[f"mechanism of {ids[1]}"]
    assert "0 first motions" in notes[f"mechanism of {ids[2]}"]
    assert f"mechanism of {ids[0]}" not in notes
    assert found.events["strike_deg"].notna().tolist() == [True, False, False]
    assert found.events["num_polarities"].tolist()[1:] == [5, 0]
    pd.testing.assert_frame_equal(found.events[list(EVENT_COLUMNS)], located.events)


def reasons(catalog, network, **settings):
    finder = MechanismFinder(MechanismsConfig(trials=1, **settings), network.model)
    return {note.item: note.reason for note in finder.add_to(catalog, network.stations).skipped}


def test_gaps_and_unknown_uncertainties_are_reasons(located, network):
    first = f"mechanism of {located.events['event_id'][0]}"
    assert "degrees of azimuth" in reasons(located, network, max_gap_deg=1.0)[first]
    assert "degrees of take-off" in reasons(located, network, max_takeoff_gap_deg=1.0)[first]
    unsure = dataclasses.replace(located, events=located.events.assign(depth_uncertainty_km=np.nan))
    assert "uncertainty is unknown" in reasons(unsure, network)[first]


def test_improbable_and_undecidable_first_motions_are_left_out(located, network):
    first = f"mechanism of {located.events['event_id'][0]}"
    doubtful = with_polarity(located, 0.6, slice(4, None))
    assert "4 first motions" in reasons(doubtful, network)[first]
    assert first not in reasons(doubtful, network, min_polarity_probability=0.55)
    arrivals = located.arrivals.assign(polarity="undecidable")
    assert "0 first motions" in reasons(dataclasses.replace(located, arrivals=arrivals), network)[first]
    # Analysts write no probability beside a first motion.
    assert first not in reasons(with_polarity(located, np.nan), network)


def test_a_second_time_changes_nothing(found, network):
    again = MechanismFinder(MechanismsConfig(trials=6), network.model).add_to(found, network.stations)
    pd.testing.assert_frame_equal(again.events, found.events)
    pd.testing.assert_frame_equal(again.arrivals, found.arrivals)


def test_other_velocity_models_make_it_less_sure(located, network, tmp_path):
    (tmp_path / "slow.csv").write_text("depth_km,vp_km_s,vs_km_s\n0,3.0,1.7\n6,7.0,4.0\n")
    config = MechanismsConfig(trials=6, velocity_models=(str(tmp_path / "slow.csv"),))
    both = MechanismFinder(config, network.model).add_to(located, network.stations)
    alone = MechanismFinder(MechanismsConfig(trials=6), network.model).add_to(located, network.stations)
    assert both.events["mechanism_error_deg"][0] > alone.events["mechanism_error_deg"][0]


def test_a_network_answers_from_its_folder(located, network, tmp_path):
    torch.manual_seed(0)
    head = MechanismHead(MechanismConfig(dim=8, num_layers=1, num_attention_heads=2))
    head.save_pretrained(tmp_path / "net")
    config = MechanismsConfig(method="network", model=str(tmp_path / "net"), min_polarities=5)
    catalog = MechanismFinder(config, network.model).add_to(with_polarity(located, 0.8), network.stations)
    event = catalog.events.iloc[0]
    assert np.isfinite(event[PLANES].astype(float)).all() and 0.0 < event["mechanism_error_deg"] < 90.0
    assert (event["mechanism_quality"], event["mechanism_method"]) == ("", "network net")
    assert np.isnan(event["mechanism_probability"])
    narrow = dataclasses.replace(config, max_gap_deg=1.0)
    skipped = MechanismFinder(narrow, network.model).add_to(located, network.stations).skipped
    assert any("degrees of azimuth" in note.reason for note in skipped)
    write_quakeml(catalog, tmp_path / "catalog.xml")
    read = obspy.read_events(str(tmp_path / "catalog.xml"))[0].preferred_focal_mechanism()
    assert read.method_id.id == "smi:seisfm/mechanism_method/network_net"


def test_quakeml_holds_it(found, tmp_path):
    write_quakeml(found, tmp_path / "catalog.xml")
    events = obspy.read_events(str(tmp_path / "catalog.xml"))
    assert [len(event.focal_mechanisms) for event in events] == [1, 0, 0]
    row, event = found.events.iloc[0], events[0]
    mechanism = event.preferred_focal_mechanism()
    assert mechanism.triggering_origin_id == event.preferred_origin().resource_id
    first, second = (getattr(mechanism.nodal_planes, f"nodal_plane_{number}") for number in (1, 2))
    assert (first.strike, first.dip, first.rake) == pytest.approx(tuple(row[PLANES]))
    assert kagan_deg((second.strike, second.dip, second.rake)) < 15.0
    assert mechanism.station_polarity_count == row["num_polarities"]
    assert mechanism.misfit == pytest.approx(row["polarity_misfit"])
    assert mechanism.azimuthal_gap == pytest.approx(row["polarity_gap_deg"])
    assert mechanism.station_distribution_ratio == pytest.approx(row["station_ratio"])
    assert mechanism.method_id.id == "smi:seisfm/mechanism_method/grid_search"
    assert f"quality: {row['mechanism_quality']}" in [comment.text for comment in mechanism.comments]
    takeoff_deg = [arrival.takeoff_angle for arrival in event.preferred_origin().arrivals]
    known = found.arrivals_of(row["event_id"])["takeoff_deg"].dropna()
    assert [angle for angle in takeoff_deg if angle is not None] == pytest.approx(known.tolist())


@pytest.fixture(scope="module")
def ambiguous(located, network) -> Catalog:
    """Ten first motions in the first event, which two mechanisms explain."""
    arrivals = located.arrivals.copy()
    others = ~arrivals["station_id"].isin(network.stations["id"][::3])
    arrivals.loc[others, "polarity"] = ""
    few = dataclasses.replace(located, arrivals=arrivals)
    config = MechanismsConfig(trials=1, max_gap_deg=360.0, max_takeoff_gap_deg=90.0)
    return MechanismFinder(config, network.model).add_to(few, network.stations)


def test_all_solutions_are_kept_by_probability(ambiguous):
    event = ambiguous.events.iloc[0]
    solutions = ambiguous.solutions_of(event["event_id"])
    assert len(solutions) == event["num_solutions"] > 1
    assert solutions["solution"].tolist() == list(range(1, len(solutions) + 1))
    assert solutions["mechanism_probability"].is_monotonic_decreasing
    assert solutions["mechanism_probability"].sum() <= 1.0
    assert set(solutions["mechanism_quality"]) <= set("ABCD")
    shared = [name for name in solutions if name in MECHANISM_COLUMNS]
    pd.testing.assert_series_equal(solutions.iloc[0][shared], event[shared], check_names=False)
    # Outliers of the first solution lie beyond its cone of 45 degrees.
    assert kagan_deg(solutions.iloc[1][PLANES], solutions.iloc[0][PLANES]) > 20.0


def test_quakeml_holds_every_solution_and_is_valid(ambiguous, tmp_path):
    write_quakeml(ambiguous, tmp_path / "catalog.xml")
    assert _validate(str(tmp_path / "catalog.xml"))
    read = obspy.read_events(str(tmp_path / "catalog.xml"))
    assert [len(event.focal_mechanisms) for event in read] == ambiguous.events["num_solutions"].tolist()
    row, event = ambiguous.events.iloc[0], read[0]
    assert event.preferred_focal_mechanism() == event.focal_mechanisms[0]
    assert len({mechanism.resource_id.id for mechanism in event.focal_mechanisms}) == row["num_solutions"]
    solutions = ambiguous.solutions_of(row["event_id"]).to_dict("records")
    for mechanism, solution in zip(event.focal_mechanisms, solutions, strict=True):
        plane = mechanism.nodal_planes.nodal_plane_1
        assert (plane.strike, plane.dip, plane.rake) == pytest.approx(
            tuple(solution[name] for name in PLANES)
        )
        comments = [comment.text for comment in mechanism.comments]
        assert f"solution: {solution['solution']} of {row['num_solutions']}" in comments
        assert f"quality: {solution['mechanism_quality']}" in comments
        assert f"probability: {solution['mechanism_probability']:.3f}" in comments
        assert mechanism.station_polarity_count == 10 and mechanism.azimuthal_gap > 0.0


def test_csv_is_read_back_equal(found, tmp_path):
    paths = [tmp_path / f"{name}.csv" for name in ("events", "arrivals", "solutions")]
    found.write_csv(*paths)
    again = Catalog.read_csv(*paths)
    assert len(again.solutions) == found.events["num_solutions"].sum() > 0
    pd.testing.assert_frame_equal(again.solutions, found.solutions, check_exact=True)
    pd.testing.assert_frame_equal(again.events, found.events, check_exact=True)
    pd.testing.assert_frame_equal(again.arrivals, found.arrivals, check_exact=True)
    stray = found.solutions.assign(event_id="nobody's")
    with pytest.raises(ValueError, match="found solutions of"):
        Catalog(found.events, found.arrivals, solutions=stray)
    with pytest.raises(ValueError, match="missing are"):
        Catalog(found.events.drop(columns="rake_deg"), found.arrivals)


def test_without_mechanisms_files_are_as_before(located, tmp_path):
    located.write_csv(tmp_path / "events.csv", tmp_path / "arrivals.csv")
    write_quakeml(located, tmp_path / "catalog.xml")
    assert (tmp_path / "events.csv").read_text().splitlines()[0].split(",") == list(EVENT_COLUMNS)
    assert "takeoff" not in (tmp_path / "arrivals.csv").read_text()
    text = (tmp_path / "catalog.xml").read_text()
    assert "focalMechanism" not in text and "takeoffAngle" not in text
    report = Report("catalog")
    add_mechanisms(report, located, 30)
    assert "mechanism" not in report.write(tmp_path / "report.html").read_text()


def test_the_report_shows_beach_balls(found, tmp_path):
    report = Report("catalog")
    add_mechanisms(report, found, 30)
    page = report.write(tmp_path / "report.html").read_text()
    assert "1 of 3 events have a mechanism" in page
    assert page.count("<figure>") == 1 and "Beach balls of 1 events" in page


def test_an_empty_catalog_gets_the_columns(network):
    finder = MechanismFinder(MechanismsConfig(), network.model)
    empty = finder.add_to(Catalog.empty(), network.stations)
    assert empty.events.columns.tolist() == [*EVENT_COLUMNS, *MECHANISM_COLUMNS]
    assert len(empty.mechanisms) == 0


def test_a_ray_and_its_opposite_are_drawn_in_one_place():
    azimuth_deg, takeoff_deg = np.array([30.0, 210.0, 90.0, 0.0]), np.array([70.0, 110.0, 90.0, 0.0])
    east, north = lower_hemisphere(azimuth_deg, takeoff_deg)
    assert (east[0], north[0]) == pytest.approx((east[1], north[1]))
    assert (east[2], north[2]) == pytest.approx((1.0, 0.0)) and (east[3], north[3]) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "guess"}, "method must be one of"),
        ({"method": "network"}, "needs a model"),
        ({"model": "somewhere"}, "the method network, and only it"),
        ({"min_polarity_probability": 0.4}, "between 0.5 and 1"),
        ({"min_polarities": 0}, "at least 1"),
        ({"bad_share": 0.7}, "bad_share"),
        ({"trials": 0}, "at least one trial"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        MechanismsConfig(**settings)


def test_networks_that_cannot_answer_are_refused_at_once(network, tmp_path):
    with pytest.raises(ModelError, match="expected 'seisfm-mechanism'"):
        MechanismFinder(MechanismsConfig(method="network", model="seisfm-tiny"), network.model)
    reader = MechanismHead(MechanismConfig(dim=8, num_layers=1, num_attention_heads=2, waveform_samples=64))
    reader.save_pretrained(tmp_path / "reader")
    with pytest.raises(ValueError, match="reads waveforms"):
        MechanismFinder(MechanismsConfig(method="network", model=str(tmp_path / "reader")), network.model)
    with pytest.raises(FileNotFoundError, match=r"nowhere\.csv"):
        MechanismFinder(MechanismsConfig(velocity_models=("nowhere.csv",)), network.model)
