"""Which mechanisms fit an event's first motions and S/P amplitude ratios: the grid search of HASH.

Hardebeck & Shearer (2002), Bull. Seismol. Soc. Am. 92, 2264–2276, and (2003), 93, 2434–2444: in many trials
of the take-off geometry, all mechanisms of a grid whose misfit is small enough are acceptable, and all of
these together tell the best one and how sure it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...data.mechanism.double_couple import couple_tensors, frame_vectors, frames_of, mechanisms_of
from ...data.mechanism.grid import mechanism_grid
from ...data.mechanism.radiation import log10_sp_ratio, p_radiation, ray_products, rays_of
from ...data.records import Skipped
from .first_motions import FirstMotions, azimuthal_gap_deg, takeoff_gap_deg
from .preferred import Preferred, preferred_mechanisms
from .quality import quality_letter, weighted_misfit


@dataclass(frozen=True, kw_only=True)
class GridSearchConfig:
    """How mechanisms are searched; the defaults are those of the published examples.

    step_deg: of the grid. bad_share: of the polarities may be wrong, two at least. bad_log10: mean misfit of
    log10 S/P that is acceptable. max_accepted: from more acceptable ones that many are drawn.
    cone_deg: acceptable mechanisms further from their mean belong to another solution.
    min_share: of the acceptable ones that another solution must have to be named.
    min_polarities, max_gap_deg, max_takeoff_gap_deg: with less an event is skipped.
    """

    step_deg: float = 5.0
    bad_share: float = 0.1
    bad_log10: float = 0.3
    max_accepted: int = 500
    cone_deg: float = 45.0
    min_share: float = 0.25
    min_polarities: int = 8
    max_gap_deg: float = 90.0
    max_takeoff_gap_deg: float = 60.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.0 <= self.bad_share < 0.5 or self.bad_log10 <= 0.0 or self.max_accepted < 1:
            raise ValueError(
                "bad_share must lie in [0, 0.5), bad_log10 and max_accepted be positive, found "
                f"{self.bad_share}, {self.bad_log10}, {self.max_accepted}"
            )


@dataclass(frozen=True, kw_only=True)
class Solution:
    """A mechanism and how far it can be trusted.

    mechanism_deg: strike, dip, rake. plane_errors_deg: RMS angle by which the normals of fault and auxiliary
    plane of all acceptable mechanisms differ from it. probability: share of the acceptable ones within the
    cone. polarity_misfit: weighted share of wrong polarities. log10_sp_misfit: mean misfit of S/P, NaN
    without. station_ratio: how far from the nodal planes the stations lie. quality: A to D.
    """

    mechanism_deg: tuple[float, float, float]
    plane_errors_deg: tuple[float, float]
    probability: float
    polarity_misfit: float
    log10_sp_misfit: float
    station_ratio: float
    quality: str
    num_polarities: int
    num_ratios: int
    num_accepted: int


def search_mechanisms(
    motions: FirstMotions, config: GridSearchConfig, event_id: str = ""
) -> list[Solution] | Skipped:
    """The solutions of an event, the most probable first, or why there is none."""
    if reason := too_little(motions, config):
        return Skipped(event_id, reason)
    normals, slips = mechanism_grid(config.step_deg)
    accepted = acceptable(motions, couple_tensors(normals, slips), config).nonzero().squeeze(1)
    generator = torch.Generator().manual_seed(config.seed)
    drawn = accepted[torch.randperm(len(accepted), generator=generator)[: config.max_accepted]]
    frames = frames_of(normals[drawn], slips[drawn])
    found = preferred_mechanisms(frames, config.cone_deg, config.min_share)
    return [_solution(motions, preferred, len(accepted)) for preferred in found]


def too_little(motions: FirstMotions, config: GridSearchConfig) -> str:
    """Why these first motions cannot tell a mechanism, or nothing."""
    known = motions.polarity != 0
    if motions.num_polarities < config.min_polarities:
        return f"{motions.num_polarities} polarities, at least {config.min_polarities} are needed"
    gap_deg = azimuthal_gap_deg(motions.azimuth_deg[0, known])
    if gap_deg > config.max_gap_deg:
        return (
            f"no station in {gap_deg:.0f} degrees of azimuth, at most {config.max_gap_deg:.0f} may be empty"
        )
    gap_deg = takeoff_gap_deg(motions.takeoff_deg[0, known])
    if gap_deg > config.max_takeoff_gap_deg:
        return (
            f"no station in {gap_deg:.0f} degrees of take-off angle, at most "
            f"{config.max_takeoff_gap_deg:.0f} may be empty"
        )
    return ""


def acceptable(motions: FirstMotions, tensors: Tensor, config: GridSearchConfig) -> Tensor:
    """Which mechanisms `(mechanism, 3, 3)` fit in at least one trial, bool `(mechanism,)`.

    In a trial those fit that have at most as many wrong polarities as the best one and half of the tolerance
    more, or as the whole tolerance; of them those whose sum of log10 S/P misfits obeys the same rule. Both
    tolerances are at least 2.
    """
    good = torch.zeros(len(tensors), dtype=torch.bool)
    allowed = max(motions.num_polarities * config.bad_share, 2.0)
    allowed_log10 = max(motions.num_ratios * config.bad_log10, 2.0)
    # One trial at a time: stations × mechanisms of all trials at once would not fit in memory.
    for azimuth_deg, takeoff_deg in zip(motions.azimuth_deg, motions.takeoff_deg, strict=True):
        products = ray_products(rays_of(azimuth_deg, takeoff_deg)).float()
        fits = _near_best(_num_wrong(motions, products, tensors.float()), allowed)
        if motions.num_ratios:
            off = _ratio_misfit(motions, products, tensors.float())
            fits &= _near_best(off.where(fits, torch.inf), allowed_log10)
        good |= fits
    return good


def _near_best(misfit: Tensor, allowed: float) -> Tensor:
    extra = max(allowed / 2.0, 2.0)
    return misfit <= max(allowed, float(misfit.min()) + extra)


def _num_wrong(motions: FirstMotions, products: Tensor, tensors: Tensor) -> Tensor:
    """How many first motions each mechanism `(mechanism,)` gets wrong."""
    known = motions.polarity != 0
    signs = p_radiation(products[known], tensors).sign_()
    return (motions.num_polarities - motions.polarity[known].float() @ signs) / 2.0


def _ratio_misfit(motions: FirstMotions, products: Tensor, tensors: Tensor) -> Tensor:
    """The sum over stations of the absolute misfit of log10 S/P of each mechanism `(mechanism,)`."""
    known = motions.log10_sp_ratio.isfinite()
    expected = log10_sp_ratio(products[known], tensors)
    return (expected - motions.log10_sp_ratio[known, None].float()).abs().sum(dim=0)


def _solution(motions: FirstMotions, preferred: Preferred, num_accepted: int) -> Solution:
    normal, slip = frame_vectors(preferred.frame)
    products = ray_products(rays_of(motions.azimuth_deg[0], motions.takeoff_deg[0])).double()
    tensor = couple_tensors(normal, slip)[None]
    misfit, station_ratio = weighted_misfit(motions, p_radiation(products, tensor)[:, 0])
    strike, dip, rake = mechanisms_of(normal, slip).tolist()
    error_deg = sum(preferred.plane_errors_deg) / 2.0
    off = _ratio_misfit(motions, products.float(), tensor.float())
    return Solution(
        mechanism_deg=(strike, dip, rake),
        plane_errors_deg=preferred.plane_errors_deg,
        probability=preferred.share,
        polarity_misfit=misfit,
        log10_sp_misfit=float(off[0]) / motions.num_ratios if motions.num_ratios else float("nan"),
        station_ratio=station_ratio,
        quality=quality_letter(preferred.share, error_deg, misfit, station_ratio),
        num_polarities=motions.num_polarities,
        num_ratios=motions.num_ratios,
        num_accepted=num_accepted,
    )
