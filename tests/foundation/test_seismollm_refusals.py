"""What a backbone around a language model refuses: files that are not whole, settings that cannot be."""

import shutil

import pytest
from safetensors.torch import load_file, save_file
from seisfm.foundation.backbones.registry import make_backbone
from seisfm.foundation.backbones.seismollm import SeisMoLLMConfig
from seisfm.foundation.contract import InputContract, WindowRange
from transformers import AutoConfig, AutoModel

GPT2 = {"n_embd": 32, "n_layer": 4, "n_head": 2, "n_positions": 512, "vocab_size": 40}


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory):
    """A small real one, saved by transformers itself."""
    folder = tmp_path_factory.mktemp("language-model") / "gpt2"
    AutoModel.from_config(AutoConfig.for_model("gpt2", **GPT2)).save_pretrained(folder)
    return folder


def config_of(folder=None, contract=None, **changes):
    settings = {"num_blocks": 2, "stem_channels": [4, 4, 4, 4], "language_model": folder and str(folder)}
    return SeisMoLLMConfig.of_size("published", contract or InputContract(), **settings | changes)


def test_a_language_model_that_is_not_there(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"no language model .*nowhere at revision main: expected a f"
    ):
        config_of(tmp_path / "nowhere")


def test_pickles_are_not_opened(gpt2, tmp_path):
    shutil.copytree(gpt2, tmp_path / "lm")
    (tmp_path / "lm" / "model.safetensors").rename(tmp_path / "lm" / "pytorch_model.bin")
    with pytest.raises(
        FileNotFoundError, match=r"no language model .*lm at .* config.json and model.safetens"
    ):
        make_backbone(config_of(tmp_path / "lm"))


def test_a_language_model_that_lacks_a_weight(gpt2, tmp_path):
    shutil.copytree(gpt2, tmp_path / "lm")
    file = tmp_path / "lm" / "model.safetensors"
    weights = load_file(file)
    del weights["h.1.attn.c_attn.weight"]
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"lacks 1 weights of its own config.json \(h.1.attn.c_attn.weight"):
        make_backbone(config_of(tmp_path / "lm"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"language_model_config": {"model_type": "t5"}}, "must be a decoder-only one .*, found .*'t5'"),
        ({"language_model_config": {"n_layer": 2}}, "must be a decoder-only one .*, found model_type None"),
        ({"num_blocks": 13}, "num_blocks must be 1 to 12, the blocks of this gpt2, found 13"),
        ({"num_blocks": 0}, "num_blocks must be 1 to 12"),
        ({"attention": "both"}, r"attention must be one of \('causal', 'bidirectional'\), found 'both'"),
        ({"tuning": "some"}, r"tuning must be one of \('lora', 'frozen', 'full'\), found 'some'"),
        ({"weights": "zero"}, r"weights must be one of .*, found 'zero'"),
        ({"weights": "pretrained"}, "pretrained weights need a language_model, folder or hub id"),
        ({"weights": "own"}, "a new model has no weights of its own yet"),
        ({"lora_rank": 0}, "lora_rank must be at least 1"),
        (
            {"stem_channels": [4, 4]},
            r"stem_channels must be a positive number for each of 4 stages, found \[4, 4",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        config_of(**settings)


def test_windows_longer_than_the_language_model_can_count_are_refused():
    architecture = {"model_type": "gpt2", **GPT2, "n_positions": 64}
    short = InputContract(window_s=WindowRange(min=10.0, max=40.0, preferred=30.0))
    assert make_backbone(config_of(language_model_config=architecture, contract=short))
    with pytest.raises(
        ValueError, match="knows 64 positions, but windows of 300 s have 474 tokens: lower the"
    ):
        make_backbone(config_of(language_model_config=architecture))
