"""Windows that a model should find strange, made from ordinary ones: glitches, clipping, dead channels.

Most of the shapes are those of the synthetic Earth's disturbances, which models that learn from it have met,
faint and now and then; here they dwarf everything else in the window.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from ..data.batch import WaveformBatch
from ..data.instruments.resampling import resample_with_gaps
from ..data.loading.window_random import WindowRandom, window_keys
from ..data.synthesis.disturbance_shapes import SHAPES

LOUDER = 10.0
"""What is added is so many times as large as the window's standard deviation."""

CLIP_SHARE = 0.1
FAR_P_HZ = (0.1, 0.8)

Make = Callable[[WaveformBatch, WindowRandom], WaveformBatch]


def strange_windows(batch: WaveformBatch, seed: int) -> dict[str, WaveformBatch]:
    """One batch of each kind in `STRANGE`, made from the same windows."""
    keys = window_keys(torch.arange(len(batch)), "strange", seed)
    return {name: make(batch, WindowRandom(keys).derive(name)) for name, make in STRANGE.items()}


def _with_shape(name: str) -> Make:
    """A disturbance of the synthetic Earth, in the middle third of each window."""

    def make(batch: WaveformBatch, random: WindowRandom) -> WaveformBatch:
        rate_hz = float(batch.sampling_rate_hz[0])
        shape = SHAPES[name](random, _since_onset_s(batch, random), rate_hz)
        return _added(batch, shape)

    return make


def _far_p(batch: WaveformBatch, random: WindowRandom) -> WaveformBatch:
    """A long-period P, as of a far earthquake: filtered noise, steep from below, without S.

    0.1 to 0.8 Hz, a rise of 2 s and a decay of 20 s; no wave of a real teleseism is in it.
    """
    since_s = _since_onset_s(batch, random)
    rate_hz, num_samples = float(batch.sampling_rate_hz[0]), batch.num_samples
    frequency_hz = torch.fft.rfftfreq(num_samples, 1.0 / rate_hz)
    band = ((frequency_hz >= FAR_P_HZ[0]) & (frequency_hz <= FAR_P_HZ[1])).float()
    white = torch.fft.rfft(random.normal("white", num_samples))
    envelope = (since_s / 2.0).clamp(0.0, 1.0) * (-(since_s - 2.0).clamp(min=0.0) / 20.0).exp()
    wave = torch.fft.irfft(white * band, n=num_samples) * envelope
    azimuth = 2.0 * math.pi * random.uniform("azimuth")[:, None]
    return _added(batch, torch.stack([wave, 0.3 * azimuth.cos() * wave, 0.3 * azimuth.sin() * wave], dim=1))


def _white(batch: WaveformBatch, random: WindowRandom) -> WaveformBatch:
    """Nothing but the noise of an amplifier, the same at all frequencies."""
    noise = random.normal("white", *batch.waveform.shape[1:])
    return batch.replace(waveform=torch.where(batch.observed, noise, torch.nan))


def _clipped(batch: WaveformBatch, random: WindowRandom) -> WaveformBatch:
    """Cut off at a tenth of its largest swing."""
    centred = batch.waveform - batch.waveform.nanmean(dim=-1, keepdim=True)
    largest = centred.abs().nan_to_num().amax(dim=(1, 2), keepdim=True)
    return batch.replace(waveform=centred.clamp(-CLIP_SHARE * largest, CLIP_SHARE * largest))


def _dead(count: int) -> Make:
    """So many components that write one value for ever, the vertical first."""

    def make(batch: WaveformBatch, random: WindowRandom) -> WaveformBatch:
        waveform = batch.waveform.clone()
        waveform[:, :count] = torch.where(batch.observed[:, :count], 0.0, torch.nan)
        return batch.replace(waveform=waveform)

    return make


def _one_missing(batch: WaveformBatch, random: WindowRandom) -> WaveformBatch:
    """No vertical at all, and said so (NaN)."""
    waveform = batch.waveform.clone()
    waveform[:, 0] = torch.nan
    return batch.replace(waveform=waveform)


def _resampled(rate_hz: float) -> Make:
    """The same motion, recorded at another rate and labelled with it."""

    def make(batch: WaveformBatch, random: WindowRandom) -> WaveformBatch:
        own_hz = float(batch.sampling_rate_hz[0])
        waveform = resample_with_gaps(batch.waveform, own_hz, rate_hz)
        return batch.replace(waveform=waveform, sampling_rate_hz=torch.full((len(batch),), rate_hz))

    return make


def _wrong_rate(batch: WaveformBatch, random: WindowRandom) -> WaveformBatch:
    """Samples at half the rate that the header tells: everything runs twice as fast."""
    own_hz = float(batch.sampling_rate_hz[0])
    fast = resample_with_gaps(batch.waveform, own_hz, own_hz / 2.0)
    waveform = torch.cat([fast, fast.flip(-1)], dim=-1)[..., : batch.num_samples]
    return batch.replace(waveform=waveform)


STRANGE: Mapping[str, Make] = {
    "no change": lambda batch, random: batch,
    "spike": _with_shape("spike"),
    "glitches": _with_shape("glitches"),
    "step": _with_shape("step"),
    "mass jump": _with_shape("mass_jump"),
    "calibration pulse": _with_shape("calibration"),
    "long-period P (filtered noise)": _far_p,
    "surface waves, 8 to 30 s": _with_shape("teleseism"),
    "white noise": _white,
    "clipped at a tenth": _clipped,
    "one dead component": _dead(1),
    "all components dead": _dead(4),
    "one component missing": _one_missing,
    "recorded at 50 Hz": _resampled(50.0),
    "recorded at 20 Hz": _resampled(20.0),
    "wrong rate in the header": _wrong_rate,
}
"""By what is wrong with them; the last but the header's are within what models take."""


def _since_onset_s(batch: WaveformBatch, random: WindowRandom) -> Tensor:
    """Seconds `(window, sample)` since a moment in the window's middle third."""
    duration_s = batch.num_samples / float(batch.sampling_rate_hz[0])
    onset_s = duration_s * (1.0 + random.uniform("onset")[:, None]) / 3.0
    return torch.arange(batch.num_samples) / float(batch.sampling_rate_hz[0]) - onset_s


def _added(batch: WaveformBatch, shape: Tensor) -> WaveformBatch:
    """A shape `(window, Z N E, sample)` on top of the windows, `LOUDER` than they are."""
    rows = [i for i, name in enumerate(batch.component_names) if name in "ZNE"]
    columns = ["ZNE".index(batch.component_names[i]) for i in rows]
    own = torch.where(batch.observed, batch.waveform, torch.nan)
    centred = own - own.nanmean(dim=-1, keepdim=True)
    std = centred.square().nanmean(dim=(1, 2), keepdim=True).sqrt().nan_to_num()
    largest = shape.abs().amax(dim=(1, 2), keepdim=True).clamp(min=1e-30)
    waveform = batch.waveform.clone()
    waveform[:, rows] += LOUDER * std * shape[:, columns] / largest
    return batch.replace(waveform=waveform)
