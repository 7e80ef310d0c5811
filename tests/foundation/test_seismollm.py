"""A language model inside of a backbone: its own blocks, tuned as asked, and needed only once."""

import shutil

import pytest
import torch
from safetensors.torch import load_file
from seisfm.configs.loader import CONFIG_FOLDER, load_config
from seisfm.finetune.adapters import merged_model, save_adapter
from seisfm.finetune.methods import MethodConfig, apply_method
from seisfm.finetune.run import FinetuneConfig
from seisfm.finetune.start import model_on_base
from seisfm.foundation.backbones.registry import make_backbone
from seisfm.foundation.backbones.seismollm import SeisMoLLMConfig, SeisMoLLMModel
from seisfm.foundation.contract import InputContract
from seisfm.heads.model_folder import ModelFolder
from seisfm.heads.task_model import SeismicTaskConfig, SeismicTaskModel, load_model
from transformers import AutoConfig, AutoModel
from transformers.pytorch_utils import Conv1D

SHARED = {"num_hidden_layers": 4, "num_attention_heads": 2, "vocab_size": 40}
GATED = SHARED | {"num_key_value_heads": 1, "intermediate_size": 64}
FAMILIES = {
    "gpt2": {"n_embd": 32, "n_layer": 4, "n_head": 2, "n_positions": 512, "vocab_size": 40},
    "llama": {"hidden_size": 48, **GATED},
    "qwen2": {"hidden_size": 32, **GATED},
    "qwen3": {"hidden_size": 32, "head_dim": 16, **GATED},
}
LINEAR_LAYERS = {
    "gpt2": {"c_attn", "c_proj", "c_fc"},
    "llama": {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"},
}
STEM = [4, 4, 4, 4]


@pytest.fixture(scope="module")
def language_models(tmp_path_factory):
    """A small real one of each family, saved by transformers itself."""
    folder = tmp_path_factory.mktemp("language-models")
    for family, settings in FAMILIES.items():
        torch.manual_seed(7)
        AutoModel.from_config(AutoConfig.for_model(family, **settings)).save_pretrained(folder / family)
    return folder


def config_of(folder=None, contract=None, **changes):
    settings = {"num_blocks": 2, "stem_channels": STEM, "language_model": folder and str(folder)} | changes
    return SeisMoLLMConfig.of_size("published", contract or InputContract(), **settings)


def new_model(folder=None, seed=0, **changes):
    torch.manual_seed(seed)
    return make_backbone(config_of(folder, **changes)).eval()


def new_picker(folder, **changes):
    torch.manual_seed(0)
    heads = {"picking": {"channels": [4, 6, 8]}}
    return SeismicTaskModel(SeismicTaskConfig(encoder=config_of(folder, **changes), heads=heads)).eval()


def random_tokens(model, num_tokens=8, seed=3):
    """Tokens, their times, and that all of them have data."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randn(2, num_tokens, model.feature_spec.dim, generator=generator)
    time_s = ((torch.arange(num_tokens) + 0.5) * 0.64).expand(2, -1)
    return tokens, time_s, torch.ones(2, num_tokens, dtype=torch.bool)


def probability(model, batch):
    with torch.no_grad():
        return model(batch)["picking"]["probability"]


def step(model, loss):
    """One large step of everything that is to be trained."""
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1.0)
    loss.backward()
    optimizer.step()


@pytest.fixture
def batch(batch_of, labels_of):
    return batch_of(labels=labels_of([3.0, 4.0], [5.0, 7.0]))


# --- the language model is what it was ------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("tuning", ["lora", "frozen"])
def test_the_blocks_answer_as_transformers_own_model_cut_to_them(language_models, family, tuning):
    model = new_model(language_models / family, tuning=tuning)
    reference = AutoModel.from_pretrained(language_models / family).eval()
    blocks = "h" if family == "gpt2" else "layers"
    setattr(reference, blocks, getattr(reference, blocks)[:2])
    tokens, time_s, observed = random_tokens(model)
    with torch.no_grad():
        answer = model.contextualize(tokens, time_s, observed)
        expected = reference(inputs_embeds=tokens).last_hidden_state
    assert torch.allclose(answer, expected, atol=1e-5)


def test_random_blocks_of_the_same_architecture_answer_otherwise(language_models):
    pretrained = new_model(language_models / "gpt2")
    random, again, other = (
        new_model(language_models / "gpt2", seed=seed, weights="random") for seed in (0, 0, 1)
    )
    assert pretrained.config.to_dict() == random.config.to_dict() | {"weights": "own"}
    inputs = random_tokens(random)
    answers = [m.contextualize(*inputs).detach() for m in (pretrained, random, again, other)]
    assert torch.equal(answers[1], answers[2])
    assert not torch.allclose(answers[0], answers[1], atol=1e-3)
    assert not torch.allclose(answers[1], answers[3], atol=1e-3)


def test_the_same_configuration_makes_pretrained_blocks_again_and_under_heads(language_models):
    config = config_of(language_models / "gpt2", tuning="full")
    known = load_file(language_models / "gpt2" / "model.safetensors")
    picker = SeismicTaskModel(SeismicTaskConfig(encoder=config, heads={"picking": {}}))
    for backbone in (make_backbone(config), make_backbone(config), picker.encoder):
        state = backbone.language_model.state_dict()
        assert state and all(torch.equal(tensor, known[name]) for name, tensor in state.items())


def test_no_vocabulary_is_carried_along(language_models):
    for family in FAMILIES:
        assert not any(
            "wte" in n or "embed_tokens" in n for n in new_model(language_models / family).state_dict()
        )


# --- who looks at whom ----------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize("attention", ["causal", "bidirectional"])
def test_a_causal_token_sees_no_later_one_and_a_bidirectional_one_does(language_models, family, attention):
    model = new_model(language_models / family, attention=attention)
    tokens, time_s, observed = random_tokens(model)
    other = tokens.clone()
    # Not by a constant, which a layer norm takes away.
    other[:, 5] *= -1.0
    with torch.no_grad():
        before, after = (model.contextualize(t, time_s, observed) for t in (tokens, other))
    moved = (before != after).any(dim=-1)
    assert bool(moved[:, 5:].all())
    assert bool(moved[:, :5].all()) if attention == "bidirectional" else not moved[:, :5].any()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("attention", ["causal", "bidirectional"])
def test_nobody_looks_at_a_token_without_data(language_models, family, attention):
    model = new_model(language_models / family, attention=attention)
    tokens, time_s, observed = random_tokens(model)
    observed[:, :2], observed[0, 5] = False, False
    other = torch.where(observed[..., None], tokens, 100.0)
    with torch.no_grad():
        before, after = (model.contextualize(t, time_s, observed) for t in (tokens, other))
    assert torch.equal(before[observed], after[observed])
    assert bool(after.isfinite().all())


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_tokens_keep_their_places_where_others_are_dropped(language_models, family):
    model = new_model(language_models / family, attention="bidirectional")
    tokens, time_s, observed = random_tokens(model)
    observed[:, [0, 3, 4]] = False
    kept = observed[0]
    with torch.no_grad():
        unseen = model.contextualize(tokens, time_s, observed)[:, kept]
        dropped = model.contextualize(tokens[:, kept], time_s[:, kept], observed[:, kept])
    assert torch.allclose(unseen, dropped, atol=1e-5)


def test_a_window_of_6000_samples_keeps_all_of_them(batch_of):
    # The published network has 93 tokens here, without the last 48 samples, and stretches their answer.
    model = new_model(language_model_config={"model_type": "gpt2", **FAMILIES["gpt2"]})
    window = batch_of(duration_s=60.0)
    changed = window.waveform.clone()
    changed[..., -20:] *= -1
    with torch.no_grad():
        features, other = model(window), model(window.replace(waveform=changed))
    assert features.tokens.shape[1] == 94 and features.num_samples == 6000
    assert not torch.equal(features.tokens[:, -1], other.tokens[:, -1])


def test_heads_may_be_given_the_stems_features(batch_of):
    architecture = {"model_type": "gpt2", **FAMILIES["gpt2"]}
    model = new_model(language_model_config=architecture, skips=True, stem_channels=[2, 3, 4, 4])
    spec, features = model.feature_spec, model(batch_of())
    assert (spec.skip_strides, spec.skip_channels) == ((2, 4), (2, 3))
    assert [tuple(skip.shape[1:]) for skip in features.skips] == [(2, 19 * 32), (3, 19 * 16)]


# --- what is trained ------------------------------------------------------------------------------------


def test_the_published_number_of_parameters_is_trained():
    contract = InputContract(components=("Z", "N", "E"))
    with torch.device("meta"):
        model = SeisMoLLMModel(SeisMoLLMConfig.of_size("published", contract))
        heads = SeismicTaskModel(SeismicTaskConfig(encoder=model.config, heads={"picking": {}})).heads

    def trained(part):
        return sum(p.numel() for p in part.parameters() if p.requires_grad)

    # LoRA on c_attn, c_proj, c_fc, c_proj of a block, positions, and two norms a block with the last one.
    lora = 16 * ((768 + 2304) + (768 + 768) + (768 + 3072) + (3072 + 768))
    assert trained(model.language_model) == 3 * lora + 1024 * 768 + (2 * 3 + 1) * 2 * 768 == 1_387_008
    # Wang et al. 2025 (arXiv 2502.19960) train 2.24 M for polarity, whose head is two convolutions of kernel
    # 16 over the 96 channels and a linear layer to two classes; and 2.49 M for picking. The three parameters
    # of `missing` are ours.
    network = trained(model.stem) - 3 + trained(model.language_model)
    polarity = 2 * (96 * 96 * 16 + 96) + (96 * 2 + 2)
    assert network + polarity == pytest.approx(2.24e6, rel=0.02)
    assert 2.24e6 < network + trained(heads) < 2.49e6


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("tuning", ["lora", "frozen", "full"])
def test_a_step_moves_what_the_tuning_says_and_nothing_else(language_models, family, tuning, batch):
    picker = new_picker(language_models / family, tuning=tuning).train()
    before = {name: p.detach().clone() for name, p in picker.named_parameters()}
    tunable = apply_method(picker, MethodConfig(kind="full"))
    step(picker, tunable.model.compute_loss(batch)[0])
    prefix = "encoder.language_model."
    inside = {n: p for n, p in picker.named_parameters() if n.startswith(prefix)}
    moved = {name for name, p in inside.items() if not torch.equal(p, before[name])}
    light = {n for n in inside if ".lora_B" in n or "norm" in n or ".ln_" in n or ".wpe" in n}
    own = {n for n in inside if ".lora_" in n or n in light}
    expected = {"frozen": set(), "lora": light, "full": set(inside)}[tuning]
    # A key's bias moves no attention: softmax is blind to it.
    assert {n for n in expected - moved if "k_proj.bias" not in n} == set()
    assert moved <= (own if tuning == "lora" else expected)
    assert not torch.equal(picker.encoder.stem.missing, before["encoder.stem.missing"])


@pytest.mark.parametrize("family", LINEAR_LAYERS)
def test_the_adapter_is_on_every_linear_layer_and_moves_the_answer(language_models, family, batch):
    picker = new_picker(language_models / family)
    adapters = {name: p for name, p in picker.named_parameters() if "lora_B" in name}
    assert {name.split(".")[-4] for name in adapters} == LINEAR_LAYERS[family]
    assert len(adapters) == 2 * {"gpt2": 4, "llama": 7}[family]
    before = probability(picker, batch)
    for name, parameter in adapters.items():
        with torch.no_grad():
            parameter.normal_(std=0.1, generator=torch.Generator().manual_seed(0))
        assert not torch.equal(probability(picker, batch), before), name
        before = probability(picker, batch)


def test_an_adapter_begins_as_nothing_also_inside_of_a_task_model(language_models):
    picker = new_picker(language_models / "gpt2")
    assert not any(p.any() for name, p in picker.named_parameters() if "lora_B" in name)
    assert all(p.any() for name, p in picker.named_parameters() if "lora_A" in name)


# --- on disk --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("tuning", ["lora", "frozen"])
def test_a_saved_model_needs_its_language_model_no_more(language_models, tmp_path, family, tuning, batch):
    shutil.copytree(language_models / family, tmp_path / "lm")
    picker = new_picker(tmp_path / "lm", tuning=tuning).train()
    step(picker, picker.compute_loss(batch)[0])
    picker.eval().save_pretrained(tmp_path / "picker")
    picker.encoder.save_pretrained(tmp_path / "encoder")
    shutil.rmtree(tmp_path / "lm")
    loaded = load_model(tmp_path / "picker")
    started = model_on_base(str(tmp_path / "picker"), {"picking": {"channels": [4, 6, 8]}}, {}, seed=5)
    expected, state = probability(picker, batch), picker.state_dict()
    for model in (loaded, started.model):
        assert model.state_dict().keys() == state.keys()
        assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
        assert torch.equal(probability(model.eval(), batch), expected)
    trained = {name for name, p in picker.named_parameters() if p.requires_grad}
    assert {name for name, p in loaded.named_parameters() if p.requires_grad} == trained
    encoder = AutoModel.from_pretrained(tmp_path / "encoder")
    with torch.no_grad():
        assert torch.equal(encoder(batch).tokens, picker.encoder(batch).tokens)


def test_each_model_has_its_own_settings():
    architecture = {"model_type": "gpt2", **FAMILIES["gpt2"]}
    first, second = (new_model(language_model_config=architecture, num_blocks=n) for n in (1, 2))
    assert (len(first.language_model.h), len(second.language_model.h)) == (1, 2)
    assert first.config.language_model_config == second.config.language_model_config
    assert architecture == {"model_type": "gpt2", **FAMILIES["gpt2"]}


# --- adapters of fine-tuning ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["lora", "dora", "ia3"])
def test_an_adapter_on_an_adapter_is_refused(language_models, kind):
    picker = new_picker(language_models / "llama")
    with pytest.raises(ValueError, match="already has an adapter inside, and adapters do not stack: use the"):
        apply_method(picker, MethodConfig(kind=kind))


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_a_folded_adapter_answers_the_same_and_leaves_room_for_another(language_models, family, batch):
    picker = new_picker(language_models / family)
    for name, parameter in picker.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    expected = probability(picker, batch)
    picker.encoder = picker.encoder.folded()
    picker.config.encoder = picker.encoder.config
    assert torch.allclose(probability(picker, batch), expected, atol=1e-5)
    assert picker.config.encoder.tuning == "frozen"
    tunable = apply_method(picker, MethodConfig(kind="lora", rank=2))
    blocks = {name.split(".")[-4] for name, _ in picker.named_parameters() if "lora_B" in name} - {"patch"}
    assert blocks == LINEAR_LAYERS[family]
    assert tunable.num_trainable < tunable.num_parameters


def test_without_an_adapter_nothing_is_folded(language_models):
    with pytest.raises(ValueError, match="tuning full has no adapter: there is nothing to fold"):
        new_model(language_models / "gpt2", tuning="full").folded()


def test_gpt2s_turned_linear_layers_are_adapted_saved_and_merged(language_models, tmp_path, batch):
    # The patch is a linear layer, the blocks' are transformers' Conv1D: PEFT turns each as it lies.
    new_picker(language_models / "gpt2", tuning="full", stem_channels=[4, 4, 4, 6]).save_pretrained(
        tmp_path / "base"
    )
    picker = load_model(tmp_path / "base")
    tunable = apply_method(picker, MethodConfig(kind="lora", rank=2))
    adapted = {name.split(".")[-4] for name, _ in picker.named_parameters() if "lora_B" in name}
    assert adapted == {"c_attn", "c_proj", "c_fc", "patch"}
    for name, parameter in picker.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    expected = probability(picker.eval(), batch)
    save_adapter(tunable, tmp_path / "adapter", ModelFolder.find(tmp_path / "base"))
    loaded = load_model(tmp_path / "adapter")
    assert torch.equal(probability(loaded, batch), expected)
    merged = merged_model(loaded)
    assert torch.allclose(probability(merged, batch), expected, atol=1e-5)
    assert any(isinstance(layer, Conv1D) for layer in merged.modules())


@pytest.mark.parametrize("kind", ["lora", "head"])
def test_a_frozen_encoder_keeps_its_batch_norms(language_models, kind, batch):
    picker = new_picker(language_models / "gpt2", tuning="full")
    buffers = {name: buffer.clone() for name, buffer in picker.encoder.named_buffers()}
    apply_method(picker, MethodConfig(kind=kind))
    prepared = picker.encoder.prepare(batch)
    with torch.no_grad():
        trained = picker.train().encoder.stem(prepared.waveform, prepared.observed)
        used = picker.eval().encoder.stem(prepared.waveform, prepared.observed)
    assert buffers and all(torch.equal(b, buffers[name]) for name, b in picker.encoder.named_buffers())
    assert all(map(torch.equal, trained, used))


def test_ia3_goes_by_the_names_of_a_llama_and_not_of_gpt2(language_models):
    picker = new_picker(language_models / "llama", tuning="frozen")
    apply_method(picker, MethodConfig(kind="ia3"))
    scaled = {name.split(".")[-3] for name, _ in picker.named_parameters() if "ia3_l" in name}
    assert scaled == {"k_proj", "v_proj", "down_proj"}
    with pytest.raises(ValueError, match=r"ia3 finds keys, .* encoder's layers are .*'c_attn'.*: use lora"):
        apply_method(new_picker(language_models / "gpt2", tuning="frozen"), MethodConfig(kind="ia3"))


def test_the_shipped_run_describes_a_model(language_models):
    config = load_config(FinetuneConfig, CONFIG_FOLDER / "finetune" / "seismollm.yaml")
    architecture = config.architecture | {
        "language_model": str(language_models / "gpt2"),
        "language_model_revision": None,
    }
    model = SeisMoLLMModel(SeisMoLLMConfig.of_size(config.size, config.contract, **architecture))
    assert len(model.language_model.h) == 3 and model.config.weights == "pretrained"
