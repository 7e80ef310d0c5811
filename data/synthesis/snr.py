"""How far P and S stand out of the noise, and noise made to fit."""

from __future__ import annotations

import math

import torch
from scipy.fft import next_fast_len
from torch import Tensor

from .station_noise import NoiseLevels, Response

SNR_HIGHPASS_HZ = 1.0
SPAN_S = 2.0
"""P and S are measured over so long after their onset, P until S at most."""

SHORTEST_SPAN_S = 0.1
EDGE_S = 2.0
"""So much of the noise at either end is left out."""


def phase_snr_db(signal: Tensor, noise: Tensor, p_s: Tensor, s_s: Tensor, rate_hz: float) -> Tensor:
    """Signal-to-noise ratios of P and S in dB above 1 Hz, `(record, 2)`, NaN for an arrival outside.

    20 log10 of the root mean square of the event's motion over 2 s from the onset (P: until S at most), over
    that of the noise of the whole record: P on the vertical, S on both horizontals. What S owes to the coda
    of P counts as signal.

    signal, noise: `(record, 3 or more, sample)`, Z N E. p_s, s_s: seconds after the first sample,
    `(record,)`, NaN where there is none.
    """
    noise_power = noise_power_above(noise[:, :3], rate_hz)
    power = _power_above(signal[:, :3], rate_hz)
    span_s = (s_s - p_s).clamp(SHORTEST_SPAN_S, SPAN_S).nan_to_num(SPAN_S)
    p_power = _power_after(power[:, 0], p_s, span_s, rate_hz)
    s_power = _power_after(power[:, 1] + power[:, 2], s_s, torch.full_like(span_s, SPAN_S), rate_hz)
    seen = torch.stack([p_power, s_power], dim=1)
    heard = torch.stack([noise_power[:, 0], noise_power[:, 1] + noise_power[:, 2]], dim=1)
    return 10.0 * (seen.double() / heard.double()).log10().float()


def scale_noise_to_snr(noise: Tensor, snr_db: Tensor, wanted_db: Tensor | float) -> Tensor:
    """Noise `(record, component, sample)` made louder or quieter, so that the ratio becomes another one.

    snr_db, wanted_db: the ratio as it is and as it shall be, `(record,)`; noise without a ratio (NaN, or −∞
    where there is no signal) stays as it is.
    """
    factor = torch.pow(10.0, (snr_db - wanted_db) / 20.0)
    return noise * torch.where(snr_db.isfinite(), factor, 1.0)[:, None, None]


def expected_noise_rms(
    levels: NoiseLevels, rate_hz: float, response: Response | None = None, num_samples: int = 4096
) -> Tensor:
    """Root mean square of a station's vertical noise above 1 Hz in m/s, `(record,)`, from its spectrum alone.

    num_samples: of the FFT whose frequencies the spectrum is summed over.
    """
    frequency_hz = torch.arange(num_samples // 2 + 1, device=levels.mid.device) * (rate_hz / num_samples)
    heard_hz = frequency_hz[frequency_hz >= SNR_HIGHPASS_HZ]
    amplitude = levels.recorded_amplitude(heard_hz, response, num_components=1)[:, 0]
    return (amplitude.double().square().sum(dim=1) * (rate_hz / num_samples)).sqrt().float()


def noise_power_above(noise: Tensor, rate_hz: float) -> Tensor:
    """Mean square of noise `(record, component, sample)` above 1 Hz, without its ends, by component."""
    edge = min(round(EDGE_S * rate_hz), noise.shape[-1] // 8)
    return _power_above(_faded(noise, edge), rate_hz)[..., edge : noise.shape[-1] - edge].mean(-1)


def _faded(noise: Tensor, edge: int) -> Tensor:
    """Noise that fades in and out over `edge` samples.

    The jump from the end of a record to its start, of a microseism a thousand times as strong as what lies
    above 1 Hz, would else pass for the latter.
    """
    rise = torch.linspace(0.0, math.pi, edge + 2, device=noise.device)[1:-1].cos().mul_(-0.5).add_(0.5)
    faded = noise.clone()
    faded[..., :edge] *= rise
    faded[..., noise.shape[-1] - edge :] *= rise.flip(0)
    return faded


def _power_above(motion: Tensor, rate_hz: float) -> Tensor:
    """The square of what lies above 1 Hz, shaped like `motion`."""
    num_samples = motion.shape[-1]
    length = next_fast_len(num_samples, real=True)
    spectrum = torch.fft.rfft(motion, n=length)
    spectrum[..., : int(SNR_HIGHPASS_HZ * length / rate_hz)] = 0
    return torch.fft.irfft(spectrum, n=length)[..., :num_samples].square_()


def _power_after(power: Tensor, onset_s: Tensor, span_s: Tensor, rate_hz: float) -> Tensor:
    """The mean of `(record, sample)` over a span after an onset; NaN where no sample lies in it."""
    sample = torch.arange(power.shape[-1], device=power.device)
    first = (onset_s * rate_hz).round()[:, None]
    inside = ((sample >= first) & (sample < first + (span_s * rate_hz).round()[:, None])).float()
    return (power * inside).sum(dim=1) / inside.sum(dim=1)
