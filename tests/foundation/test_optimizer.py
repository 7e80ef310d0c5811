"""The learning rate, what decays, and the averaged weights."""

import itertools

import pytest
import torch
from seisfm.foundation.ema import WeightAverage, ema_decay_at
from seisfm.foundation.optimizer import make_adamw
from seisfm.foundation.training import TrainingConfig
from torch import nn


def test_the_learning_rate_rises_linearly_and_falls_along_a_cosine():
    config = TrainingConfig(max_steps=101, warmup_steps=20, learning_rate=1.0, min_learning_rate_ratio=0.1)
    rates = [config.learning_rate_at(step) for step in range(101)]
    assert rates[0] == pytest.approx(0.05) and rates[19] == rates[20] == pytest.approx(1.0)
    assert rates[60] == pytest.approx(0.55) and rates[100] == pytest.approx(0.1)
    assert all(a > b for a, b in itertools.pairwise(rates[20:]))
    assert TrainingConfig(max_steps=3, warmup_steps=0).learning_rate_at(0) == 1e-3


def test_norms_and_biases_are_not_decayed_and_frozen_parameters_not_touched():
    module = nn.ModuleDict({"linear": nn.Linear(3, 4), "norm": nn.RMSNorm(4), "frozen": nn.Linear(2, 2)})
    module["frozen"].requires_grad_(False)
    optimizer = make_adamw(module, learning_rate=0.1, weight_decay=0.3, betas=(0.9, 0.95))
    decayed, kept = optimizer.param_groups
    assert [p.shape for p in decayed["params"]] == [(4, 3)] and decayed["weight_decay"] == 0.3
    assert [p.ndim for p in kept["params"]] == [1, 1] and kept["weight_decay"] == 0.0
    module.requires_grad_(False)
    with pytest.raises(ValueError, match="nothing to train: every parameter is frozen"):
        make_adamw(module, learning_rate=0.1, weight_decay=0.3, betas=(0.9, 0.95))


def test_the_average_follows_its_formula_and_is_given_back():
    module = nn.Linear(2, 1, bias=False)
    average = WeightAverage(module, decay=0.5)
    expected = module.weight.detach().clone()
    for step in range(4):
        with torch.no_grad():
            module.weight.add_(1.0)
        average.update(module, step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * module.weight.detach()
        assert ema_decay_at(step, 0.5) == decay
    torch.testing.assert_close(average.weights["weight"], expected)
    own = module.weight.detach().clone()
    with average.lent_to(module):
        torch.testing.assert_close(module.weight.detach(), expected)
    assert torch.equal(module.weight, own)
    average.copy_to(module)
    torch.testing.assert_close(module.weight.detach(), expected)
    assert ema_decay_at(10**6, 0.999) == 0.999


def test_an_average_takes_only_its_own_parameters_and_a_sensible_decay():
    average = WeightAverage(nn.Linear(2, 1, bias=False), decay=0.5)
    with pytest.raises(ValueError, match=r"differing: \['bias'"):
        average.load({"weight": torch.zeros(1, 2), "bias": torch.zeros(1)})
    with pytest.raises(ValueError, match=r"ema_decay must be at least 0 and below 1, found 1\.0"):
        WeightAverage(nn.Linear(2, 1), decay=1.0)
