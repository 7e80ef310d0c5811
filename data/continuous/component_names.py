"""Which direction of motion and which instrument a channel code means."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import torch
from scipy.optimize import linear_sum_assignment

from ..batch import COMPONENT_SLOTS
from ..instruments.orientation import motion_axes

Axis = tuple[float, float]
"""Azimuth and dip of a component in degrees, SEED: clockwise from north, and −90 for up."""

_JAPANESE = re.compile(r"(UD|NS|EW)(\d?)$")
"""K-NET, and KiK-net with 1 in the borehole and 2 at the surface."""

_DIRECTION = {"UD": "Z", "NS": "N", "EW": "E"}

_UNORIENTED = ("3", "1", "2")
"""Names for components near up, north and east."""

_BANDS = {"broadband": frozenset("FCHBMLVUR"), "short_period": frozenset("GDES")}


def split_channel(channel: str) -> tuple[str, str]:
    """Instrument and component of a channel code: HHZ is ("HH", "Z"), NS2 of KiK-net ("2", "N").

    The component is the code's last letter (SEED manual, appendix A), except for the UD, NS and EW of the
    Japanese networks. It need not be one that a record can have.
    """
    code = channel.strip().upper().replace("-", "")
    if match := _JAPANESE.match(code):
        return match[2], _DIRECTION[match[1]]
    return code[:-1], code[-1:]


def instrument_of_channel(channel: str) -> str | None:
    """broadband, short_period, strong_motion, geophone or hydrophone by a SEED channel code, else None.

    Band codes tell whether a seismometer's corner is longer than 10 s (SEED manual, appendix A).
    """
    code = channel.upper()
    if len(code) != 3:
        return None
    band, instrument, component = tuple(code)
    if instrument in "HL":
        return next((kind for kind, letters in _BANDS.items() if band in letters), None)
    if instrument == "D":
        return "hydrophone" if component == "H" else None
    return {"N": "strong_motion", "P": "geophone"}.get(instrument)


def name_components(axes: Mapping[str, Axis | None]) -> dict[str, str]:
    """The component of each channel of one instrument that has one, by channel code.

    axes: azimuth and dip in degrees (SEED) by channel code, None where unknown. A letter that is no component
        (X, Y, A, V …) is named 1, 2 or 3, for the slot of N, E or Z, by where it points; without its azimuth
        and dip it has no name. U means up, but beside V and W the first of three inclined axes.
    """
    letters = {channel: split_channel(channel)[1] for channel in axes}
    inclined = set(letters.values()) & {"V", "W"}
    names = {
        channel: letter
        for channel, letter in letters.items()
        if letter in COMPONENT_SLOTS and not (letter == "U" and inclined)
    }
    taken = {COMPONENT_SLOTS[name] for name in names.values()}
    free = [name for name in _UNORIENTED if COMPONENT_SLOTS[name] not in taken]
    unnamed = {
        channel: axis for channel, axis in axes.items() if channel not in names and _known(axis) is not None
    }
    if free and unnamed:
        azimuths, dips = torch.tensor(list(unnamed.values()), dtype=torch.float64).T
        likeness = motion_axes(azimuths, dips)[:, [_UNORIENTED.index(name) for name in free]].abs()
        for row, column in zip(*linear_sum_assignment(-likeness.numpy()), strict=True):
            names[list(unnamed)[row]] = free[column]
    return names


def _known(axis: Axis | None) -> Axis | None:
    return None if axis is None or any(map(math.isnan, axis)) else axis
