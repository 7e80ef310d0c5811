"""All heads by name."""

from __future__ import annotations

from typing import Any

from ..configs.loader import build_config
from ..foundation.features import FeatureSpec
from .back_azimuth import BackAzimuthHead
from .base import Head
from .calibration import Calibration
from .depth import DepthHead
from .detection import DetectionHead
from .distance import DistanceHead
from .event_type import EventTypeHead
from .magnitude import MagnitudeHead
from .origin import OriginHead
from .picking import PickingHead
from .polarity import PolarityHead

HEADS: dict[str, type[Head]] = {
    "picking": PickingHead,
    "detection": DetectionHead,
    "polarity": PolarityHead,
    "event_type": EventTypeHead,
    "magnitude": MagnitudeHead,
    "distance": DistanceHead,
    "back_azimuth": BackAzimuthHead,
    "depth": DepthHead,
    "origin": OriginHead,
}
"""What a model can be asked; the name is also the key of its answer."""


def head_class(name: str) -> type[Head]:
    """The head of a name. Raises ValueError listing the known ones for another name."""
    if name not in HEADS:
        raise ValueError(f"unknown head {name!r}: the heads are {sorted(HEADS)}")
    return HEADS[name]


def head_config(name: str, settings: dict[str, Any]) -> Any:
    """A head's configuration from plain values; an unknown setting is an error."""
    return build_config(head_class(name).config_class, settings, source=f"head {name}")


def head_calibration(name: str, settings: dict[str, Any]) -> Calibration:
    """A head's calibration from plain values; an unknown setting is an error."""
    return build_config(head_class(name).calibration_class, settings, source=f"calibration of {name}")


def make_head(name: str, settings: dict[str, Any], spec: FeatureSpec) -> Head:
    """A head by name, with its settings as plain values, for an encoder with these features."""
    return head_class(name)(spec, head_config(name, settings))
