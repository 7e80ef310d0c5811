"""The mechanism head: symmetries that hold exactly, a density that is one, learning, saving."""

import json
from dataclasses import replace

import pytest
import torch
from seisfm.data.mechanism.double_couple import (
    frame_angles_deg,
    frame_vectors,
    frames_of,
    kagan_angles_deg,
    mechanisms_of,
    random_frames,
    rotations_of,
)
from seisfm.data.mechanism.grid import mechanism_grid
from seisfm.data.mechanism.synthetic import ObservationConfig, draw_observations
from seisfm.heads.mechanism import MechanismConfig, MechanismHead, turns
from seisfm.heads.mechanism_density import answer_of, log_density, statistics
from seisfm.heads.model_folder import ModelError

SMALL = MechanismConfig(dim=16, num_layers=1, num_attention_heads=2, step_deg=10.0, training_step_deg=15.0)


@pytest.fixture
def head():
    torch.manual_seed(0)
    head = MechanismHead(SMALL)
    # Sure of something, so that answers differ.
    torch.nn.init.normal_(head.answer.weight, std=0.5)
    return head.eval()


@pytest.fixture(scope="module")
def drawn():
    return draw_observations(20, ObservationConfig(stations=(6, 30)), torch.Generator().manual_seed(0))


def generator():
    return torch.Generator().manual_seed(1)


def test_stations_may_come_in_any_order(head, drawn):
    order = torch.randperm(drawn[0].observed.shape[1], generator=generator())
    assert torch.allclose(head(drawn[0]), head(drawn[0].ordered(order)), atol=1e-4)


def test_padding_says_nothing(head, drawn):
    observations = drawn[0]
    rubbish = {
        name: getattr(observations, name).where(observations.observed, value)
        for name, value in (("polarity", 1.0), ("takeoff_deg", torch.nan), ("azimuth_deg", 77.0))
    }
    assert torch.allclose(head(observations), head(replace(observations, **rubbish)), atol=1e-5)


def test_a_turned_network_turns_the_answer(head, drawn):
    angle_deg = torch.linspace(-170.0, 200.0, 20)
    plain, turned = head.predict(drawn[0]), head.predict(drawn[0].rotated(angle_deg))
    expected = turns(angle_deg) @ rotations_of(plain["quaternion"])
    assert frame_angles_deg(expected, rotations_of(turned["quaternion"])).max() < 0.2
    assert torch.allclose(plain["error_deg"], turned["error_deg"], atol=0.1)


@pytest.mark.parametrize("stations", [1, 6, 100])
def test_any_number_of_stations_without_ratios(head, stations):
    config = ObservationConfig(stations=(stations, stations), ratios=0.0)
    answers = head.predict(draw_observations(3, config, generator())[0])
    assert answers["mechanism_deg"].shape == (3, 3)
    assert all(bool(value.isfinite().all()) for value in answers.values())


def test_angles_and_quaternion_are_the_same_answer(head, drawn):
    answers = head.predict(drawn[0])
    from_quaternion = mechanisms_of(*frame_vectors(rotations_of(answers["quaternion"])))
    assert kagan_angles_deg(from_quaternion, answers["mechanism_deg"]).max() < 0.1
    assert torch.allclose(answers["quaternion"].norm(dim=1), torch.ones(20), atol=1e-5)


def test_the_density_knows_the_symmetry():
    frames = random_frames(10, generator())
    natural = torch.randn(10, 12, generator=generator(), dtype=torch.float64)
    grid = frames_of(*mechanism_grid(15.0))
    for signs in ((1, -1, -1), (-1, 1, -1), (-1, -1, 1)):
        same = frames * torch.tensor(signs, dtype=torch.float64)
        assert torch.allclose(log_density(natural, frames, grid), log_density(natural, same, grid))


def test_the_density_sums_to_one():
    natural = torch.randn(1, 12, generator=generator(), dtype=torch.float64)
    everywhere = random_frames(40_000, generator())
    density = log_density(natural, everywhere, frames_of(*mechanism_grid(7.5))).exp()
    assert density.mean() == pytest.approx(1.0, abs=0.03)


def test_answers_are_the_mode_and_its_spread():
    truth = random_frames(5, generator())
    grid = frames_of(*mechanism_grid(6.0))
    # The entries of A = κ (TTᵀ − PPᵀ) and C = κ BBᵀ: statistics count those off the diagonal twice.
    entries = statistics(truth) / torch.tensor([1.0, 1.0, 1.0, 2.0, 2.0, 2.0] * 2)
    wide, narrow = (answer_of(kappa * entries, grid) for kappa in (5.0, 50.0))
    assert frame_angles_deg(narrow.frame, truth).max() < 2.0
    assert (narrow.error_deg < wide.error_deg).all()
    assert (narrow.radius_deg[:, 0] < narrow.radius_deg[:, 1]).all()


def test_without_labels_nothing_is_learned(head, drawn):
    loss, _ = head.loss(drawn[0], torch.full((20, 3, 3), torch.nan), generator())
    loss.backward()
    assert loss.item() == 0.0
    assert all(p.grad is not None and not p.grad.any() for p in head.parameters())


def test_unknown_mechanisms_do_not_count(head, drawn):
    observations, frames = drawn
    some = frames.clone()
    some[5:] = torch.nan
    first5 = type(observations)(**{name: value[:5] for name, value in vars(observations).items()})
    partly, _ = head.loss(observations, some, generator())
    alone, _ = head.loss(first5, frames[:5], generator())
    assert torch.allclose(partly, alone, rtol=1e-3)


def trained(config, labelled, steps=80):
    torch.manual_seed(0)
    head, chance = MechanismHead(config), torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(head.parameters(), lr=5e-3)
    for _ in range(steps):
        observations, frames = draw_observations(32, ObservationConfig(stations=(20, 20)), chance)
        loss, logs = head.loss(observations, frames if labelled else frames * torch.nan, chance)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return head, logs


def test_it_learns_better_than_chance():
    head, _ = trained(SMALL, labelled=True)
    observations, frames = draw_observations(100, ObservationConfig(stations=(20, 20)), generator())
    kagan_deg = frame_angles_deg(rotations_of(head.eval().predict(observations)["quaternion"]), frames)
    # Without knowledge the mean is 75.
    assert kagan_deg.mean() < 60.0


def test_the_radiation_loss_learns_without_labels():
    config = replace(SMALL, radiation_weight=1.0)
    head, logs = trained(config, labelled=False)
    assert logs["nll"] == 0.0
    observations, frames = draw_observations(100, ObservationConfig(stations=(20, 20)), generator())
    kagan_deg = frame_angles_deg(rotations_of(head.eval().predict(observations)["quaternion"]), frames)
    assert kagan_deg.mean() < 68.0


def test_saved_and_loaded_it_answers_the_same(head, drawn, tmp_path):
    head.save_pretrained(tmp_path)
    loaded = MechanismHead.from_pretrained(tmp_path)
    assert loaded.config == SMALL
    assert torch.equal(loaded(drawn[0]), head(drawn[0]))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors"]


def test_another_kind_of_model_is_refused(head, tmp_path):
    head.save_pretrained(tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(settings | {"model_type": "seisfm"}))
    with pytest.raises(ModelError, match="expected 'seisfm-mechanism'"):
        MechanismHead.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(settings | {"dim": 32}))
    with pytest.raises(ModelError, match="do not fit"):
        MechanismHead.from_pretrained(tmp_path)


def test_settings_are_checked():
    with pytest.raises(ValueError, match="multiple of num_attention_heads"):
        MechanismConfig(dim=10, num_attention_heads=4)
    with pytest.raises(ValueError, match="must not be negative"):
        MechanismConfig(radiation_weight=-1.0)
