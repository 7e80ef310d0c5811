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
KINDS = {
    "likelihood": SMALL,
    "network alone": replace(SMALL, likelihood=False),
    "waveforms": replace(SMALL, waveform_samples=64),
}


@pytest.fixture(params=list(KINDS))
def head(request):
    torch.manual_seed(0)
    head = MechanismHead(KINDS[request.param])
    # Sure of something, so that answers differ.
    torch.nn.init.normal_(head.answer.weight, std=0.5)
    if head.trust is not None:
        torch.nn.init.normal_(head.trust.weight, std=0.2)
    return head.eval()


@pytest.fixture(scope="module")
def drawn():
    config = ObservationConfig(stations=(6, 30), waveform_samples=64)
    return draw_observations(20, config, torch.Generator().manual_seed(0))


def on_grid(head, observations):
    return head(observations).log_probability(frames_of(*mechanism_grid(20.0)).float())


def generator():
    return torch.Generator().manual_seed(1)


def test_stations_may_come_in_any_order(head, drawn):
    order = torch.randperm(drawn[0].observed.shape[1], generator=generator())
    assert torch.allclose(on_grid(head, drawn[0]), on_grid(head, drawn[0].ordered(order)), atol=1e-3)


def test_padding_says_nothing(head, drawn):
    observations = drawn[0]
    rubbish = {
        name: getattr(observations, name).where(observations.observed, value)
        for name, value in (("polarity", 1.0), ("takeoff_deg", torch.nan), ("azimuth_deg", 77.0))
    }
    waveform = observations.waveform.where(observations.observed[..., None], 5.0)
    other = replace(observations, waveform=waveform, **rubbish)
    assert torch.allclose(on_grid(head, observations), on_grid(head, other), atol=1e-4)


def test_a_turned_network_turns_the_answer(head, drawn):
    angle_deg = torch.linspace(-170.0, 200.0, 20)
    plain, turned = head.predict(drawn[0]), head.predict(drawn[0].rotated(angle_deg))
    expected = turns(angle_deg) @ rotations_of(plain["quaternion"])
    assert frame_angles_deg(expected, rotations_of(turned["quaternion"])).max() < 0.2
    assert torch.allclose(plain["error_deg"], turned["error_deg"], atol=0.1)


@pytest.mark.parametrize("stations", [1, 6, 100])
def test_any_number_of_stations_without_ratios(head, stations):
    config = ObservationConfig(stations=(stations, stations), ratios=0.0, waveform_samples=64)
    answers = head.predict(draw_observations(3, config, generator())[0])
    assert answers["mechanism_deg"].shape == (3, 3)
    assert all(bool(value.isfinite().all()) for value in answers.values())


def test_angles_and_quaternion_are_the_same_answer(head, drawn):
    answers = head.predict(drawn[0])
    from_quaternion = mechanisms_of(*frame_vectors(rotations_of(answers["quaternion"])))
    assert kagan_angles_deg(from_quaternion, answers["mechanism_deg"]).max() < 0.1
    assert torch.allclose(answers["quaternion"].norm(dim=1), torch.ones(20), atol=1e-5)


def on_frames(head, observations, frames):
    return head(observations).log_probability(frames.float())


def test_the_density_knows_the_symmetry(head, drawn):
    frames = random_frames(10, generator())
    for signs in ((1, -1, -1), (-1, 1, -1), (-1, -1, 1)):
        same = frames * torch.tensor(signs, dtype=torch.float64)
        assert torch.allclose(statistics(frames), statistics(same))
        assert torch.allclose(on_frames(head, drawn[0], frames), on_frames(head, drawn[0], same), atol=1e-3)


def test_the_density_sums_to_one():
    natural = torch.randn(12, generator=generator(), dtype=torch.float64)
    everywhere, grid = random_frames(40_000, generator()), frames_of(*mechanism_grid(7.5))
    density = log_density(statistics(everywhere) @ natural, (statistics(grid) @ natural)[None]).exp()
    assert density.mean() == pytest.approx(1.0, abs=0.03)


def test_answers_are_the_mode_and_its_spread():
    truth = random_frames(5, generator())
    grid = frames_of(*mechanism_grid(6.0))
    # The entries of A = κ (TTᵀ − PPᵀ) and C = κ BBᵀ: statistics count those off the diagonal twice.
    entries = statistics(truth) / torch.tensor([1.0, 1.0, 1.0, 2.0, 2.0, 2.0] * 2)
    wide, narrow = (answer_of(kappa * entries @ statistics(grid).mT, grid) for kappa in (5.0, 50.0))
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
    partly, _ = head.loss(observations, some, generator())
    alone, _ = head.loss(observations.events(slice(5)), frames[:5], generator())
    assert torch.allclose(partly, alone, rtol=1e-3)


def kagan_deg_of(head, config, count=40):
    observations, frames = draw_observations(count, config, generator())
    return frame_angles_deg(rotations_of(head.predict(observations)["quaternion"]), frames)


def test_untrained_it_finds_what_clean_observations_tell():
    torch.manual_seed(0)
    head = MechanismHead(replace(SMALL, step_deg=6.0)).eval()
    clean = ObservationConfig(
        stations=(60, 60), flipped=0.0, faint=0.01, ratios=0.0, direction_error_deg=0.0, gap_deg=0.0
    )
    assert kagan_deg_of(head, clean).median() < 10.0
    assert kagan_deg_of(head, replace(clean, ratios=2.0)).median() < 6.0


def test_waveforms_alone_tell_first_motions_upside_down_too():
    torch.manual_seed(0)
    head, chance = MechanismHead(KINDS["waveforms"]), torch.Generator().manual_seed(0)
    config = ObservationConfig(stations=(20, 20), waveform_samples=64, unseen=1.0, ratios=0.0)
    observations, _ = draw_observations(5, config, chance)
    read = head(observations).read
    other = head(replace(observations, waveform=-7.0 * observations.waveform)).read
    assert torch.allclose(read, -other, atol=1e-5)


def test_waveforms_of_another_length_or_none_are_refused(drawn):
    head = MechanismHead(replace(SMALL, waveform_samples=50))
    with pytest.raises(ValueError, match="50 samples about each P, found 64"):
        head(drawn[0])
    with pytest.raises(ValueError, match="found none"):
        head(replace(drawn[0], waveform=None))


def test_observations_of_other_shapes_are_refused(drawn):
    with pytest.raises(ValueError, match=r"waveform is \(event, station, sample\)"):
        replace(drawn[0], waveform=drawn[0].waveform[:, :3])
    with pytest.raises(ValueError, match=r"observations are \(event, station\)"):
        replace(drawn[0], log10_snr=drawn[0].log10_snr[:3])


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


def test_the_network_alone_learns_better_than_chance():
    head, _ = trained(KINDS["network alone"], labelled=True)
    observations, frames = draw_observations(100, ObservationConfig(stations=(20, 20)), generator())
    kagan_deg = frame_angles_deg(rotations_of(head.eval().predict(observations)["quaternion"]), frames)
    # Without knowledge the mean is 75.
    assert kagan_deg.mean() < 60.0


def test_the_radiation_loss_learns_without_labels():
    config = replace(SMALL, likelihood=False, radiation_weight=1.0)
    head, logs = trained(config, labelled=False)
    assert logs["nll"] == 0.0
    observations, frames = draw_observations(100, ObservationConfig(stations=(20, 20)), generator())
    kagan_deg = frame_angles_deg(rotations_of(head.eval().predict(observations)["quaternion"]), frames)
    assert kagan_deg.mean() < 68.0


def test_saved_and_loaded_it_answers_the_same(head, drawn, tmp_path):
    head.save_pretrained(tmp_path)
    loaded = MechanismHead.from_pretrained(tmp_path)
    assert loaded.config == head.config
    assert torch.equal(on_grid(loaded, drawn[0]), on_grid(head, drawn[0]))
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
    with pytest.raises(ValueError, match="waveform_samples must not"):
        MechanismConfig(waveform_samples=-1)
    with pytest.raises(ValueError, match="radiation_weight must not"):
        MechanismConfig(radiation_weight=-1.0)
