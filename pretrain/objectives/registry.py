"""All objectives by name."""

from __future__ import annotations

from typing import Any

from ...configs.loader import build_config
from ...foundation.backbones.base import Backbone
from .base import Objective
from .clip import WaveformMetadataContrast
from .data2vec import Data2Vec
from .mae import MaskedAutoencoder
from .supervised import Supervised
from .wav2vec2 import Wav2Vec2

OBJECTIVES: dict[str, type[Objective]] = {
    "mae": MaskedAutoencoder,
    "wav2vec2": Wav2Vec2,
    "data2vec": Data2Vec,
    "clip": WaveformMetadataContrast,
    "supervised": Supervised,
}
"""What a model can be pretrained with; a run's `objectives` names one or more."""


def objective_class(name: str) -> type[Objective]:
    """The objective of a name. Raises ValueError listing the known ones for another name."""
    if name not in OBJECTIVES:
        raise ValueError(f"unknown objective {name!r}: the objectives are {sorted(OBJECTIVES)}")
    return OBJECTIVES[name]


def objective_config(name: str, settings: dict[str, Any]) -> Any:
    """An objective's configuration from plain values; an unknown setting is an error."""
    return build_config(objective_class(name).config_class, settings, source=f"objective {name}")


def make_objective(name: str, settings: dict[str, Any], model: Backbone) -> Objective:
    """An objective by name, with its settings as plain values, for a model."""
    return objective_class(name)(model, objective_config(name, settings))
