"""PAL, the rule-based picker that catalogs of learned ones are compared with.

Zhou, Yue, Fang, Zhou, Zhao & Ghosh (2021), SRL 92, 1484–1495: energy ratios for P, a filter that takes the
P-polarized part from the horizontals, and kurtosis for S. Written from a description of the method.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, detrend, find_peaks, sosfilt
from scipy.signal.windows import tukey

from ..data.batch import WaveformBatch
from .peaks import PeakPicks, make_picks

Samples = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class PalConfig:
    """The published settings; averages in seconds, ratios of energies.

    detect_s, refine_s: short and long average of the trigger and of the P onset, on the vertical.
    min_ratio: lowest ratio that is told at all; what counts as a pick is decided by its threshold.
    next_s: between two triggers. s_search_s: where the largest horizontal motion is looked for, after P.
    polarized_s: so long after P, what moves along P's direction is taken from the horizontals.
    """

    band_hz: tuple[float, float] = (1.0, 20.0)
    detect_s: tuple[float, float] = (0.8, 6.0)
    refine_s: tuple[float, float] = (0.4, 2.0)
    s_bound_s: tuple[float, float] = (1.0, 2.0)
    min_ratio: float = 3.0
    next_s: float = 5.0
    refine_reach_s: tuple[float, float] = (0.5, 1.0)
    polarized_s: float = 2.0
    covariance_s: float = 1.0
    s_search_s: tuple[float, float] = (1.0, 10.0)
    kurtosis_s: tuple[float, float] = (5.0, 1.0)


class PalPicker:
    """P and S as a pair, as PAL gives them.

    The height of both is r / (1 + r), with r the energy ratio of the trigger, so that one threshold keeps
    pairs together; PAL's own is r = 12. A station without both horizontals has no S. PAL's checks of the
    pair's amplitudes and of its dominant frequency are not made: they tell what becomes of a pair in a
    catalog, and a threshold that allows so many false picks an hour does their work here.
    """

    name = "PAL"

    def __init__(self, config: PalConfig | None = None) -> None:
        self.config = config or PalConfig()
        self.default_thresholds: Mapping[str, float] = dict.fromkeys(("P", "S"), 12.0 / 13.0)

    def __call__(self, batch: WaveformBatch) -> PeakPicks:
        """The picks of each window; none where no vertical was observed."""
        waveform = np.where(batch.observed.cpu().numpy(), batch.waveform.cpu().numpy(), np.nan)
        found: list[tuple[int, str, float, float]] = []
        for window, (traces, rate_hz) in enumerate(
            zip(waveform, batch.sampling_rate_hz.tolist(), strict=True)
        ):
            rows = dict(zip(batch.component_names, traces, strict=True))
            pairs = self._pairs(rows, rate_hz) if "Z" in rows else []
            for ratio, p_sample, s_sample in pairs:
                for phase, sample in (("P", p_sample), ("S", s_sample)):
                    if sample is not None:
                        found.append((window, phase, sample / rate_hz, ratio / (1.0 + ratio)))
        windows, phases, times_s, heights = zip(*found, strict=True) if found else ((), (), (), ())
        return make_picks(windows, phases, times_s, heights, np.full(len(found), np.nan))

    def _pairs(self, rows: Mapping[str, Samples], rate_hz: float) -> list[tuple[float, int, int | None]]:
        """The energy ratio, P and S of each trigger, in samples."""
        config = self.config
        vertical = _prepared(rows["Z"], config.band_hz, rate_hz)
        horizontals = [_prepared(rows[name], config.band_hz, rate_hz) for name in ("N", "E") if name in rows]
        has_s = len(horizontals) == 2 and all(trace.any() for trace in horizontals)
        energy = np.square(vertical)
        ratio = _energy_ratio(energy, config.detect_s, rate_hz)
        # Where nothing was observed the trace is 0, and its end would trigger.
        ratio[~np.isfinite(rows["Z"])] = 0.0
        triggers, _ = find_peaks(
            ratio, height=config.min_ratio, distance=max(1, round(config.next_s * rate_hz))
        )
        pairs: list[tuple[float, int, int | None]] = []
        for trigger in triggers:
            p_sample = self._p_onset(energy, int(trigger), rate_hz)
            s_sample = self._s_onset(vertical, horizontals, p_sample, rate_hz) if has_s else None
            pairs.append((float(ratio[trigger]), p_sample, s_sample))
        return pairs

    def _p_onset(self, energy: Samples, trigger: int, rate_hz: float) -> int:
        before, after = (round(s * rate_hz) for s in self.config.refine_reach_s)
        first = max(trigger - before, 0)
        ratio = _energy_ratio(energy, self.config.refine_s, rate_hz)[first : trigger + after]
        return _turning_point(energy, first + int(ratio.argmax()), 2)

    def _s_onset(
        self, vertical: Samples, horizontals: list[Samples], p_sample: int, rate_hz: float
    ) -> int | None:
        """S between the bounds that energy and kurtosis give; None where the window ends too early."""
        config = self.config
        moved = self._without_p(vertical, horizontals, p_sample, rate_hz)
        first, last = (p_sample + round(s * rate_hz) for s in config.s_search_s)
        if len(moved[first:last]) < 2:
            return None
        peak = first + int(moved[first:last].argmax())
        middle = (p_sample + peak) // 2
        lower = middle + int(_energy_ratio(moved**2, config.s_bound_s, rate_hz)[middle:peak].argmax())
        long, short = (round(s * rate_hz) for s in config.kurtosis_s)
        upper = _turning_point(moved, lower + int(_kurtosis(moved, long)[lower : peak + 1].argmax()), 1)
        within = _kurtosis(moved, short)[lower : max(upper, lower) + 1]
        return max(_turning_point(moved, lower + int(within.argmax()), 2), p_sample + 1)

    def _without_p(
        self, vertical: Samples, horizontals: list[Samples], p_sample: int, rate_hz: float
    ) -> Samples:
        """Horizontal amplitude, less what is polarized as P in the seconds after it."""
        traces = np.stack([vertical, *horizontals])
        amplitude = np.sqrt(np.square(traces[1:]).sum(axis=0))
        length = round(self.config.covariance_s * rate_hz)
        last = min(p_sample + round(self.config.polarized_s * rate_hz), traces.shape[1] - length)
        if last <= p_sample:
            return amplitude
        straight, direction = _polarization(traces, p_sample, last, length)
        amplitude[p_sample:last] *= 1.0 - straight * np.abs(direction @ direction[0])
        return amplitude


def _prepared(trace: Samples, band_hz: tuple[float, float], rate_hz: float) -> Samples:
    """Without mean and trend, tapered by 5 %, band-passed causally; 0 where nothing was observed."""
    seen = np.isfinite(trace)
    result = np.zeros(len(trace))
    if seen.sum() < 2:
        return result
    result[seen] = detrend(trace[seen].astype(np.float64))
    high_hz = min(band_hz[1], 0.45 * rate_hz)
    sections = butter(2, (min(band_hz[0], 0.5 * high_hz), high_hz), "bandpass", fs=rate_hz, output="sos")
    return sosfilt(sections, result * tukey(len(trace), 0.1))


def _energy_ratio(energy: Samples, averages_s: tuple[float, float], rate_hz: float) -> Samples:
    """Mean of [i, i + short) over that of [i − long, i), 0 where either does not fit in."""
    short, long = (max(1, round(s * rate_hz)) for s in averages_s)
    ratio = np.zeros(len(energy))
    count = len(energy) - short - long + 1
    if count > 0:
        total = np.concatenate([[0.0], np.cumsum(energy)])
        ahead = (total[long + short :] - total[long:-short]) / short
        behind = (total[long : long + count] - total[:count]) / long
        # Rounding of the running sum must not make a quiet stretch quieter than it is.
        ratio[long : long + count] = ahead / np.maximum(behind, 1e-9 * max(float(total[-1]), 1e-300))
    return ratio


def _kurtosis(values: Samples, length: int) -> Samples:
    """Fourth moment over the squared second of the `length` samples that end at each one, 0 before."""
    result = np.zeros(len(values))
    if len(values) >= length:
        view = np.lib.stride_tricks.sliding_window_view(values, length)
        centred = view - view.mean(axis=1, keepdims=True)
        power = np.square(centred)
        variance = power.mean(axis=1)
        result[length - 1 :] = np.square(power).mean(axis=1) / np.maximum(variance**2, 1e-300)
    return result


def _turning_point(values: Samples, start: int, number: int) -> int:
    """Back from `start` to the so-manyth sample where the values stop falling or rising; 0 where none is."""
    slope = np.sign(np.diff(values[: start + 1]))
    turns = np.flatnonzero(slope[1:] != slope[:-1]) + 1
    return int(turns[-number]) if len(turns) >= number else 0


def _polarization(traces: Samples, first: int, last: int, length: int) -> tuple[Samples, Samples]:
    """Rectilinearity `(sample,)` and direction `(sample, 3)` of the `length` samples from each one on.

    Rectilinearity is 1 − (λ2 + λ3) / 2 λ1 of the covariance's eigenvalues (Jurkevics 1988).
    """
    view = np.lib.stride_tricks.sliding_window_view(traces[:, first : last + length - 1], length, axis=1)
    centred = view - view.mean(axis=-1, keepdims=True)
    covariance = np.einsum("asw,bsw->sab", centred, centred)
    values, vectors = np.linalg.eigh(covariance)
    largest = np.maximum(values[:, 2], 1e-300)
    return 1.0 - 0.5 * (values[:, 0] + values[:, 1]) / largest, vectors[:, :, 2]
