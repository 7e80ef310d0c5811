"""SeisMoLLM: a language model's blocks between a multi-scale convolution stem and the heads.

After Wang et al. 2025 (arXiv 2502.19960): four stages of parallel convolutions to 1/8 of the rate, eight of
those features to a token, the first three blocks of GPT-2 small, tuned by LoRA. What differs, and why: a
window is padded to whole tokens and never stretched; a component without data has a learned value instead of
zero; attention skips what has no data; the published way back (token to 96 channels of eight features,
interpolated and convolved) is the heads' decoder's, which spreads each token over its samples. Our source
leaves open how wide the parallel convolutions are: each has the stage's output width here, which agrees with
the published number of trained parameters (tests/foundation/test_seismollm.py).

The switches are the ablation that nobody has published: pretrained or random blocks, causal or bidirectional,
LoRA, frozen or full.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import Any, ClassVar, Self

import torch
from einops import rearrange
from huggingface_hub.dataclasses import strict
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PreTrainedConfig
from transformers import initialization as init

from ..contract import InputContract
from ..features import FeatureSpec, GainPooling
from ..token_grid import TokenGrid
from .base import BackboneConfig, TokenBackbone
from .language_model import (
    ATTENTIONS,
    TUNINGS,
    add_lora,
    first_blocks,
    frozen_parameters,
    gpt2_small,
    is_lora,
    known_architecture,
    look_mask,
    pretrained_language_model,
    random_language_model,
)
from .multiscale_stem import KERNELS, STRIDES, MultiScaleStem

PATCH = 8
"""Features of the stem in one token."""

TOKEN_SAMPLES = math.prod(STRIDES) * PATCH
WEIGHTS = ("pretrained", "random", "own")

SEISMOLLM_SIZES: dict[str, dict[str, Any]] = {"published": {}}


@strict
class SeisMoLLMConfig(BackboneConfig):
    """Architecture and input contract of a network around a language model.

    language_model, language_model_revision: folder or hub id of the language model, read when a new model is
        made and never again: a saved one has its weights and its architecture.
    language_model_config: that architecture, with `model_type`; filled in from `language_model`, and of GPT-2
        small where neither is given.
    num_blocks: how many blocks are kept, from the first on.
    weights: where those of the blocks come from: pretrained (of `language_model`, the default with one) or
        random (the default without). A saved model says `own`: they are among its own.
    attention: causal, as language models learn it, or bidirectional: a P can see its S.
    tuning: lora (an adapter, norms and positions), frozen or full: what of the blocks is trained, in
        pretraining and in fine-tuning with method full.
    lora_rank, lora_alpha, lora_dropout: of LoRA, whose update is scaled by alpha / rank.
    stem_channels: of the stem's four stages.
    skips: give heads the stem's features at half and quarter rate, past the language model. The published
        network does not.
    """

    model_type = "seisfm_seismollm"
    sizes: ClassVar[dict[str, dict[str, Any]]] = SEISMOLLM_SIZES

    language_model: str | None = None
    language_model_revision: str | None = None
    language_model_config: dict | None = None
    num_blocks: int = 3
    weights: str | None = None
    attention: str = "causal"
    tuning: str = "lora"
    lora_rank: int = 16
    lora_alpha: float = 16.0
    lora_dropout: float = 0.1
    stem_channels: list[int] | tuple[int, ...] = (16, 48, 96, 96)
    skips: bool = False

    @classmethod
    def of_size(cls, size: str, contract: InputContract, **changes: Any) -> Self:
        """See `BackboneConfig.of_size`. Raises ValueError for weights that only a saved model has."""
        if changes.get("weights") == "own":
            raise ValueError("a new model has no weights of its own yet: choose pretrained or random")
        return super().of_size(size, contract, **changes)

    def __post_init__(self, **kwargs: Any) -> None:
        """Fill in the language model's architecture.

        Raises ValueError for settings that cannot be, FileNotFoundError without the language model.
        """
        if self.weights is None:
            self.weights = "random" if self.language_model is None else "pretrained"
        self._check()
        if self.language_model_config is None:
            name, revision = self.language_model, self.language_model_revision
            self.language_model_config = gpt2_small() if name is None else known_architecture(name, revision)
        self.blocks_config()
        super().__post_init__(**kwargs)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values, for a model that is saved: it brings the language model's weights along."""
        settings = super().to_dict()
        return settings | ({"weights": "own"} if settings["weights"] == "pretrained" else {})

    def _check(self) -> None:
        named = (("weights", WEIGHTS), ("attention", ATTENTIONS), ("tuning", TUNINGS))
        for name, known in named:
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {known}, found {getattr(self, name)!r}")
        if self.weights == "pretrained" and self.language_model is None:
            raise ValueError(
                "pretrained weights need a language_model, folder or hub id: name it, or use random"
            )
        if self.lora_rank < 1 or not self.lora_alpha > 0 or not 0 <= self.lora_dropout < 1:
            raise ValueError(
                "lora_rank must be at least 1, lora_alpha positive and lora_dropout in 0 to 1, "
                f"found {self.lora_rank}, {self.lora_alpha} and {self.lora_dropout}"
            )
        if len(self.stem_channels) != len(KERNELS) or min(self.stem_channels) < 1:
            raise ValueError(
                f"stem_channels must be a positive number for each of {len(KERNELS)} stages, "
                f"found {list(self.stem_channels)}"
            )

    def blocks_config(self) -> PreTrainedConfig:
        """The configuration of the language model's blocks, for transformers."""
        return first_blocks(self.language_model_config or {}, self.num_blocks)


class SeisMoLLMModel(TokenBackbone):
    """The multi-scale stem, latent patching, and a language model's first blocks with their final norm.

    What `tuning` keeps frozen is so from the start. transformers' own `from_pretrained` makes everything
    trainable: whoever trains what comes from there freezes `frozen_parameters` again, as fine-tuning does.
    """

    config: SeisMoLLMConfig
    config_class = SeisMoLLMConfig
    drops_hidden = True
    supports_gradient_checkpointing = True
    _supports_sdpa = True

    def __init__(self, config: SeisMoLLMConfig) -> None:
        super().__init__(config)
        blocks = config.blocks_config()
        self._check_positions(blocks)
        channels, dim = tuple(config.stem_channels), blocks.hidden_size
        self.stem = MultiScaleStem(len(self.contract.components), channels)
        patch_dim = channels[-1] * PATCH
        self.patch = nn.Identity() if patch_dim == dim else nn.Linear(patch_dim, dim)
        self.language_model = self._make_language_model(blocks)
        if config.tuning == "lora":
            add_lora(self.language_model, config.lora_rank, config.lora_alpha, config.lora_dropout)
        # PEFT has frozen more than is wanted.
        self.language_model.requires_grad_(True)
        for parameter in self.frozen_parameters():
            parameter.requires_grad_(False)
        self.pooling = GainPooling(dim)
        self.post_init()

    def _make_language_model(self, blocks: PreTrainedConfig) -> Any:
        config = self.config
        # On no device at all, a saved model is about to be loaded, which brings its weights along.
        if config.weights != "pretrained" or torch.get_default_device().type == "meta":
            return random_language_model(blocks)
        assert config.language_model is not None, "SeisMoLLMConfig asks for it"
        return pretrained_language_model(blocks, config.language_model, config.language_model_revision)

    def _check_positions(self, blocks: PreTrainedConfig) -> None:
        known, longest_s = getattr(blocks, "max_position_embeddings", None), self.contract.window_s.max
        # The contract lets windows be longer by a hundredth.
        needed = math.ceil(1.01 * longest_s * self.contract.model_rate_hz / TOKEN_SAMPLES)
        if known is not None and needed > known:
            raise ValueError(
                f"the language model knows {known} positions, but windows of {longest_s:g} s have {needed} "
                "tokens: lower the contract's window_s.max or model_rate_hz, or take another language model"
            )

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, MultiScaleStem):
            init.normal_(module.missing, std=self.config.initializer_range)

    @property
    def feature_spec(self) -> FeatureSpec:
        """What a head needs to know."""
        half, quarter = self.config.stem_channels[:2]
        return FeatureSpec(
            dim=self.pooling.query.shape[0],
            token_samples=TOKEN_SAMPLES,
            skip_channels=(half, quarter) if self.config.skips else (),
            skip_strides=(2, 4) if self.config.skips else (),
            rate_hz=self.contract.model_rate_hz,
            components=self.contract.components,
        )

    def frozen_parameters(self) -> Iterator[nn.Parameter]:
        """The language model's weights that `tuning` leaves as they are."""
        return frozen_parameters(self.language_model, self.config.tuning)

    def embed(self, grid: TokenGrid) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The stem's features, eight to a token, each channel's together."""
        levels = self.stem(grid.waveform, grid.observed)
        tokens = rearrange(
            levels[-1],
            "window channel (token feature) -> window token (channel feature)",
            feature=PATCH,
        )
        return self.patch(tokens), tuple(levels[:2]) if self.config.skips else ()

    def contextualize(self, tokens: Tensor, token_time_s: Tensor, observed: Tensor) -> Tensor:
        """The language model's last hidden states, its final norm included.

        A token's position is that of its time, also where others were dropped.
        """
        position = (token_time_s * (self.contract.model_rate_hz / TOKEN_SAMPLES)).long()
        mask = look_mask(observed, causal=self.config.attention == "causal")
        answer = self.language_model(
            inputs_embeds=tokens, attention_mask=mask, position_ids=position, use_cache=False
        )
        return answer.last_hidden_state

    def folded(self) -> SeisMoLLMModel:
        """The same network, to rounding, with its adapter folded into the language model, which is frozen.

        An adapter of fine-tuning finds room on it. Raises ValueError without an adapter.
        """
        if self.config.tuning != "lora":
            raise ValueError(f"tuning {self.config.tuning} has no adapter: there is nothing to fold")
        twin = copy.deepcopy(self)
        for layer in twin.modules():
            if isinstance(layer, BaseTunerLayer):
                layer.merge()
        weights = {
            name.replace(".base_layer.", "."): tensor
            for name, tensor in twin.state_dict().items()
            if not is_lora(name)
        }
        with torch.device("meta"):
            folded = SeisMoLLMModel(SeisMoLLMConfig(**self.config.to_dict() | {"tuning": "frozen"}))
        folded.load_state_dict(weights, assign=True)
        return folded.train(self.training)


AutoConfig.register("seisfm_seismollm", SeisMoLLMConfig)
AutoModel.register(SeisMoLLMConfig, SeisMoLLMModel)
