"""What a record's metadata tell of the instrument behind each row of a window."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from ..batch import COMPONENT_SLOTS
from .orientation import zne_matrix
from .response import ResponseError, ResponseKey, response_key

ZNE = ("Z", "N", "E")

EQUAL_SENSITIVITY = 0.01
"""Counts of components whose sensitivities differ by no more than this may be mixed."""


class MissingMetadataError(ValueError):
    """A record's metadata do not suffice for what is asked, and why."""


def component_sources(metadata: Mapping[str, Any], component_names: Sequence[str]) -> tuple[int, ...]:
    """Which component of the record each row of the batch is, −1 for a row that the record lacks.

    Raises ValueError where the metadata lack `component_names`.
    """
    names = metadata.get("component_names")
    if names is None:
        raise ValueError(
            "a window's metadata must hold the record's component_names, to which its lists belong"
        )
    slots = [COMPONENT_SLOTS[name] for name in names]
    return tuple(slots.index(name) if name in slots else -1 for name in component_names)


def sensitivities(
    metadata: Mapping[str, Any], sources: Sequence[int], unit: str
) -> tuple[str, tuple[float, ...]]:
    """Unit of ground motion, and counts per unit of each row (1 for a row that the record lacks).

    Raises MissingMetadataError where the samples are no counts, or their sensitivity is not told.
    """
    if unit != "counts" and metadata.get("trace_response_state") != "raw":
        raise MissingMetadataError(f"samples in {unit} are not known to be raw counts")
    measured = metadata.get("trace_sensitivity_unit")
    if measured not in ("m/s", "m/s**2"):
        raise MissingMetadataError(f"trace_sensitivity_unit is {measured or 'not told'}")
    gain = _listed(metadata, "trace_sensitivity", sources, absent=1.0)
    if any(math.isnan(value) or value == 0.0 for value in gain):
        raise MissingMetadataError("trace_sensitivity is not told for every component")
    return measured, gain


def instrument_response(metadata: Mapping[str, Any], measured: str) -> ResponseKey:
    """The record's poles and zeros, for samples in the unit `measured`.

    Raises MissingMetadataError where they are not told or belong to another unit.
    """
    response = metadata.get("trace_response")
    if response is None:
        raise MissingMetadataError("trace_response is not told")
    try:
        key = response_key(response)
    except ResponseError as error:
        raise MissingMetadataError(str(error)) from error
    if key[0] != measured:
        raise MissingMetadataError(f"trace_response is one to {key[0]}, the samples are in {measured}")
    return key


def orientation(metadata: Mapping[str, Any], component_names: Sequence[str]) -> Tensor:
    """What turns Z, N and E rows of a window into motion up, north and east: float64 `(3, 3)`.

    A row that the record or the batch lacks is taken to be perpendicular to the others.

    Raises MissingMetadataError where azimuth or dip are not told, or the components do not span the space.
    """
    sources = [
        source if name in component_names else -1
        for name, source in zip(ZNE, component_sources(metadata, ZNE), strict=True)
    ]
    dips = _listed(metadata, "trace_component_dip_deg", sources, absent=math.inf)
    azimuths = _listed(metadata, "trace_component_azimuth_deg", sources, absent=math.inf)
    # A vertical component has no azimuth.
    azimuths = tuple(
        0.0 if abs(dip) == 90.0 else azimuth for azimuth, dip in zip(azimuths, dips, strict=True)
    )
    if any(map(math.isnan, (*azimuths, *dips))):
        raise MissingMetadataError("azimuth and dip are not told for every component")
    matrix = _matrix(azimuths, dips)
    if bool(matrix.isnan().any()):
        raise MissingMetadataError(
            f"components with azimuths {azimuths} and dips {dips} do not span the space"
        )
    return matrix


def check_mixable(metadata: Mapping[str, Any], matrix: Tensor) -> None:
    """Raises MissingMetadataError where `matrix` mixes counts of components that differ in sensitivity."""
    gain = metadata.get("trace_sensitivity")
    if gain is None or not bool((torch.count_nonzero(matrix, dim=-1) > 1).any()):
        return
    known = [abs(value) for value in gain if value is not None and not math.isnan(value)]
    if known and max(known) > (1 + EQUAL_SENSITIVITY) * min(known):
        raise MissingMetadataError(
            "counts of components that differ in sensitivity cannot be rotated: remove the sensitivity first"
        )


@lru_cache(maxsize=4096)
def _matrix(azimuths: tuple[float, ...], dips: tuple[float, ...]) -> Tensor:
    # Infinity has no direction; unlike NaN it can be looked up.
    return zne_matrix(torch.tensor([azimuths]), torch.tensor([dips]))[0]


def _listed(
    metadata: Mapping[str, Any], key: str, sources: Sequence[int], absent: float
) -> tuple[float, ...]:
    """A list of the metadata at each row: `absent` where the record lacks the row, NaN where untold."""
    values = metadata.get(key)
    if values is None:
        values = [None] * len(metadata["component_names"])
    if len(values) != len(metadata["component_names"]):
        raise ValueError(
            f"{key} must have one entry for each of the components {tuple(metadata['component_names'])}, "
            f"found {list(values)}"
        )
    listed = (absent if source < 0 else values[source] for source in sources)
    return tuple(math.nan if value is None else float(value) for value in listed)
