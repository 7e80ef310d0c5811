"""One event at one station, drawn to the end: what is left is to let the ground move."""

from __future__ import annotations

from dataclasses import dataclass

from .plan import Geometry, Media, Sources, Splitting, Waves
from .scatterers import Scattering
from .seismometers import Instrument
from .sites import Site


@dataclass(frozen=True, kw_only=True)
class Scene:
    """All that decides the ground motion of a batch, one entry a record in each part."""

    media: Media
    sources: Sources
    geometry: Geometry
    waves: Waves
    splitting: Splitting
    site: Site
    scattering: Scattering
    instrument: Instrument
