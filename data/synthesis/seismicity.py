"""When and where the earth shakes in an archive: background, aftershocks, swarms, and blasts at work."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..loading.window_random import WindowRandom
from .draws import Range, check_ranges, check_shares

FloatArray = NDArray[np.float64]

ROLES = ("background", "aftershock", "swarm", "blast")
DAY_S = 86400.0
HOUR_S = 3600.0
BLAST_DEPTH_KM = (0.01, 0.3)
SWARM_SIZE = 15
"""Mean number of events in a swarm."""


@dataclass(frozen=True, kw_only=True)
class SeismicityConfig:
    """The events of a network's archive.

    radius_km: epicentres lie so close to the network's centre. depth_km: of earthquakes.
    magnitude: limits between which sizes follow Gutenberg and Richter's law with this b_value; null for
        events as large as the stations can see (`SynthesisConfig.snr`).
    aftershock_share, swarm_share, blast_share: of all events; the others are background, which knows nothing
        of each other (a Poisson process with a given number).
    omori_c_s, omori_p: aftershocks follow with the rate (t + c)^−p (Utsu, 1961), the more of them the larger
        their mainshock: 10^M (Felzer et al., 2004). cluster_km: how far from it, standard deviation.
    swarm_duration_s: standard deviation of a swarm's times around its middle.
    num_quarries: places of blasts. working_hours: first and last hour of a day, UTC; Monday to Friday.
    """

    radius_km: float = 20.0
    depth_km: Range = (1.0, 15.0)
    magnitude: Range | None = None
    b_value: float = 1.0
    aftershock_share: float = 0.0
    swarm_share: float = 0.0
    blast_share: float = 0.0
    omori_c_s: float = 300.0
    omori_p: float = 1.1
    cluster_km: float = 1.0
    swarm_duration_s: float = 7200.0
    num_quarries: int = 2
    working_hours: Range = (8.0, 17.0)

    def __post_init__(self) -> None:
        check_shares(self, "aftershock_share", "swarm_share", "blast_share")
        check_ranges(self, "depth_km", "working_hours", lowest=0.0)
        if self.aftershock_share + self.swarm_share + self.blast_share > 1.0:
            raise ValueError(
                "aftershock_share, swarm_share and blast_share must leave room for background: their sum is "
                f"1 at most, found {self.aftershock_share}, {self.swarm_share}, {self.blast_share}"
            )
        if self.magnitude is not None:
            check_ranges(self, "magnitude")
        for name in ("radius_km", "b_value", "omori_c_s", "omori_p", "cluster_km", "swarm_duration_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, found {getattr(self, name)}")
        if self.num_quarries < 1 or self.working_hours[1] > 24.0:
            raise ValueError(
                "num_quarries must be 1 or more and working_hours end by 24, "
                f"found {self.num_quarries} and {self.working_hours}"
            )


@dataclass(frozen=True, kw_only=True)
class Seismicity:
    """Events in order of time, all `(event,)`.

    origin_s: after the archive's start. role: position in `ROLES`. north_km, east_km: from the network's
    centre. magnitude: NaN where the stations decide.
    """

    origin_s: FloatArray
    role: NDArray[np.int64]
    north_km: FloatArray
    east_km: FloatArray
    depth_km: FloatArray
    magnitude: FloatArray

    def __len__(self) -> int:
        return len(self.origin_s)

    def ordered(self) -> Seismicity:
        """The same events in order of time."""
        order = np.argsort(self.origin_s, kind="stable")
        return Seismicity(**{name: column[order] for name, column in vars(self).items()})


class _Numbers:
    """Uniform numbers by name, from the one key of an archive."""

    def __init__(self, random: WindowRandom):
        self._random = random

    def uniform(self, name: str, count: int) -> FloatArray:
        return self._random.uniform64(f"seismicity/{name}", count)[0].numpy()

    def normal(self, name: str, count: int) -> FloatArray:
        return self._random.normal(f"seismicity/{name}", count)[0].double().numpy()


def draw_seismicity(
    random: WindowRandom,
    config: SeismicityConfig,
    num_events: int,
    span_s: tuple[float, float],
    start_time: float,
) -> Seismicity:
    """So many events between two times after the archive's start.

    random: of one window, the archive. start_time: UTC seconds, which tell when people work.

    Raises ValueError where there are to be blasts and nobody works in that time.
    """
    numbers = _Numbers(random)
    role = _roles(numbers, config, num_events)
    origin_s = span_s[0] + numbers.uniform("time", num_events) * (span_s[1] - span_s[0])
    radius_km = config.radius_km * np.sqrt(numbers.uniform("radius", num_events))
    azimuth = 2.0 * np.pi * numbers.uniform("azimuth", num_events)
    low_km, high_km = config.depth_km
    drawn = Seismicity(
        origin_s=origin_s,
        role=role,
        north_km=radius_km * np.cos(azimuth),
        east_km=radius_km * np.sin(azimuth),
        depth_km=low_km + numbers.uniform("depth", num_events) * (high_km - low_km),
        magnitude=_magnitudes(numbers, config, num_events),
    )
    _place_aftershocks(drawn, numbers, config, span_s)
    _place_swarms(drawn, numbers, config, span_s)
    _place_blasts(drawn, numbers, config, span_s, start_time)
    return drawn.ordered()


def _roles(numbers: _Numbers, config: SeismicityConfig, num_events: int) -> NDArray[np.int64]:
    """Aftershocks need an event that they follow: the first event is background wherever that can be."""
    shares = np.cumsum([config.aftershock_share, config.swarm_share, config.blast_share])
    role = np.searchsorted(shares, numbers.uniform("role", num_events), side="right")
    role = np.array([1, 2, 3, 0])[role]
    if (role == ROLES.index("aftershock")).any() and not (role == 0).any():
        role[0] = 0
    return role


def _magnitudes(numbers: _Numbers, config: SeismicityConfig, num_events: int) -> FloatArray:
    """Sizes whose numbers fall as 10^(−b M) between two limits (Gutenberg & Richter, 1944)."""
    if config.magnitude is None:
        return np.full(num_events, np.nan)
    low, high = config.magnitude
    rate = config.b_value * math.log(10.0)
    share = numbers.uniform("magnitude", num_events) * -math.expm1(-rate * (high - low))
    return low - np.log1p(-share) / rate


def omori_delay_s(share: FloatArray, config: SeismicityConfig, longest_s: FloatArray) -> FloatArray:
    """Delays after a mainshock whose distribution follows (t + c)^−p up to `longest_s`, by inversion."""
    c, p = config.omori_c_s, config.omori_p
    if abs(p - 1.0) < 1e-6:
        return c * ((1.0 + longest_s / c) ** share - 1.0)
    whole = (longest_s + c) ** (1.0 - p) - c ** (1.0 - p)
    return (c ** (1.0 - p) + share * whole) ** (1.0 / (1.0 - p)) - c


def _place_aftershocks(
    events: Seismicity, numbers: _Numbers, config: SeismicityConfig, span_s: tuple[float, float]
) -> None:
    """Aftershocks go to a background event, in proportion to 10^M, at Omori's delays."""
    rows = np.flatnonzero(events.role == ROLES.index("aftershock"))
    if not len(rows):
        return
    parents = np.flatnonzero(events.role == ROLES.index("background"))
    weight = 10.0 ** np.nan_to_num(events.magnitude[parents])
    chosen = np.searchsorted(
        np.cumsum(weight) / weight.sum(), numbers.uniform("mainshock", len(rows)), side="right"
    )
    parent = parents[np.minimum(chosen, len(parents) - 1)]
    left_s = span_s[1] - events.origin_s[parent]
    events.origin_s[rows] = events.origin_s[parent] + omori_delay_s(
        numbers.uniform("omori", len(rows)), config, left_s
    )
    events.magnitude[rows] = np.minimum(events.magnitude[rows], events.magnitude[parent])
    _scatter(
        events,
        rows,
        events.north_km[parent],
        events.east_km[parent],
        events.depth_km[parent],
        numbers,
        config,
    )


def _place_swarms(
    events: Seismicity, numbers: _Numbers, config: SeismicityConfig, span_s: tuple[float, float]
) -> None:
    """Swarms are bursts without a mainshock: normally distributed in time around a middle."""
    rows = np.flatnonzero(events.role == ROLES.index("swarm"))
    if not len(rows):
        return
    num_swarms = max(1, round(len(rows) / SWARM_SIZE))
    swarm = rows[(numbers.uniform("swarm", len(rows)) * num_swarms).astype(np.int64)]
    # The swarm's middle and place are those drawn for the event that its number falls on.
    times_s = events.origin_s[swarm] + config.swarm_duration_s * numbers.normal("swarm_time", len(rows))
    events.origin_s[rows] = np.clip(times_s, *span_s)
    place = events.north_km[swarm], events.east_km[swarm], events.depth_km[swarm]
    _scatter(events, rows, *place, numbers, config)


def _scatter(
    events: Seismicity,
    rows: NDArray[np.int64],
    north_km: FloatArray,
    east_km: FloatArray,
    depth_km: FloatArray,
    numbers: _Numbers,
    config: SeismicityConfig,
) -> None:
    """Put events around others, in depth too, without leaving the ground."""
    role = ROLES[events.role[rows[0]]]
    offset_km = config.cluster_km * numbers.normal(f"{role}_offset", 3 * len(rows)).reshape(3, -1)
    events.north_km[rows] = north_km + offset_km[0]
    events.east_km[rows] = east_km + offset_km[1]
    events.depth_km[rows] = np.clip(depth_km + offset_km[2], *config.depth_km)


def _place_blasts(
    events: Seismicity,
    numbers: _Numbers,
    config: SeismicityConfig,
    span_s: tuple[float, float],
    start_time: float,
) -> None:
    """Blasts go to a few quarries, close below the surface, in working hours."""
    rows = np.flatnonzero(events.role == ROLES.index("blast"))
    if not len(rows):
        return
    shifts_s = _working_time(config, span_s, start_time)
    ends_s = np.cumsum(shifts_s[:, 1] - shifts_s[:, 0])
    worked_s = numbers.uniform("working_time", len(rows)) * ends_s[-1]
    shift = np.searchsorted(ends_s, worked_s, side="right")
    events.origin_s[rows] = shifts_s[shift, 1] - (ends_s[shift] - worked_s)
    quarry = (numbers.uniform("quarry", len(rows)) * config.num_quarries).astype(np.int64)
    radius_km = config.radius_km * np.sqrt(numbers.uniform("quarry_radius", config.num_quarries))
    azimuth = 2.0 * np.pi * numbers.uniform("quarry_azimuth", config.num_quarries)
    events.north_km[rows] = (radius_km * np.cos(azimuth))[quarry]
    events.east_km[rows] = (radius_km * np.sin(azimuth))[quarry]
    low_km, high_km = BLAST_DEPTH_KM
    events.depth_km[rows] = low_km + numbers.uniform("blast_depth", len(rows)) * (high_km - low_km)


def _working_time(config: SeismicityConfig, span_s: tuple[float, float], start_time: float) -> FloatArray:
    """Begin and end `(shift, 2)`, after the archive's start, of the hours in which people work."""
    first_day, last_day = (math.floor((start_time + time_s) / DAY_S) for time_s in span_s)
    # 1970-01-01 was a Thursday.
    days = [day for day in range(first_day, last_day + 1) if (day + 3) % 7 < 5]
    hours_s = HOUR_S * np.array(config.working_hours)
    shifts_s = np.array(days, dtype=np.float64)[:, None] * DAY_S + hours_s - start_time
    shifts_s = np.clip(shifts_s, *span_s)
    shifts_s = shifts_s[shifts_s[:, 1] > shifts_s[:, 0]]
    if not len(shifts_s):
        raise ValueError(
            f"there are to be blasts (blast_share {config.blast_share}), but nobody works (Monday to Friday, "
            f"{config.working_hours} h) in these {span_s[1] - span_s[0]:g} s: make the archive longer, or "
            "blast_share 0"
        )
    return shifts_s
