"""From probability curves to picks: the one place where peaks are found, for scores and catalogs alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from scipy.signal import find_peaks, peak_widths

CLASS_NAMES = ("P", "S", "noise")
"""Rows of a picking head's probability."""

WIDTH_REACH_S = 2.0
"""A peak's half width is looked for no further than this from its top."""

_BEYOND = 2.0
"""Stands where nothing is known (gaps, ends). Above every probability, so that no curve peaks beside it."""

_FWHM_PER_SIGMA = 2.0 * np.sqrt(2.0 * np.log(2.0))


@dataclass(frozen=True, kw_only=True)
class PeakPicks:
    """Picks of some windows as columns, sorted by window, then time.

    window: int64 `(pick,)`, which window each was found in.
    phase: `(pick,)`, P or S.
    time_s: float64 `(pick,)`, seconds after the window's first sample.
    probability: float64 `(pick,)`, height of the peak, 0 to 1.
    time_uncertainty_s: float64 `(pick,)`, one standard deviation from the width of the peak. It tells sharp
        peaks from blunt ones, and is no error until somebody compares it with residuals.
    """

    window: np.ndarray
    phase: np.ndarray
    time_s: np.ndarray
    probability: np.ndarray
    time_uncertainty_s: np.ndarray

    def __post_init__(self) -> None:
        lengths = {f.name: len(getattr(self, f.name)) for f in fields(self)}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"picks need columns of one length, found {lengths}")

    def __len__(self) -> int:
        return len(self.time_s)

    def select(self, index: np.ndarray) -> PeakPicks:
        """The picks of `index` (int64 or bool), in that order."""
        return PeakPicks(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    def of_phase(self, phase: str) -> PeakPicks:
        """The picks of one phase."""
        return self.select(self.phase == phase)

    def above(self, thresholds: Mapping[str, float]) -> PeakPicks:
        """The picks that reach the threshold of their phase.

        Because the highest peak wins wherever two are too close, picking at a low threshold and raising it
        here gives the same picks as a high threshold from the start.
        """
        keep = np.zeros(len(self), dtype=bool)
        for phase, threshold in thresholds.items():
            keep |= (self.phase == phase) & (self.probability >= threshold)
        return self.select(keep)

    def shifted(self, num_windows: int) -> PeakPicks:
        """The same picks with `num_windows` windows in front of theirs."""
        columns = {f.name: getattr(self, f.name) for f in fields(self)}
        return PeakPicks(**{**columns, "window": self.window + num_windows})


def make_picks(
    window: Sequence[int] | np.ndarray,
    phase: Sequence[str] | np.ndarray,
    time_s: Sequence[float] | np.ndarray,
    probability: Sequence[float] | np.ndarray,
    time_uncertainty_s: Sequence[float] | np.ndarray,
) -> PeakPicks:
    """Picks from plain columns, sorted by window and time."""
    columns = PeakPicks(
        window=np.asarray(window, dtype=np.int64),
        phase=np.asarray(phase, dtype=np.str_),
        time_s=np.asarray(time_s, dtype=np.float64),
        probability=np.asarray(probability, dtype=np.float64),
        time_uncertainty_s=np.asarray(time_uncertainty_s, dtype=np.float64),
    )
    return columns.select(np.lexsort((columns.time_s, columns.window)))


def join_picks(parts: Sequence[PeakPicks]) -> PeakPicks:
    """Several lots of picks as one."""
    if not parts:
        return make_picks([], [], [], [], [])
    return make_picks(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(PeakPicks)))


def pick_peaks(
    probability: torch.Tensor | np.ndarray,
    sampling_rate_hz: float,
    thresholds: Mapping[str, float],
    min_separation_s: float = 0.5,
    class_names: Sequence[str] = CLASS_NAMES,
) -> PeakPicks:
    """Picks where the probability of a phase has a maximum above its threshold.

    probability: `(class, sample)` or `(window, class, sample)`, 0 to 1, NaN where nothing was observed.
    thresholds: lowest probability of a pick, above 0, for each phase that is wanted.
    min_separation_s: of two peaks of one phase that are closer than this, the higher one stays.

    The time is the top of the parabola through the logarithm of the three highest samples, which is exact for
    a Gaussian curve. A maximum at the very end of the window or beside a gap is no peak, since nobody knows
    whether the curve goes on rising.

    Raises ValueError for wrong shapes, wrong thresholds, or values above 1 (logits).
    """
    curves = _as_windows(probability, class_names)
    separation = max(1, round(min_separation_s * sampling_rate_hz))
    parts = []
    for phase, threshold in thresholds.items():
        if phase not in class_names or not 0.0 < threshold <= 1.0:
            raise ValueError(
                f"thresholds must be above 0, at most 1, for phases of {tuple(class_names)}, "
                f"found {phase}: {threshold}"
            )
        curve = curves[:, list(class_names).index(phase)]
        parts.append(_peaks_of_phase(curve, phase, threshold, sampling_rate_hz, separation))
    return join_picks(parts)


def _as_windows(probability: torch.Tensor | np.ndarray, class_names: Sequence[str]) -> np.ndarray:
    """The curves as `(window, class, sample)`, checked."""
    if isinstance(probability, torch.Tensor):
        probability = probability.detach().float().cpu().numpy()
    curves = probability[None] if probability.ndim == 2 else probability
    if curves.ndim != 3 or curves.shape[1] != len(class_names):
        raise ValueError(
            "probability must be (class, sample) or (window, class, sample) with classes "
            f"{tuple(class_names)}, found shape {tuple(probability.shape)}"
        )
    if bool((curves > 1.001).any()) or bool((curves < -0.001).any()):
        raise ValueError("probability must lie between 0 and 1, found values outside: were logits given?")
    return curves


def _peaks_of_phase(
    curve: np.ndarray, phase: str, threshold: float, sampling_rate_hz: float, separation: int
) -> PeakPicks:
    """Peaks of `(window, sample)`, all windows in one pass: they are laid end to end, `separation` apart."""
    num_windows, num_samples = curve.shape
    stride = num_samples + separation + 1
    flat = np.full((num_windows, stride), _BEYOND)
    flat[:, :num_samples] = np.where(np.isnan(curve), _BEYOND, np.clip(curve, 0.0, 1.0))
    flat = np.concatenate([[_BEYOND], flat.ravel()])
    index, found = find_peaks(flat, height=(threshold, 1.0), distance=separation)
    window, sample = np.divmod(index - 1, stride)
    return make_picks(
        window,
        np.full(len(index), phase),
        (sample + _parabolic_offset(flat, index)) / sampling_rate_hz,
        found["peak_heights"],
        _half_width(flat, index, sampling_rate_hz) / _FWHM_PER_SIGMA,
    )


def _parabolic_offset(flat: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Top of the parabola through three log probabilities, in samples from the middle one, within ±0.5."""
    # No pick lies beside _BEYOND, so that both neighbours are probabilities.
    before, top, after = (np.log(np.maximum(flat[index + step], 1e-30)) for step in (-1, 0, 1))
    curvature = before - 2.0 * top + after
    flat_top = curvature > -1e-12
    return np.where(flat_top, 0.0, 0.5 * (before - after) / np.where(flat_top, -1.0, curvature)).clip(
        -0.5, 0.5
    )


def _half_width(flat: np.ndarray, index: np.ndarray, sampling_rate_hz: float) -> np.ndarray:
    """Full width at half of the height, in seconds."""
    if len(index) == 0:
        return np.zeros(0)
    known = np.where(flat == _BEYOND, 0.0, flat)
    reach = max(1, round(WIDTH_REACH_S * sampling_rate_hz))
    # Half of the height, not of the prominence: SciPy takes both from this tuple.
    bases = (flat[index], np.maximum(index - reach, 0), np.minimum(index + reach, len(flat) - 1))
    return peak_widths(known, index, rel_height=0.5, prominence_data=bases)[0] / sampling_rate_hz
