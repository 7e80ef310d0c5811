"""The PhaseNet training layout: one npz file a record, `(sample, component)`, with the samples of P and S."""

from __future__ import annotations

import re
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from ..records import Arrival, Record, Skipped

SAMPLING_RATE_HZ = 100.0
SAME_EVENT_S = 60.0
"""Records whose P arrivals lie this close in time, chained, share an event id."""

# NET_STA_YYYYMMDDHHMMSScc, then possibly _LOC; the time, in hundredths of a second, is that of P.
_NAME = re.compile(
    r"(?P<network>[^_]+)_(?P<station>[^_]+)_(?P<time>\d{14})(?P<hundredths>\d{2})(_(?P<location>\w+))?$"
)


def read_phasenet_npz(folder: str | Path, keep_after_s: float = 30.0) -> tuple[list[Record], list[Skipped]]:
    """The labelled earthquake records of a folder in PhaseNet's npz layout, and what could not be read.

    The layout (PhaseNet; Zhu and Beroza 2019, GJI) has `data` `(sample, 3)` in E, N, Z order at 100 Hz,
    `channels` ("EHE_EHN_EHZ", or "EHZ" alone: then the other two columns are fillers and no rows of the
    record), `itp` and, where an analyst picked it, `its`, in samples. Without `its`, S is unknown and not in
    `labelled_phases`.

    keep_after_s: seconds kept after the last listed arrival. Only one event is listed, and nobody vouches
        that the rest of the 90 s holds no other: an STA/LTA finds something there in about one in ten records
        of Northern California. The record is cut here, and what is left counts as fully labelled.

    The file's name gives the station and the time of P. It holds no event id: records whose P times are less
    than `SAME_EVENT_S` apart (from one to the next) are taken to be of one event, which errs on the side of
    keeping one earthquake on one side of a split. The id is the time of the first.

    Raises FileNotFoundError where there is no such folder or it holds no npz file.
    """
    files = sorted(Path(folder).glob("*.npz"))
    if not files:
        raise FileNotFoundError(f"no *.npz in {folder}: expected a folder of PhaseNet records")
    skipped: list[Skipped] = []
    found: list[tuple[float, dict[str, Any]]] = []
    for file in files:
        try:
            fields = _read_fields(file, keep_after_s)
        except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
            skipped.append(Skipped(str(file), f"{type(error).__name__}: {error}"))
        else:
            found.append((fields["start_time"] + fields["arrivals"][0].time_s, fields))
    event_of = _event_ids([p_time for p_time, _ in found])
    return [Record(**fields, event_id=event_of[p_time]) for p_time, fields in found], skipped


def _read_fields(file: Path, keep_after_s: float) -> dict[str, Any]:
    """What a record is made of, but for its event."""
    name = _NAME.match(file.stem)
    if name is None:
        raise ValueError(f"the name must be NET_STA_YYYYMMDDHHMMSScc, found {file.stem}")
    with file.open("rb") as opened, np.load(opened, allow_pickle=False) as content:
        data, channels = content["data"], str(content["channels"]).split("_")
        samples = {
            phase: float(content[key]) for phase, key in (("P", "itp"), ("S", "its")) if key in content
        }
    if "P" not in samples:
        raise ValueError(f"no itp (the sample of P): found {sorted(samples)}")
    components = [channel[-1:] for channel in channels]
    if data.ndim != 2 or data.shape[1] != 3 or components not in (["E", "N", "Z"], ["Z"]):
        raise ValueError(
            f"data must be (sample, 3) for channels E, N, Z or Z alone, found {data.shape} for {channels}"
        )
    if not all(0 <= sample < len(data) for sample in samples.values()):
        raise ValueError(f"arrivals must lie in its {len(data)} samples, found {samples}")
    p_time = datetime.strptime(name["time"], "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp()
    last = int(max(samples.values()) + keep_after_s * SAMPLING_RATE_HZ)
    station_id = f"{name['network']}.{name['station']}.{name['location'] or ''}"
    return {
        "record_id": file.stem,
        "waveform": np.ascontiguousarray(
            data[:last, ["ENZ".index(name) for name in components]].T, dtype=np.float32
        ),
        "component_names": tuple(components),
        "sampling_rate_hz": SAMPLING_RATE_HZ,
        "start_time": p_time + int(name["hundredths"]) / 100 - samples["P"] / SAMPLING_RATE_HZ,
        "station_id": station_id,
        "arrivals": tuple(
            Arrival(phase=phase, time_s=sample / SAMPLING_RATE_HZ, evaluation="manual")
            for phase, sample in samples.items()
        ),
        "labelled_phases": frozenset(samples),
        "metadata": {"trace_channel": channels[0][:2]},
    }


def _event_ids(p_times: list[float]) -> dict[float, str]:
    """An event's id for each P time: the UTC time of the first P of an unbroken chain of them."""
    ids: dict[float, str] = {}
    previous = -np.inf
    current = ""
    for time in sorted(p_times):
        if time - previous > SAME_EVENT_S:
            current = f"p{datetime.fromtimestamp(time, UTC):%Y%m%dT%H%M%S}"
        ids[time] = current
        previous = time
    return ids
