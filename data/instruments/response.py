"""From counts to ground motion: sensitivities, and poles and zeros, taken away from whole batches."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from scipy.fft import next_fast_len
from torch import Tensor

from ..continuous.gaps import bridged, gappy_rows

ResponseKey = tuple[str, float, tuple[complex, ...], tuple[complex, ...]]
"""Input unit, normalization factor, zeros and poles: a response that can be looked up."""

FLAT_ACCELERATION: ResponseKey = ("m/s**2", 1.0, (), ())
"""An accelerometer of which only the sensitivity is known."""

WATER_LEVEL_DB = 60.0
"""Where a response is weaker than its maximum by more than this, it counts as if it were so weak only."""

_BUTTERWORTH = (2.0 * math.sin(math.pi / 8), 2.0 * math.cos(math.pi / 8))


class ResponseError(ValueError):
    """An instrument response that cannot be used, and why."""


def response_key(response: Mapping[str, Any]) -> ResponseKey:
    """A `trace_response` as a value that can be compared and cached.

    Raises ResponseError where it is no response to velocity or acceleration.
    """
    try:
        unit, factor = str(response["input_unit"]), float(response["normalization_factor"])
        zeros = tuple(complex(*zero) for zero in response["zeros"])
        poles = tuple(complex(*pole) for pole in response["poles"])
    except (KeyError, TypeError) as error:
        raise ResponseError(
            "a response has input_unit, normalization_factor, zeros and poles (pairs of numbers), "
            f"found {dict(response)}"
        ) from error
    if unit not in ("m/s", "m/s**2"):
        raise ResponseError(f"a response's input_unit must be m/s or m/s**2, found {unit!r}")
    return unit, factor, zeros, poles


def response_factor(response: Mapping[str, Any] | ResponseKey, frequency_hz: Any) -> np.ndarray:
    """A response without its sensitivity, complex `(frequency,)`: A₀ Π(iω − zero) / Π(iω − pole), rad/s."""
    key = response_key(response) if isinstance(response, Mapping) else response
    _, factor, zeros, poles = key
    s = 2j * math.pi * np.asarray(frequency_hz, dtype=np.float64)
    value = np.full(s.shape, factor, dtype=np.complex128)
    # Taken in turns, so that many poles do not overflow before the zeros come.
    for i in range(max(len(zeros), len(poles))):
        value = value * (s - zeros[i]) if i < len(zeros) else value
        value = value / (s - poles[i]) if i < len(poles) else value
    return value


def remove_sensitivity(waveform: Tensor, sensitivity: Tensor) -> Tensor:
    """Counts `(window, component, sample)` as ground motion, in the unit of the sensitivity.

    sensitivity: counts per unit `(window, component)`; where it is NaN the result is NaN.
    """
    return waveform / sensitivity.to(waveform)[..., None]


def remove_response(
    waveform: Tensor,
    sampling_rate_hz: float,
    responses: Sequence[Mapping[str, Any] | ResponseKey],
    highpass_hz: float,
    to_velocity: bool = True,
) -> Tensor:
    """Ground motion as it was before the instrument's poles and zeros shaped it.

    waveform: float32 `(window, component, sample)` whose sensitivity is already away, NaN where not observed.
    responses: one a window, for all of its components.
    highpass_hz: corner of the causal 4-pole Butterworth high-pass that stands in for the instrument's own.
        A zero-phase one would put motion before a P arrival, one of 2 poles would let offsets through.
    to_velocity: whether acceleration is integrated to m/s; else it stays m/s².

    The division is done in the frequency domain with a water level of `WATER_LEVEL_DB` (Clayton & Wiggins
    1976, https://doi.org/10.1111/j.1365-246X.1976.tb01267.x). The mean is taken away. Gaps are bridged by
    straight lines meanwhile and are NaN again afterwards, no wider; samples within about 1/highpass_hz after
    a gap or after the window's start feel the bridge.
    """
    if not 0 < highpass_hz < sampling_rate_hz / 2:
        raise ValueError(
            f"highpass_hz must lie between 0 and half of {sampling_rate_hz:g} Hz, found {highpass_hz}"
        )
    if len(responses) != len(waveform):
        raise ValueError(f"responses must be one for each of {len(waveform)} windows, found {len(responses)}")
    keys = [response_key(one) if isinstance(one, Mapping) else one for one in responses]
    num_samples = waveform.shape[-1]
    pad = min(num_samples - 1, math.ceil(2.0 * sampling_rate_hz / highpass_hz))
    extended = _extended(_centred(waveform), pad)
    length = next_fast_len(extended.shape[-1] + pad, real=True)
    numbers = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    curves = torch.stack(
        [_inverse_curve(key, sampling_rate_hz, length, highpass_hz, to_velocity) for key in numbers]
    ).to(waveform.device)
    which = torch.tensor([numbers[key] for key in keys], device=waveform.device)
    spectrum = torch.fft.rfft(extended, n=length) * curves[which][:, None]
    motion = torch.fft.irfft(spectrum, n=length)[..., pad : pad + num_samples]
    rows, recorded = motion.flatten(0, 1), waveform.flatten(0, 1)
    gappy = gappy_rows(recorded)
    rows[gappy] = rows[gappy].masked_fill(~recorded[gappy].isfinite(), torch.nan)
    return rows.reshape(waveform.shape)


@lru_cache(maxsize=1024)
def _inverse_curve(
    key: ResponseKey, sampling_rate_hz: float, length: int, highpass_hz: float, to_velocity: bool
) -> Tensor:
    """What a spectrum is multiplied with, complex64 `(frequency,)`."""
    frequency_hz = np.fft.rfftfreq(length, 1.0 / sampling_rate_hz)
    response = response_factor(key, frequency_hz)
    modulus = np.abs(response)
    floor = modulus.max() * 10.0 ** (-WATER_LEVEL_DB / 20.0)
    phase = np.divide(response, modulus, out=np.ones_like(response), where=modulus > 0)
    s, corner = 2j * math.pi * frequency_hz, 2.0 * math.pi * highpass_hz
    # An integration takes one s from the high-pass instead of dividing zero by zero at 0 Hz.
    highpass = s**3 if to_velocity and key[0] == "m/s**2" else s**4
    for damping in _BUTTERWORTH:
        highpass = highpass / (s * s + damping * corner * s + corner * corner)
    curve = highpass / (np.maximum(modulus, floor) * phase)
    return torch.from_numpy(curve.astype(np.complex64))


def _centred(waveform: Tensor) -> Tensor:
    """Each component without its mean, gaps bridged by straight lines; zero where nothing is observed."""
    whole = bridged(waveform)
    # In float64 an offset of many times the signal is taken away to the last count.
    mean = whole.mean(dim=-1, keepdim=True, dtype=torch.float64)
    return whole - mean.to(waveform.dtype)


def _extended(waveform: Tensor, pad: int) -> Tensor:
    """The waveform with `pad` samples mirrored at either end, fading outwards.

    It begins without a step, which an integration would answer with an offset, and no observed sample is
    tapered.
    """
    if pad == 0:
        return waveform
    fade = torch.sin(
        torch.linspace(0.0, math.pi / 2, pad + 1, device=waveform.device, dtype=waveform.dtype)[:-1]
    ).square()
    before, after = waveform[..., 1 : pad + 1].flip(-1), waveform[..., -pad - 1 : -1].flip(-1)
    return torch.cat([before * fade, waveform, after * fade.flip(-1)], dim=-1)
