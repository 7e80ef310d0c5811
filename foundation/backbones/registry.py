"""All backbones by name: what can stand below the heads."""

from __future__ import annotations

from typing import Any

from ..contract import InputContract
from .base import Backbone, BackboneConfig
from .ditingmae import DiTingMAEConfig, DiTingMAEModel
from .eqt import EQTConfig, EQTModel
from .prime import PrimeConfig, PrimeModel
from .sar import SARConfig, SARModel
from .seislm import SeisLMConfig, SeisLMModel
from .seismic import SeismicConfig, SeismicModel
from .seismollm import SeisMoLLMConfig, SeisMoLLMModel
from .seist import SeisTConfig, SeisTModel
from .unet import UNetConfig, UNetModel

BACKBONES: dict[str, tuple[type[BackboneConfig], type[Backbone]]] = {
    "encoder": (SeismicConfig, SeismicModel),
    "ditingmae": (DiTingMAEConfig, DiTingMAEModel),
    "eqt": (EQTConfig, EQTModel),
    "prime": (PrimeConfig, PrimeModel),
    "sar": (SARConfig, SARModel),
    "seist": (SeisTConfig, SeisTModel),
    "seislm": (SeisLMConfig, SeisLMModel),
    "seismollm": (SeisMoLLMConfig, SeisMoLLMModel),
    "unet": (UNetConfig, UNetModel),
}
"""Configuration and model by the name that a run's `backbone` says."""


def backbone_config(
    name: str, size: str, contract: InputContract, architecture: dict[str, Any]
) -> BackboneConfig:
    """The configuration of a backbone in a named size, with changes to its architecture.

    Raises ValueError listing the known names, or sizes, for another one.
    """
    if name not in BACKBONES:
        raise ValueError(f"unknown backbone {name!r}: the backbones are {sorted(BACKBONES)}")
    return BACKBONES[name][0].of_size(size, contract, **architecture)


def is_backbone(settings: dict[str, Any]) -> bool:
    """Whether a `config.json` is that of a backbone alone, without heads."""
    return settings.get("model_type") in {kind.model_type for kind, _ in BACKBONES.values()}


def saved_backbone_config(settings: dict[str, Any]) -> BackboneConfig:
    """The configuration that a backbone's own `config.json` describes.

    Raises ValueError where its `model_type` is none of ours.
    """
    known: dict[str, type[BackboneConfig]] = {kind.model_type: kind for kind, _ in BACKBONES.values()}
    kind = settings.get("model_type")
    if kind not in known:
        raise ValueError(f"model_type must be one of {sorted(known)}, found {kind!r}")
    return known[kind](**settings)


def make_backbone(config: BackboneConfig) -> Backbone:
    """The model of a configuration, with random weights."""
    model_of = dict(BACKBONES.values())
    return model_of[type(config)](config)
