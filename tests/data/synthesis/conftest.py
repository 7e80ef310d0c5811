"""Scenes drawn for the tests of waveforms."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch
from seisfm.data.loading.window_random import WindowRandom, window_keys
from seisfm.data.synthesis.geometry import GeometryConfig, draw_geometry
from seisfm.data.synthesis.media import MediaConfig, draw_media
from seisfm.data.synthesis.scatterers import ScatteringConfig, draw_scattering
from seisfm.data.synthesis.scene import Scene
from seisfm.data.synthesis.seismometers import InstrumentConfig, draw_instrument
from seisfm.data.synthesis.sites import SiteConfig, draw_site
from seisfm.data.synthesis.sources import SourcesConfig, TypeShares, draw_sources
from seisfm.data.synthesis.waves import WavesConfig, arriving_waves, draw_splitting

RATE_HZ = 100.0


@dataclass(frozen=True, kw_only=True)
class SceneConfig:
    """What the scenes of a test are drawn from."""

    media: MediaConfig = field(default_factory=MediaConfig)
    sources: SourcesConfig = field(default_factory=SourcesConfig)
    geometry: GeometryConfig = field(default_factory=GeometryConfig)
    waves: WavesConfig = field(default_factory=WavesConfig)
    site: SiteConfig = field(default_factory=SiteConfig)
    scattering: ScatteringConfig = field(default_factory=ScatteringConfig)
    instrument: InstrumentConfig = field(default_factory=InstrumentConfig)


NO_SCATTERING = ScatteringConfig(coda_share=0.0, follower_share=0.0, conversion_share=0.0, packet_share=0.0)
EARTHQUAKES = TypeShares(
    earthquake=1.0, quarry_blast=0.0, explosion=0.0, collapse=0.0, surface_event=0.0, noise=0.0
)
ONLY_DIRECT = SceneConfig(
    sources=SourcesConfig(types=EARTHQUAKES),
    waves=WavesConfig(branches=False, split_share=0.0),
    scattering=NO_SCATTERING,
)
"""Earthquakes of which nothing but the first P and S arrives."""


def _draw(numbers: torch.Tensor, config: SceneConfig, seed: int, rate_hz: float):
    event = WindowRandom(window_keys(numbers, "event", seed))
    station = WindowRandom(window_keys(numbers, "station", seed))
    media, sources = draw_media(event, config.media), draw_sources(event, config.sources)
    geometry = draw_geometry(event, station, sources, config.geometry)
    scene = Scene(
        media=media,
        sources=sources,
        geometry=geometry,
        waves=arriving_waves(media, sources, geometry, station, config.waves),
        splitting=draw_splitting(station, config.waves),
        site=draw_site(station, config.site),
        scattering=draw_scattering(station, config.scattering),
        instrument=draw_instrument(station, config.instrument, rate_hz),
    )
    return scene, event, station


@pytest.fixture
def draw_scene():
    """Draws `(scene, event, station)` of record numbers from a `SceneConfig`, by default everything's."""

    def draw(numbers, config: SceneConfig | None = None, seed: int = 0, rate_hz: float = RATE_HZ):
        numbers = torch.arange(numbers) if isinstance(numbers, int) else torch.as_tensor(numbers)
        return _draw(numbers, config or SceneConfig(), seed, rate_hz)

    return draw


@pytest.fixture
def only_direct() -> SceneConfig:
    """Earthquakes of which nothing but the first P and S arrives, one pulse each."""
    return ONLY_DIRECT
