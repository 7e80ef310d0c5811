"""What shook the ground: one short list of classes, and how each catalog and data set calls them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from .records import Skipped

EVENT_TYPES = (
    "earthquake",
    "quarry_blast",
    "explosion",
    "collapse",
    "surface_event",
    "volcano_tectonic",
    "long_period",
    "hybrid",
    "tremor",
    "icequake",
    "sonic_boom",
    "thunder",
    "other",
    "noise",
)
"""The classes of `source_type`. An event whose class nobody knows has none: the key is absent.

earthquake: slip on a fault, also an induced one, a rock burst or one far away (see `source_type_original`).
quarry_blast: blasting at the surface for stone or ore. explosion: every other explosion.
collapse: of a mine, a cavity, a building. surface_event: landslide, rockfall, avalanche, debris flow, lahar.
volcano_tectonic, long_period, hybrid, tremor: the classes of volcano observatories (Lahr et al. 1994, JVGR);
    tectonic low-frequency earthquakes and tremor are among the last ones.
icequake: ice that cracks or calves. sonic_boom, thunder: from the air. other: known to be none of these.
noise: known to hold no event.
"""

_UNDECIDED = ""

# All words of QuakeML 1.2 (Schorlemmer et al. 2011). One that leaves the class open, such as "anthropogenic
# event", is known and has none.
_QUAKEML = {
    "earthquake": "earthquake | induced or triggered event | rock burst | reservoir loading | fluid injection"
    " | fluid extraction",
    "quarry_blast": "quarry blast | road cut | blasting levee",
    "explosion": "explosion | accidental explosion | chemical explosion | controlled explosion"
    " | experimental explosion | industrial explosion | mining explosion | nuclear explosion",
    "collapse": "collapse | cavity collapse | mine collapse | building collapse",
    "surface_event": "avalanche | snow avalanche | debris avalanche | slide | landslide | rockslide",
    "icequake": "ice quake",
    "sonic_boom": "sonic boom | sonic blast",
    "thunder": "thunder",
    "other": "other event | crash | plane crash | train crash | boat crash | atmospheric event"
    " | acoustic noise | hydroacoustic event | meteorite | volcanic eruption",
    _UNDECIDED: "not existing | not reported | anthropogenic event",
}
# The two-letter codes of the ANSS Quake Monitoring System, which Southern and Northern California share.
_AQMS = {
    "earthquake": "eq | le | re | rg | ts | rb | se",
    "quarry_blast": "qb",
    "explosion": "ex | px | sh | nt",
    "collapse": "co | bc",
    "surface_event": "su | ls | rs | av | df | lh",
    "long_period": "lp | lf | to",
    "tremor": "vt | tr",
    "icequake": "ce | gl",
    "sonic_boom": "sn",
    "thunder": "th",
    "other": "ot | pc | me | mi | ve",
    _UNDECIDED: "uk | st",
}
_COMMON = {"earthquake": "earthquake | eq", "noise": "noise"}
_VOLCANO = {
    "earthquake": "regional | regional earthquake | tectonic | teleseism",
    "volcano_tectonic": "vt | volcano tectonic",
    "long_period": "lp | long period",
    "hybrid": "hb | hybrid",
    "tremor": "tr | tremor",
    "explosion": "ex | explosion",
    "icequake": "ic | icequake",
}
_PNW = {
    "earthquake": "earthquake | eq",
    "explosion": "explosion | px | probable explosion",
    "surface_event": "surface event | su",
    "sonic_boom": "sonic boom | sonic",
    "thunder": "thunder | th",
    "other": "plane crash | pc",
    "noise": "noise",
}


def _table(*parts: Mapping[str, str]) -> dict[str, str | None]:
    """Word → class, of classes with their words."""
    return {
        word.strip(): kind or None
        for part in parts
        for kind, words in part.items()
        for word in words.split("|")
    }


EVENT_TYPE_WORDS: Mapping[str, Mapping[str, str | None]] = {
    "quakeml": _table(_QUAKEML, {"noise": "noise"}),
    "scedc": _table(_QUAKEML, _COMMON, _AQMS),
    "ncedc": _table(_QUAKEML, _COMMON, _AQMS),
    "ceed": _table(_QUAKEML, _COMMON, _AQMS),
    "stead": _table(_COMMON, {"earthquake": "earthquake local"}),
    "txed": _table(_COMMON, {"earthquake": "earthquake local", "noise": "no"}),
    "instance": _table(_QUAKEML, _COMMON),
    "pnw": _table(_PNW),
    "vcseis": _table(_COMMON, _VOLCANO),
    "diting": _table(
        _COMMON,
        {"earthquake": "natural earthquake", "explosion": "ep", "collapse": "co | ss", "other": "ot"},
        # sp is a suspected blast; what se means is not told.
        {_UNDECIDED: "sp | se"},
    ),
    # Classes of place (Sippl et al. 2018, JGR): upper plate, three at the interface, intermediate depth.
    "ipoc": _table(_COMMON, {"earthquake": "up | p1 | p2 | p3 | id"}),
}
"""The words of each source and what they mean here; None where the word leaves it open."""

TYPE_COLUMNS = ("source_type", "source_event_category", "source_event_type", "trace_category")
"""SeisBench's columns that tell a class, the first that is there counts."""


def event_type(word: str, source: str = "quakeml") -> str | None:
    """The class of `EVENT_TYPES` that a source means by a word, None where the word leaves it open.

    Capitals, underscores and hyphens do not matter; our own classes are understood everywhere.

    Raises ValueError for a source or a word that is not known.
    """
    if source not in EVENT_TYPE_WORDS:
        raise ValueError(f"no event types of {source!r} are known: choose one of {sorted(EVENT_TYPE_WORDS)}")
    plain = " ".join(word.lower().replace("_", " ").replace("-", " ").split())
    words = EVENT_TYPE_WORDS[source]
    if plain in words:
        return words[plain]
    if plain.replace(" ", "_") in EVENT_TYPES:
        return plain.replace(" ", "_")
    raise ValueError(
        f"unknown event type {word!r} of {source}: known are {sorted(words)}, and our own {list(EVENT_TYPES)}"
    )


def event_type_codes(words: Iterable[str | None]) -> np.ndarray:
    """Positions of `source_type` of many records in `EVENT_TYPES`, int8; −1 for None and for any other word.

    Words of a source that are none of ours are told where its records are read (`unknown_words`).
    """
    codes = {name: code for code, name in enumerate(EVENT_TYPES)}
    return np.array([codes.get(word, -1) if word else -1 for word in words], dtype=np.int8)


def event_type_or_reason(word: str, source: str) -> tuple[str | None, str | None]:
    """The class of a word, or None and why the word is not understood."""
    try:
        return event_type(word, source), None
    except ValueError as error:
        return None, str(error)


def unknown_words(cells: Iterable[Any], source: str | None) -> list[Skipped]:
    """A note for each word of a table's cells that the source is not known to use; none for no source."""
    if source is None:
        return []
    words = sorted({str(cell) for cell in cells if not pd.isna(cell) and cell != ""})
    reasons = {word: event_type_or_reason(word, source)[1] for word in words}
    return [Skipped(f"event type {word!r}", reason) for word, reason in reasons.items() if reason]


def with_event_type(
    metadata: Mapping[str, Any], source: str | None = "quakeml", strict: bool = True
) -> dict[str, Any]:
    """A record's metadata with its event's class, and the source's own word beside it.

    The word is that of the first of SeisBench's columns `source_type`, `source_event_category`,
    `source_event_type` and `trace_category` that is there; without any, or for no source, the metadata stay
    as they are.

    Raises ValueError for a word that the source is not known to use; where not `strict`, it gives no class.
    """
    column = next((name for name in TYPE_COLUMNS if name in metadata), None)
    if source is None or column is None or "source_type_original" in metadata:
        return dict(metadata)
    word = str(metadata[column])
    kind = event_type(word, source) if strict else event_type_or_reason(word, source)[0]
    others = {key: value for key, value in metadata.items() if key != "source_type"}
    return others | ({} if kind is None else {"source_type": kind}) | {"source_type_original": word}
