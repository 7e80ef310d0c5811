"""Fits of calibrations and their measures: what is put in is found again, honest answers are called so."""

import numpy as np
import pytest
from scipy.special import expit, softmax
from seisfm.eval.calibration.fit import (
    fit_kappa_factor,
    fit_pick_odds,
    fit_std_factor,
    fit_temperature,
    fit_time_spread,
    gains,
    is_uneven,
)
from seisfm.eval.calibration.judged import (
    LEVELS,
    JudgedAngles,
    JudgedClasses,
    JudgedNumbers,
    chosen,
    coverage,
    coverage_error,
)
from seisfm.eval.calibration.summary import measures, reliability_figure, summary_table
from seisfm.heads.calibration import PickCalibration


def classes(num=6000, num_classes=4, scale=1.0, seed=0) -> JudgedClasses:
    """Truths drawn from honest probabilities, of which logits times `scale` are told."""
    rng = np.random.default_rng(seed)
    logits = 1.5 * rng.normal(size=(num, num_classes))
    honest = softmax(logits, axis=1)
    truth = (honest.cumsum(axis=1) < rng.random((num, 1))).sum(axis=1)
    return JudgedClasses(
        event=np.arange(num).astype(str),
        probability=softmax(scale * logits, axis=1),
        truth=truth,
        weight=np.ones(num),
    )


def numbers(bold=1.0, num=6000, seed=0) -> JudgedNumbers:
    rng = np.random.default_rng(seed)
    std = rng.uniform(0.1, 2.0, num)
    return JudgedNumbers(event=np.arange(num).astype(str), error=std * rng.normal(size=num), std=std / bold)


def angles(bold=1.0, num=6000, seed=0) -> JudgedAngles:
    rng = np.random.default_rng(seed)
    kappa = np.exp(rng.uniform(-1, 5, num))
    error_deg = np.degrees(rng.vonmises(0.0, kappa))
    return JudgedAngles(event=np.arange(num).astype(str), error_deg=error_deg, kappa=kappa * bold)


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("num_classes", [2, 4])
def test_the_scale_of_logits_is_found_again(scale, num_classes) -> None:
    judged = classes(scale=scale, num_classes=num_classes)
    assert fit_temperature(judged) == pytest.approx(scale, rel=0.08)


def test_honest_probabilities_have_no_calibration_error_and_bold_ones_do() -> None:
    assert measures(classes(num_classes=2))["error"] < 0.03
    assert measures(classes(num_classes=2, scale=3.0))["error"] > 0.1
    assert measures(classes(scale=3.0))["error"] > 0.1


def test_weights_make_classes_count_as_they_say() -> None:
    judged = classes(num=4000, num_classes=2, seed=1)
    twice = chosen(judged, np.r_[np.arange(4000), np.flatnonzero(judged.truth == 1)])
    weighted = JudgedClasses(
        event=judged.event,
        probability=judged.probability,
        truth=judged.truth,
        weight=1.0 + (judged.truth == 1),
    )
    np.testing.assert_allclose(
        weighted.reliability().share_right, twice.reliability().share_right, equal_nan=True
    )
    assert fit_temperature(weighted) == pytest.approx(fit_temperature(twice), rel=1e-4)
    assert weighted.nll() == pytest.approx(twice.nll())


@pytest.mark.parametrize("bold", [0.5, 1.0, 2.0])
def test_factors_of_spreads_are_found_again(bold) -> None:
    assert fit_std_factor(numbers(bold)) == pytest.approx(bold, rel=0.04)
    assert fit_kappa_factor(angles(bold)) == pytest.approx(1 / bold, rel=0.08)


def test_honest_answers_are_told_from_others_as_far_as_chance_allows() -> None:
    assert not is_uneven(numbers())
    assert not is_uneven(angles())
    assert is_uneven(numbers(bold=1.2))
    assert is_uneven(angles(bold=2.0))
    assert not is_uneven(numbers(bold=1.2, num=20))
    honest, bold = classes(num=500), classes(num=500, scale=2.0)
    assert gains([bold], [honest], 1)
    assert not gains([honest], [honest], 1)
    assert not gains([honest], [bold], 1)


@pytest.mark.parametrize("judged", [numbers(), angles()])
def test_honest_spreads_cover_what_they_claim(judged) -> None:
    np.testing.assert_allclose(coverage(judged.central_rank()), LEVELS, atol=0.025)


@pytest.mark.parametrize("judged", [numbers(bold=2.0), angles(bold=4.0)])
def test_bold_spreads_cover_too_little(judged) -> None:
    assert (coverage(judged.central_rank()) < np.array(LEVELS) - 0.03).all()
    assert coverage_error(judged.central_rank()) > 0.1


def picks(shift, temperature, seed) -> JudgedClasses:
    """Picks whose honest log odds are what was told over the temperature plus a shift."""
    rng = np.random.default_rng(seed)
    told = rng.normal(scale=2.0, size=6000)
    true = rng.random(6000) < expit(told / temperature + shift)
    probability = np.stack([expit(-told), expit(told)], axis=1)
    return JudgedClasses(
        event=np.arange(6000).astype(str),
        probability=probability,
        truth=true.astype(int),
        weight=np.ones(6000),
    )


def test_odds_of_picks_are_found_again_and_never_exceed_one_together() -> None:
    found = fit_pick_odds(picks(-1.0, 0.7, 0), picks(0.5, 0.7, 1))
    assert found["temperature"] == pytest.approx(0.7, rel=0.08)
    assert np.log([found["p_odds"], found["s_odds"]]) == pytest.approx([-1.0, 0.5], abs=0.15)
    both_more = PickCalibration(**fit_pick_odds(picks(0.6, 1.0, 2), picks(1.0, 1.0, 3)))
    assert both_more.p_odds * both_more.s_odds == pytest.approx(1.0)


def test_the_worth_of_pick_times_is_found_again_beside_strays() -> None:
    rng = np.random.default_rng(0)
    probability = rng.uniform(0.1, 1.0, 6000)
    residual_s = np.hypot(0.02, 0.2 * (1 - probability)) * rng.normal(size=6000)
    residual_s[:120] = rng.uniform(-0.5, 0.5, 120)
    floor_s, spread_s = fit_time_spread(residual_s, probability, 0.5)
    assert floor_s == pytest.approx(0.02, rel=0.1)
    assert spread_s == pytest.approx(0.2, rel=0.1)


def test_one_table_and_one_figure_tell_all_heads() -> None:
    before = {
        "picking_p": picks(0.0, 2.0, 0),
        "depth": numbers(2.0),
        "back_azimuth": angles(),
        "none": numbers(num=0),
    }
    after = {**before, "depth": numbers()}
    table = summary_table(before, after).set_index("answers")
    assert table.loc["depth", "error after"] < 0.02 < table.loc["depth", "error before"]
    assert table.loc["depth", "−log likelihood after"] < table.loc["depth", "−log likelihood before"]
    titles = [axes.get_title("left") for axes in reliability_figure(before, after).axes if axes.get_visible()]
    assert titles == ["P picks (n = 6000)", "depth (n = 6000)", "back azimuth (n = 6000)"]


def test_columns_must_fit_each_other() -> None:
    with pytest.raises(ValueError, match="columns of one length, found"):
        JudgedNumbers(event=np.array(["a"]), error=np.zeros(2), std=np.ones(2))
