"""The grid search finds what the radiation was made from, says how sure it is, and skips with a reason."""

from dataclasses import replace

import pytest
import torch
from seisfm.data.mechanism.double_couple import (
    auxiliary_planes,
    frame_angles_deg,
    frames_of,
    kagan_angles_deg,
    mechanisms_of,
    random_frames,
    rotations_of,
)
from seisfm.data.mechanism.grid import mechanism_grid
from seisfm.data.records import Skipped
from seisfm.eval.mechanism.first_motions import (
    FirstMotions,
    azimuthal_gap_deg,
    observations_of,
    takeoff_gap_deg,
)
from seisfm.eval.mechanism.grid_search import GridSearchConfig, search_mechanisms
from seisfm.eval.mechanism.preferred import mean_frame, preferred_mechanisms
from seisfm.eval.mechanism.quality import quality_letter
from seisfm.eval.mechanism.scores import kagan_to_reference, score_mechanisms

COARSE = GridSearchConfig(step_deg=7.5)


def kagan(first, second) -> float:
    return float(kagan_angles_deg(torch.as_tensor(first), torch.as_tensor(second)))


def test_every_mechanism_is_near_one_of_the_grid():
    grid = frames_of(*mechanism_grid(10.0))
    wanted = random_frames(300, torch.Generator().manual_seed(0))
    nearest = torch.stack([frame_angles_deg(one, grid).min() for one in wanted])
    assert nearest.max() < 10.0 and nearest.mean() < 5.0


def test_no_mechanism_of_the_grid_comes_twice():
    grid = frames_of(*mechanism_grid(15.0))
    between = frame_angles_deg(grid[:, None], grid[None])
    between.fill_diagonal_(120.0)
    assert (between < 1.0).sum() < 0.01 * len(grid)


def test_a_grid_needs_a_sensible_step():
    with pytest.raises(ValueError, match="between 1 and 45"):
        mechanism_grid(0.1)


@pytest.mark.parametrize("mechanism", [(30.0, 85.0, 5.0), (120.0, 40.0, 95.0), (250.0, 60.0, -80.0)])
@pytest.mark.parametrize("ratios", [False, True])
def test_exact_motions_give_their_mechanism(mechanism, ratios, exact_motions):
    first, *_ = search_mechanisms(exact_motions(mechanism, stations=60, ratios=ratios), COARSE)
    assert kagan(first.mechanism_deg, mechanism) < 10.0
    assert first.quality == "A" and first.polarity_misfit < 0.1
    assert (first.num_polarities, first.num_ratios) == (60, 60 * ratios)


def test_ratios_make_it_surer(exact_motions):
    without, both = (
        search_mechanisms(exact_motions((30.0, 85.0, 5.0), stations=15, ratios=ratios), COARSE)
        for ratios in (False, True)
    )
    assert sum(both[0].plane_errors_deg) < sum(without[0].plane_errors_deg)
    assert both[0].log10_sp_misfit < 0.3


def test_uncertain_directions_make_it_less_sure(exact_motions):
    errors = [
        sum(
            search_mechanisms(exact_motions((120.0, 40.0, 95.0), trials=10, error_deg=error_deg), COARSE)[
                0
            ].plane_errors_deg
        )
        for error_deg in (0.0, 15.0)
    ]
    assert errors[0] < errors[1]


def test_reversed_polarities_swap_pressure_and_tension(exact_motions):
    motions = exact_motions((120.0, 40.0, 95.0))
    first, *_ = search_mechanisms(motions, COARSE)
    turned, *_ = search_mechanisms(replace(motions, polarity=-motions.polarity), COARSE)
    assert kagan(first.mechanism_deg, turned.mechanism_deg) == pytest.approx(90.0, abs=15.0)


def test_stations_may_come_in_any_order(exact_motions):
    motions = exact_motions((30.0, 85.0, 5.0), trials=3, error_deg=5.0)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    changed = FirstMotions(
        polarity=motions.polarity[order],
        impulsive=motions.impulsive[order],
        log10_sp_ratio=motions.log10_sp_ratio[order],
        azimuth_deg=motions.azimuth_deg[:, order],
        takeoff_deg=motions.takeoff_deg[:, order],
    )
    first, second = (search_mechanisms(one, COARSE)[0] for one in (motions, changed))
    assert first.mechanism_deg == pytest.approx(second.mechanism_deg)


def test_the_same_seed_gives_the_same_answer(exact_motions):
    motions = exact_motions((30.0, 85.0, 5.0), trials=3, error_deg=5.0)
    assert repr(search_mechanisms(motions, COARSE)) == repr(search_mechanisms(motions, COARSE))


def too_few(motions):
    return replace(motions, polarity=motions.polarity.where(torch.arange(40) < 5, 0.0))


def half_a_circle(motions):
    return replace(motions, azimuth_deg=torch.linspace(0.0, 180.0, 40).double()[None])


def all_horizontal(motions):
    return replace(motions, takeoff_deg=torch.full((1, 40), 91.0).double())


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (too_few, "5 polarities, at least 8"),
        (half_a_circle, "180 degrees of azimuth"),
        (all_horizontal, "89 degrees of take-off"),
    ],
)
def test_too_little_is_skipped_with_its_reason(changed, reason, exact_motions):
    found = search_mechanisms(changed(exact_motions((30.0, 85.0, 5.0))), COARSE, "event 7")
    assert isinstance(found, Skipped)
    assert found.item == "event 7" and reason in found.reason


def test_motions_are_checked_at_birth(exact_motions):
    motions = exact_motions((30.0, 85.0, 5.0))
    with pytest.raises(ValueError, match="angles \\(trial, station\\)"):
        replace(motions, azimuth_deg=motions.azimuth_deg[0])
    with pytest.raises(ValueError, match="1 up, −1 down or 0 unknown"):
        replace(motions, polarity=motions.polarity * 2)
    with pytest.raises(ValueError, match="needs an azimuth"):
        replace(motions, takeoff_deg=motions.takeoff_deg * torch.nan)
    with pytest.raises(ValueError, match="bad_share"):
        GridSearchConfig(bad_share=0.5)


def test_a_network_reads_the_same_motions(exact_motions):
    motions = exact_motions((30.0, 85.0, 5.0), stations=5), exact_motions((30.0, 85.0, 5.0), ratios=True)
    observations = observations_of([*motions, too_few(motions[1])])
    assert observations.observed.sum(dim=1).tolist() == [5, 40, 40]
    assert torch.equal(observations.polarity[1].double(), motions[1].polarity)
    assert observations.polarity[2].isnan().sum() == 35
    assert (
        observations.log10_sp_ratio[0, :5].isnan().all() and observations.log10_sp_ratio[1].isfinite().all()
    )


def test_gaps():
    assert azimuthal_gap_deg(torch.tensor([350.0, 10.0, 100.0])) == 250.0
    assert azimuthal_gap_deg(torch.tensor([10.0])) == 360.0
    assert takeoff_gap_deg(torch.tensor([0.0, 150.0, 90.0])) == 60.0


def test_two_crowds_are_two_solutions():
    generator = torch.Generator().manual_seed(0)
    centres = frames_of(torch.eye(3).double()[:1], torch.eye(3).double()[1:2])[0], None
    turn = rotations_of(torch.tensor([0.8, 0.6, 0.0, 0.0], dtype=torch.float64))
    jitter = rotations_of(
        torch.cat([torch.ones(90, 1), 0.05 * torch.randn(90, 3, generator=generator)], dim=1).double()
    )
    crowd = jitter @ centres[0]
    crowd[60:] = turn @ crowd[60:]
    first, second = preferred_mechanisms(crowd, cone_deg=30.0, min_share=0.25)
    assert (first.share, second.share) == pytest.approx((2 / 3, 1 / 3))
    assert frame_angles_deg(first.frame, centres[0]) < 3.0
    assert frame_angles_deg(second.frame, turn @ centres[0]) < 3.0
    assert len(preferred_mechanisms(crowd, cone_deg=30.0, min_share=0.4)) == 1


def test_the_mean_does_not_mind_how_axes_are_signed():
    frames = random_frames(1, torch.Generator().manual_seed(3)).expand(4, 3, 3)
    signs = torch.tensor([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], dtype=torch.float64)
    assert frame_angles_deg(mean_frame(frames * signs[:, None]), frames[0]) < 1e-4


def test_letters():
    assert quality_letter(0.9, 20.0, 0.1, 0.6) == "A"
    assert quality_letter(0.9, 30.0, 0.1, 0.6) == "B"
    assert quality_letter(0.9, 20.0, 0.1, 0.35) == "C"
    assert quality_letter(0.4, 20.0, 0.1, 0.6) == "D"


def test_scores_by_event():
    plane = [30.0, 60.0, 20.0]
    other = auxiliary_planes(torch.tensor(plane, dtype=torch.float64)).tolist()
    kagan_deg = kagan_to_reference({"a": plane, "b": plane}, {"a": other, "c": plane})
    assert list(kagan_deg) == ["a"] and kagan_deg["a"] < 1e-3
    scores = score_mechanisms([0.0, 10.0, 30.0])
    assert (scores.count, scores.median_deg, scores.within_20_deg) == (3, 10.0, pytest.approx(2 / 3))
    with pytest.raises(ValueError, match="no event is in both"):
        kagan_to_reference({"a": plane}, {"b": plane})
    with pytest.raises(ValueError, match="no mechanism"):
        score_mechanisms([])


def test_answers_are_strike_dip_and_rake():
    normal, slip = torch.tensor([0.0, 0.0, -2.0]), torch.tensor([3.0, 0.0, 0.0])
    assert mechanisms_of(normal, slip)[1] == pytest.approx(0.0)
