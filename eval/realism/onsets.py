"""How real and synthetic arrivals begin: how fast motion grows after the onset that a label names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..baselines import WindowPicker
from ..figures import BLUE, GREY, ORANGE, add_legend, new_figure
from .excerpts import Excerpt
from .picker_recall import excerpt_batch

FloatArray = NDArray[np.float64]

BEFORE_S, AFTER_S = 0.2, 0.5
PEAK_SPAN_S = 1.0
LEAST_SHOWN = 5e-3
_COLORS = (GREY, BLUE, ORANGE)


def onset_growth(excerpts: Sequence[Excerpt], phase: str) -> tuple[FloatArray, FloatArray]:
    """How large motion is at each time about P or S, relative to the largest of the second after it.

    P on the vertical, until S at most; S as the size of horizontal motion. Times are −0.2 to 0.5 s after the
    sample that is next to the label, `(time,)`; the ratios are `(excerpt, time)`, 0 to 1 and more.
    """
    rate_hz = excerpts[0].sampling_rate_hz
    before, after = round(BEFORE_S * rate_hz), round(AFTER_S * rate_hz)
    growth = np.stack([_growth(excerpt, phase, before, after) for excerpt in excerpts])
    return np.arange(-before, after + 1) / rate_hz, growth


def _growth(excerpt: Excerpt, phase: str, before: int, after: int) -> FloatArray:
    onset = excerpt.p_sample if phase == "P" else excerpt.s_sample
    vertical, horizontals = excerpt.waveform[0], excerpt.waveform[1:]
    size = np.abs(vertical) if phase == "P" else np.sqrt(np.square(horizontals).sum(axis=0))
    end = onset + round(PEAK_SPAN_S * excerpt.sampling_rate_hz)
    if phase == "P":
        end = min(end, excerpt.s_sample)
    return size[onset - before : onset + after + 1] / size[onset:end].max()


def pick_offsets_s(picker: WindowPicker, excerpts: Sequence[Excerpt], phase: str) -> FloatArray:
    """The time of the pick nearest to the label, after it, NaN where there is none, `(excerpt,)`."""
    offset_s = np.full(len(excerpts), np.nan)
    for number, excerpt in enumerate(excerpts):
        picks = picker(excerpt_batch(excerpt)).above(picker.default_thresholds).of_phase(phase)
        onset = excerpt.p_sample if phase == "P" else excerpt.s_sample
        if len(picks):
            away_s = picks.time_s - onset / excerpt.sampling_rate_hz
            offset_s[number] = away_s[np.abs(away_s).argmin()]
    return offset_s


def growth_figure(sides: Mapping[str, Sequence[Excerpt]]) -> Figure:
    """Medians of `onset_growth` by kind of record, for P and S, and quartiles of the first kind."""
    figure, axes = new_figure(6.4, rows=2)
    for axis, phase in zip(axes, ("P", "S"), strict=True):
        for (name, excerpts), color in zip(sides.items(), _COLORS, strict=False):
            time_s, growth = onset_growth(excerpts, phase)
            low, middle, high = np.quantile(growth, (0.25, 0.5, 0.75), axis=0).clip(LEAST_SHOWN)
            if color == _COLORS[0]:
                axis.fill_between(time_s, low, high, color=color, alpha=0.25, lw=0)
            axis.plot(time_s, middle, color=color, lw=1.6, label=f"{name}, n = {len(excerpts)}")
        axis.set_yscale("log")
        axis.set_ylabel("share of the peak")
        axis.set_xlabel(f"seconds after {phase}")
        axis.grid(alpha=0.25)
    add_legend(axes[0], loc="lower right")
    return figure
