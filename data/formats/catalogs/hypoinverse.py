"""HypoInverse's files: Y2000 archives and summaries (fixed columns), and its printed list of events.

Columns after Klein (2002, USGS Open-File Report 02-171) and the summary format that the SCEDC documents.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from .columns import ONSET_OF, POLARITY_OF, event_table, pick_table

logger = logging.getLogger(__name__)

_HEADER = re.compile(r"(19|20)\d{10}[ \d.]{4}[ \d]{2}[ SsNn][ \d.]{4}[ \d]{3}[ EeWw]")
_LISTED = re.compile(
    r"((?:19|20)\d\d)/(\d\d)/(\d\d)\s+(\d\d):(\d\d)\s+([\d.]+)\s+([-\d.]+)\s+([-\d.]+)\s+([-\d.]+)"
)
_LIST_HEADER = re.compile(r"\s*DATE\s+TIME\s+SEC\s+LAT\s+LON\s+DEPTH")
_LISTED_MAGNITUDE = re.compile(r"(-?\d+\.\d+) (M\w*)\s*$")

# Station, network, component, remarks, first motion, weight, and the minute. Some networks write the weight
# as ".6", which moves all that follows by one column.
_STATION = re.compile(
    r"(?P<station>.{5})(?P<network>.{2}) .(?P<channel>.{3}) (?P<p_remark>..)(?P<motion>.)"
    r"(?P<p_weight>\.\d|.)(?P<minute>\d{12})(?P<rest>.*)"
)
_NO_WEIGHT = 4

# Letters of magnitudes: duration, local, moment. Of the others only the network knows what they mean.
_MAGNITUDE_OF = {"D": "Md", "F": "Md", "L": "ML", "W": "Mw"}


def is_hypoinverse(file: Path) -> bool:
    """Whether a file begins like one of HypoInverse's."""
    with file.open(encoding="latin-1") as opened:
        first = next((line for line in opened if line.strip()), "")
    return bool(_HEADER.match(first) or _LIST_HEADER.match(first))


def hypoinverse_picks(file: Path) -> pd.DataFrame:
    """The picks of a Y2000 archive with `PICK_COLUMNS`.

    A pick of weight code 4 or more, which took no part in the location, counts as rejected. What the weights
    mean in seconds is each network's own affair, so the uncertainty stays unknown. Shadow lines ($) are
    passed over.

    Raises ValueError where the file is a list of events without picks, or a line is no line of an archive.
    """
    lines = _lines(file)
    if not any(_HEADER.match(line) for _, line in lines):
        raise ValueError(
            f"{file} holds no Y2000 archive of HypoInverse (.arc): a list of events has no picks"
        )
    rows: list[dict[str, Any]] = []
    event_id = ""
    for number, line in lines:
        if _HEADER.match(line):
            event_id = _header_row(line, file, number)["event_id"]
        elif line.startswith("$") or not line[:5].strip():
            continue  # a shadow line, or the line that ends an event
        else:
            rows.extend(row | {"event_id": event_id} for row in _station_rows(line, file, number))
    return pick_table(rows, file)


def hypoinverse_events(file: Path) -> pd.DataFrame:
    """The events of a Y2000 archive or summary, or of HypoInverse's printed list, with `EVENT_COLUMNS`.

    An event without a number is called by its origin time.
    """
    rows = []
    for number, line in _lines(file):
        if _HEADER.match(line):
            rows.append(_header_row(line, file, number))
        elif listed := _LISTED.match(line):
            rows.append(_listed_row(listed, line))
    return event_table(rows)


def _lines(file: Path) -> list[tuple[int, str]]:
    with file.open(encoding="latin-1") as opened:
        return [(number, line.rstrip("\r\n")) for number, line in enumerate(opened, 1) if line.strip()]


def _header_row(line: str, file: Path, number: int) -> dict[str, Any]:
    try:
        time = _minute_s(line[:12]) + (_number(line[12:16], 2) or 0.0)
        latitude = float(line[16:18]) + (_number(line[19:23], 2) or 0.0) / 60.0
        longitude = float(line[23:26]) + (_number(line[27:31], 2) or 0.0) / 60.0
        magnitudes = _magnitudes(line)
        depth_km = _number(line[31:36], 2)
    except ValueError as error:
        raise ValueError(f"{file}, line {number} is no Y2000 header: {error}") from error
    return {
        "event_id": line[136:146].strip() or _name_of_time(time),
        "time": time,
        "latitude_deg": -latitude if line[18:19] in "Ss" else latitude,
        # The format was made in California: west is positive and goes without saying.
        "longitude_deg": longitude if line[26:27] in "Ee" else -longitude,
        "depth_km": depth_km,
        "magnitude": magnitudes[0]["value"] if magnitudes else None,
        "magnitude_type": magnitudes[0]["type"] if magnitudes else None,
        "magnitudes": magnitudes,
    }


def _magnitudes(line: str) -> list[dict[str, Any]]:
    """The preferred magnitude, and those of amplitude, duration and others that differ from it."""
    found = []
    # Where the number stands, and where the letter of its type.
    for first, letter in ((147, 146), (36, 121), (70, 117), (123, 122), (130, 129)):
        value = _number(line[first : first + 3], 2)
        if value:
            kind = _MAGNITUDE_OF.get(line[letter : letter + 1].upper())
            found.append({"value": value, "type": kind, "author": None, "uncertainty": None})
    return [one for i, one in enumerate(found) if one not in found[:i]]


def _listed_row(listed: re.Match[str], line: str) -> dict[str, Any]:
    year, month, day, hour, minute = (int(part) for part in listed.groups()[:5])
    time = datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp() + float(listed[6])
    magnitude = _LISTED_MAGNITUDE.search(line)
    return {
        "event_id": _name_of_time(time),
        "time": time,
        "latitude_deg": float(listed[7]),
        "longitude_deg": float(listed[8]),
        "depth_km": float(listed[9]),
        "magnitude": float(magnitude[1]) if magnitude else None,
        "magnitude_type": magnitude[2] if magnitude else None,
        "magnitudes": [
            {"value": float(one[1]), "type": one[2], "author": None, "uncertainty": None}
            for one in ([magnitude] if magnitude else [])
        ],
    }


def _station_rows(line: str, file: Path, number: int) -> Iterator[dict[str, Any]]:
    """The P and the S of one line."""
    found = _STATION.match(line)
    if found is None:
        raise ValueError(f"{file}, line {number} is no line of a Y2000 archive: {line[:60]!r}")
    rest = found["rest"]
    parts = (
        ("P", found["p_remark"], found["p_weight"], found["motion"], rest[:5]),
        ("S", rest[17:19], rest[20:21], " ", rest[12:17]),
    )
    for phase, remark, weight, motion, seconds in parts:
        value = _number(seconds, 2)
        if phase in remark.upper() and value is not None:
            location = rest[82:84].strip()
            yield {
                "station_id": f"{found['network'].strip()}.{found['station'].strip()}.{location}",
                "phase": phase,
                "time": _minute_s(found["minute"]) + value,
                "polarity": POLARITY_OF.get(motion.lower(), ""),
                "evaluation": "rejected" if weight.isdigit() and int(weight) >= _NO_WEIGHT else "unknown",
                "onset": ONSET_OF.get(remark[:1].lower(), ""),
            }


def _minute_s(digits: str) -> float:
    return datetime.strptime(digits, "%Y%m%d%H%M").replace(tzinfo=UTC).timestamp()


def _number(text: str, decimals: int) -> float | None:
    """A Fortran field: without a point, the last digits are decimals; None where it is empty."""
    plain = text.strip()
    if not plain:
        return None
    return float(plain) if "." in plain else int(plain) / 10.0**decimals


def _name_of_time(time: float) -> str:
    return f"{datetime.fromtimestamp(round(time, 2), UTC):%Y%m%dT%H%M%S.%f}"[:-4]
