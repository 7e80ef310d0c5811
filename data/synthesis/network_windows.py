"""Synthetic windows of whole networks: what many stations saw at the same time, of an event or of none."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from ..batch import WaveformBatch
from ..loading.window_random import WindowRandom, window_keys
from .config import SynthesisConfig
from .draws import Range, check_ranges, check_shares, log_uniform, uniform
from .engine import SyntheticEarth
from .geometry import EARTH_RADIUS_KM, geometry_between
from .labelled_windows import window_batch
from .media import draw_media
from .plan import BRANCHES, Geometry, Media, Sources
from .seismometers import draw_instrument
from .sites import draw_site
from .sizes import magnitude_for_snr
from .sources import draw_sources, with_magnitude
from .station_noise import draw_noise
from .views import Views, station_random, views_of

NEVER_QUIETER_DB = -200.0


@dataclass(frozen=True, kw_only=True)
class NetworkWindowsConfig:
    """Networks and what they see.

    stations: fewest and most. radius_km: log-uniform, of the disc that they are spread over evenly.
    center_km: uniform, from the network's centre to the epicentre: events need not lie inside.
    window_s: length. first_p_s: uniform, the network's first P after the windows' start.
    lost_share: stations of whose window nothing was recorded.
    heard_db: an arrival that stands out of the noise less than this (see `phase_snr_db`) is not labelled, and
        its phase not known to be absent.
    synthesis: everything else. Its `snr` is that of the middle station; `sources.types.noise` is the share of
        windows without an event. Second events and several rates are left out.
    """

    stations: tuple[int, int] = (4, 12)
    radius_km: Range = (8.0, 40.0)
    center_km: Range = (0.0, 40.0)
    window_s: float = 30.0
    first_p_s: Range = (1.0, 15.0)
    lost_share: float = 0.03
    heard_db: float = -3.0
    synthesis: SynthesisConfig = field(default_factory=SynthesisConfig)

    def __post_init__(self) -> None:
        check_ranges(self, "stations", lowest=1)
        check_ranges(self, "radius_km", "first_p_s", "center_km")
        check_shares(self, "lost_share")
        if not (self.radius_km[0] > 0 and self.first_p_s[0] >= 0 and self.first_p_s[1] < self.window_s):
            raise ValueError(
                "radius_km must be above 0 and first_p_s lie in the window, "
                f"found {self.radius_km} km and {self.first_p_s} s of {self.window_s:g} s"
            )


class SyntheticNetworks:
    """Windows of networks of a synthetic Earth, each of a number: the same in any batch, process or device.

    Each number has its own network over its own crust. Its stations' windows start at one time.
    """

    def __init__(self, config: NetworkWindowsConfig, seed: int, device: torch.device | str = "cpu"):
        synthesis = replace(config.synthesis, second_event_share=0.0, also_hz=(), min_snr_db=NEVER_QUIETER_DB)
        self.config = replace(config, synthesis=synthesis)
        self.earth = SyntheticEarth(synthesis, seed, device)

    def network_windows(self, numbers: Tensor) -> WaveformBatch:
        """All stations' windows of some networks, int64 `(network,)`, with all labels of `window_labels`.

        `event_index` is the network's place in `numbers`.
        """
        config, rate_hz = self.config, self.config.synthesis.sampling_rate_hz
        views, network = self._views(numbers.to(self.earth.device))
        travel_s = views.scene.waves.travel_time_s[:, BRANCHES.index("P")]
        soonest_s = travel_s.new_full((len(numbers),), torch.inf).scatter_reduce(0, network, travel_s, "amin")
        wanted_s = uniform(views.event, "network/first_p", config.first_p_s).double()
        first_p_s = wanted_s + travel_s - soonest_s[network]
        heard = self.earth.hear(views, first_p_s, round(config.window_s * rate_hz))
        recorded = heard.recorded
        waveform = recorded.waveform
        lost = views.station.uniform("network/lost") < config.lost_share
        waveform = waveform.masked_fill(lost[:, None, None], torch.nan)
        batch = window_batch(heard, waveform, recorded.component_names, rate_hz, 0.0, self.earth.seed)
        labels = _only_heard(dict(batch.labels), config.heard_db)
        return batch.replace(event_index=network, labels=labels)

    def _views(self, numbers: Tensor) -> tuple[Views, Tensor]:
        """What each station is about to see, and the place in `numbers` of its network."""
        config, synthesis, seed = self.config, self.config.synthesis, self.earth.seed
        fewest, most = config.stations
        draw = WindowRandom(window_keys(numbers, "event", seed)).uniform("network/stations")
        count = fewest + (draw * (most - fewest + 1)).long()
        network = torch.arange(len(numbers), device=numbers.device).repeat_interleave(count)
        place = torch.arange(len(network), device=numbers.device) - (count.cumsum(0) - count)[network]
        records = numbers[network] * most + place
        event = WindowRandom(window_keys(numbers[network], "event", seed))
        station = station_random(records, seed)
        media, sources = draw_media(event, synthesis.media), draw_sources(event, synthesis.sources)
        geometry = self._geometry(event, station, sources)
        sources = self._sized(event, station, network, media, sources, geometry)
        chances = (event, station, station)
        return views_of((records, numbers[network]), *chances, media, sources, geometry, synthesis), network

    def _geometry(self, event: WindowRandom, station: WindowRandom, sources: Sources) -> Geometry:
        """Stations evenly over a disc whose centre lies somewhere about the epicentre."""
        config = self.config
        center_km = uniform(event, "network/center", config.center_km).double()
        center = 2.0 * torch.pi * event.uniform64("network/direction")
        radius_km = log_uniform(event, "network/radius", config.radius_km).double()
        radius_km = radius_km * station.uniform64("network/radius").sqrt()
        azimuth = 2.0 * torch.pi * station.uniform64("network/azimuth")
        north_km = center_km * center.cos() + radius_km * azimuth.cos()
        east_km = center_km * center.sin() + radius_km * azimuth.sin()
        latitude_deg = sources.latitude_deg.double() + (north_km / EARTH_RADIUS_KM).rad2deg()
        shrink = sources.latitude_deg.double().deg2rad().cos()
        longitude_deg = sources.longitude_deg.double() + (east_km / EARTH_RADIUS_KM / shrink).rad2deg()
        elevation_m = uniform(station, "geometry/elevation", config.synthesis.geometry.elevation_m)
        return geometry_between(sources, latitude_deg, longitude_deg, elevation_m)

    def _sized(
        self,
        event: WindowRandom,
        station: WindowRandom,
        network: Tensor,
        media: Media,
        sources: Sources,
        geometry: Geometry,
    ) -> Sources:
        """The sources as large as their middle stations shall see them."""
        config = self.config.synthesis
        if config.snr is None:
            return sources
        magnitude = magnitude_for_snr(
            log_uniform(event, "size/snr", config.snr),
            media,
            sources,
            geometry,
            draw_site(station, config.site),
            draw_instrument(station, config.instrument, config.sampling_rate_hz),
            draw_noise(station, config.noise),
        )
        middle = torch.stack([part.median() for part in magnitude.split(network.bincount().tolist())])
        return with_magnitude(
            sources, middle[network].clamp(*config.sources.magnitude), event, config.sources
        )


def _only_heard(labels: dict[str, Tensor], heard_db: float) -> dict[str, Tensor]:
    """The labels without arrivals that nobody could see, whose phases become unknown where they are."""
    for phase in ("p", "s"):
        faint = labels[f"{phase}_snr_db"] < heard_db
        for name in [name for name in labels if name.startswith(phase) and name.endswith("_arrival_s")]:
            labels[name] = labels[name].masked_fill(faint[:, None], torch.nan)
        labels[f"{phase}_labelled"] = labels[f"{phase}_labelled"] & ~faint
    told = labels["p_arrival_s"].isfinite()
    return labels | {"polarity": labels["polarity"].where(told, -1)}
