"""What a masked token can be asked for beside its samples: its spectrum and its direction of motion.

Both are of the token's own samples alone, so that a target tells of nothing but what was hidden. Frequency
content can be guessed where phases cannot (a coda), and the direction of motion tells P from S whatever the
amplitude is.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from .base import mean_over_all

MOTION = ("Z", "N", "E")
"""The components that make up a direction."""


def num_frequencies(token_samples: int) -> int:
    """Frequencies of a token's spectrum, from 0 to half of the sampling rate."""
    return token_samples // 2 + 1


def log_spectrum(waveform: Tensor, token_samples: int, floor: float) -> Tensor:
    """The logarithm of each token's amplitude spectrum, `(window, token, component, frequency)`.

    waveform: float32 `(window, component, sample)` of whole tokens. Each token is tapered by a Hann window by
    itself. Power 1 is that of white noise of unit variance; `floor` is added to it before the logarithm.
    """
    taper = torch.hann_window(token_samples, device=waveform.device)
    tokens = waveform.unflatten(-1, (-1, token_samples)) * taper
    power = torch.view_as_real(torch.fft.rfft(tokens)).square().sum(dim=-1) / taper.square().sum()
    return rearrange(
        0.5 * (power + floor).log(), "window component token frequency -> window token component frequency"
    )


def polarization(waveform: Tensor, token_samples: int) -> tuple[Tensor, Tensor]:
    """Each token's direction of motion as a deviator `(window, token, 3, 3)`, and where there is motion.

    waveform: float32 `(window, 3, sample)` of Z, N and E, whole tokens. The covariance of the components
    (about zero: the contract's high-pass has taken the mean away) over its trace, less a third of the unit
    matrix: amplitudes cancel, and no angle has to wrap. It is 0 for motion that is alike in all directions;
    its squared norm is 2/3 for motion along one line and 1/6 on a circle (3/2 of it is the squared degree of
    polarization of Samson 1973, GJRAS 34, 403–419, for a real matrix).
    """
    tokens = waveform.unflatten(-1, (-1, token_samples))
    covariance = torch.einsum("wcts,wdts->wtcd", tokens, tokens)
    energy = covariance.diagonal(dim1=-2, dim2=-1).sum(dim=-1)
    moves = energy > 0
    share = covariance / energy.where(moves, 1.0)[..., None, None]
    return share - torch.eye(3, device=waveform.device) / 3, moves


def token_judged(judged: Tensor, token_samples: int) -> Tensor:
    """The tokens of which every sample is judged, bool `(window, token, component)`."""
    whole = judged.unflatten(-1, (-1, token_samples)).all(dim=-1)
    return whole.transpose(1, 2)


def spectrum_loss(guess: Tensor, truth: Tensor, judged: Tensor) -> Tensor:
    """The smooth L1 distance of log spectra `(window, token, component, frequency)` over what is judged.

    judged: bool `(window, token, component)`.
    """
    error = F.smooth_l1_loss(guess, truth, reduction="none").mean(dim=-1)
    return mean_over_all(error.where(judged, 0.0).sum(), judged.sum())


def polarization_loss(guess: Tensor, truth: Tensor, judged: Tensor) -> Tensor:
    """The squared norm of the difference of deviators `(window, token, 3, 3)` over the judged tokens.

    judged: bool `(window, token)`.
    """
    error = (guess - truth).square().sum(dim=(-2, -1))
    return mean_over_all(error.where(judged, 0.0).sum(), judged.sum())


def symmetric_deviator(entries: Tensor) -> Tensor:
    """A symmetric 3 × 3 matrix of trace zero from five numbers in the last dimension."""
    first, second, zn, ze, ne = entries.unbind(dim=-1)
    rows = (first, zn, ze, zn, second, ne, ze, ne, -first - second)
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))
