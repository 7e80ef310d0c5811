"""What each method trains, and that it trains all of that and nothing else."""

import pytest
import torch
from seisfm.finetune.methods import METHODS, MethodConfig, apply_method
from seisfm.foundation.backbones.unet import UNetConfig
from seisfm.foundation.contract import InputContract
from seisfm.foundation.encoder import LINEAR_NAMES
from seisfm.heads.task_model import SeismicTaskConfig, SeismicTaskModel

ADAPTERS = ("lora", "dora", "ia3")


def _probability(model, batch):
    with torch.no_grad():
        return model(batch)["picking"]["probability"]


def _train(model, batch, steps=3):
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(steps):
        loss, _ = model.compute_loss(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@pytest.fixture
def batch(batch_of, labels_of):
    return batch_of(labels=labels_of([3.0, 4.0], [5.0, 7.0]))


@pytest.mark.parametrize("kind", METHODS)
def test_before_training_nothing_has_changed(new_model, batch, kind):
    model = new_model()
    before = _probability(model, batch)
    apply_method(model, MethodConfig(kind=kind))
    assert torch.allclose(_probability(model, batch), before, atol=1e-6)


@pytest.mark.parametrize("kind", METHODS)
def test_the_heads_are_trained_in_any_case(new_model, kind):
    model = new_model()
    num_head = sum(p.numel() for p in model.heads.parameters())
    tunable = apply_method(model, MethodConfig(kind=kind))
    assert sum(p.numel() for p in model.heads.parameters() if p.requires_grad) == num_head
    assert tunable.num_trainable >= num_head


def test_the_number_of_trained_parameters_is_reported(new_model):
    tunable = {kind: apply_method(new_model(), MethodConfig(kind=kind, rank=4)) for kind in METHODS}
    dim, hidden = 32, tunable["full"].model.encoder.config.intermediate_size
    num_heads = tunable["head"].num_trainable
    lora = 2 * 4 * (4 * (dim + dim) + 3 * (dim + hidden))
    outputs = 2 * (5 * dim + 2 * hidden)
    assert tunable["full"].num_trainable == tunable["full"].num_parameters
    assert tunable["lora"].num_trainable == num_heads + lora
    assert tunable["dora"].num_trainable == num_heads + lora + outputs
    assert tunable["ia3"].num_trainable == num_heads + 2 * (2 * dim + hidden)
    assert tunable["lora"].num_parameters == tunable["full"].num_parameters + lora


@pytest.mark.parametrize("kind", METHODS[1:])
def test_training_leaves_the_encoder_as_it_was(new_model, batch, kind):
    model = new_model()
    tunable = apply_method(model, MethodConfig(kind=kind))
    frozen = {name: p.clone() for name, p in model.named_parameters() if not p.requires_grad}
    before = _probability(model, batch)
    _train(tunable.model.train(), batch)
    assert frozen
    assert all(torch.equal(p, frozen[name]) for name, p in model.named_parameters() if name in frozen)
    assert not torch.equal(_probability(model.eval(), batch), before)


@pytest.mark.parametrize("adapt_stem", [False, True])
def test_lora_alone_moves_the_answer_in_evaluation_mode(new_model, batch, adapt_stem):
    model = new_model()
    apply_method(model, MethodConfig(kind="lora", adapt_stem=adapt_stem))
    before = _probability(model.eval(), batch)
    changed = {name: p for name, p in model.named_parameters() if "lora_B" in name}
    names = {name.split(".")[-4] for name in changed}
    convolutions = {"full_rate", "half_rate", "quarter_rate", "conv", "mix"}
    assert names == set(LINEAR_NAMES) | (convolutions if adapt_stem else set())
    for name, parameter in changed.items():
        with torch.no_grad():
            parameter.normal_(std=0.05, generator=torch.Generator().manual_seed(0))
        assert not torch.equal(_probability(model, batch), before), name
        before = _probability(model, batch)


def test_every_block_is_adapted(new_model):
    model = new_model()
    tunable = apply_method(model, MethodConfig(kind="lora", targets=("query", "value")))
    adapted = tunable.peft.base_model.targeted_module_names
    assert sorted(adapted) == sorted(
        f"encoder.encoder.layers.{layer}.attention.{name}"
        for layer in range(2)
        for name in ("query", "value")
    )


def test_a_target_that_matches_nothing_is_an_error(new_model):
    with pytest.raises(ValueError, match=r"the targets \['c_attn'\] name no layer of the encoder"):
        apply_method(new_model(), MethodConfig(kind="lora", targets=("query", "c_attn")))


def test_a_network_of_convolutions_is_adapted_on_them(batch):
    encoder = UNetConfig.of_size("tiny", InputContract(), channels=[4, 8, 8, 16, 16, 16])
    model = SeismicTaskModel(SeismicTaskConfig(encoder=encoder, heads={"picking": {}})).eval()
    convolutions = {n for n, m in model.encoder.named_modules() if isinstance(m, torch.nn.Conv1d)}
    apply_method(model, MethodConfig(kind="lora"))
    changed = {name: p for name, p in model.named_parameters() if "lora_B" in name}
    assert {name.removeprefix("encoder.").partition(".lora_B")[0] for name in changed} == convolutions
    before = _probability(model, batch)
    with torch.no_grad():
        for parameter in changed.values():
            parameter.normal_(std=0.05, generator=torch.Generator().manual_seed(0))
    assert not torch.equal(_probability(model, batch), before)


def test_a_stem_that_is_not_there_cannot_be_adapted():
    encoder = UNetConfig.of_size("tiny", InputContract(), channels=[4, 8, 8, 16, 16, 16])
    model = SeismicTaskModel(SeismicTaskConfig(encoder=encoder, heads={"picking": {}}))
    with pytest.raises(
        ValueError, match="adapt_stem wants a stem of convolutions, and this encoder has none"
    ):
        apply_method(model, MethodConfig(kind="lora", adapt_stem=True))


def test_an_encoder_without_a_fitting_layer_is_an_error(new_model):
    model = new_model()
    # What is left is a stem, which is not adapted unless asked for, and the pooling, which never is.
    model.encoder.encoder = torch.nn.Identity()
    with pytest.raises(ValueError, match="no layer that an adapter fits on: use the method full or head"):
        apply_method(model, MethodConfig(kind="lora"))


def test_a_second_adapter_is_refused(new_model):
    model = new_model()
    apply_method(model, MethodConfig(kind="lora"))
    with pytest.raises(ValueError, match="already has an adapter inside, and adapters do not stack"):
        apply_method(model, MethodConfig(kind="ia3"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "prefix"}, r"the method must be one of \('full', 'head', 'lora', 'dora', 'ia3'\)"),
        ({"kind": "lora", "rank": 0}, "rank must be at least 1"),
        ({"kind": "dora", "targets": ()}, "dora needs targets"),
        ({"kind": "ia3", "adapt_stem": True}, "ia3 adapts linear layers only"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        MethodConfig(**settings)


@pytest.mark.parametrize("kind", ADAPTERS)
def test_unlabelled_windows_move_nothing(new_model, batch_of, kind):
    model = new_model()
    apply_method(model, MethodConfig(kind=kind))
    loss, _ = model.compute_loss(batch_of())
    loss.backward()
    trained = [p for p in model.parameters() if p.requires_grad]
    assert all(p.grad is not None and not p.grad.any() for p in trained)
