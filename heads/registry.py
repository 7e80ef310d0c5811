"""All heads by name."""

from __future__ import annotations

from typing import Any

from ..configs.loader import build_config
from ..foundation.features import FeatureSpec
from .base import Head
from .detection import DetectionHead
from .picking import PickingHead

HEADS: dict[str, type[Head]] = {"picking": PickingHead, "detection": DetectionHead}
"""What a model can be asked; the name is also the key of its answer."""


def head_class(name: str) -> type[Head]:
    """The head of a name. Raises ValueError listing the known ones for another name."""
    if name not in HEADS:
        raise ValueError(f"unknown head {name!r}: the heads are {sorted(HEADS)}")
    return HEADS[name]


def head_config(name: str, settings: dict[str, Any]) -> Any:
    """A head's configuration from plain values; an unknown setting is an error."""
    return build_config(head_class(name).config_class, settings, source=f"head {name}")


def make_head(name: str, settings: dict[str, Any], spec: FeatureSpec) -> Head:
    """A head by name, with its settings as plain values, for an encoder with these features."""
    return head_class(name)(spec, head_config(name, settings))
