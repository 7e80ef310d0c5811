"""The coda: what many scatterers send after each onset, as noise that fades faster at high frequencies.

It is a *reflectivity*, impulses per sample that are convolved with the wave's pulse afterwards.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..loading.window_random import WindowRandom
from .scatterers import Scattering

BAND_CENTRES_HZ = (1.5, 4.0, 10.0, 25.0)
"""One envelope for each of these bands, which meet at their geometric means."""

FILTER_ORDER = 4
FILTER_REACH = 6.0
"""A low-pass is taken to be 0 above so many times its corner: it is 1/1300 there."""

MEAN_RADIATION = {"P": 0.52, "S": 0.63}
"""Mean amplitude of a double couple over the sphere (Boore & Boatwright, 1984): what scattering sees."""

SHARES = {"P": (0.75, 0.57, 0.57), "S": (0.42, 0.75, 0.75)}
"""How the coda's amplitude is shared by Z, N, E."""

COMPONENT_SPREAD = 0.15
WAXING_KNOT_S = 0.25
WAXING_TOGETHER = 0.5
"""The share of the waxing's variance that the components have in common."""

SHORTEST_LAPSE_S = 0.1
_INT16_STD = math.sqrt((2.0**32 - 1.0) / 12.0)


@dataclass(frozen=True, kw_only=True)
class CodaShape:
    """The envelopes of a coda, all `(record,)`: rise, power, lapse time, and Qc = quality_1hz f^exponent.

    end_s: when after the onset it falls off, None where it fades by itself.
    """

    rise_s: Tensor
    decay: Tensor
    lapse_s: Tensor
    quality_1hz: Tensor
    quality_exponent: Tensor
    end_s: Tensor | None = None

    def spread_envelope(self, time_s: Tensor) -> Tensor:
        """(1 − e^(−t/τ)) (1 + t/T)^(−p) / (1 + (t/end)⁴), `(record, sample)`; 0 at the onset."""
        power = (time_s / self.lapse_s[:, None]).log1p_().mul_(-self.decay[:, None]).clamp_(min=-80.0).exp_()
        rise = (time_s / -self.rise_s[:, None]).clamp_(min=-80.0).exp_()
        power.addcmul_(power, rise, value=-1.0)
        if self.end_s is not None:
            power /= (time_s / self.end_s[:, None]).square_().square_().add_(1.0)
        return power

    def loss_per_s(self, frequency_hz: float) -> Tensor:
        """π f / Qc, the rate of the coda's exponential decay."""
        quality = self.quality_1hz * torch.pow(frequency_hz, self.quality_exponent)
        return math.pi * frequency_hz / quality


def coda_shape(kind: str, scattering: Scattering, lapse_s: Tensor) -> CodaShape:
    """The envelope (1 − e^(−t/τ)) (1 + t/T)^(−p) e^(−π f t/Qc) after an onset of P or S, with T = lapse_s.

    The power of the lapse time is single scattering's spreading (Aki & Chouet, 1975). For S it counts from
    the source; P coda, which ends in the S wave, has S minus P for its T. It is divided by
    1 + (t / (p_coda_end T))⁴ besides: what is late in a record is as horizontal as S.
    """
    end_s = None
    if kind == "P":
        end_s = torch.where(
            lapse_s > 0, scattering.p_coda_end * lapse_s.clamp(min=SHORTEST_LAPSE_S), torch.inf
        )
    return CodaShape(
        rise_s=scattering.rise_s,
        decay=scattering.p_decay if kind == "P" else scattering.s_decay,
        lapse_s=lapse_s.clamp(min=SHORTEST_LAPSE_S),
        quality_1hz=scattering.quality_1hz,
        quality_exponent=scattering.quality_exponent,
        end_s=end_s,
    )


def coda_amplitude(kind: str, scattering: Scattering, pulse: Tensor, station: WindowRandom) -> Tensor:
    """Standard deviation `(record, component)` of the early coda's impulses at each sample.

    The coda becomes the asked fraction of the direct wave's peak, of mean radiation doubled at the surface.

    pulse: `(record, sample)`, of the wave that is scattered.
    """
    peak = pulse.abs().amax(dim=1)
    peak_to_norm = peak / torch.linalg.vector_norm(pulse, dim=1).clamp(min=1e-30)
    fraction = scattering.p_coda if kind == "P" else scattering.s_coda
    shares = torch.tensor(SHARES[kind], device=pulse.device)
    shares = shares * (COMPONENT_SPREAD * station.normal(f"coda/{kind}/shares", 3)).exp()
    return (2.0 * MEAN_RADIATION[kind]) * (fraction * peak_to_norm)[:, None] * shares


def reflectivity_spectrum(
    series: Tensor,
    onset_sample: Tensor,
    amplitude: Tensor,
    shape: CodaShape,
    white: Tensor,
    rate_hz: float,
) -> Tensor:
    """Spectrum `(record, component, frequency)` of distinct impulses and the coda behind them.

    series: the distinct ones, `(record, component, sample)`, which is used up. onset_sample, `(record,)`:
        where the coda begins. amplitude: of `coda_amplitude`. white: of `white_noise`, used up too.

    The envelope of the highest band holds for the whole spectrum; what those of lower bands have more passes
    causal low-pass filters. So the bands are one white noise where their envelopes agree, and nothing comes
    before the onset.
    """
    num_samples = series.shape[-1]
    time_s = torch.arange(num_samples, device=series.device) - onset_sample.float()[:, None]
    time_s = time_s.clamp_(min=0.0).div_(rate_hz)
    white *= amplitude[:, :, None]
    spread = shape.spread_envelope(time_s)
    centres_hz = _bands_below(rate_hz)
    envelopes = (_decayed(spread, time_s, shape.loss_per_s(centre)) for centre in reversed(centres_hz))
    higher = next(envelopes)
    spectrum = torch.fft.rfft(series.addcmul_(white, higher[:, None]))
    for (below, above), lower in zip(reversed(list(itertools.pairwise(centres_hz))), envelopes, strict=True):
        lowpass = lowpass_response(math.sqrt(below * above), num_samples, rate_hz, series.device)
        more = torch.fft.rfft(torch.mul(white, (lower - higher)[:, None], out=series))
        spectrum[..., : len(lowpass)].addcmul_(more[..., : len(lowpass)], lowpass)
        higher = lower
    return spectrum


def white_noise(kind: str, num_samples: int, station: WindowRandom) -> Tensor:
    """White noise of unit variance `(record, 3, sample)`, four numbers of 16 bits from each hash.

    It is uniform: what is heard of it, convolved with a pulse, is close to normal.
    """
    quarters = -(-num_samples // 4)
    numbers = station.bits(f"coda/{kind}/white", 3, quarters).view(torch.int16)
    return numbers[..., :num_samples].to(torch.float32).mul_(1.0 / _INT16_STD)


def waxing(kind: str, depth: Tensor, num_samples: int, rate_hz: float, station: WindowRandom) -> Tensor:
    """A factor `(record, 3, sample)` by which the coda waxes and wanes within 0.25 s, of mean square 1.

    Its logarithm is normal at the knots. depth: its standard deviation there, `(record,)`.
    """
    knots = math.ceil((num_samples - 1) / (WAXING_KNOT_S * rate_hz)) + 1
    own = station.normal(f"coda/{kind}/waxing", 3, knots).mul_(math.sqrt(1.0 - WAXING_TOGETHER))
    own += station.normal(f"coda/{kind}/waxing together", 1, knots).mul_(math.sqrt(WAXING_TOGETHER))
    depth = depth[:, None, None]
    values = own.mul_(depth).sub_(depth.square()).exp_()
    return torch.nn.functional.interpolate(values, num_samples, mode="linear", align_corners=True)


def lowpass_response(
    corner_hz: float, num_samples: int, rate_hz: float, device: torch.device | str = "cpu"
) -> Tensor:
    """A causal Butterworth low-pass of order 4, complex64 `(frequency,)` up to 6 times its corner.

    Poles on the left half of the unit circle of s = i tan(π f / rate) / tan(π fc / rate) (Oppenheim &
    Schafer, 2010, section 7.2); the bilinear transform keeps it causal at any rate.
    """
    num_frequencies = min(num_samples // 2, int(FILTER_REACH * corner_hz * num_samples / rate_hz)) + 1
    frequency_hz = torch.arange(num_frequencies, dtype=torch.float64) * (rate_hz / num_samples)
    frequency_hz = frequency_hz.clamp(max=0.499 * rate_hz)
    s = 1j * torch.tan(math.pi * frequency_hz / rate_hz) / math.tan(math.pi * corner_hz / rate_hz)
    response = torch.ones_like(s)
    for number in range(FILTER_ORDER):
        angle = math.pi * (2 * number + FILTER_ORDER + 1) / (2 * FILTER_ORDER)
        response /= s - complex(math.cos(angle), math.sin(angle))
    return response.to(device, torch.complex64)


def _bands_below(rate_hz: float) -> list[float]:
    """The band centres whose lower border the sampling can hold, the lowest always."""
    borders = [math.sqrt(low * high) for low, high in itertools.pairwise(BAND_CENTRES_HZ)]
    held = [border < 0.4 * rate_hz for border in borders]
    return [BAND_CENTRES_HZ[0], *itertools.compress(BAND_CENTRES_HZ[1:], held)]


def _decayed(spread: Tensor, time_s: Tensor, loss_per_s: Tensor) -> Tensor:
    return (time_s * -loss_per_s[:, None]).clamp_(min=-80.0).exp_().mul_(spread)
