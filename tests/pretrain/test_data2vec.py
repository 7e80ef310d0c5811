"""A teacher that is the model's running average, sees everything, is never trained, and does not collapse."""

import importlib.util
from pathlib import Path

import pytest
import torch
from seisfm.foundation.ema import WeightAverage
from seisfm.foundation.optimizer import make_adamw
from seisfm.pretrain.objectives.data2vec import Data2VecConfig
from torch import nn

_spec = importlib.util.spec_from_file_location(
    "objective_settings", Path(__file__).with_name("objective_settings.py")
)
ours = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(ours)


@pytest.fixture
def pretraining():
    return ours.make_pretraining("data2vec")


def data2vec(pretraining):
    return pretraining.objectives["data2vec"]


def optimizer_of(pretraining, learning_rate=2e-3):
    return make_adamw(pretraining, learning_rate=learning_rate, weight_decay=0.05, betas=(0.9, 0.95))


def update(pretraining, optimizer, batch):
    loss, figures = pretraining(batch)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    pretraining.after_update()
    return float(loss.detach()), figures


def weights_of(module):
    return {name: parameter.detach().clone() for name, parameter in module.named_parameters()}


def test_the_teacher_begins_as_the_model_and_follows_it_with_its_decay(pretraining):
    teacher, model = data2vec(pretraining).teacher, pretraining.model
    start = weights_of(teacher)
    assert all(torch.equal(weight, start[name]) for name, weight in weights_of(model).items())
    update(pretraining, optimizer_of(pretraining), ours.make_batch())
    now = weights_of(model)
    for name, weight in teacher.named_parameters():
        torch.testing.assert_close(weight, 0.9 * start[name] + 0.1 * now[name], atol=1e-6, rtol=1e-5)


def test_the_decay_rises_with_the_updates_and_then_stays(pretraining):
    objective, decays = data2vec(pretraining), []
    for updates in (0, 25, 50, 1000):
        objective.updates.fill_(updates)
        decays.append(objective.decay())
    assert decays == pytest.approx([0.9, 0.945, 0.99, 0.99])


def test_nothing_but_the_running_average_moves_the_teacher(pretraining):
    optimizer = optimizer_of(pretraining)
    teacher = data2vec(pretraining).teacher
    mine = {id(parameter) for parameter in teacher.parameters()}
    assert not mine & {id(p) for group in optimizer.param_groups for p in group["params"]}
    before = weights_of(teacher)
    loss, _ = pretraining(ours.make_batch())
    loss.backward()
    optimizer.step()
    assert all(p.grad is None for p in teacher.parameters())
    assert all(torch.equal(p, before[name]) for name, p in teacher.named_parameters())
    average = WeightAverage(pretraining, 0.9)
    assert not any(".teacher." in name for name in average.weights)
    assert any(".teacher." in name for name in pretraining.state_dict()), "or a run would not resume exactly"


def test_the_teacher_stays_in_evaluation_and_takes_over_running_statistics():
    class Counted(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(3)

    pretraining = ours.make_pretraining("data2vec")
    teacher, model = data2vec(pretraining).teacher, pretraining.model
    pretraining.train()
    assert not any(module.training for module in teacher.modules()) and model.training
    teacher.extra, model.extra = Counted().eval(), Counted()
    model.extra.norm(torch.randn(8, 3, 5) + 2)
    pretraining.after_update()
    assert torch.equal(teacher.extra.norm.running_mean, model.extra.norm.running_mean)
    assert teacher.extra.norm.num_batches_tracked == 1


def test_the_teacher_sees_what_is_hidden_from_the_student(pretraining):
    batch = ours.make_batch()
    objective, model = data2vec(pretraining), pretraining.model
    hidden = objective.draw_mask(model, batch)
    gone = hidden.repeat_interleave(16, dim=1)[:, None, : batch.num_samples]
    other = batch.replace(waveform=torch.where(gone, -3 * batch.waveform, batch.waveform))
    targets = [objective.targets(model.prepare(windows))[0] for windows in (batch, other)]
    assert not torch.allclose(*targets) and not targets[0].requires_grad


def test_targets_have_no_mean_and_unit_variance_over_the_tokens_with_data(pretraining):
    batch = ours.make_batch()
    target, observed, _ = data2vec(pretraining).targets(pretraining.model.prepare(batch))
    assert not observed[1].all()
    seen = target[1][observed[1]]
    torch.testing.assert_close(seen.mean(dim=0), torch.zeros(32), atol=1e-5, rtol=0)
    assert seen.var(dim=0, correction=0).sub(1).abs().max() < 0.05


def test_only_hidden_tokens_with_data_are_judged(pretraining):
    objective = data2vec(pretraining)
    target, guess = torch.randn(2, 2, 10, 4).unbind()
    judged = torch.rand(2, 10) < 0.5
    other = torch.where(judged[..., None], guess, 100.0).requires_grad_()
    loss = objective.compare(other, target, judged)
    assert loss == objective.compare(guess, target, judged) > 0
    loss.backward()
    assert not other.grad[~judged].any() and other.grad[judged].abs().sum() > 0


def test_the_distance_is_quadratic_below_beta_and_linear_above(pretraining):
    objective = data2vec(pretraining)
    one = torch.ones(1, 1, dtype=torch.bool)
    for error, expected in ((0.1, 0.5 * 0.01 / 0.25), (2.0, 2.0 - 0.125)):
        loss = objective.compare(torch.full((1, 1, 3), error), torch.zeros(1, 1, 3), one)
        assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_guessing_the_mean_costs_what_the_objective_says(pretraining):
    batch, objective = ours.make_batch(), data2vec(pretraining)
    nn.init.zeros_(objective.predict.weight)
    assert pretraining(batch)[0].item() == pytest.approx(
        objective.trivial_loss(pretraining.model, batch).item(), abs=1e-6
    )


def test_it_beats_guessing_the_mean_and_does_not_collapse_in_fifty_updates(pretraining):
    batch, optimizer = ours.make_batch(), optimizer_of(pretraining)
    spreads = []
    for _ in range(50):
        loss, figures = update(pretraining, optimizer, batch)
        spreads.append(float(figures["target_std"]))
    assert min(spreads) > 0.1 and spreads[-1] > 0.1
    assert loss < float(data2vec(pretraining).trivial_loss(pretraining.model, batch))


def test_the_spread_tells_a_collapse(pretraining):
    """A teacher whose last norm says the same everywhere has a spread of nothing."""
    prepared = pretraining.model.prepare(ours.make_batch())
    objective = data2vec(pretraining)
    healthy = objective.targets(prepared)[2]
    for layer in objective.teacher.encoder.layers:
        nn.init.zeros_(layer.attention.out.weight)
        nn.init.zeros_(layer.feed_forward.down.weight)
    nn.init.zeros_(objective.teacher.stem.patch.weight)
    nn.init.normal_(objective.teacher.stem.patch.bias)
    target, _, spread = objective.targets(prepared)
    assert healthy > 0.05 and spread < 1e-3 and target.abs().max() < 1e-2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"first_decay": 0.9999, "last_decay": 0.9},
            "decay must rise from first_decay to a last_decay below 1",
        ),
        ({"last_decay": 1.0}, "a last_decay below 1"),
        ({"decay_updates": 0}, "decay_updates of 1 or more"),
        ({"beta": 0.0}, r"beta must be positive, found 0\.0"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Data2VecConfig(**settings)
