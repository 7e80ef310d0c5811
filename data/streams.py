"""From an ObsPy stream, as it comes out of files, to records: one for each station and instrument."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import obspy

from .batch import COMPONENT_SLOTS
from .records import Record, Skipped

Value = TypeVar("Value", bound=Hashable)

EXACT_IN_FLOAT32 = 2.0**24
"""Beyond this, float32 no longer tells one count from the next."""

_RESPONSE_OUTPUT = re.compile(r"remove_response\(.*output='(VEL|ACC|DISP|DEF)'", re.DOTALL)
_OUTPUT_UNIT = {"VEL": "m/s", "ACC": "m/s**2", "DISP": "unknown", "DEF": "unknown"}


@dataclass(frozen=True, kw_only=True)
class _Piece:
    """A stretch of one trace that begins and ends with an observed sample."""

    item: str
    component: str
    start_ns: int
    samples: np.ndarray
    observed: np.ndarray

    def end_ns(self, rate_hz: float) -> int:
        return self.start_ns + round(len(self.samples) / rate_hz * 1e9)


@dataclass(frozen=True, kw_only=True)
class _Instrument:
    """What the records of one instrument share."""

    station_id: str
    channel: str
    rate_hz: float
    unit: str
    components: tuple[str, ...]
    skipped: list[Skipped] = field(default_factory=list)


def stream_to_records(
    stream: obspy.Stream, max_gap_s: float = 60.0, min_duration_s: float = 0.0, unit: str = "counts"
) -> tuple[list[Record], list[Skipped]]:
    """The recordings of each station, component by component, with gaps as NaN, and what was left out.

    Traces are grouped by network, station, location and instrument (the channel code without its last
    letter: HH, HN …), and that letter is the component. Native values are kept, except that a component with
    values of 2**24 or more is shifted by its median (`metadata["trace_offset_counts"]`, by component).

    max_gap_s: a longer time without any component splits a record in two.
    min_duration_s: shorter records are skipped.
    unit: of the samples, where the stream does not say that ObsPy removed the response.

    A component that is dead (one constant value) or has only NaN stays as a row of NaN. Where traces overlap,
    equal samples are merged and contradicting ones become NaN, with a note. Traces whose samples lie between
    those of the record's earliest one are moved to the nearest sample; a move of more than a tenth of a
    sample is told in `metadata["trace_subsample_shift_samples"]`.
    """
    records: list[Record] = []
    skipped: list[Skipped] = []
    groups: dict[tuple[str, str], list[obspy.Trace]] = defaultdict(list)
    for trace in stream:
        reason = _unusable(trace)
        if reason:
            skipped.append(Skipped(_name(trace), reason))
        else:
            groups[_station_id(trace), trace.stats.channel[:-1].upper()].append(trace)
    for (station_id, channel), traces in groups.items():
        used = _of_one_kind(traces, unit, skipped)
        instrument = _Instrument(
            station_id=station_id,
            channel=channel,
            rate_hz=float(used[0].stats.sampling_rate),
            unit=_unit(used[0], unit),
            components=_components(used),
            skipped=skipped,
        )
        pieces = [piece for trace in used for piece in _pieces(trace, max_gap_s, skipped)]
        for segment in _segments(pieces, instrument.rate_hz, max_gap_s):
            record = _record(segment, instrument, min_duration_s)
            records.extend([record] if record is not None else [])
    return records, skipped


def _station_id(trace: obspy.Trace) -> str:
    return f"{trace.stats.network}.{trace.stats.station}.{trace.stats.location}"


def _component(trace: obspy.Trace) -> str:
    return trace.stats.channel[-1:].upper()


def _components(traces: list[obspy.Trace]) -> tuple[str, ...]:
    """The components of some traces, each once, in the order of `COMPONENT_SLOTS`."""
    return tuple(sorted({_component(trace) for trace in traces}, key=list(COMPONENT_SLOTS).index))


def _name(trace: obspy.Trace) -> str:
    return f"{trace.id} {trace.stats.starttime}"


def _unusable(trace: obspy.Trace) -> str | None:
    """Why a trace cannot be used by itself, or None."""
    if _component(trace) not in COMPONENT_SLOTS:
        return (
            f"unknown component {_component(trace)!r} in channel {trace.stats.channel!r}: "
            f"the last letter must be one of {tuple(COMPONENT_SLOTS)}"
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


def _of_one_kind(traces: list[obspy.Trace], unit: str, skipped: list[Skipped]) -> list[obspy.Trace]:
    """The traces that agree in rate, unit and component names with most of their instrument's samples."""
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
    owners: dict[str, str] = {}
    for component in _components(traces):
        owners.setdefault(COMPONENT_SLOTS[component], component)
    return _keep(
        traces,
        lambda trace: _component(trace) in owners.values(),
        lambda trace: (
            f"component {_component(trace)} wants the place of component "
            f"{owners[COMPONENT_SLOTS[_component(trace)]]} of the same instrument"
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
    skipped.extend(Skipped(_name(trace), reason(trace)) for trace in traces if not condition(trace))
    return [trace for trace in traces if condition(trace)]


def _pieces(trace: obspy.Trace, max_gap_s: float, skipped: list[Skipped]) -> list[_Piece]:
    """A trace without its long unobserved stretches."""
    samples = np.ma.getdata(trace.data)
    observed = ~np.ma.getmaskarray(trace.data)
    finite = np.isfinite(samples)
    num_bad = int((observed & ~finite).sum())
    observed &= finite
    if num_bad and observed.any():
        reason = f"{num_bad} of {len(trace)} samples are NaN or infinite: taken as missing"
        skipped.append(Skipped(_name(trace), reason))
    rate_hz = trace.stats.sampling_rate
    stretches = _stretches(observed, max_gap_s * rate_hz)
    if not stretches:
        skipped.append(Skipped(_name(trace), "no sample is observed: all are NaN, infinite or masked"))
    return [
        _Piece(
            item=_name(trace),
            component=_component(trace),
            start_ns=trace.stats.starttime.ns + round(first / rate_hz * 1e9),
            samples=samples[first : last + 1],
            observed=observed[first : last + 1],
        )
        for first, last in stretches
    ]


def _stretches(observed: np.ndarray, max_gap_samples: float) -> list[tuple[int, int]]:
    """First and last observed sample of each part, where parts are separated by gaps that are too long."""
    steps = np.diff(np.concatenate([[False], observed, [False]]).view(np.int8))
    firsts, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    long = firsts[1:] - ends[:-1] > max_gap_samples
    starts = np.concatenate([firsts[:1], firsts[1:][long]])
    lasts = np.concatenate([ends[:-1][long], ends[-1:]]) - 1
    return list(zip(starts.tolist(), lasts.tolist(), strict=True))


def _segments(pieces: list[_Piece], rate_hz: float, max_gap_s: float) -> list[list[_Piece]]:
    """Pieces in order of time, parted where no component was recorded for longer than `max_gap_s`."""
    segments: list[list[_Piece]] = []
    end_ns = 0
    for piece in sorted(pieces, key=lambda piece: piece.start_ns):
        if not segments or (piece.start_ns - end_ns) / 1e9 > max_gap_s:
            segments.append([])
            end_ns = piece.end_ns(rate_hz)
        segments[-1].append(piece)
        end_ns = max(end_ns, piece.end_ns(rate_hz))
    return segments


def _record(pieces: list[_Piece], instrument: _Instrument, min_duration_s: float) -> Record | None:
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


def _fill_row(
    row: np.ndarray,
    placed: list[tuple[int, _Piece]],
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
