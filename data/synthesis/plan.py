"""What is drawn for each synthetic record before any waveform is made: tensors, one entry a record.

A record is one station's view of one event. Everything is vectorized over records and lives on one device;
`event` randomness is shared by the stations of an event, `station` randomness is each record's own.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

BRANCHES = ("P", "Pg", "Pn", "PmP", "S", "Sg", "Sn", "SmS")
"""Ray branches, in the order of the second dimension of `Waves`; P and S are the first of each kind."""


@dataclass(frozen=True, kw_only=True)
class Media:
    """Layered crusts: `(record, layer)`, padded with layers of no thickness at infinite depth.

    top_km: depth of each layer's top, the first −infinity for the air side; vp_km_s, vs_km_s. Depth 0 is the
        ground about the stations, also under an ocean or a glacier; padding is as fast as the last layer.
    moho: int64 `(record,)`, the layer below the Moho, −1 where there is none.
    s_quality_1hz, quality_exponent, quality_ratio: `(record,)`, QS = s_quality_1hz f^exponent, QP = ratio QS.
    """

    top_km: Tensor
    vp_km_s: Tensor
    vs_km_s: Tensor
    moho: Tensor
    s_quality_1hz: Tensor
    quality_exponent: Tensor
    quality_ratio: Tensor


@dataclass(frozen=True, kw_only=True)
class Sources:
    """What shakes. All `(record,)` unless said otherwise.

    kind: int64, position in `data.event_types.EVENT_TYPES` of what the record shows.
    magnitude (Mw), stress_drop_pa, depth_km; latitude_deg, longitude_deg in float64.
    mechanism_deg: `(record, 3)` strike, dip, rake; NaN for sources without a double couple.
    double_couple, isotropic, clvd: weights of the moment tensor's parts, isotropic negative for implosions;
        all three 0 where nothing shakes (noise).
    delays_s, weights: `(record, pulse)`, sub-events or shots, the first at 0; weights sum to 1, padded with
        0.
    emergence_s: `(record,)`, rise time of sources that have no sharp onset (surface events), 0 for others.
    """

    kind: Tensor
    magnitude: Tensor
    stress_drop_pa: Tensor
    depth_km: Tensor
    latitude_deg: Tensor
    longitude_deg: Tensor
    mechanism_deg: Tensor
    double_couple: Tensor
    isotropic: Tensor
    clvd: Tensor
    delays_s: Tensor
    weights: Tensor
    emergence_s: Tensor


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """Where the station stands as seen from the source, all `(record,)`; latitude and longitude float64."""

    distance_km: Tensor
    azimuth_deg: Tensor
    back_azimuth_deg: Tensor
    station_latitude_deg: Tensor
    station_longitude_deg: Tensor
    station_elevation_m: Tensor


@dataclass(frozen=True, kw_only=True)
class Waves:
    """Rays from source to station, `(record, branch)` as in `BRANCHES`, NaN where one does not exist.

    travel_time_s: float64. The others are float32.
    motion: `(record, branch, 3)`, ground displacement of Z up, N, E per unit of far-field level, radiation,
        free surface and branch strength included. Where the first arrival is one of the named branches, its
        motion stands at P (or S) and is 0 at the name, so that the sum over branches holds each ray once.
        0 where a branch does not exist.
    takeoff_deg: at the source, 0 is down. incidence_deg: at the station, 0 is vertical.
    """

    travel_time_s: Tensor
    motion: Tensor
    takeoff_deg: Tensor
    incidence_deg: Tensor
    ray_parameter_s_km: Tensor


@dataclass(frozen=True, kw_only=True)
class Splitting:
    """What slight anisotropy below a station does to S, all `(record,)`.

    fast_azimuth_deg: direction of the faster horizontal motion, clockwise from north. delay_s: how much later
    the motion across it comes, 0 where the ground is isotropic.
    """

    fast_azimuth_deg: Tensor
    delay_s: Tensor
