"""Everything that is drawn about some records before a waveform is made."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..loading.window_random import WindowRandom, window_keys
from .config import SynthesisConfig
from .draws import log_uniform
from .geometry import draw_geometry
from .media import draw_media
from .plan import Geometry, Media, Sources
from .scatterers import draw_scattering
from .scene import Scene
from .seismometers import draw_instrument
from .sites import draw_site
from .sizes import magnitude_for_snr
from .sources import draw_sources, with_magnitude
from .station_noise import NoiseLevels, draw_noise
from .waves import arriving_waves, draw_splitting


@dataclass(frozen=True, kw_only=True)
class Views:
    """What stations are about to see of events, one entry a record.

    number, event_number: int64 `(record,)`. event, station: the random numbers of each
    record's event and of its own.
    scene: what shakes, what lies between, and who listens. noise: the station's.
    """

    number: Tensor
    event_number: Tensor
    event: WindowRandom
    station: WindowRandom
    scene: Scene
    noise: NoiseLevels

    def __len__(self) -> int:
        return len(self.number)

    def rows(self, rows: Tensor) -> Views:
        """Some of the records, rows int64 or bool."""
        return rows_of(self, rows)

    def with_magnitude(self, magnitude: Tensor, config: SynthesisConfig) -> Views:
        """The same views of events of other sizes `(record,)`."""
        sources = with_magnitude(self.scene.sources, magnitude, self.event, config.sources)
        return dataclasses.replace(self, scene=dataclasses.replace(self.scene, sources=sources))


def draw_views(numbers: Tensor, config: SynthesisConfig, seed: int) -> Views:
    """The records of some numbers, int64 `(record,)`: each depends on the configuration, seed and its number.

    Record n is what station n mod k sees of event n // k, with k stations an event.
    """
    per_event = config.stations_per_event[1]
    event_number = numbers.div(per_event, rounding_mode="floor")
    event = WindowRandom(window_keys(event_number, "event", seed))
    station = station_random(numbers, seed)
    media = draw_media(event, config.media)
    sources = draw_sources(event, config.sources)
    if config.snr is not None:
        lead = station if per_event == 1 else station_random(event_number * per_event, seed)
        sources = _sized(event, lead, media, sources, config)
    geometry = draw_geometry(event, station, sources, config.geometry)
    return views_of((numbers, event_number), event, station, station, media, sources, geometry, config)


def station_random(numbers: Tensor, seed: int) -> WindowRandom:
    """The random numbers of records alone, without their events'."""
    return WindowRandom(window_keys(numbers, "station", seed))


def views_of(
    numbers: tuple[Tensor, Tensor],
    event: WindowRandom,
    station: WindowRandom,
    place: WindowRandom,
    media: Media,
    sources: Sources,
    geometry: Geometry,
    config: SynthesisConfig,
) -> Views:
    """Views of given events from given places, with all else about the stations drawn.

    numbers: of the records and of their events.
    station: what one record alone meets. place: what its station keeps from event to event: ground, sensor,
        noise and scattering.
    """
    scene = Scene(
        media=media,
        sources=sources,
        geometry=geometry,
        waves=arriving_waves(media, sources, geometry, station, config.waves),
        splitting=draw_splitting(place, config.waves),
        site=draw_site(place, config.site),
        scattering=draw_scattering(place, config.scattering),
        instrument=draw_instrument(place, config.instrument, config.sampling_rate_hz),
    )
    noise = draw_noise(place, config.noise)
    return Views(
        number=numbers[0], event_number=numbers[1], event=event, station=station, scene=scene, noise=noise
    )


def _sized(
    event: WindowRandom, lead: WindowRandom, media: Media, sources: Sources, config: SynthesisConfig
) -> Sources:
    """The sources as large as their first stations, `lead`, shall see them."""
    assert config.snr is not None
    wanted = log_uniform(event, "size/snr", config.snr)
    geometry = draw_geometry(event, lead, sources, config.geometry)
    site = draw_site(lead, config.site)
    instrument = draw_instrument(lead, config.instrument, config.sampling_rate_hz)
    noise = draw_noise(lead, config.noise)
    magnitude = magnitude_for_snr(wanted, media, sources, geometry, site, instrument, noise)
    return with_magnitude(sources, magnitude.clamp(*config.sources.magnitude), event, config.sources)


def rows_of(columns: Any, rows: Tensor) -> Any:
    """Some entries of a dataclass of columns, nested ones too; what is one for all stays."""
    if isinstance(columns, Tensor):
        return columns[rows]
    if isinstance(columns, WindowRandom):
        return columns.select(rows)
    if dataclasses.is_dataclass(columns) and not isinstance(columns, type):
        changed = {f.name: rows_of(getattr(columns, f.name), rows) for f in dataclasses.fields(columns)}
        return dataclasses.replace(columns, **changed)
    return columns
