"""Targets in seconds: exact between samples, and ignorance kept apart from absence."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from seisfm.heads.picking import marginal_cross_entropy
from seisfm.heads.targets import PhaseTargets, detection_targets, gaussian, phase_targets

NAN = math.nan
TIME_S = torch.arange(0, 12, 0.01)[None]


@given(st.floats(1.0, 11.0), st.floats(0.05, 0.5))
def test_the_gaussian_is_centred_on_the_arrival_between_samples(arrival_s, sigma_s):
    target = gaussian(torch.tensor([[arrival_s]]), TIME_S, sigma_s)[0].double()
    index = int(target.argmax().clamp(1, TIME_S.shape[1] - 2))
    before, here, after = (target[index + k].log() for k in (-1, 0, 1))
    peak = index + 0.5 * (before - after) / (before - 2 * here + after)
    assert float(peak) * 0.01 == pytest.approx(arrival_s, abs=2e-4)


def test_no_arrival_gives_no_target():
    assert not gaussian(torch.tensor([[NAN, NAN]]), TIME_S, 0.1).any()


def test_phases_are_known_where_labelled_and_near_a_listed_arrival(batch_of, labels_of):
    batch = batch_of(labels=labels_of([3.0, NAN], [5.0, NAN], p_labelled=True, s_labelled=False))
    known = phase_targets(batch, TIME_S.expand(2, -1), 0.1).known
    assert known[:, 0].all()
    assert not known[1, 1].any()
    inside = (TIME_S[0] - 5.0).abs() < 0.295
    outside = (TIME_S[0] - 5.0).abs() > 0.305
    assert known[0, 1][inside].all()
    assert not known[0, 1][outside].any()


def test_a_batch_without_labels_knows_nothing(batch_of):
    targets = phase_targets(batch_of(), TIME_S.expand(2, -1), 0.1)
    assert not targets.known.any()
    assert not targets.target.any()


def test_p_and_s_at_one_time_share_the_probability(batch_of, labels_of):
    batch = batch_of(labels=labels_of([3.0, 3.0], [3.0, 3.05]))
    target = phase_targets(batch, TIME_S.expand(2, -1), 0.1).target
    assert float(target.sum(dim=1).max()) <= 1 + 1e-6
    assert target[0, :, 300].tolist() == pytest.approx([0.5, 0.5])


def test_events_last_from_p_to_s_and_its_coda(batch_of, labels_of):
    batch = batch_of(labels=labels_of([2.0, -4.0], [4.0, 0.0]))
    target, known = detection_targets(batch, TIME_S.expand(2, -1))
    assert known.all()
    for window, (first_s, last_s) in enumerate([(2.0, 6.8), (0.0, 5.6)]):
        inside = TIME_S[0][target[window].bool()]
        assert float(inside.min()) == pytest.approx(first_s, abs=0.011)
        assert float(inside.max()) == pytest.approx(last_s, abs=0.011)


@pytest.mark.parametrize(
    ("p_s", "s_s", "s_labelled"), [(2.0, 4.0, False), (2.0, NAN, True), (NAN, 4.0, True)]
)
def test_detection_is_unknown_without_both_phases(batch_of, labels_of, p_s, s_s, s_labelled):
    batch = batch_of(1, labels=labels_of([p_s], [s_s], s_labelled=s_labelled))
    assert not detection_targets(batch, TIME_S)[1].any()


def test_detection_needs_one_column_an_event(batch_of, labels_of):
    labels = labels_of([2.0, 2.0], [4.0, 4.0])
    labels["s_arrival_s"] = labels["s_arrival_s"].repeat(1, 2)
    with pytest.raises(ValueError, match="the P and S of one event in one column"):
        detection_targets(batch_of(labels=labels), TIME_S)


def _loss(logits, target, known):
    targets = PhaseTargets(torch.tensor(target)[None, :, None], torch.tensor(known)[None, :, None])
    return float(marginal_cross_entropy(torch.tensor(logits)[None, :, None], targets, torch.ones(3)))


def test_the_loss_sums_over_what_nobody_labelled():
    logits = [0.3, -1.0, 0.5]
    p, s, noise = torch.tensor(logits).softmax(0).tolist()
    both = -(0.6 * math.log(p) + 0.1 * math.log(s) + 0.3 * math.log(noise))
    only_p = -(0.6 * math.log(p) + 0.4 * math.log(s + noise))
    only_s = -(0.1 * math.log(s) + 0.9 * math.log(p + noise))
    assert _loss(logits, [0.6, 0.1], [True, True]) == pytest.approx(both, rel=1e-5)
    assert _loss(logits, [0.6, 0.1], [True, False]) == pytest.approx(only_p, rel=1e-5)
    assert _loss(logits, [0.6, 0.1], [False, True]) == pytest.approx(only_s, rel=1e-5)
    assert _loss(logits, [0.6, 0.1], [False, False]) == 0.0


def test_an_unlabelled_s_is_not_pushed_towards_noise():
    logits = torch.tensor([-5.0, 2.0, 1.0])[None, :, None].requires_grad_()
    targets = PhaseTargets(torch.zeros(1, 2, 1), torch.tensor([True, False])[None, :, None])
    marginal_cross_entropy(logits, targets, torch.ones(3)).sum().backward()
    gradient = logits.grad.flatten()
    # Both of S and noise grow at the expense of P, in proportion to what they have.
    assert gradient[0] > 0
    assert gradient[1] / gradient[2] == pytest.approx(math.e, rel=1e-3)
    assert gradient[1] < 0
