"""What a synthetic Earth looks like: the ranges of everything that is drawn, in one tree, by region."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ...configs.loader import CONFIG_FOLDER, load_config
from .disturbances import DisturbanceConfig
from .draws import Range, check_ranges, check_shares
from .geometry import GeometryConfig
from .media import MediaConfig
from .motion import MotionConfig
from .network_health import HealthConfig
from .recorder import RecorderConfig
from .scatterers import ScatteringConfig
from .seismicity import SeismicityConfig
from .seismometers import InstrumentConfig
from .sites import SiteConfig
from .sources import SourcesConfig
from .station_noise import StationNoiseConfig
from .waves import WavesConfig

REGION_FOLDER = CONFIG_FOLDER / "synthesis"
LEAST_AFTER_P_S = 10.0


@dataclass(frozen=True, kw_only=True)
class SynthesisConfig:
    """What the synthetic earthquakes look like.

    sampling_rate_hz: of all records. also_hz: further rates; an event, and a block of training windows, has
        one of them all with equal chance, as its digitizers had it. Archives have the first.
    duration_s: shortest and longest record. pre_event_s: from a record's start to its first P.
    stations_per_event: fewest and most.
    snr: log-uniform ratio of P to noise amplitude at an event's first station, above 1 Hz, which decides the
    magnitude within `sources.magnitude`; null for magnitudes of equal chance there.
    min_snr_db: the noise of a station where P stands out less is lowered to this ratio.
    second_event_share: records with another event of the same source, second_event_s after the first.
    media, sources, geometry: of the crusts, of what shakes, and of where stations stand. waves, motion,
    scattering: how strong branches are, how pulses and surface waves are shaped, and what the way adds. site,
    instrument, noise, disturbances, recorder: of the ground, the sensor, and what else a station writes down.
    seismicity, health: of archives, when and where events happen, and how stations fail.
    """

    sampling_rate_hz: float = 100.0
    also_hz: tuple[float, ...] = ()
    duration_s: Range = (60.0, 90.0)
    pre_event_s: Range = (8.0, 30.0)
    stations_per_event: tuple[int, int] = (1, 4)
    snr: Range | None = (0.7, 60.0)
    min_snr_db: float = 0.0
    second_event_share: float = 0.12
    second_event_s: Range = (3.0, 35.0)
    media: MediaConfig = field(default_factory=MediaConfig)
    sources: SourcesConfig = field(default_factory=SourcesConfig)
    geometry: GeometryConfig = field(default_factory=GeometryConfig)
    waves: WavesConfig = field(default_factory=WavesConfig)
    motion: MotionConfig = field(default_factory=MotionConfig)
    scattering: ScatteringConfig = field(default_factory=ScatteringConfig)
    site: SiteConfig = field(default_factory=SiteConfig)
    instrument: InstrumentConfig = field(default_factory=InstrumentConfig)
    noise: StationNoiseConfig = field(default_factory=StationNoiseConfig)
    disturbances: DisturbanceConfig = field(default_factory=DisturbanceConfig)
    recorder: RecorderConfig = field(default_factory=RecorderConfig)
    seismicity: SeismicityConfig = field(default_factory=SeismicityConfig)
    health: HealthConfig = field(default_factory=HealthConfig)

    def __post_init__(self) -> None:
        check_ranges(self, "duration_s", "pre_event_s", "second_event_s", lowest=0.1)
        check_ranges(self, "stations_per_event", lowest=1)
        check_shares(self, "second_event_share")
        if self.snr is not None:
            check_ranges(self, "snr", lowest=1e-3)
        if not min(self.rates_hz) >= 10.0:
            raise ValueError(f"sampling_rate_hz and also_hz must be 10 or more, found {self.rates_hz}")
        if self.pre_event_s[1] + LEAST_AFTER_P_S > self.duration_s[0]:
            raise ValueError(
                f"duration_s must leave {LEAST_AFTER_P_S:g} s after pre_event_s, found {self.duration_s} and "
                f"{self.pre_event_s}"
            )

    @property
    def rates_hz(self) -> tuple[float, ...]:
        """All sampling rates that records may have."""
        return (self.sampling_rate_hz, *self.also_hz)

    def at_rate(self, rate_hz: float) -> SynthesisConfig:
        """The same Earth, recorded at one rate."""
        return replace(self, sampling_rate_hz=rate_hz, also_hz=())

    @classmethod
    def from_region(cls, name: str, overrides: Sequence[str] = ()) -> SynthesisConfig:
        """One of the shipped regions (see `regions`), with `key.sub=value` overrides.

        Raises ValueError for a name that is none of them.
        """
        if name not in regions():
            raise ValueError(f"region must be one of {regions()}, found {name!r}")
        return load_config(cls, REGION_FOLDER / f"{name}.yaml", overrides)

    @classmethod
    def open(cls, name_or_path: str | Path, overrides: Sequence[str] = ()) -> SynthesisConfig:
        """A shipped region by its name, or anybody's file that ends in .yaml or .yml."""
        if Path(name_or_path).suffix not in (".yaml", ".yml"):
            return cls.from_region(str(name_or_path), overrides)
        return load_config(cls, name_or_path, overrides)


def regions() -> tuple[str, ...]:
    """The names of the regions that come with seisfm."""
    return tuple(sorted(path.stem for path in REGION_FOLDER.glob("*.yaml")))
