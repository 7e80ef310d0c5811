"""What a StationXML file says of an instrument, as the metadata of a record."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from obspy import UTCDateTime
from obspy.core.inventory import Channel, Inventory
from obspy.core.inventory.response import PolesZerosResponseStage, Response

from ..continuous.component_names import Axis, instrument_of_channel
from .response import ResponseError, response_factor

_UNITS = {
    "M/S": ("m/s", 1.0),
    "CM/S": ("m/s", 1e2),
    "MM/S": ("m/s", 1e3),
    "UM/S": ("m/s", 1e6),
    "NM/S": ("m/s", 1e9),
    "M/S**2": ("m/s**2", 1.0),
    "M/S/S": ("m/s**2", 1.0),
    "M/S^2": ("m/s**2", 1.0),
    "CM/S**2": ("m/s**2", 1e2),
    "GAL": ("m/s**2", 1e2),
    "NM/S**2": ("m/s**2", 1e9),
}
"""Input units of StationXML, and how many of them make one of ours."""

_RADIANS_PER_UNIT = {"LAPLACE (RADIANS/SECOND)": 1.0, "LAPLACE (HERTZ)": 2 * math.pi}

SAME_RESPONSE = 0.02
"""Components whose curves differ by no more than this from the first one's share it."""

_OPEN_END_YEAR = 2400
"""Dates such as 2599 and 3000 stand for an epoch that has not ended."""


@dataclass(frozen=True, kw_only=True)
class _Instrument:
    """One component: counts per unit of ground motion, and its poles and zeros where they are told."""

    sensitivity: float
    unit: str
    response: dict[str, Any] | None
    note: str | None


def response_metadata(
    inventory: Inventory, seed_ids: Sequence[str], time: float | UTCDateTime
) -> dict[str, Any]:
    """The instrument of a record as its metadata: sensitivity, poles and zeros, orientation, epoch.

    seed_ids: NET.STA.LOC.CHA of each component, in the record's order.
    time: UTC (seconds since 1970 or ObsPy's); of several epochs the one that holds it counts, of two that
        overlap the later.

    The keys are `trace_sensitivity` (counts per unit, one a component; its sign is kept),
    `trace_sensitivity_unit`, `trace_response` (poles and zeros in rad/s, one for all components, of modulus 1
    at the sensitivity's frequency: the analog stages, since the digital ones are flat in the band that they
    leave), `trace_component_azimuth_deg`, `trace_component_dip_deg`, `station_epoch_start`,
    `station_epoch_end` and `station_instrument`. NaN stands in a list for a component that the inventory does
    not tell; a key that is not known at all is absent, and `trace_response_notes` says why.
    """
    channels = [_channel(inventory, seed_id, UTCDateTime(time)) for seed_id in seed_ids]
    notes = [
        f"{seed_id}: not in the inventory at {UTCDateTime(time)}"
        for seed_id, channel in zip(seed_ids, channels, strict=True)
        if channel is None
    ]
    metadata = _orientation(channels) | _epoch(channels)
    if instrument := instrument_of_channel(seed_ids[0].rpartition(".")[2]):
        metadata["station_instrument"] = instrument
    instruments = []
    for seed_id, channel in zip(seed_ids, channels, strict=True):
        try:
            instruments.append(None if channel is None else _instrument(channel.response))
        except ResponseError as error:
            instruments.append(None)
            notes.append(f"{seed_id}: {error}")
    metadata |= _sensitivities(instruments, notes)
    return metadata | ({"trace_response_notes": notes} if notes else {})


def inventory_orientations(inventory: Inventory, time: float | UTCDateTime) -> dict[str, Axis]:
    """Azimuth and dip in degrees of every channel at a UTC time, by NET.STA.LOC.CHA, where both are told.

    What `stream_to_records` takes as `orientations`.
    """
    at = UTCDateTime(time)
    return {
        f"{network.code}.{station.code}.{channel.location_code}.{channel.code}": (
            float(channel.azimuth),
            float(channel.dip),
        )
        for network in inventory
        for station in network
        for channel in sorted(station, key=lambda channel: channel.start_date or UTCDateTime(0))
        if _active(channel, at) and channel.azimuth is not None and channel.dip is not None
    }


def _channel(inventory: Inventory, seed_id: str, time: UTCDateTime) -> Channel | None:
    parts = seed_id.split(".")
    if len(parts) != 4:
        raise ValueError(f"a seed id is NET.STA.LOC.CHA, found {seed_id!r}")
    network, station, location, code = parts
    found = [
        channel
        for net in inventory
        if net.code == network
        for site in net
        if site.code == station
        for channel in site
        if channel.code == code and channel.location_code == location and _active(channel, time)
    ]
    return max(found, key=lambda channel: channel.start_date or UTCDateTime(0), default=None)


def _active(channel: Channel, time: UTCDateTime) -> bool:
    begun = channel.start_date is None or channel.start_date <= time
    return begun and (channel.end_date is None or time <= channel.end_date)


def _orientation(channels: Sequence[Channel | None]) -> dict[str, Any]:
    """Azimuth and dip of each component, SEED convention, NaN where untold."""
    found = {
        "trace_component_azimuth_deg": [_number(channel and channel.azimuth) for channel in channels],
        "trace_component_dip_deg": [_number(channel and channel.dip) for channel in channels],
    }
    return {key: values for key, values in found.items() if not all(map(math.isnan, values))}


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _epoch(channels: Sequence[Channel | None]) -> dict[str, Any]:
    """The time in which nothing changed on any component."""
    known = [channel for channel in channels if channel is not None]
    starts = [channel.start_date for channel in known if channel.start_date is not None]
    ends = [
        channel.end_date for channel in known if channel.end_date and channel.end_date.year < _OPEN_END_YEAR
    ]
    epoch = {"station_epoch_start": max(starts, default=None), "station_epoch_end": min(ends, default=None)}
    return {key: str(time) for key, time in epoch.items() if time is not None}


def _instrument(response: Response | None) -> _Instrument:
    """Raises ResponseError where the response cannot be used, with the reason."""
    sensitivity = response and response.instrument_sensitivity
    if not sensitivity or not sensitivity.value:
        raise ResponseError("the inventory tells no sensitivity")
    try:
        unit, per_unit = _UNITS[str(sensitivity.input_units).upper()]
    except KeyError as error:
        raise ResponseError(
            f"its input unit {sensitivity.input_units!r} is no velocity or acceleration"
        ) from error
    note, poles_zeros = None, None
    try:
        poles_zeros = _poles_zeros(response, unit, sensitivity.frequency)
    except ResponseError as error:
        note = str(error)
    return _Instrument(
        sensitivity=float(sensitivity.value) * per_unit, unit=unit, response=poles_zeros, note=note
    )


def _poles_zeros(response: Response, unit: str, frequency_hz: float | None) -> dict[str, Any]:
    """The analog stages at the response's beginning as one set of poles and zeros."""
    zeros: list[complex] = []
    poles: list[complex] = []
    num_stages = 0
    for stage in response.response_stages:
        if not isinstance(stage, PolesZerosResponseStage):
            if num_stages:
                break
            raise ResponseError(f"its first stage is a {type(stage).__name__}: no poles and zeros")
        scale = _RADIANS_PER_UNIT.get(stage.pz_transfer_function_type)
        if scale is None:
            break
        zeros += [complex(zero) * scale for zero in stage.zeros]
        poles += [complex(pole) * scale for pole in stage.poles]
        num_stages += 1
    if not num_stages:
        raise ResponseError("it has no stage of analog poles and zeros")
    if not frequency_hz:
        raise ResponseError("the frequency of its sensitivity is not told")
    shape = {
        "input_unit": unit,
        "zeros": [[zero.real, zero.imag] for zero in zeros],
        "poles": [[pole.real, pole.imag] for pole in poles],
        "normalization_factor": 1.0,
    }
    return shape | {"normalization_factor": 1.0 / abs(complex(response_factor(shape, [frequency_hz])[0]))}


def _sensitivities(instruments: Sequence[_Instrument | None], notes: list[str]) -> dict[str, Any]:
    known = [instrument for instrument in instruments if instrument is not None]
    units = sorted({instrument.unit for instrument in known})
    if len(units) != 1:
        notes.extend([f"the components differ in unit: {units}"] if units else [])
        return {}
    metadata: dict[str, Any] = {
        "trace_sensitivity": [math.nan if one is None else one.sensitivity for one in instruments],
        "trace_sensitivity_unit": units[0],
    }
    notes.extend(sorted({instrument.note for instrument in known if instrument.note}))
    first = known[0].response
    if first is not None and all(_same_response(first, instrument.response) for instrument in known):
        metadata["trace_response"] = first
    elif first is not None:
        notes.append(f"the components' responses differ by more than {SAME_RESPONSE:.0%}")
    return metadata


def _same_response(response: dict[str, Any], other: dict[str, Any] | None) -> bool:
    if other is None:
        return False
    frequency_hz = [10.0**exponent for exponent in (-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5)]
    expected = response_factor(response, frequency_hz)
    return bool((abs(response_factor(other, frequency_hz) - expected) <= SAME_RESPONSE * abs(expected)).all())
