"""What is trained: everything, the heads alone, or a small adapter inside of the encoder."""

from __future__ import annotations

import re
from dataclasses import dataclass

from peft import IA3Config, LoraConfig, PeftConfig, PeftModel, get_peft_model
from torch import nn

from ..foundation.encoder import LINEAR_NAMES
from ..heads.adapters import quiet_peft
from ..heads.task_model import SeismicTaskModel

METHODS = ("full", "head", "lora", "dora", "ia3")

IA3_NAMES = ("key", "value", "down")
"""(IA)³ scales keys, values, and what enters the last layer of the feed-forward (Liu et al. 2022)."""

BLOCKS = r"encoder\.encoder\.layers\.\d+\.\w+"
STEM_CONVOLUTIONS = r"encoder\.stem\.(?:\w+\.)?(?:full_rate|half_rate|quarter_rate|conv|mix)"


@dataclass(frozen=True, kw_only=True)
class MethodConfig:
    """How a model is fine-tuned.

    kind: full (every weight), head (the encoder stays as it is), lora (Hu et al. 2021), dora (Liu et al.
        2024) or ia3 (Liu et al. 2022). The heads are trained in any case.
    rank, alpha, dropout: of LoRA and DoRA; the update is scaled by alpha / rank.
    targets: linear layers that LoRA and DoRA adapt, by name, in every block.
    adapt_stem: adapt the stem's convolutions too, for recordings of another kind.
    """

    kind: str = "full"
    rank: int = 8
    alpha: float = 16.0
    dropout: float = 0.0
    targets: tuple[str, ...] = LINEAR_NAMES
    adapt_stem: bool = False

    def __post_init__(self) -> None:
        if self.kind not in METHODS:
            raise ValueError(f"the method must be one of {METHODS}, found {self.kind!r}")
        if self.rank < 1 or not self.alpha > 0 or not 0 <= self.dropout < 1:
            raise ValueError(
                "rank must be at least 1, alpha positive and dropout in 0 to 1, "
                f"found {self.rank}, {self.alpha} and {self.dropout}"
            )
        if self.kind in ("lora", "dora") and not self.targets:
            raise ValueError(f"{self.kind} needs targets: some of {LINEAR_NAMES}")
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

    Raises ValueError where a target names no layer: PEFT would adapt the others and say nothing.
    """
    if config.is_adapter:
        with quiet_peft():
            peft = get_peft_model(model, _peft_config(model, config))
        return TunableModel(model, peft, config)
    model.requires_grad_(True)
    model.encoder.requires_grad_(config.kind == "full")
    return TunableModel(model, None, config)


def _peft_config(model: SeismicTaskModel, config: MethodConfig) -> PeftConfig:
    heads = [f"heads.{name}" for name in model.heads]
    if config.kind == "ia3":
        return IA3Config(
            target_modules=_target_pattern(model, IA3_NAMES, stem=False),
            feedforward_modules=_target_pattern(model, IA3_NAMES[-1:], stem=False),
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


def _target_pattern(model: nn.Module, names: tuple[str, ...], stem: bool) -> str:
    """A pattern of whole module names, each part of which is sure to match.

    Bare names would not do: the pooling and the heads have layers called `key` or `out` as well.
    """
    patterns = {name: rf"{BLOCKS}\.{re.escape(name)}" for name in names}
    if stem:
        patterns["the stem's convolutions"] = STEM_CONVOLUTIONS
    modules = [name for name, layer in model.named_modules() if isinstance(layer, nn.Linear | nn.Conv1d)]
    lost = [name for name, pattern in patterns.items() if not any(re.fullmatch(pattern, m) for m in modules)]
    if lost:
        raise ValueError(f"the targets {lost} name no layer of the encoder: its layers are {LINEAR_NAMES}")
    return "|".join(patterns.values())
