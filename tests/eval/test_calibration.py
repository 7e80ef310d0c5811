"""Fits of calibrations and their measures: what is put in is found again, honest answers are called so."""

import numpy as np
import pytest
from scipy.special import expit, softmax
from seisfm.eval.calibration.fit import (
    evens,
    fit_kappa_factor,
    fit_odds,
    fit_std_factor,
    fit_temperature,
    fit_time_spread,
    gains,
    is_uneven,
    nll_beside_strays,
    with_odds,
)
from seisfm.eval.calibration.fit_heads import fit_heads, keep_unlabelled
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
    assert gains(bold, honest, 1)
    assert not gains(honest, honest, 1)
    assert not gains(honest, bold, 1)
    assert evens(numbers(bold=1.5), numbers(bold=1.2))
    assert not evens(numbers(bold=1.5, num=500), numbers(bold=1.49, num=500))
    assert not evens(numbers(), numbers())


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


@pytest.mark.parametrize(("shift", "temperature"), [(-1.0, 0.7), (0.6, 1.0), (1.0, 1.4)])
def test_the_odds_of_a_phase_are_found_again(shift, temperature) -> None:
    found_temperature, found_factor = fit_odds(picks(shift, temperature, 0))
    assert found_temperature == pytest.approx(temperature, rel=0.08)
    assert np.log(found_factor) == pytest.approx(shift, abs=0.15)


def test_a_few_picks_that_are_told_apart_wholly_give_no_absurd_temperature() -> None:
    said = np.r_[np.linspace(0.06, 0.2, 6), np.linspace(0.4, 0.95, 60)]
    judged = JudgedClasses(
        event=np.arange(66).astype(str),
        probability=np.stack([1.0 - said, said], axis=1),
        truth=(said > 0.3).astype(int),
        weight=np.ones(66),
    )
    temperature, factor = fit_odds(judged)
    assert 0.3 < temperature < 1.0 < factor < 20.0


def test_a_picker_that_is_right_more_often_than_it_says_gets_both_phases_better() -> None:
    told = {"picking_p": picks(0.8, 0.8, 2), "picking_s": picks(1.2, 0.7, 3)}
    settings, skipped = fit_heads(["picking"], told, least=50)
    assert not skipped
    for phase, seed in (("p", 4), ("s", 5)):
        shift, temperature = (0.8, 0.8) if phase == "p" else (1.2, 0.7)
        others = picks(shift, temperature, seed)
        own = settings["picking"]
        better = with_odds(others, own[f"{phase}_temperature"], own[f"{phase}_odds"])
        assert better.nll() < others.nll() - 0.02
        assert measures(better)["error"] < 0.02 < measures(others)["error"]


def test_an_honest_phase_stays_beside_one_that_changes_or_has_no_labels() -> None:
    honest, shy = picks(0.0, 1.0, 0), picks(1.0, 1.0, 1)
    settings, skipped = fit_heads(["picking"], {"picking_p": honest, "picking_s": shy}, least=50)
    assert settings["picking"]["p_temperature"] is None and settings["picking"]["p_odds"] == 1.0
    assert settings["picking"]["s_odds"] == pytest.approx(np.e, rel=0.15)
    assert [(one.item, one.reason) for one in skipped] == [
        (
            "calibration of picking_p",
            "as it is: no other odds make the truths likelier by more than chance (6000 answers)",
        )
    ]
    none = chosen(honest, np.zeros(6000, dtype=bool))
    settings, skipped = fit_heads(["picking"], {"picking_p": shy, "picking_s": none}, least=50)
    assert settings["picking"]["p_odds"] > 2 and settings["picking"]["s_odds"] == 1.0
    assert skipped[0].reason == "needs 50 answers with a label to fit to, found 0"


def test_what_has_no_labels_now_keeps_what_it_had() -> None:
    none = chosen(picks(0.0, 1.0, 0), np.zeros(6000, dtype=bool))
    told = {
        "picking_p": picks(1.0, 1.0, 1),
        "picking_s": none,
        "depth": numbers(num=0),
        "magnitude": numbers(),
    }
    settings, _ = fit_heads(["picking", "depth", "magnitude"], told, least=50)
    old = {
        "picking": {"temperature": 0.8, "p_odds": 0.5, "s_odds": 2.0},
        "depth": {"std_factor": 3.0},
        "magnitude": {"std_factor": 4.0},
    }
    kept = keep_unlabelled(settings, old, told, least=50)
    assert settings["picking"]["s_temperature"] == 0.8 and settings["picking"]["s_odds"] == 2.0
    assert settings["picking"]["p_odds"] > 2.0
    assert settings["depth"] == {"std_factor": 3.0} and "magnitude" not in settings
    assert [one.item for one in kept] == ["calibration of picking_s", "calibration of depth"]


def long_tails(num=3000) -> JudgedNumbers:
    """Nine errors in ten need half of what is claimed for them; the others are far off."""
    rng = np.random.default_rng(0)
    error = np.where(rng.random(num) < 0.9, 0.5, 6.0) * rng.normal(size=num)
    return JudgedNumbers(event=np.arange(num).astype(str), error=error, std=np.ones(num))


def strays(num=3000) -> JudgedAngles:
    rng = np.random.default_rng(1)
    near = rng.vonmises(0.0, 40.0, num)
    error_deg = np.degrees(np.where(rng.random(num) < 0.9, near, rng.uniform(-np.pi, np.pi, num)))
    return JudgedAngles(event=np.arange(num).astype(str), error_deg=error_deg, kappa=np.full(num, 15.0))


@pytest.mark.parametrize(("head", "judged"), [("depth", long_tails()), ("back_azimuth", strays())])
def test_what_would_even_intervals_at_the_cost_of_likelihood_is_refused(head, judged) -> None:
    assert is_uneven(judged)
    settings, skipped = fit_heads([head], {head: judged}, least=50)
    assert settings == {}
    assert "makes the truths less likely" in skipped[0].reason


def test_no_factor_helps_where_the_shape_alone_is_wrong() -> None:
    rng = np.random.default_rng(0)
    flat = JudgedNumbers(
        event=np.arange(3000).astype(str), error=rng.choice([-1.0, 1.0], 3000), std=np.full(3000, 1.5)
    )
    settings, skipped = fit_heads(["depth"], {"depth": flat}, least=50)
    assert settings == {}
    assert "as it is: no factor makes its intervals more even" in skipped[0].reason


@pytest.mark.parametrize(
    ("judged", "head", "factor"),
    [(numbers(bold=1.5), "depth", "std_factor"), (angles(bold=1.5), "back_azimuth", "kappa_factor")],
)
def test_spreads_of_the_right_shape_are_mended(judged, head, factor) -> None:
    settings, skipped = fit_heads([head], {head: judged}, least=50)
    assert not skipped
    expected = 1.5 if head == "depth" else 1 / 1.5
    assert settings[head][factor] == pytest.approx(expected, rel=0.08)


def test_what_cannot_be_judged_or_has_one_truth_alone_stays() -> None:
    same = chosen(classes(), classes().truth == 2)
    settings, skipped = fit_heads(["event_type", "mechanism"], {"event_type": same}, least=50)
    assert settings == {}
    assert [one.reason for one in skipped] == [
        "all of its answers have the same truth",
        "nothing says how to judge its answers",
    ]


@pytest.mark.parametrize("power", [0.6, 1.0])
def test_the_worth_of_pick_times_is_found_again_beside_strays(power) -> None:
    rng = np.random.default_rng(0)
    probability = rng.uniform(0.1, 1.0, 6000)
    residual_s = np.hypot(0.02, 0.2 * (1 - probability) ** power) * rng.normal(size=6000)
    residual_s[:120] = rng.uniform(-0.5, 0.5, 120)
    floor_s, spread_s, found_power = fit_time_spread(residual_s, probability, 0.5)
    assert floor_s == pytest.approx(0.02, rel=0.1)
    assert spread_s == pytest.approx(0.2, rel=0.1)
    assert found_power == pytest.approx(power, rel=0.1)
    honest_s = np.hypot(0.02, 0.2 * (1 - probability) ** power)
    assert nll_beside_strays(residual_s, honest_s, 0.5) < nll_beside_strays(
        residual_s, np.full(6000, 0.1), 0.5
    )


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
    titles = [
        axes.get_title("left")
        for axes in reliability_figure({"before": before, "after": after}).axes
        if axes.get_visible()
    ]
    assert titles == ["P picks (n = 6000)", "depth (n = 6000)", "back azimuth (n = 6000)"]


def test_columns_must_fit_each_other() -> None:
    with pytest.raises(ValueError, match="columns of one length, found"):
        JudgedNumbers(event=np.array(["a"]), error=np.zeros(2), std=np.ones(2))
