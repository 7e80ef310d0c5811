"""First motions that an exact double couple gives at random stations."""

import pytest
import torch
from seisfm.data.mechanism.double_couple import couple_tensors, fault_vectors
from seisfm.data.mechanism.radiation import log10_sp_ratio, p_radiation, ray_products, rays_of
from seisfm.eval.mechanism.first_motions import FirstMotions


def _exact_motions(mechanism_deg, stations=40, trials=1, seed=0, error_deg=0.0, ratios=False):
    """Stations evenly over the focal sphere; later trials disturb their directions."""
    generator = torch.Generator().manual_seed(seed)
    azimuth_deg = torch.rand(stations, generator=generator, dtype=torch.float64) * 360.0
    takeoff_deg = (torch.rand(stations, generator=generator, dtype=torch.float64) * 2 - 1).acos().rad2deg()
    products = ray_products(rays_of(azimuth_deg, takeoff_deg))
    tensor = couple_tensors(*fault_vectors(torch.as_tensor(mechanism_deg, dtype=torch.float64)))[None]
    noise = torch.randn(2, trials, stations, generator=generator, dtype=torch.float64) * error_deg
    noise[:, 0] = 0.0
    return FirstMotions(
        polarity=p_radiation(products, tensor)[:, 0].sign(),
        impulsive=torch.ones(stations, dtype=torch.bool),
        log10_sp_ratio=log10_sp_ratio(products, tensor)[:, 0]
        if ratios
        else torch.full((stations,), torch.nan),
        azimuth_deg=azimuth_deg + noise[0],
        takeoff_deg=(takeoff_deg + noise[1]).clamp(0.0, 180.0),
    )


@pytest.fixture(scope="session")
def exact_motions():
    """A function from a mechanism, numbers of stations and trials, and errors, to its first motions."""
    return _exact_motions
