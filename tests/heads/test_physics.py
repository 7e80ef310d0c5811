"""Laws between the answers: no loss where they hold exactly, and otherwise a gradient towards the truth."""

import math

import pytest
import torch
from seisfm.data.earth.velocity import VelocityModel
from seisfm.foundation.features import SeismicFeatures
from seisfm.heads.attenuation import AttenuationLaw, log_peak
from seisfm.heads.multitask import MultiTaskConfig, MultiTaskObjective
from seisfm.heads.physics import PhysicsConfig, PhysicsLosses, single_event
from seisfm.heads.sp_times import SpTimes

NAN = float("nan")
HALF_SPACE = VelocityModel((0.0,), (6.0,), (3.5,))
DISTANCE_KM, DEPTH_KM = torch.tensor([5.0, 30.0, 80.0]), torch.tensor([8.0, 3.0, 15.0])


@pytest.fixture(scope="module")
def half_space(tmp_path_factory):
    path = tmp_path_factory.mktemp("layers") / "half_space.csv"
    HALF_SPACE.to_csv(path)
    return str(path)


def exact_sp_s(distance_km, depth_km):
    return torch.hypot(distance_km, depth_km) * (1 / 3.5 - 1 / 6.0)


def test_s_minus_p_of_a_half_space_is_a_straight_line():
    table = SpTimes(HALF_SPACE)
    distance_km = torch.linspace(0.0, 500.0, 97)
    for depth_km in (0.0, 7.3, 60.0, 100.0):
        depth = torch.full_like(distance_km, depth_km)
        assert torch.allclose(table(distance_km, depth), exact_sp_s(distance_km, depth), atol=2e-3)


def test_s_minus_p_of_layers_is_that_of_exact_rays():
    model = VelocityModel.default()
    generator = torch.Generator().manual_seed(0)
    distance_km, depth_km = (
        torch.rand(200, generator=generator) * 250,
        torch.rand(200, generator=generator) * 40,
    )
    exact = [torch.from_numpy(model.travel_time_s(distance_km.numpy(), depth_km.numpy(), p)) for p in "PS"]
    error_s = (SpTimes(model)(distance_km, depth_km) - (exact[1] - exact[0])).abs()
    assert float(error_s.median()) < 0.02 and float(error_s.max()) < 0.3


def test_a_table_without_cells_is_refused():
    with pytest.raises(ValueError, match="spacing_km must be positive and below"):
        SpTimes(HALF_SPACE, spacing_km=0.0)


@pytest.fixture
def sp_batch(batch_of, labels_of):
    sp_s = exact_sp_s(DISTANCE_KM, DEPTH_KM)
    return batch_of(3, labels=labels_of([1.0, 2.0, 1.5], (torch.tensor([1.0, 2.0, 1.5]) + sp_s).tolist()))


def features_of(batch) -> SeismicFeatures:
    return SeismicFeatures(
        tokens=torch.zeros(len(batch), 75, 4),
        log_gain=torch.full((len(batch),), -8.0),
        num_samples=batch.num_samples,
        waveform=batch.waveform * 1e8,
    )


def sp_loss(half_space, batch, distance_km, depth_km):
    losses = PhysicsLosses(
        PhysicsConfig(sp_time=1.0, velocity_model=half_space), ("distance", "depth"), rate_hz=100.0
    )
    answers = {"distance": {"distance_km": distance_km}, "depth": {"depth_km": depth_km}}
    return losses(answers, batch, features_of(batch))[0]


def test_answers_that_fit_the_arrivals_have_no_loss(half_space, sp_batch):
    assert float(sp_loss(half_space, sp_batch, DISTANCE_KM, DEPTH_KM)) < 1e-4


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_distance_and_depth_are_pulled_to_where_they_fit(half_space, sp_batch, factor):
    distance_km = (DISTANCE_KM * factor).requires_grad_()
    depth_km = (DEPTH_KM * factor).requires_grad_()
    loss = sp_loss(half_space, sp_batch, distance_km, depth_km)
    loss.backward()
    assert float(loss.detach()) > 0.1
    # Where all is too far, less of both lowers the loss.
    assert bool((distance_km.grad.sign() == (1 if factor > 1 else -1)).all())
    assert bool((depth_km.grad.sign() == (1 if factor > 1 else -1)).all())


def test_without_a_head_for_depth_its_label_counts(half_space, sp_batch):
    losses = PhysicsLosses(PhysicsConfig(sp_time=1.0, velocity_model=half_space), ("distance",), 100.0)
    answers = {"distance": {"distance_km": DISTANCE_KM}}
    labelled = sp_batch.replace(labels=sp_batch.labels | {"depth_km": DEPTH_KM})
    assert float(losses(answers, labelled, features_of(labelled))[0]) < 1e-4
    assert float(losses(answers, sp_batch, features_of(sp_batch))[0]) > 1e-3


def test_windows_of_several_events_or_of_half_a_one_are_left_out(batch_of):
    p_s = torch.tensor([[1.0, NAN], [1.0, 5.0], [NAN, 2.0], [1.0, NAN]])
    s_s = torch.tensor([[3.0, NAN], [3.0, 8.0], [NAN, 4.0], [NAN, NAN]])
    batch = batch_of(4, labels={"p_arrival_s": p_s, "s_arrival_s": s_s})
    arrivals_s, known = single_event(batch)
    assert known.tolist() == [True, False, True, False]
    assert [float(one[2]) for one in arrivals_s] == [2.0, 4.0]


def lawful_batch(batch_of, labels_of, law, num_windows=3):
    """Quiet windows in m/s whose largest amplitude is just what the law says of their labels."""
    distance_km = torch.linspace(10.0, 90.0, num_windows)
    magnitude = torch.linspace(1.0, 3.0, num_windows)
    depth_km = torch.full_like(distance_km, 5.0)
    labels = labels_of([3.0] * num_windows, [5.0] * num_windows)
    labels |= {"distance_km": distance_km, "magnitude": magnitude, "depth_km": depth_km}
    batch = batch_of(num_windows, labels=labels).replace(unit=("m/s",) * num_windows)
    unit = torch.full((num_windows,), 1)
    with torch.no_grad():
        log_amplitude = magnitude - law(torch.zeros(num_windows), torch.hypot(distance_km, depth_km), unit)
    waveform = torch.zeros_like(batch.waveform)
    waveform[:, 1, 600] = -(10.0**log_amplitude)
    return batch.replace(waveform=waveform), log_amplitude


@pytest.fixture
def attenuation():
    return PhysicsLosses(PhysicsConfig(attenuation=1.0), ("magnitude",), 100.0)


def test_the_amplitude_is_the_largest_from_p_on(batch_of, labels_of, attenuation):
    batch, expected = lawful_batch(batch_of, labels_of, attenuation.law)
    found, stands_out = log_peak(features_of(batch), torch.full((3,), 3.0), 100.0)
    assert torch.allclose(found, expected, atol=1e-4) and bool(stands_out.all())
    late = log_peak(features_of(batch), torch.full((3,), 8.0), 100.0)
    assert not bool(late[1].any())


def test_lawful_magnitudes_have_no_loss_and_others_are_pulled_there(batch_of, labels_of, attenuation):
    batch, _ = lawful_batch(batch_of, labels_of, attenuation.law)
    for shift, sign in ((0.0, 0), (0.4, 1), (-0.4, -1)):
        magnitude = (batch.labels["magnitude"] + shift).requires_grad_()
        loss, logs = attenuation({"magnitude": {"magnitude": magnitude}}, batch, features_of(batch))
        loss.backward()
        assert float(logs["physics_attenuation"]) == pytest.approx(
            0.0 if sign == 0 else 4 / 3 - 0.5, abs=1e-3
        )
        assert sign == 0 or bool((magnitude.grad.sign() == sign).all())


def test_the_law_is_learned_from_the_labels_alone(batch_of, labels_of, attenuation):
    truth = AttenuationLaw()
    with torch.no_grad():
        truth.spreading.fill_(1.6)
        truth.offset += 0.7
    batch, _ = lawful_batch(batch_of, labels_of, truth, num_windows=12)
    optimizer = torch.optim.Adam(attenuation.law.parameters(), lr=0.1)
    for _ in range(150):
        optimizer.zero_grad()
        wrong = {"magnitude": {"magnitude": torch.full((12,), 9.0)}}
        attenuation(wrong, batch, features_of(batch))[0].backward()
        optimizer.step()
    unit, length_km = torch.ones(9, dtype=torch.int64), torch.linspace(15.0, 80.0, 9)
    learned, true = (
        law(torch.full((9,), -6.0), length_km, unit).detach() for law in (attenuation.law, truth)
    )
    assert torch.allclose(learned, true, atol=0.05)


def test_counts_and_windows_without_s_say_nothing(batch_of, labels_of, attenuation):
    batch, _ = lawful_batch(batch_of, labels_of, attenuation.law)
    answers = {"magnitude": {"magnitude": torch.full((3,), 9.0, requires_grad=True)}}
    counts = batch.replace(unit=("counts",) * 3)
    later = batch.replace(labels=batch.labels | {"s_arrival_s": torch.full((3, 1), 20.0)})
    for silent in (counts, later):
        loss, _ = attenuation(answers, silent, features_of(silent))
        loss.backward()
        assert float(loss.detach()) == 0.0 and not answers["magnitude"]["magnitude"].grad.any()


def test_no_labels_no_gradient(batch_of, half_space):
    config = PhysicsConfig(sp_time=1.0, attenuation=1.0, velocity_model=half_space)
    losses = PhysicsLosses(config, ("distance", "magnitude"), 100.0)
    answer = torch.full((2,), 20.0, requires_grad=True)
    answers = {"distance": {"distance_km": answer}, "magnitude": {"magnitude": answer}}
    batch = batch_of()
    loss, _ = losses(answers, batch, features_of(batch))
    loss.backward()
    assert float(loss.detach()) == 0.0 and not answer.grad.any()
    assert all(p.grad is not None and not p.grad.any() for p in losses.parameters())


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"sp_time": 1.0}, r"physics: sp_time needs distance, but the heads are \['detection', 'picking'\]"),
        ({"attenuation": 0.1}, "attenuation needs magnitude"),
    ],
)
def test_a_law_without_its_head_is_an_error(config, message):
    with pytest.raises(ValueError, match=message):
        PhysicsLosses(PhysicsConfig(**config), ("picking", "detection"), 100.0)


def test_a_negative_weight_is_an_error():
    with pytest.raises(ValueError, match="the weight sp_time must not be negative, found -1"):
        PhysicsConfig(sp_time=-1.0)


def test_physics_joins_the_heads_in_training_and_not_in_scores(new_model, batch_of, labels_of):
    model = new_model(distance={}, depth={}, magnitude={})
    batch = batch_of(labels=labels_of([1.0, 2.0], [4.0, 9.0])).replace(unit=("m/s",) * 2)
    objective = MultiTaskObjective(
        model, MultiTaskConfig(physics=PhysicsConfig(sp_time=0.5, attenuation=0.1))
    )
    loss, logs = objective.train()(batch)
    expected = 0.5 * logs["physics_sp_time"] + 0.1 * logs["physics_attenuation"]
    assert float(loss.detach()) == pytest.approx(float(expected), rel=1e-5)
    assert float(logs["physics_sp_time"]) > 0.0
    loss.backward()
    assert model.heads["distance"].answer.weight.grad.any()
    scored, figures = objective.eval()(batch)
    assert float(scored.detach()) == 0.0 and not any(name.startswith("physics") for name in figures)
    assert math.isfinite(float(loss.detach()))
