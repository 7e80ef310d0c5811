"""How the ground moves in a short frame about each token: the direction that the motion itself points to."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from .spectrum import FLOOR, frame_frequencies_hz, frame_samples, in_bands

BANDS_HZ = ((1.0, 3.0), (3.0, 6.0), (6.0, 12.0), (12.0, 25.0))
FRAME_S = 0.64
INVARIANTS = 3
"""Figures of each band that a turn of the horizontals leaves as they are."""


def token_polarization(
    waveform: Tensor, components: tuple[str, ...], token_samples: int, rate_hz: float
) -> tuple[Tensor, Tensor]:
    """Where each frame's motion points, and what of it has no direction.

    P moves the ground up and away from the source, or down and towards it: −Z·N and −Z·E point to the source
    either way (Jurkevics 1988, BSSA 78, 1725, on the covariance of the components in bands).

    waveform: `(window, component, sample)` of whole tokens, 0 where not observed. components: their names.

    Returns `toward` `(window, token, band, 2)`, to north and east, as shares of a power in a band, and
    `(window, token, band · INVARIANTS)`: log₁₀ of the power, of vertical over horizontal power, and how well
    the vertical and the horizontals move together, 0 to 1.

    Raises ValueError unless Z, N and E are among the components.
    """
    if not {"Z", "N", "E"} <= set(components):
        raise ValueError(f"directions need the components Z, N and E, found {components}")
    length = frame_samples(rate_hz, FRAME_S)
    before = (length - token_samples) // 2
    order = [components.index(name) for name in "ZNE"]
    padded = F.pad(waveform[:, order].float(), (before, length - token_samples - before))
    taper = torch.hann_window(length, device=waveform.device)
    spectrum = torch.fft.rfft(padded.unfold(-1, length, token_samples) * taper, dim=-1)
    vertical, north, east = spectrum.unbind(1)
    parts = [part.abs().square() for part in (vertical, north, east)]
    parts += [-(vertical * part.conj()).real for part in (north, east)]
    frequencies_hz = frame_frequencies_hz(rate_hz, FRAME_S).to(waveform.device)
    scale = 2.0 / (length * taper.square().sum())
    zz, nn, ee, zn, ze = (scale * in_bands(part, frequencies_hz, BANDS_HZ) for part in parts)
    toward = torch.stack((zn, ze), dim=-1)
    together = toward.square().sum(dim=-1) / (zz * (nn + ee) + FLOOR**2)
    power = zz + nn + ee + FLOOR
    flat = torch.cat((power.log10(), ((zz + FLOOR) / (nn + ee + FLOOR)).log10(), together), dim=-1)
    return toward / power[..., None], flat
