"""What a seismologist would look at in a record, as numbers that do not depend on gain or unit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from .excerpts import Excerpt

FloatArray = NDArray[np.float64]

BANDS_HZ = ((1.0, 2.0), (2.0, 4.0), (4.0, 8.0), (8.0, 16.0), (16.0, 32.0))
P_SPAN_S = 2.0
S_SPAN_S = 3.0
NOISE_GUARD_S = 0.5
ENVELOPE_S = 0.2
P_CODA_S = (0.25, 0.5, 1.0, 2.0)
S_CODA_S = (1.0, 2.0, 4.0, 8.0)
CONDITIONS = ("separation_s", "p_snr_db")
"""What a record was taken at, not how it looks: real and synthetic ones are matched by it."""


def feature_table(excerpts: Sequence[Excerpt]) -> pd.DataFrame:
    """A row of features for each excerpt, with `record_id`, `event_id`, and the `CONDITIONS`.

    NaN where a feature does not exist, such as the P coda after S. Ratios are in dB.
    """
    return pd.DataFrame([features_of(excerpt) for excerpt in excerpts])


def feature_names(table: pd.DataFrame) -> list[str]:
    """The columns by which records are told apart."""
    return [name for name in table.columns if name not in ("record_id", "event_id", *CONDITIONS)]


def features_of(excerpt: Excerpt) -> dict[str, float | str]:
    """The features of one excerpt by name."""
    noise, p_wave, s_wave = _spans(excerpt)
    return {
        "record_id": excerpt.record_id,
        "event_id": excerpt.event_id,
        "separation_s": excerpt.separation_s,
        "p_snr_db": _ratio_db(p_wave[0], noise[0]),
        **_amplitudes(excerpt, noise, p_wave, s_wave),
        **_envelope_shape(excerpt),
        **_onsets(excerpt),
        **_spectra(noise, p_wave, s_wave, excerpt.sampling_rate_hz),
        **_statistics(noise, p_wave, s_wave, excerpt.sampling_rate_hz),
        **_polarization(noise, p_wave, s_wave, excerpt),
    }


def _spans(excerpt: Excerpt) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Noise before P; P until S, at most 2 s; S for 3 s."""
    rate_hz, p, s = excerpt.sampling_rate_hz, excerpt.p_sample, excerpt.s_sample
    return (
        excerpt.waveform[:, : p - round(NOISE_GUARD_S * rate_hz)],
        excerpt.waveform[:, p : min(s, p + round(P_SPAN_S * rate_hz))],
        excerpt.waveform[:, s : s + round(S_SPAN_S * rate_hz)],
    )


def _amplitudes(
    excerpt: Excerpt, noise: FloatArray, p_wave: FloatArray, s_wave: FloatArray
) -> dict[str, float]:
    """Ratios of sizes: S to P, and horizontal to vertical in noise, P, S and late coda."""
    late = excerpt.waveform[:, excerpt.s_sample + round(S_SPAN_S * excerpt.sampling_rate_hz) :]
    parts = {"noise": noise, "p": p_wave, "s": s_wave, "coda": late}
    return {
        "s_to_p_peak_db": 20.0 * np.log10(_peak(s_wave) / _peak(p_wave)),
        "s_to_p_vertical_db": _ratio_db(s_wave[0], p_wave[0]),
        "s_to_p_horizontal_db": _ratio_db(s_wave[1:], p_wave[1:]),
        "coda_to_s_db": _ratio_db(late, s_wave),
        **{f"{name}_horizontal_to_vertical_db": _ratio_db(part[1:], part[0]) for name, part in parts.items()},
        **{f"{name}_north_east_db": abs(_ratio_db(part[1], part[2])) for name, part in parts.items()},
    }


def _envelope_shape(excerpt: Excerpt) -> dict[str, float]:
    """The envelope after each onset, relative to that wave's highest, where it lasts so long."""
    rate_hz, p, s = excerpt.sampling_rate_hz, excerpt.p_sample, excerpt.s_sample
    envelope_db = 10.0 * np.log10(
        uniform_filter1d(np.square(excerpt.waveform).sum(axis=0), round(ENVELOPE_S * rate_hz)) + 1e-12
    )
    # The centred average must not see S while it measures P.
    p_end = s - round(0.5 * ENVELOPE_S * rate_hz) - 1
    p_top, s_top = envelope_db[p:p_end].max(), envelope_db[s : s + round(S_SPAN_S * rate_hz)].max()
    shape = {}
    for delay_s in P_CODA_S:
        at = p + round(delay_s * rate_hz)
        shape[f"p_envelope_{delay_s:g}s_db"] = float(envelope_db[at] - p_top) if at < p_end else np.nan
    for delay_s in S_CODA_S:
        shape[f"s_envelope_{delay_s:g}s_db"] = float(envelope_db[s + round(delay_s * rate_hz)] - s_top)
    # How rough the envelope is: smooth Gaussian coda against distinct packets.
    after = envelope_db[s + round(1.0 * rate_hz) : s + round(8.0 * rate_hz)]
    shape["s_coda_roughness_db"] = float(np.std(after - uniform_filter1d(after, round(2.0 * rate_hz))))
    return shape


def _onsets(excerpt: Excerpt) -> dict[str, float]:
    """How sudden P and S are: first 0.1 s against what follows, time to half the largest, first swing."""
    rate_hz = excerpt.sampling_rate_hz
    found = {}
    for name, sample in (("p", excerpt.p_sample), ("s", excerpt.s_sample)):
        rows = excerpt.waveform[:1] if name == "p" else excerpt.waveform[1:]
        after = np.sqrt(np.square(rows[:, sample : sample + round(rate_hz)]).sum(axis=0))
        before = rows[:, sample - round(0.3 * rate_hz) : sample - round(0.05 * rate_hz)]
        first = round(0.1 * rate_hz)
        found[f"{name}_first_0.1s_db"] = _ratio_db(after[:first], after)
        found[f"{name}_onset_rise_db"] = _ratio_db(rows[:, sample : sample + round(0.3 * rate_hz)], before)
        found[f"{name}_half_rise_s"] = float((after >= 0.5 * after.max()).argmax() / rate_hz)
    vertical = excerpt.waveform[0, excerpt.p_sample :]
    found["p_first_swing_s"] = _first_swing(vertical) / rate_hz
    return found


def _first_swing(trace: FloatArray) -> float:
    """Samples from the first fifth of the largest amplitude (of 0.5 s) to the next change of sign."""
    clear = np.abs(trace) >= 0.2 * np.abs(trace[:50]).max()
    start = int(clear.argmax())
    turned = np.flatnonzero(np.sign(trace[start:]) != np.sign(trace[start]))
    return float(turned[0]) if len(turned) else float(len(trace))


def _spectra(noise: FloatArray, p_wave: FloatArray, s_wave: FloatArray, rate_hz: float) -> dict[str, float]:
    """Shares of bands in dB, and the logarithmic centre of the spectrum, of noise, P and S."""
    found = {}
    for name, part in (("noise", noise), ("p", p_wave), ("s", s_wave)):
        frequency_hz, power = power_spectrum(part, rate_hz)
        inside = (frequency_hz >= BANDS_HZ[0][0]) & (frequency_hz < BANDS_HZ[-1][1])
        total = power[inside].sum()
        for low, high in BANDS_HZ:
            band = (frequency_hz >= low) & (frequency_hz < high)
            found[f"{name}_{low:g}_{high:g}_hz_db"] = float(10.0 * np.log10(power[band].sum() / total + 1e-9))
        log_centre = (np.log2(frequency_hz[inside]) * power[inside]).sum() / total
        spread = ((np.log2(frequency_hz[inside]) - log_centre) ** 2 * power[inside]).sum() / total
        found[f"{name}_centre_octave"] = float(log_centre)
        found[f"{name}_width_octave"] = float(np.sqrt(spread))
        flatness = np.exp(np.mean(np.log(power[inside] + 1e-12 * total))) / power[inside].mean()
        found[f"{name}_flatness_db"] = float(10.0 * np.log10(flatness))
    return found


def power_spectrum(part: FloatArray, rate_hz: float) -> tuple[FloatArray, FloatArray]:
    """Frequencies and power of `(component, sample)`, summed over components, tapered, 0.25 Hz apart."""
    length = max(part.shape[1], round(4.0 * rate_hz))
    taper = np.hanning(part.shape[1] + 2)[1:-1]
    # A part without any counts has a white spectrum, far below that of the record, not none.
    power = np.square(np.abs(np.fft.rfft(part * taper, n=length, axis=1))).sum(axis=0) + 1e-12
    return np.asarray(np.fft.rfftfreq(length, 1.0 / rate_hz), dtype=np.float64), power


def _statistics(
    noise: FloatArray, p_wave: FloatArray, s_wave: FloatArray, rate_hz: float
) -> dict[str, float]:
    """Kurtosis of each part, and how steady the noise is from half second to half second."""
    step = round(0.5 * rate_hz)
    pieces = noise[:, : noise.shape[1] // step * step].reshape(3, -1, step)
    level_db = 10.0 * np.log10(np.square(pieces).mean(axis=(0, 2)) + 1e-12)
    return {
        "noise_unsteadiness_db": float(level_db.std()),
        **{
            f"{name}_log_kurtosis": _log_kurtosis(part)
            for name, part in (("noise", noise), ("p", p_wave), ("s", s_wave))
        },
    }


def _polarization(
    noise: FloatArray, p_wave: FloatArray, s_wave: FloatArray, excerpt: Excerpt
) -> dict[str, float]:
    """How straight the motion is (1 a line, 0 a ball), and how alike the horizontals are to each other."""
    first = round(0.3 * excerpt.sampling_rate_hz)
    parts = {"noise": noise, "p_first": p_wave[:, :first], "p": p_wave, "s_first": s_wave[:, :first]}
    return {
        **{f"{name}_rectilinearity": rectilinearity(part) for name, part in (*parts.items(), ("s", s_wave))},
        "noise_horizontal_correlation": _correlation(noise[1], noise[2]),
        "s_horizontal_correlation": _correlation(s_wave[1], s_wave[2]),
    }


def rectilinearity(part: FloatArray) -> float:
    """1 − (λ2 + λ3) / (2 λ1) of the covariance of `(component, sample)` (Jurkevics, 1988)."""
    smallest, middle, largest = np.linalg.eigvalsh(part @ part.T)
    return float(1.0 - 0.5 * (middle + smallest) / max(largest, 1e-30))


def _correlation(one: FloatArray, other: FloatArray) -> float:
    """Its size only; the sign depends on where the event is."""
    return float(abs(one @ other) / np.sqrt((one @ one) * (other @ other) + 1e-24))


def _log_kurtosis(part: FloatArray) -> float:
    """Logarithm of the mean over components, log 3 for normal motion; a part without any counts as that."""
    power = np.square(part)
    variance = power.mean(axis=1) + 1e-12
    return float(np.log(np.mean((np.square(power).mean(axis=1) + 3e-24) / np.square(variance))))


def _peak(part: FloatArray) -> float:
    return float(np.sqrt(np.square(part).sum(axis=0).max()))


def _ratio_db(one: FloatArray, other: FloatArray) -> float:
    """Of mean squares; a part without any motion counts as 120 dB below the record."""
    return float(10.0 * np.log10((np.square(one).mean() + 1e-12) / (np.square(other).mean() + 1e-12)))
