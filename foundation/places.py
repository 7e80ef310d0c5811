"""Where and when the windows of a batch were recorded, for what looks at several stations at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..data.batch import WaveformBatch

EARTH_RADIUS_KM = 6371.0


@dataclass(frozen=True)
class WindowPlaces:
    """Which windows belong together, where their stations stand, and when they begin.

    network: int64 `(window,)`, the same for windows that may look at each other; −1 for one that stands
        alone: nobody said what it belongs to, or its station's place or its time is unknown.
    latitude_deg, longitude_deg, elevation_km, start_s: float64 `(window,)`; times count from the earliest.
    """

    network: Tensor
    latitude_deg: Tensor
    longitude_deg: Tensor
    elevation_km: Tensor
    start_s: Tensor

    @classmethod
    def of(cls, batch: WaveformBatch) -> WindowPlaces | None:
        """The places of a batch's windows; None where it has no networks, or says nothing of their places."""
        if batch.event_index is None or batch.station_geometry is None or batch.start_time is None:
            return None
        geometry = batch.station_geometry.double()
        start_s = batch.start_time.double()
        known = geometry.isfinite().all(dim=1) & start_s.isfinite()
        earliest = torch.where(known, start_s, torch.inf).amin() if len(batch) else start_s.new_zeros(())
        latitude_deg, longitude_deg, elevation_m = torch.where(known[:, None], geometry, 0.0).unbind(dim=1)
        return cls(
            network=torch.where(known, batch.event_index, -1),
            latitude_deg=latitude_deg,
            longitude_deg=longitude_deg,
            elevation_km=elevation_m / 1000.0,
            start_s=torch.where(known, start_s - earliest, 0.0),
        )

    def grid(self) -> Tensor:
        """The windows of each network of two or more, int64 `(network, station)`, padded with −1."""
        numbers, index, counts = self.network.unique(return_inverse=True, return_counts=True)
        several = (counts > 1) & (numbers >= 0)
        chosen = several[index].nonzero().flatten()
        if len(chosen) == 0:
            return index.new_full((0, 0), -1)
        row = (several.cumsum(dim=0) - 1)[index[chosen]]
        order = row.argsort(stable=True)
        chosen, row = chosen[order], row[order]
        first = torch.searchsorted(row, row)
        rows = index.new_full((int(several.sum()), int(counts[several].max())), -1)
        rows[row, torch.arange(len(row), device=row.device) - first] = chosen
        return rows

    def distance_km(self, rows: Tensor) -> Tensor:
        """Epicentral distances between the stations of each network `(network, station, station)`.

        Great circles on a sphere. rows: of `grid`; what stands for padding has no meaning.
        """
        latitude = self.latitude_deg[rows].deg2rad()
        longitude = self.longitude_deg[rows].deg2rad()
        north = latitude[:, None, :] - latitude[:, :, None]
        east = longitude[:, None, :] - longitude[:, :, None]
        cosines = latitude.cos()[:, None, :] * latitude.cos()[:, :, None]
        haversine = (north / 2).sin().square() + cosines * (east / 2).sin().square()
        return 2.0 * EARTH_RADIUS_KM * haversine.clamp(max=1.0).sqrt().asin()
