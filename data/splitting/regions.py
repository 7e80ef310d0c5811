"""Regions of the Earth's surface as corners: is an epicentre inside?"""

from __future__ import annotations

import numpy as np

Region = tuple[tuple[float, float], ...]
"""Corners (latitude, longitude) in degrees: two opposite ones of a box, or three or more of a polygon."""


def inside_region(latitude_deg: np.ndarray, longitude_deg: np.ndarray, corners: Region) -> np.ndarray:
    """Whether places lie in a region, bool like the coordinates; unknown (NaN) places lie in none.

    A region may cross the date line: of two corners, the second lies east of the first by less than 180
    degrees or west of it by less than 180, whichever is the shorter way.

    Raises ValueError for fewer than two corners, or a latitude beyond a pole.
    """
    if len(corners) < 2 or max(abs(latitude) for latitude, _ in corners) > 90:
        raise ValueError(
            "a region needs two corners (latitude, longitude) of a box or more of a polygon, latitudes from "
            f"-90 to 90, found {corners}"
        )
    outline = np.array(corners, dtype=np.float64)
    middle = outline[0, 1]
    corner_east = _east_of(outline[:, 1], middle)
    east = _east_of(longitude_deg, middle)
    if len(corners) == 2:
        (south, north), (west, right) = np.sort(outline[:, 0]), np.sort(corner_east)
        return (latitude_deg >= south) & (latitude_deg < north) & (east >= west) & (east < right)
    return _inside_polygon(latitude_deg, east, outline[:, 0], corner_east)


def _east_of(longitude_deg: np.ndarray, reference_deg: float) -> np.ndarray:
    """Degrees east of a meridian, −180 to 180."""
    return (longitude_deg - reference_deg + 180.0) % 360.0 - 180.0


def _inside_polygon(
    latitude: np.ndarray, east: np.ndarray, corner_latitude: np.ndarray, corner_east: np.ndarray
) -> np.ndarray:
    """Even-odd rule: a ray to the east of the place crosses the outline an odd number of times."""
    inside = np.zeros(len(latitude), dtype=bool)
    for i in range(len(corner_latitude)):
        begin, end = corner_latitude[i - 1], corner_latitude[i]
        spans = (begin > latitude) != (end > latitude)
        slope = (corner_east[i] - corner_east[i - 1]) / (end - begin) if end != begin else 0.0
        inside ^= spans & (east < corner_east[i - 1] + slope * (latitude - begin))
    return inside & np.isfinite(latitude) & np.isfinite(east)
