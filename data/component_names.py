"""Which direction of motion and which instrument a channel code means."""

from __future__ import annotations

import re

_JAPANESE = re.compile(r"(UD|NS|EW)(\d?)$")
"""K-NET, and KiK-net with 1 in the borehole and 2 at the surface."""

_DIRECTION = {"UD": "Z", "NS": "N", "EW": "E"}

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
