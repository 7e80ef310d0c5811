"""The first blocks of a language model as a network over tokens that are no words.

Any decoder-only model that transformers loads serves: it is given embeddings, positions, and a mask of who
may look at whom. Its vocabulary is left behind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, GPT2Config, PreTrainedConfig, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
from transformers.pytorch_utils import Conv1D
from transformers.utils import logging

ATTENTIONS = ("causal", "bidirectional")
TUNINGS = ("lora", "frozen", "full")


def gpt2_small() -> dict[str, Any]:
    """The architecture of GPT-2 small (Radford et al. 2019): 12 blocks, 768 wide, 1024 positions."""
    return _plain(GPT2Config())


def known_architecture(name: str, revision: str | None = None) -> dict[str, Any]:
    """The architecture of a language model in a folder or on the hub, as its `config.json` says.

    Raises FileNotFoundError where there is none.
    """
    try:
        return _plain(AutoConfig.from_pretrained(name, revision=revision, trust_remote_code=False))
    except (OSError, ValueError) as error:
        raise _not_there(name, revision, error) from error


def first_blocks(architecture: Mapping[str, Any], num_blocks: int) -> PreTrainedConfig:
    """The configuration of a language model's first blocks.

    Raises ValueError for another kind of model, or more blocks than it has.
    """
    kind = architecture.get("model_type")
    config = AutoConfig.for_model(**architecture) if kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES else None
    if config is None or config.is_encoder_decoder or not _is_plain_stack(config):
        raise ValueError(
            "the language model must be a decoder-only one that transformers knows, such as gpt2, llama, "
            f"qwen2 or qwen3, found model_type {kind!r}"
        )
    if not 1 <= num_blocks <= config.num_hidden_layers:
        raise ValueError(
            f"num_blocks must be 1 to {config.num_hidden_layers}, the blocks of this {kind}, "
            f"found {num_blocks}"
        )
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[:num_blocks]
    config.num_hidden_layers = num_blocks
    return config


def random_language_model(config: PreTrainedConfig) -> PreTrainedModel:
    """The network of a configuration with the weights that training a language model begins with."""
    return _without_words(AutoModel.from_config(config, attn_implementation="sdpa"))


def pretrained_language_model(
    config: PreTrainedConfig, name: str, revision: str | None = None
) -> PreTrainedModel:
    """The network of a configuration with the weights in a folder or on the hub, in full precision.

    Raises FileNotFoundError without safetensors there (pickles are never opened), ValueError where they lack
    a part of the network.
    """
    try:
        with _without_report():
            model, report = AutoModel.from_pretrained(
                name,
                revision=revision,
                config=config,
                dtype=torch.float32,
                attn_implementation="sdpa",
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
    except OSError as error:
        raise _not_there(name, revision, error) from error
    missing = sorted(report["missing_keys"])
    if missing:
        raise ValueError(
            f"the language model {name} lacks {len(missing)} weights of its own config.json "
            f"({', '.join(missing[:3])} …): nothing is filled in at random, fetch it again"
        )
    return _without_words(model)


def add_lora(model: PreTrainedModel, rank: int, alpha: float, dropout: float) -> None:
    """Put LoRA (Hu et al. 2021) beside every linear layer of the blocks, in place; it begins as nothing."""
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,  # type: ignore[arg-type]  # PEFT divides it by the rank
        lora_dropout=dropout,
        target_modules="all-linear",
        # GPT-2's linear layers are transformers' Conv1D, whose weights lie the other way round.
        fan_in_fan_out=any(isinstance(layer, Conv1D) for layer in model.modules()),
    )
    inject_adapter_in_model(config, model)
    for name, parameter in model.named_parameters():
        if is_lora(name):
            # Whoever initializes the model around this one must not draw these again: B begins with zeros.
            parameter._is_hf_initialized = True  # type: ignore[attr-defined]


def is_lora(name: str) -> bool:
    """Whether the parameter of that name belongs to the adapter."""
    return ".lora_" in name


def frozen_parameters(model: PreTrainedModel, tuning: str) -> Iterator[nn.Parameter]:
    """What a way of tuning leaves as it is: with LoRA, all but the adapter, the norms and the positions."""
    for name, parameter in model.named_parameters():
        owner = model.get_submodule(name.rpartition(".")[0])
        is_norm = "norm" in type(owner).__name__.lower()
        is_light = is_lora(name) or is_norm or isinstance(owner, nn.Embedding)
        if tuning == "frozen" or (tuning == "lora" and not is_light):
            yield parameter


def look_mask(observed: Tensor, causal: bool) -> Tensor:
    """Who may look at whom, bool `(window, 1, looking token, seen token)`.

    Nobody looks at a token without data but that token itself, so that no output is undefined.

    observed: bool `(window, token)`. causal: nobody looks ahead.
    """
    num_tokens = observed.shape[1]
    seen = observed[:, None, :].expand(-1, num_tokens, -1)
    if causal:
        seen = seen.tril()
    return (seen | torch.eye(num_tokens, dtype=torch.bool, device=observed.device))[:, None]


def _without_words(model: PreTrainedModel) -> PreTrainedModel:
    """Leave the vocabulary behind, and keep every buffer in what is saved.

    A model that is loaded is built without memory first: what only its constructor knows (the frequencies of
    rotary positions) would be lost.
    """
    model.set_input_embeddings(None)  # type: ignore[arg-type]
    for module in model.modules():
        for name, buffer in list(module.named_buffers(recurse=False)):
            module.register_buffer(name, buffer, persistent=True)
    return model


@contextmanager
def _without_report() -> Iterator[None]:
    """Without transformers' table of what was not read: it would list every block beyond the first ones."""
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


def _is_plain_stack(config: PreTrainedConfig) -> bool:
    return hasattr(config, "hidden_size") and hasattr(config, "num_hidden_layers")


def _plain(config: PreTrainedConfig) -> dict[str, Any]:
    """An architecture as JSON values, without where or by which version it was saved."""
    passing = ("_name_or_path", "transformers_version", "architectures", "dtype")
    return {key: value for key, value in config.to_dict().items() if key not in passing}


def _not_there(name: str, revision: str | None, error: Exception) -> FileNotFoundError:
    reason = next(iter(str(error).splitlines()), type(error).__name__)
    return FileNotFoundError(
        f"no language model {name} at revision {revision or 'main'}: expected a folder with config.json and "
        f"model.safetensors, or a hub id like openai-community/gpt2 that can be reached ({reason})"
    )
