"""Another orientation of the world: the horizontals turned, and with them every label that is a direction."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .distortions import Augmentation
from .window_draft import Draft, chosen
from .window_random import WindowRandom


@dataclass(frozen=True, kw_only=True)
class HorizontalRotation(Augmentation):
    """The same earthquake from another side: N and E turned by an angle of equal chance, labels likewise.

    To turn source, path and station together about the vertical changes nothing but directions: the back
    azimuth and the strike grow by the angle. That is exact where the horizontals are oriented and the ground
    is alike in all directions. A window without both horizontals stays as it is. The stations of one event
    turn each by itself, which a network's answer would not survive: leave it out there.
    """

    def apply(self, draft: Draft, random: WindowRandom) -> None:
        """Turn some windows."""
        if not {"N", "E"} <= set(draft.component_names):
            return
        rows, draws = chosen(random, "horizontal_rotation", self.probability, count=1)
        if len(rows) == 0:
            return
        north, east = (draft.component_names.index(name) for name in "NE")
        waveform = draft.waveform[rows]
        live = (waveform[:, [north, east]].isfinite().any(dim=-1)).all(dim=1)
        angle = torch.where(live, draws[:, 0] * 2 * torch.pi, 0.0)
        n, e = waveform[:, north].clone(), waveform[:, east].clone()
        cosine, sine = angle.cos()[:, None], angle.sin()[:, None]
        turned = live[:, None]
        waveform[:, north] = torch.where(turned, cosine * n - sine * e, n)
        waveform[:, east] = torch.where(turned, sine * n + cosine * e, e)
        draft.write(rows, waveform)
        _turn_labels(draft, rows, torch.rad2deg(angle))


def _turn_labels(draft: Draft, rows: Tensor, angle_deg: Tensor) -> None:
    """Add an angle to the back azimuth and the strike of some windows."""
    labels = draft.labels
    if "back_azimuth_deg" in labels:
        turned = (labels["back_azimuth_deg"][rows] + angle_deg).remainder(360.0)
        labels["back_azimuth_deg"] = labels["back_azimuth_deg"].index_copy(0, rows, turned)
    if "mechanism_deg" in labels:
        mechanism = labels["mechanism_deg"][rows].clone()
        mechanism[:, 0] = (mechanism[:, 0] + angle_deg).remainder(360.0)
        labels["mechanism_deg"] = labels["mechanism_deg"].index_copy(0, rows, mechanism)
