"""Rows that several processes write become whole tensors again; what cannot be split is refused."""

import pytest
import torch
from accelerate import Accelerator
from seisfm.foundation.sharding import joined, own_rows, shard, wants_shards
from torch import nn


def test_rows_are_joined_in_the_order_of_the_processes():
    whole = torch.arange(10.0).reshape(5, 2)
    short = torch.ones(1, 3)
    step = torch.tensor(7.0)
    # Three processes: the last has no row of the short tensor, and only the first has what all have.
    parts = [
        {"weight": whole[:2], "short": short, "step": step},
        {"weight": whole[2:4], "short": short[:0]},
        {"weight": whole[4:], "short": short[:0]},
    ]
    together = joined(parts)
    assert torch.equal(together["weight"], whole) and torch.equal(together["short"], short)
    assert torch.equal(together["step"], step)


def test_whole_tensors_are_written_by_the_first_process_alone():
    named = {"weight": torch.ones(2)}
    assert own_rows(named, is_first=True) == named and own_rows(named, is_first=False) == {}


def test_a_parameter_without_rows_is_named():
    module = nn.Module()
    module.scale = nn.Parameter(torch.tensor(1.0))
    with pytest.raises(ValueError, match=r"\['scale'\] have none: give them the shape \(1,\)"):
        shard(module, Accelerator(cpu=True))


@pytest.mark.parametrize(
    ("asked", "version", "answer"), [("false", "2", False), ("true", "2", True), ("False", "1", False)]
)
def test_the_launcher_says_whether_weights_are_shared_out(monkeypatch, asked, version, answer):
    monkeypatch.setenv("ACCELERATE_USE_FSDP", asked)
    monkeypatch.setenv("FSDP_VERSION", version)
    assert wants_shards() is answer


def test_the_first_version_of_fsdp_is_refused(monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    monkeypatch.setenv("FSDP_VERSION", "1")
    with pytest.raises(ValueError, match=r"needs fsdp_version 2, found 1: .*fsdp2\.yaml"):
        wants_shards()
