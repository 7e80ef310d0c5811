"""Calibrations: which answers they change, which never, and how they travel with a model."""

import json

import numpy as np
import pytest
import torch
from seisfm.finetune.start import model_on_base
from seisfm.heads.calibration import (
    ClassTemperature,
    KappaFactor,
    PickCalibration,
    StdFactor,
    Uncalibrated,
)
from seisfm.heads.registry import HEADS
from seisfm.heads.task_model import SeismicTaskConfig, load_model

SETTINGS = {
    "picking": {"temperature": 0.7, "p_odds": 0.5, "s_odds": 1.5, "time_floor_s": 0.02, "time_spread_s": 0.2},
    "detection": {"temperature": 2.0},
    "polarity": {"temperature": 3.0},
    "event_type": {"temperature": 0.5},
    "magnitude": {"std_factor": 1.5},
    "distance": {"std_factor": 2.0},
    "back_azimuth": {"kappa_factor": 0.25},
    "depth": {"std_factor": 3.0},
}
ALL_HEADS = {name: {} for name in SETTINGS}


def picking_logits(seed=0, num_samples=400, scale=4.0):
    return scale * torch.randn(3, 3, num_samples, generator=torch.Generator().manual_seed(seed))


def test_every_head_has_a_calibration_that_is_the_identity_by_default(new_model, batch_of) -> None:
    batch, model = batch_of(), new_model(**ALL_HEADS)
    with torch.inference_mode():
        before = model(batch)
        model.config.calibrate(ALL_HEADS)
        after = model(batch)
    for name, head in HEADS.items():
        assert (name in SETTINGS) == (head.calibration_class is not Uncalibrated), name
    for name, answer in before.items():
        assert all(torch.equal(value, after[name][key]) for key, value in answer.items()), name


def test_answers_change_as_the_settings_say_and_losses_never(new_model, batch_of, labels_of) -> None:
    labels = labels_of([3.0, 4.0], [6.0, 7.0]) | {"magnitude": torch.tensor([1.0, 2.0])}
    batch, model = batch_of(labels=labels), new_model(**ALL_HEADS)
    with torch.inference_mode():
        before, loss = model(batch), model.compute_loss(batch)[0]
        model.config.calibrate(SETTINGS)
        after, loss_after = model(batch), model.compute_loss(batch)[0]
    assert torch.equal(loss, loss_after)
    for name, key, factor in [
        ("magnitude", "magnitude_std", 1.5),
        ("distance", "distance_log_std", 2.0),
        ("depth", "depth_std_km", 3.0),
        ("back_azimuth", "back_azimuth_kappa", 0.25),
    ]:
        torch.testing.assert_close(after[name][key], factor * before[name][key])
    for name, key in [("magnitude", "magnitude"), ("depth", "depth_km"), ("distance", "distance_km")]:
        assert torch.equal(after[name][key], before[name][key])
    angle = "back_azimuth_deg"
    torch.testing.assert_close(after["back_azimuth"][angle], before["back_azimuth"][angle])
    for name, temperature in (("polarity", 3.0), ("event_type", 0.5)):
        expected = (before[name]["probability"].log() / temperature).softmax(dim=1)
        torch.testing.assert_close(after[name]["probability"], expected)
    torch.testing.assert_close(
        after["detection"]["probability"].logit(),
        before["detection"]["probability"].logit() / 2,
        rtol=1e-3,
        atol=1e-4,
    )


@pytest.mark.parametrize(
    ("temperature", "p_odds", "s_odds"), [(0.4, 1.0, 1.0), (2.5, 0.2, 4.0), (1.0, 2.0, 0.5)]
)
def test_calibrated_picks_sum_to_one_and_keep_the_order_of_samples(temperature, p_odds, s_odds) -> None:
    """With p_odds · s_odds ≤ 1, as all folders of before, the two phases never exceed 1 together."""
    calibration = PickCalibration(temperature=temperature, p_odds=p_odds, s_odds=s_odds)
    logits = picking_logits().double()
    before = logits.softmax(dim=1)
    after = calibration({"logits": logits})["logits"].softmax(dim=1)
    torch.testing.assert_close(after.sum(dim=1), torch.ones(3, 400, dtype=torch.float64))
    for row in (0, 1):
        rising = after[:, row].gather(-1, before[:, row].argsort(dim=-1))
        assert float(rising.diff(dim=-1).min()) > -1e-15
    odds = (before[:, 0] / (1 - before[:, 0])) ** (1 / temperature) * p_odds
    torch.testing.assert_close(after[:, 0], odds / (1 + odds))


BOLDER = PickCalibration(p_odds=3.0, s_odds=4.0, p_temperature=0.8, s_temperature=1.25)


def alone(before: torch.Tensor, phase: str) -> torch.Tensor:
    """What the numbers of a phase make of its probabilities where the other phase is absent."""
    temperature, factor = BOLDER.of_phase(phase)
    odds = (before / (1 - before)) ** (1 / temperature) * factor
    return odds / (1 + odds)


def test_both_phases_may_rise_and_share_where_they_exceed_one_together() -> None:
    logits = picking_logits(scale=1.5).double()
    before = logits.softmax(dim=1)
    after = BOLDER({"logits": logits})["logits"].softmax(dim=1)
    torch.testing.assert_close(after.sum(dim=1), torch.ones(3, 400, dtype=torch.float64))
    p, s = alone(before[:, 0], "P"), alone(before[:, 1], "S")
    total = p + s
    shared = total > 1
    assert 0.1 < float(shared.double().mean()) < 0.9
    torch.testing.assert_close(after[:, 0], torch.where(shared, p / total, p))
    torch.testing.assert_close(after[:, 1], torch.where(shared, s / total, s))
    assert bool((after[:, 0] >= 1 - s - 1e-12)[shared].all())
    assert bool((after[:, 2][shared] < 1e-12).all())
    assert bool((after[:, :2] > before[:, :2]).all(dim=1)[~shared & (before[:, 0] > 0.1)].any())


def test_a_peak_stays_where_the_other_phase_is_absent() -> None:
    time = torch.arange(400, dtype=torch.float64)
    p = 0.7 * torch.exp(-(((time - 120.3) / 8) ** 2)) + 1e-4
    s = 0.6 * torch.exp(-(((time - 300.6) / 8) ** 2)) + 1e-4
    logits = torch.stack([p, s, 1 - p - s]).log()[None]
    after = BOLDER({"logits": logits})["logits"].softmax(dim=1)[0]
    assert after[0].argmax() == p.argmax() and after[1].argmax() == s.argmax()
    threshold = BOLDER.calibrated("P", 0.3)
    assert torch.equal(after[0] >= threshold, p >= 0.3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_probabilities_of_zero_and_one_stay_finite(dtype) -> None:
    logits = torch.tensor([[[200.0, 0.0, 0.0], [0.0, 200.0, 0.0], [0.0, 0.0, 200.0]]], dtype=dtype)
    after = BOLDER({"logits": logits})["logits"].softmax(dim=1)
    assert bool(after.isfinite().all())
    torch.testing.assert_close(after[0], torch.eye(3, dtype=dtype))


def test_one_temperature_of_both_phases_means_what_it_meant() -> None:
    logits = picking_logits()
    old = PickCalibration(temperature=0.7, p_odds=0.5, s_odds=1.5)
    new = PickCalibration(p_temperature=0.7, s_temperature=0.7, p_odds=0.5, s_odds=1.5)
    assert torch.equal(old({"logits": logits})["logits"], new({"logits": logits})["logits"])
    assert PickCalibration(p_temperature=1.0, s_temperature=1.0)({"logits": logits})["logits"] is logits


def test_a_threshold_of_old_is_told_in_calibrated_terms() -> None:
    calibration = PickCalibration(temperature=0.5, p_odds=0.25, s_odds=2.0)
    assert calibration.calibrated("P", 0.5) == pytest.approx(0.2)
    assert calibration.calibrated("S", 2 / 3) == pytest.approx(8 / 9)
    assert calibration.uncalibrated("S", calibration.calibrated("S", 0.37)) == pytest.approx(0.37)
    with pytest.raises(ValueError, match="expected P or S, found Pn"):
        calibration.calibrated("Pn", 0.5)
    with pytest.raises(ValueError, match=r"expected a probability of P between 0 and 1, found 1\.0"):
        calibration.calibrated("P", 1.0)


def test_the_worth_of_a_time() -> None:
    probability, width_s = torch.tensor([1.0, 0.5]).numpy(), torch.tensor([0.1, 0.3]).numpy()
    assert PickCalibration().time_std_s(probability, width_s) is width_s
    std_s = PickCalibration(time_floor_s=0.03, time_spread_s=0.08).time_std_s(probability, width_s)
    assert std_s.tolist() == pytest.approx([0.03, 0.05])
    rooted = PickCalibration(time_floor_s=0.03, time_spread_s=0.08, time_power=2.0)
    assert rooted.time_std_s(probability, width_s).tolist() == pytest.approx([0.03, np.hypot(0.03, 0.02)])


def test_saved_and_loaded_with_the_same_bits(tmp_path, new_model, batch_of) -> None:
    model = new_model(**ALL_HEADS)
    model.config.calibrate(SETTINGS)
    model.save_pretrained(tmp_path)
    loaded, batch = load_model(tmp_path), batch_of()
    assert loaded.config.calibration == model.config.calibration
    assert json.loads((tmp_path / "config.json").read_text())["calibration"]["depth"] == {"std_factor": 3.0}
    with torch.inference_mode():
        mine, theirs = model(batch), loaded(batch)
    for name, answer in mine.items():
        assert all(torch.equal(value, theirs[name][key]) for key, value in answer.items()), name


def test_a_model_that_is_fine_tuned_starts_without_its_base_s_calibration(tmp_path, new_model) -> None:
    model = new_model()
    model.config.calibrate({"picking": SETTINGS["picking"]})
    model.save_pretrained(tmp_path)
    started = model_on_base(str(tmp_path), {"picking": {}, "detection": {}}, {}, seed=0)
    assert started.inherited_heads == ("picking", "detection")
    assert started.model.config.calibration == {}


def test_what_a_model_has_not_cannot_be_calibrated(new_model) -> None:
    config = new_model().config
    with pytest.raises(ValueError, match=r"calibration names \['depth'\], the model's heads are"):
        config.calibrate({"depth": {"std_factor": 2.0}})
    with pytest.raises(ValueError, match="calibration of detection"):
        config.calibrate({"detection": {"warmth": 2.0}})
    with pytest.raises(ValueError, match="calibration names"):
        SeismicTaskConfig(encoder=config.encoder, heads={"picking": {}}, calibration={"depth": {}})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ClassTemperature(temperature=0.0), "positive, finite numbers, found {'temperature': 0.0}"),
        (lambda: StdFactor(std_factor=float("nan")), "positive, finite numbers"),
        (lambda: KappaFactor(kappa_factor=-1.0), "positive, finite numbers"),
        (
            lambda: PickCalibration(s_temperature=0.0),
            "positive, finite numbers, found {'s_temperature': 0.0}",
        ),
        (lambda: PickCalibration(p_threshold=1.5), "thresholds must be at most 1"),
        (lambda: PickCalibration(time_floor_s=0.1), "given together or not at all"),
    ],
)
def test_impossible_numbers_are_refused(make, message) -> None:
    with pytest.raises(ValueError, match=message):
        make()
