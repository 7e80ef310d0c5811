"""From an ObsPy stream, as it comes out of files, to records: one for each station and instrument."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import obspy

from ..batch import COMPONENT_SLOTS
from ..records import Record, Skipped
from .component_names import Axis, name_components, split_channel
from .trace_pieces import Piece, pieces_of, segments_of, trace_name

Value = TypeVar("Value", bound=Hashable)

EXACT_IN_FLOAT32 = 2.0**24
"""Beyond this, float32 no longer tells one count from the next."""

_RESPONSE_OUTPUT = re.compile(r"remove_response\(.*output='(VEL|ACC|DISP|DEF)'", re.DOTALL)
_OUTPUT_UNIT = {"VEL": "m/s", "ACC": "m/s**2", "DISP": "unknown", "DEF": "unknown"}


@dataclass(frozen=True, kw_only=True)
class _Instrument:
    """What the records of one instrument share.

    axes: azimuth and dip of each component, None where unknown.
    codes: the channel code of each component.
    """

    station_id: str
    channel: str
    rate_hz: float
    unit: str
    components: tuple[str, ...]
    axes: tuple[Axis | None, ...]
    codes: tuple[str, ...]
    skipped: list[Skipped] = field(default_factory=list)


def stream_to_records(
    stream: obspy.Stream,
    max_gap_s: float = 60.0,
    min_duration_s: float = 0.0,
    unit: str = "counts",
    orientations: Mapping[str, Axis] | None = None,
    constant_gap_s: float | None = None,
) -> tuple[list[Record], list[Skipped]]:
    """The recordings of each station, component by component, with gaps as NaN, and what was left out.

    Traces are grouped by network, station, location and instrument (the channel code without its last
    letter: HH, HN …), and that letter is the component; UD, NS and EW of the Japanese networks are Z, N and
    E. Native values are kept and nothing is turned or flipped, except that a component with values of 2**24
    or more is shifted by its median (`metadata["trace_offset_counts"]`, by component).

    max_gap_s: a longer time without any component splits a record in two.
    min_duration_s: shorter records are skipped.
    unit: of the samples, where the stream does not say that ObsPy removed the response.
    orientations: azimuth and dip of components by NET.STA.LOC.CHA, as `inventory_orientations` gives them.
        They go to the metadata. A component X, Y, V … can be read only with them, and is then called 1, 2 or
        3 by where it points (`metadata["trace_component_codes"]` tells the codes).
    constant_gap_s: one value for so long, amid others, is a gap that a data logger filled in, and becomes
        NaN. None takes it for data.

    A component that is dead (one constant value) or has only NaN stays as a row of NaN. Where traces overlap,
    equal samples are merged and contradicting ones become NaN, with a note. Traces whose samples lie between
    those of the record's earliest one are moved to the nearest sample; a move of more than a tenth of a
    sample is told in `metadata["trace_subsample_shift_samples"]`.
    """
    records: list[Record] = []
    skipped: list[Skipped] = []
    groups: dict[tuple[str, str], list[obspy.Trace]] = defaultdict(list)
    for trace in stream:
        groups[_station_id(trace), split_channel(trace.stats.channel)[0]].append(trace)
    for (station_id, channel), traces in groups.items():
        axes = {trace.stats.channel: (orientations or {}).get(trace.id) for trace in traces}
        names = name_components(axes)
        used = _of_one_kind(_usable(traces, names, skipped), unit, names, skipped)
        if not used:
            continue
        codes = {names[trace.stats.channel]: trace.stats.channel for trace in used}
        components = tuple(name for name in COMPONENT_SLOTS if name in codes)
        instrument = _Instrument(
            station_id=station_id,
            channel=channel,
            rate_hz=float(used[0].stats.sampling_rate),
            unit=_unit(used[0], unit),
            components=components,
            axes=tuple(axes[codes[name]] for name in components),
            codes=tuple(codes[name] for name in components),
            skipped=skipped,
        )
        pieces = [
            piece
            for trace in used
            for piece in pieces_of(trace, names[trace.stats.channel], max_gap_s, constant_gap_s, skipped)
        ]
        for segment in segments_of(pieces, instrument.rate_hz, max_gap_s):
            record = _record(segment, instrument, min_duration_s)
            records.extend([record] if record is not None else [])
    return records, skipped


def _station_id(trace: obspy.Trace) -> str:
    return f"{trace.stats.network}.{trace.stats.station}.{trace.stats.location}"


def _usable(traces: list[obspy.Trace], names: Mapping[str, str], skipped: list[Skipped]) -> list[obspy.Trace]:
    """The traces that can be used by themselves."""
    reasons = [_unusable(trace, names) for trace in traces]
    found = list(zip(traces, reasons, strict=True))
    skipped.extend(Skipped(trace_name(trace), reason) for trace, reason in found if reason)
    return [trace for trace, reason in found if not reason]


def _unusable(trace: obspy.Trace, names: Mapping[str, str]) -> str | None:
    """Why a trace cannot be used by itself, or None."""
    if trace.stats.channel not in names:
        letter = split_channel(trace.stats.channel)[1]
        return (
            f"unknown component {letter!r} in channel {trace.stats.channel!r}: its last letter must be one "
            f"of {tuple(COMPONENT_SLOTS)}, or the component's azimuth and dip be given"
        )
    if len(trace) == 0:
        return "the trace has no samples"
    if not np.issubdtype(trace.data.dtype, np.number) or np.iscomplexobj(trace.data):
        return f"samples must be numbers, found {trace.data.dtype}"
    if not trace.stats.sampling_rate > 0:
        return f"the sampling rate must be positive, found {trace.stats.sampling_rate} Hz"
    return None


def _unit(trace: obspy.Trace, unit: str) -> str:
    """The unit that ObsPy's notes of what it did to a trace imply, else the given one."""
    notes = [_RESPONSE_OUTPUT.search(note) for note in trace.stats.get("processing", [])]
    outputs = [found[1] for found in notes if found]
    return _OUTPUT_UNIT[outputs[-1]] if outputs else unit


def _of_one_kind(
    traces: list[obspy.Trace], unit: str, names: Mapping[str, str], skipped: list[Skipped]
) -> list[obspy.Trace]:
    """The traces that agree in rate, unit and component names with most of their instrument's samples."""
    if not traces:
        return []
    rate_hz = _most_common((trace.stats.sampling_rate, len(trace)) for trace in traces)

    def same_rate(trace: obspy.Trace) -> bool:
        # SAC keeps intervals in float32, clocks drift: what matters is half a sample at the trace's end.
        return abs(trace.stats.sampling_rate / rate_hz - 1) * len(trace) < 0.5

    def rate_reason(trace: obspy.Trace) -> str:
        return f"sampled at {trace.stats.sampling_rate:g} Hz, most of this instrument at {rate_hz:g} Hz"

    traces = _keep(traces, same_rate, rate_reason, skipped)
    main_unit = _most_common((_unit(trace, unit), len(trace)) for trace in traces)
    traces = _keep(
        traces,
        lambda trace: _unit(trace, unit) == main_unit,
        lambda trace: f"unit is {_unit(trace, unit)}, most of this instrument is in {main_unit}",
        skipped,
    )
    recorded = {names[trace.stats.channel] for trace in traces}
    owners: dict[str, str] = {}
    for component in [name for name in COMPONENT_SLOTS if name in recorded]:
        owners.setdefault(COMPONENT_SLOTS[component], component)

    def owner(trace: obspy.Trace) -> str:
        return owners[COMPONENT_SLOTS[names[trace.stats.channel]]]

    return _keep(
        traces,
        lambda trace: owner(trace) == names[trace.stats.channel],
        lambda trace: (
            f"component {names[trace.stats.channel]} wants the place of component {owner(trace)} "
            "of the same instrument"
        ),
        skipped,
    )


def _most_common(weighted: Iterable[tuple[Value, int]]) -> Value:
    votes: Counter[Value] = Counter()
    for value, weight in weighted:
        votes[value] += weight
    return votes.most_common(1)[0][0]


def _keep(
    traces: list[obspy.Trace],
    condition: Callable[[obspy.Trace], bool],
    reason: Callable[[obspy.Trace], str],
    skipped: list[Skipped],
) -> list[obspy.Trace]:
    skipped.extend(Skipped(trace_name(trace), reason(trace)) for trace in traces if not condition(trace))
    return [trace for trace in traces if condition(trace)]


def _record(pieces: list[Piece], instrument: _Instrument, min_duration_s: float) -> Record | None:
    """One record from the pieces of one stretch of time, or None with a reason."""
    rate_hz = instrument.rate_hz
    origin_ns = pieces[0].start_ns
    exact = [(piece.start_ns - origin_ns) / 1e9 * rate_hz for piece in pieces]
    starts = [round(place) for place in exact]
    num_samples = max(start + len(piece.samples) for start, piece in zip(starts, pieces, strict=True))
    start = obspy.UTCDateTime(ns=origin_ns)
    record_id = f"{instrument.station_id}.{instrument.channel} {start}"
    if num_samples / rate_hz < min_duration_s:
        reason = f"lasts {num_samples / rate_hz:g} s, less than min_duration_s = {min_duration_s:g} s"
        instrument.skipped.append(Skipped(record_id, reason))
        return None
    metadata: dict[str, object] = {"trace_channel": instrument.channel}
    metadata |= _orientation(instrument)
    shift = max(abs(place - start) for place, start in zip(exact, starts, strict=True))
    if shift > 0.1:
        metadata["trace_subsample_shift_samples"] = round(shift, 3)
    waveform = np.full((len(instrument.components), num_samples), np.nan, dtype=np.float32)
    offsets: dict[str, float] = {}
    placed = list(zip(starts, pieces, strict=True))
    for row, component in zip(waveform, instrument.components, strict=True):
        own = [(place, piece) for place, piece in placed if piece.component == component]
        if own:
            _fill_row(row, own, record_id, offsets, instrument.skipped)
    if offsets:
        metadata["trace_offset_counts"] = offsets
    if not np.isfinite(waveform).any():
        instrument.skipped.append(Skipped(record_id, "no live component is left"))
        return None
    return Record(
        record_id=record_id,
        waveform=waveform,
        component_names=instrument.components,
        sampling_rate_hz=rate_hz,
        start_time=origin_ns / 1e9,
        station_id=instrument.station_id,
        unit=instrument.unit,
        metadata=metadata,
    )


def _orientation(instrument: _Instrument) -> dict[str, object]:
    """Where the components point, and their codes where those do not say the same as their names."""
    metadata: dict[str, object] = {}
    if any(axis is not None for axis in instrument.axes):
        angles = [axis or (math.nan, math.nan) for axis in instrument.axes]
        metadata["trace_component_azimuth_deg"] = [azimuth for azimuth, _ in angles]
        metadata["trace_component_dip_deg"] = [dip for _, dip in angles]
    if any(
        code[-1:].upper() != name for code, name in zip(instrument.codes, instrument.components, strict=True)
    ):
        metadata["trace_component_codes"] = list(instrument.codes)
    return metadata


def _fill_row(
    row: np.ndarray,
    placed: list[tuple[int, Piece]],
    record_id: str,
    offsets: dict[str, float],
    skipped: list[Skipped],
) -> None:
    """Write the pieces of one component into its float32 row, merged in float64."""
    merged = np.full(len(row), np.nan)
    contradicted = np.zeros(len(row), dtype=bool)
    for start, piece in placed:
        here = slice(start, start + len(piece.samples))
        values = np.where(piece.observed, piece.samples, np.nan)
        known = np.isfinite(merged[here])
        conflict = known & piece.observed & (merged[here] != values)
        if conflict.any():
            reason = f"{int(conflict.sum())} samples contradict an overlapping trace: both are left out"
            skipped.append(Skipped(piece.item, reason))
            contradicted[here] |= conflict
        merged[here] = np.where(known, merged[here], values)
    merged[contradicted] = np.nan
    component = placed[0][1].component
    observed = merged[np.isfinite(merged)]
    if len(observed) > 1 and observed.min() == observed.max():
        skipped.append(Skipped(f"{record_id} {component}", f"dead: every sample is {observed[0]:g}"))
        return
    if len(observed) and np.abs(observed).max() >= EXACT_IN_FLOAT32:
        # A whole number keeps whole counts whole.
        offsets[component] = float(np.round(np.median(observed)))
        merged -= offsets[component]
    row[:] = merged
