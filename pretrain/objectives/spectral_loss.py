"""How far two waveforms are apart in their spectrograms: frequency content and envelopes, not wiggles.

A wave that cannot be predicted in phase (a coda) still has a predictable spectrum. The mean over several
window lengths (multi-resolution STFT loss, Yamamoto et al. 2020, arXiv 1910.11480, log-magnitude part) sees
both the sharp onset and the slow decay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from .base import mean_over_all


@dataclass(frozen=True, kw_only=True)
class SpectralLossConfig:
    """The spectrograms that are compared.

    lengths_s: lengths of the Hann windows; they advance by a quarter of their length.
    floor: power that is added before the logarithm, where white noise of unit variance has power 1; it hides
        what lies far under the noise.
    min_weight: a frame counts where at least this share of its (Hann-weighted) power is judged.
    """

    lengths_s: tuple[float, ...] = (0.32, 1.28, 5.12)
    floor: float = 1e-3
    min_weight: float = 0.5

    def __post_init__(self) -> None:
        if not self.lengths_s or min(self.lengths_s) <= 0 or self.floor <= 0:
            raise ValueError(f"lengths_s and floor must be positive, found {self.lengths_s} and {self.floor}")


def log_spectral_distance(
    predicted: Tensor, truth: Tensor, judged: Tensor, rate_hz: float, config: SpectralLossConfig
) -> Tensor:
    """Mean absolute difference of log magnitudes over the frames that are mostly judged; a scalar.

    predicted, truth: float32 `(window, component, sample)`. judged: bool likewise, the samples that the loss
    is about. Zero, and connected to `predicted`, where no frame is judged. Means are over all processes.
    """
    distances = []
    for length_s in config.lengths_s:
        length = min(round(length_s * rate_hz), predicted.shape[-1])
        taper = torch.hann_window(length, device=predicted.device)
        weight = _frame_weight(judged, taper)
        weight = torch.where(weight >= config.min_weight, weight, 0.0)
        logarithms = [LogPower.apply(waveform, taper, config.floor) for waveform in (predicted, truth)]
        per_frame = 0.5 * (logarithms[0] - logarithms[1]).abs().mean(dim=-1)
        distances.append(mean_over_all((per_frame * weight).sum(), weight.sum()))
    return torch.stack(distances).mean()


class LogPower(Function):
    """Log power of the tapered frames of a waveform, with power 1 for white noise of unit variance.

    With a gradient by hand: torch's own goes through complex spectra of both signs of the frequency, and
    through all that the logarithm is put together from. Half of the loss's time forwards and backwards.
    """

    @staticmethod
    def forward(ctx: Any, waveform: Tensor, taper: Tensor, floor: float) -> Tensor:
        """Of waveforms `(…, sample)` the logarithms `(…, frame, frequency)`; frames advance by a quarter."""
        spectrum = torch.fft.rfft(waveform.unfold(-1, len(taper), _hop(taper)) * taper)
        real, imaginary = torch.view_as_real(spectrum).unbind(dim=-1)
        power = real.square().addcmul_(imaginary, imaginary).div_(taper.square().sum()).add_(floor)
        ctx.save_for_backward(spectrum, power, taper)
        ctx.num_samples = waveform.shape[-1]
        return power.log()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        """Of |X(f)|² a frame's sample has the derivative 2 Re(X(f) exp(2πi f t)): an inverse transform."""
        spectrum, power, taper = ctx.saved_tensors
        length = len(taper)
        weight = (gradient / power).mul_(length / taper.square().sum())
        # irfft counts each frequency twice but these, which have no negative twin.
        weight[..., 0] *= 2
        if length % 2 == 0:
            weight[..., -1] *= 2
        frames = torch.fft.irfft(spectrum * weight, n=length).mul_(taper)
        return _overlapped(frames, _hop(taper), ctx.num_samples), None, None


def _hop(taper: Tensor) -> int:
    return max(1, len(taper) // 4)


def _overlapped(frames: Tensor, hop: int, num_samples: int) -> Tensor:
    """The sum `(…, sample)` of frames `(…, frame, sample)`, each `hop` samples after the one before."""
    total = frames.new_zeros(*frames.shape[:-2], num_samples)
    for index, piece in enumerate(frames.split(hop, dim=-1)):
        # Pieces no longer than the hop do not touch each other: the view has each sample once.
        view = total[..., index * hop :].unfold(-1, piece.shape[-1], hop)
        view[..., : piece.shape[-2], :].add_(piece)
    return total


def _frame_weight(judged: Tensor, taper: Tensor) -> Tensor:
    """The share of each frame's tapered power that is judged, `(window, component, frame)`."""
    kernel = (taper.square() / taper.square().sum())[None, None]
    return F.conv1d(judged.flatten(0, 1)[:, None].float(), kernel, stride=_hop(taper))[:, 0].unflatten(
        0, judged.shape[:2]
    )
