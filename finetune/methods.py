"""What is trained: everything, the heads alone, or a small adapter inside of the encoder.

Where an adapter fits: on each linear layer of the encoder, whatever a library calls it, and on each plain
convolution (grouped and dilated ones have no low-rank twin in PEFT). The pooling is left out, as only some
heads ask it, and so is the stem, unless `adapt_stem` wants its convolutions.

An encoder that is not trained as a whole keeps its batch norms as they are in use: their running statistics
are no part of an adapter, and would otherwise drift away under frozen weights.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from peft import IA3Config, LoraConfig, PeftConfig, PeftModel, get_peft_model
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from transformers.pytorch_utils import Conv1D

from ..heads.adapters import quiet_peft
from ..heads.task_model import SeismicTaskModel

METHODS = ("full", "head", "lora", "dora", "ia3")

IA3_NAMES = (("key", "value", "down"), ("k_proj", "v_proj", "down_proj"))
"""(IA)³ scales keys, values, and what enters the last layer of the feed-forward (Liu et al. 2022).

Our own blocks' names, and those of language models.
"""

STEM = "encoder.stem."
POOLING = "encoder.pooling."


@dataclass(frozen=True, kw_only=True)
class MethodConfig:
    """How a model is fine-tuned.

    kind: full (every weight, but for those that the backbone itself keeps frozen), head (the encoder stays as
        it is), lora (Hu et al. 2021), dora (Liu et al. 2024) or ia3 (Liu et al. 2022). The heads are trained
        in any case.
    rank, alpha, dropout: of LoRA and DoRA; the update is scaled by alpha / rank.
    targets: layers that LoRA and DoRA adapt, by the last part of their names; None for all that can be.
    adapt_stem: adapt the stem's convolutions too, for recordings of another kind.
    """

    kind: str = "full"
    rank: int = 8
    alpha: float = 16.0
    dropout: float = 0.0
    targets: tuple[str, ...] | None = None
    adapt_stem: bool = False

    def __post_init__(self) -> None:
        if self.kind not in METHODS:
            raise ValueError(f"the method must be one of {METHODS}, found {self.kind!r}")
        if self.rank < 1 or not self.alpha > 0 or not 0 <= self.dropout < 1:
            raise ValueError(
                "rank must be at least 1, alpha positive and dropout in 0 to 1, "
                f"found {self.rank}, {self.alpha} and {self.dropout}"
            )
        if self.kind in ("lora", "dora") and self.targets == ():
            raise ValueError(f"{self.kind} needs targets: name layers, or leave them out to adapt all")
        if self.kind == "ia3" and self.adapt_stem:
            raise ValueError("ia3 adapts linear layers only: leave adapt_stem out, or use lora or dora")

    @property
    def is_adapter(self) -> bool:
        """Whether what is trained is saved as an adapter, apart from its base."""
        return self.kind not in ("full", "head")


@dataclass(frozen=True)
class TunableModel:
    """A model of which the right parts are trainable.

    model: what is called and trained. With an adapter, that adapter's layers are inside of it.
    peft: PEFT's view of the same model, to save or merge the adapter; None without one.
    """

    model: SeismicTaskModel
    peft: PeftModel | None
    method: MethodConfig

    @property
    def num_trainable(self) -> int:
        """Parameters that are trained, those of the heads included."""
        return sum(p.numel() for p in self.model.parameters() if p.requires_grad)

    @property
    def num_parameters(self) -> int:
        """All parameters that answer a question: a head that an adapter has replaced counts once."""
        replaced = sum(p.numel() for name, p in self.model.named_parameters() if ".original_module." in name)
        return sum(p.numel() for p in self.model.parameters()) - replaced


def apply_method(model: SeismicTaskModel, config: MethodConfig) -> TunableModel:
    """Make the right parts of a model trainable, in place.

    Raises ValueError where a target names no layer (PEFT would adapt the others and say nothing), and for an
    adapter on a model that already has one inside.
    """
    if config.is_adapter:
        _check_room(model)
        with quiet_peft():
            peft = get_peft_model(model, _peft_config(model, config))
        _hold_batch_norms(model.encoder)
        return TunableModel(model, peft, config)
    model.requires_grad_(True)
    model.encoder.requires_grad_(config.kind == "full")
    for parameter in model.encoder.frozen_parameters():
        parameter.requires_grad_(False)
    if config.kind == "head":
        _hold_batch_norms(model.encoder)
    return TunableModel(model, None, config)


def _peft_config(model: SeismicTaskModel, config: MethodConfig) -> PeftConfig:
    heads = [f"heads.{name}" for name in model.heads]
    if config.kind == "ia3":
        names = _ia3_names(model)
        return IA3Config(
            target_modules=_target_pattern(model, names, stem=False),
            feedforward_modules=_target_pattern(model, names[-1:], stem=False),
            modules_to_save=heads,
        )
    return LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,  # type: ignore[arg-type]  # PEFT divides it by the rank
        lora_dropout=config.dropout,
        use_dora=config.kind == "dora",
        target_modules=_target_pattern(model, config.targets, stem=config.adapt_stem),
        modules_to_save=heads,
    )


def _adaptable_layers(model: nn.Module) -> dict[str, nn.Module]:
    """The encoder's layers that an adapter fits on, by their whole names."""
    return {
        name: layer
        for name, layer in model.named_modules()
        if name.startswith("encoder.") and not name.startswith(POOLING) and _is_adaptable(layer)
    }


def _is_adaptable(layer: nn.Module) -> bool:
    if isinstance(layer, nn.Conv1d):
        return layer.groups == 1 and layer.dilation == (1,)
    return isinstance(layer, nn.Linear | Conv1D)


def _target_pattern(model: nn.Module, names: tuple[str, ...] | None, stem: bool) -> str:
    """A pattern of whole module names, each part of which is sure to match, as is each of `names`.

    Bare names would not do: the pooling and the heads have layers called `key` or `out` as well.
    """
    layers = _adaptable_layers(model)
    inside = {name: name.rpartition(".")[2] for name in layers if not name.startswith(STEM)}
    known = sorted(set(inside.values()))
    lost = [name for name in names or () if name not in known]
    if lost:
        raise ValueError(f"the targets {lost} name no layer of the encoder: its layers are {known}")
    chosen = [name for name, own in inside.items() if names is None or own in names]
    if stem:
        chosen += _stem_convolutions(layers)
    if not chosen:
        raise ValueError("this encoder has no layer that an adapter fits on: use the method full or head")
    return "|".join(re.escape(name) for name in chosen)


def _stem_convolutions(layers: dict[str, nn.Module]) -> list[str]:
    found = [name for name, layer in layers.items() if name.startswith(STEM) and isinstance(layer, nn.Conv1d)]
    if not found:
        raise ValueError("adapt_stem wants a stem of convolutions, and this encoder has none: leave it out")
    return found


def _ia3_names(model: nn.Module) -> tuple[str, ...]:
    known = {name.rpartition(".")[2] for name in _adaptable_layers(model)}
    for names in IA3_NAMES:
        if known.issuperset(names):
            return names
    raise ValueError(
        f"ia3 finds keys, values and feed-forward layers by name, {IA3_NAMES[0]} or {IA3_NAMES[1]}, and this "
        f"encoder's layers are {sorted(known)}: use lora"
    )


def _check_room(model: nn.Module) -> None:
    """Raise ValueError where an adapter is inside already: PEFT would switch it off and say nothing."""
    if any(isinstance(layer, BaseTunerLayer) for layer in model.modules()):
        raise ValueError(
            "the model already has an adapter inside, and adapters do not stack: use the method full, which "
            "trains a language model's own LoRA and leaves the weights below it as they are; or fold it into "
            "the weights first, by the backbone's `folded()` or by `merge_adapter`"
        )


def _hold_batch_norms(encoder: nn.Module) -> None:
    for module in encoder.modules():
        if isinstance(module, _BatchNorm):
            module.register_forward_pre_hook(_as_in_use)


def _as_in_use(module: nn.Module, inputs: object) -> None:
    module.eval()
