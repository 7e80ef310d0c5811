"""A network's channels by station and time, for its records to look themselves up in."""

from __future__ import annotations

import copy
from collections import defaultdict
from pathlib import Path
from typing import Any

import obspy
from obspy.core.inventory import Channel, Inventory, Station

from ..instruments.response_metadata import response_metadata
from ..records import Record, Skipped
from .component_names import instrument_of_channel


class ChannelBook:
    """What StationXML tells of the stations of a region.

    inventory: as ObsPy reads it.
    """

    def __init__(self, inventory: Inventory) -> None:
        self._stations: dict[str, Inventory] = defaultdict(Inventory)
        for network in inventory:
            for station in network:
                part = copy.copy(network)
                part.stations = [station]
                self._stations[f"{network.code}.{station.code}"].networks.append(part)

    @classmethod
    def read(cls, path: str | Path) -> ChannelBook:
        """The channels of one inventory file, or of all those in a folder that are called .xml."""
        files = sorted(Path(path).rglob("*.xml")) if Path(path).is_dir() else [Path(path)]
        inventory = Inventory()
        for file in files:
            inventory += obspy.read_inventory(str(file))
        return cls(inventory)

    def about(self, record: Record, skipped: list[Skipped]) -> dict[str, Any]:
        """A record's station and instrument at its time, as metadata (see `response_metadata`).

        To these comes the station's place, and that samples in counts are raw. What the inventory does not
        tell is left out, and told in `skipped`.
        """
        instrument = str(record.metadata.get("trace_channel", ""))
        kind = instrument_of_channel(f"{instrument}{record.component_names[0]}")
        known: dict[str, Any] = {"station_instrument": kind} if kind else {}
        if record.unit == "counts":
            known["trace_response_state"] = "raw"
        inventory = self._stations.get(record.station_id.rpartition(".")[0])
        if inventory is None:
            skipped.append(Skipped(record.record_id, "its station is not in the inventory"))
            return known
        names = [f"{instrument}{name}" for name in record.component_names]
        codes = record.metadata.get("trace_component_codes", names)
        seed_ids = [f"{record.station_id}.{code}" for code in codes]
        told = response_metadata(inventory, seed_ids, record.start_time)
        notes = told.pop("trace_response_notes", [])
        skipped.extend(Skipped(record.record_id, f"its instrument: {note}") for note in notes)
        if record.unit != "counts":
            # What was taken out of the samples already is not to be taken out once more.
            told = {key: value for key, value in told.items() if key not in _OF_COUNTS}
        return known | _place(inventory, record) | told


_OF_COUNTS = ("trace_sensitivity", "trace_sensitivity_unit", "trace_response")


def _place(inventory: Inventory, record: Record) -> dict[str, float]:
    """Where the station stood then, by a channel of the record's location, else by the station itself."""
    location = record.station_id.rpartition(".")[2]
    stations = [station for network in inventory for station in network]
    channels = [c for station in stations for c in station if c.location_code == location]
    for place in [*channels, *stations]:
        if _stood(place, record.start_time):
            return {
                "station_latitude_deg": float(place.latitude),
                "station_longitude_deg": float(place.longitude),
                "station_elevation_m": float(place.elevation),
            }
    return {}


def _stood(place: Channel | Station, time: float) -> bool:
    begun = place.start_date is None or place.start_date.timestamp <= time
    return begun and (place.end_date is None or time < place.end_date.timestamp)
