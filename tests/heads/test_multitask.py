"""Many heads at once: weights that are learned, labels that are missing, processes that lack some."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from seisfm.foundation.backbones.registry import backbone_config
from seisfm.foundation.contract import InputContract, Normalization
from seisfm.heads.multitask import MultiTaskConfig, MultiTaskObjective, UncertaintyWeights
from seisfm.heads.physics import PhysicsConfig
from seisfm.heads.registry import HEADS
from seisfm.heads.task_model import SeismicTaskConfig, SeismicTaskModel

SCRIPT = Path(__file__).with_name("two_ranks_run.py")
LAUNCHER = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")


def all_heads(new_model):
    return new_model(**{name: {} for name in HEADS})


def test_the_learned_weight_is_the_inverse_of_twice_the_loss():
    weights = UncertaintyWeights(2)
    losses, labelled = torch.tensor([0.1, 3.0]), torch.tensor([True, True])
    optimizer = torch.optim.Adam(weights.parameters(), lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        weights(losses, labelled).sum().backward()
        optimizer.step()
    assert (-weights.log_variance).exp().tolist() == pytest.approx([5.0, 1 / 6], rel=0.02)


def test_a_head_without_labels_keeps_its_weight_and_its_gradient_is_zero():
    weights = UncertaintyWeights(2)
    losses = torch.tensor([0.0, 3.0], requires_grad=True)
    weights(losses, torch.tensor([False, True])).sum().backward()
    assert weights.log_variance.grad[0] == 0.0 and weights.log_variance.grad[1] != 0.0
    assert weights(losses, torch.tensor([False, True]))[0].item() == 0.0


def test_a_loss_of_zero_has_no_infinite_weight():
    weights = UncertaintyWeights(1)
    with torch.no_grad():
        weights.log_variance.fill_(-50.0)
    value = weights(torch.tensor([0.0]), torch.tensor([True]))
    value.sum().backward()
    assert value.item() == -3.0 and weights.log_variance.grad.item() == 0.0


def test_an_unknown_weighting_is_an_error():
    with pytest.raises(
        ValueError, match=r"weighting must be one of \('fixed', 'uncertainty'\), found 'learned'"
    ):
        MultiTaskConfig(weighting="learned")


def test_a_law_of_amplitudes_needs_them():
    normalization = Normalization(gain_back=False)
    encoder = backbone_config("unet", "tiny", InputContract(normalization=normalization), {})
    model = SeismicTaskModel(SeismicTaskConfig(encoder=encoder, heads={"magnitude": {}}))
    with pytest.raises(ValueError, match=r"attenuation needs amplitudes, .* gain_back false"):
        MultiTaskObjective(model, MultiTaskConfig(physics=PhysicsConfig(attenuation=0.1)))


@pytest.mark.parametrize("weighting", ["fixed", "uncertainty"])
def test_heads_without_labels_learn_nothing_while_others_do(new_model, batch_of, labels_of, weighting):
    objective = MultiTaskObjective(all_heads(new_model), MultiTaskConfig(weighting=weighting)).train()
    labels = labels_of([3.0, 4.0], [5.0, 7.0]) | {"magnitude": torch.tensor([1.0, 2.0])}
    objective(batch_of(labels=labels))[0].backward()
    taught = {"picking", "detection", "magnitude", "origin"}
    for name, head in objective.model.heads.items():
        gradients = [p.grad for p in head.parameters()]
        assert all(gradient is not None for gradient in gradients)
        assert any(bool(gradient.any()) for gradient in gradients) == (name in taught)
    if weighting == "uncertainty":
        moved = objective.weights.log_variance.grad != 0
        assert moved.tolist() == [name in taught for name in objective.model.heads]


def test_scores_use_the_fixed_weights(new_model, batch_of, labels_of):
    model = new_model()
    model.config.loss_weights = {"detection": 0.25}
    objective = MultiTaskObjective(model, MultiTaskConfig(weighting="uncertainty"))
    with torch.no_grad():
        objective.weights.log_variance.fill_(2.0)
        batch = batch_of(labels=labels_of([3.0, 4.0], [5.0, 7.0]))
        scored, logs = objective.eval()(batch)
        trained, trained_logs = objective.train()(batch)
    expected = logs["picking_loss"] + 0.25 * logs["detection_loss"]
    assert float(scored) == pytest.approx(float(expected))
    less = torch.exp(torch.tensor(-2.0))
    assert float(trained) == pytest.approx(float(less * expected) + 1.25, rel=1e-5)
    assert float(trained_logs["picking_weight"]) == pytest.approx(float(less))


def test_what_is_learned_of_weights_is_not_part_of_the_model(new_model):
    model = new_model()
    before = set(model.state_dict())
    objective = MultiTaskObjective(model, MultiTaskConfig(weighting="uncertainty"))
    assert set(model.state_dict()) == before
    assert "weights.log_variance" in objective.state_dict()


@pytest.mark.slow
def test_two_processes_of_which_one_has_labels_agree(tmp_path):
    """The second has labels of all heads, the first of none: nobody waits, and both learn the same."""
    done = subprocess.run(
        [*LAUNCHER, str(SCRIPT), str(tmp_path)],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"},
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    first, second = (json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in (0, 1))
    assert first["weights"] == second["weights"]
    assert set(first["moved"]) == set(HEADS)
