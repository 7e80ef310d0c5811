"""Mechanism networks that are told few mechanisms: which those are, and that all see the same events."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch
from seisfm.configs.loader import build_config

EXAMPLE = Path(__file__).parents[1] / "examples" / "train_mechanism.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("train_mechanism", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their own module up while they are made.
    sys.modules["train_mechanism"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["train_mechanism"]


def test_a_share_of_the_events_keeps_its_mechanism(example):
    frames = torch.eye(3).expand(2000, 3, 3)
    few, many = (
        example.some_labels(frames, share, torch.Generator().manual_seed(0)).isfinite()
        for share in (0.1, 0.5)
    )
    assert float(few[:, 0, 0].float().mean()) == pytest.approx(0.1, abs=0.03)
    assert (few == few[:, :1, :1]).all(), "an event is told as a whole"
    assert (many | ~few).all(), "a larger share has the events of a smaller one"
    assert example.some_labels(frames, 1.0, torch.Generator()).isfinite().all()
    assert example.some_labels(frames, 0.0, torch.Generator()).isnan().all()


def test_a_network_that_is_told_nothing_and_asks_no_radiation_learns_nothing(example):
    small = ["model.dim=16", "model.num_layers=1", "model.likelihood=false", "steps=3", "batch_size=4"]
    weights = {}
    for share in (0.0, 1.0):
        config = build_config(example.TrainingConfig, {}, [*small, f"label_share={share}"])
        head = example.train(config)
        weights[share] = head.answer.bias.detach()
    assert not weights[0.0].any() and weights[1.0].any()


def test_shares_that_cannot_be(example):
    with pytest.raises(ValueError, match=r"label_share must lie in 0 to 1, found 2\.0"):
        build_config(example.TrainingConfig, {}, ["label_share=2.0"])
